"""Impression window, in which repeated impressions count once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.cases import each_case
from targetry import OptionError
from targetry.flags import window
from targetry.flags.window import ImpressionWindow, checked_window


def test_entry_is_due_again_after_its_window() -> None:
    reported = ImpressionWindow(60.0)
    assert reported.is_open("a", 0.0)
    reported.note("a", 0.0)
    assert [reported.is_open("a", now) for now in (0.0, 59.9, 60.0)] == [False, False, True]
    assert reported.is_open("b", 1.0)


def test_impression_is_admitted_once_in_its_window() -> None:
    reported = ImpressionWindow(60.0)
    reported.note("a", 1000.0)
    moments = (1000.0, 1059.9, 1060.0, 1119.9, 1120.0, 10.0, 69.9, 70.0)
    due = [False, False, True, False, True, True, False, True]
    assert [reported.admit("a", now) for now in moments] == due
    assert reported.admit("b", 70.0)


def test_note_opens_a_new_window() -> None:
    reported = ImpressionWindow(60.0)
    reported.note("a", 0.0)
    reported.note("a", 60.0)
    assert not reported.is_open("a", 119.0)


def test_clock_set_back_makes_an_impression_due() -> None:
    reported = ImpressionWindow(60.0)
    reported.note("a", 1000.0)
    assert reported.is_open("a", 10.0)


def test_oldest_entry_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MAX_ENTRIES", 3)
    reported = ImpressionWindow(60.0)
    for entry in "abc":
        reported.note(entry, 0.0)
    reported.note("a", 1.0)  # now the newest
    reported.note("d", 1.0)
    assert len(reported) == 3
    assert reported.is_open("b", 1.0)
    assert not reported.is_open("a", 1.0)


@pytest.mark.slow
def test_million_visitors_cost_bounded_memory_and_no_search() -> None:
    """Compare the last visitors with the first: an eviction must not search for the oldest."""
    reported = ImpressionWindow(60.0)
    costs = []
    for start in range(0, 1_000_000, 100_000):
        began = time.thread_time()
        for number in range(start, start + 100_000):
            reported.admit(("hero", number), 0.0)
        costs.append(time.thread_time() - began)
    assert len(reported) == window.MAX_ENTRIES
    assert min(costs[5:]) < 20 * costs[0]


@each_case("seconds", [30, 0.5])
def test_positive_number_of_seconds_is_a_window(seconds: float) -> None:
    checked = checked_window(seconds)
    assert (checked, type(checked)) == (seconds, float)


@each_case("seconds", [0, -1, float("nan"), float("inf"), True, "60", None])
def test_window_that_is_not_a_positive_number_raises(seconds: Any) -> None:
    with pytest.raises(OptionError, match="impression_window"):
        checked_window(seconds)
