"""A/A tests on allocations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from targetry.device.logic.allocation import bucket
from targetry.report.simulation.aa import AaReport, Allocations, Outcomes, draw_outcomes, run_aa

VISITORS = 1_000


def real_allocations(activities: int, shares: tuple[float, ...] = (50.0, 50.0)) -> Iterator[Allocations]:
    visitors = [f"visitor-{n}" for n in range(VISITORS)]
    for activity in range(activities):
        yield Allocations(np.array([bucket("acme", activity, one) for one in visitors]), shares)


def run(allocations: Iterator[Allocations], activities: int = 60) -> AaReport:
    random = np.random.default_rng(1)
    return run_aa(allocations, lambda: draw_outcomes(random, VISITORS, 0.3))


def test_real_allocations_of_equal_experiences_are_sound() -> None:
    done: list[int] = []
    random = np.random.default_rng(1)
    made = run_aa(real_allocations(60), lambda: draw_outcomes(random, VISITORS, 0.3), done.append)
    assert made.is_sound
    assert (made.activities, made.visitors, done[-1]) == (60, VISITORS, 60)
    assert {(one.alarms.name, one.alarms.looks) for one in made.tests} == {
        (name, looks) for name in ("conversion", "orders", "revenue", "rpo", "split") for looks in (1, 25)
    }
    assert all((one.uniform_p_value is None) == (one.alarms.looks > 1) for one in made.tests)
    assert min(made.bucket_p_value, made.correlation_p_value) > 0.001


def test_three_experiences_are_corrected_together() -> None:
    made = run(real_allocations(40, (20.0, 30.0, 50.0)))
    assert made.is_sound
    assert {one.alarms.runs for one in made.tests} == {40}
    assert len(made.tests) == 10
    even = [one.uniform_p_value for one in made.tests if one.uniform_p_value is not None]
    assert min(even) > 0.001, "p-values that are corrected are not even"


def test_shares_without_a_visitor_are_compared_with_nothing() -> None:
    made = run(real_allocations(12, (0.01, 0.01, 99.98)))
    assert {one.alarms.wrong for one in made.tests if one.alarms.name != "split"} == {0}


def test_outcome_that_depends_on_the_allocation_alarms() -> None:
    allocations = list(real_allocations(20))
    outcomes = (
        Outcomes(abs(one.buckets - 3_000) < 3_000, np.zeros(VISITORS, int), np.zeros(VISITORS))
        for one in allocations
    )
    made = run_aa(iter(allocations), lambda: next(outcomes))
    assert not made.is_sound
    assert {one.alarms.state for one in made.tests if one.alarms.name == "conversion"} == {"exceeded"}


def test_uneven_buckets_are_found() -> None:
    made = run(one._replace(buckets=one.buckets * 9 // 10) for one in real_allocations(20))
    assert not made.is_sound
    assert made.bucket_p_value < 0.001
    split = [one for one in made.tests if one.alarms.name == "split"]
    assert all(one.alarms.wrong > 0 for one in split)


def test_activities_that_allocate_alike_are_found() -> None:
    (one,) = real_allocations(1)
    made = run(iter([one] * 10))
    assert made.correlation_p_value < 0.001
    assert made.largest_correlation == pytest.approx(1)
    assert not made.is_sound
