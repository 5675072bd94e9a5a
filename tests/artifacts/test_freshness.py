from __future__ import annotations

import pytest

from support.background_fakes import Clock
from support.cases import each_case
from targetry.artifacts.freshness import Freshness


@each_case(
    "age, overdue, stale",
    [(0, False, False), (299, False, False), (300, True, False), (600, True, False), (601, True, True)],
)
def test_confirmed_rules_age_with_the_clock(age: float, overdue: bool, stale: bool) -> None:
    clock = Clock()
    freshness = Freshness(300, clock)
    freshness.confirm()
    clock.advance(age)
    assert (freshness.age_s, freshness.overdue, freshness.stale) == (age, overdue, stale)


def test_without_rules_there_is_no_age_and_a_poll_is_overdue() -> None:
    freshness = Freshness(300, Clock())
    assert (freshness.age_s, freshness.overdue, freshness.stale) == (None, True, False)


def test_without_interval_confirmed_rules_never_are_stale() -> None:
    clock = Clock()
    freshness = Freshness(0, clock)
    freshness.confirm()
    clock.advance(1e9)
    assert (freshness.overdue, freshness.stale) == (False, False)


@pytest.mark.parametrize("interval", [0, 300])
def test_rules_from_disk_are_stale_at_any_age(interval: float) -> None:
    freshness = Freshness(interval, Clock())
    freshness.read_from_disk(0.0)
    assert (freshness.overdue, freshness.stale) == (True, True)
    freshness.confirm()
    assert (freshness.overdue, freshness.stale) == (False, False)


def test_rules_from_disk_have_the_age_of_the_copy() -> None:
    clock = Clock()
    freshness = Freshness(300, clock)
    freshness.read_from_disk(50)
    clock.advance(10)
    assert freshness.age_s == 60
