"""Simulated tests, and the counts of their errors."""

from __future__ import annotations

import numpy as np
import pytest

from support.cases import each_case
from targetry.ledger.sums import Cohort
from targetry.report.comparison import compare
from targetry.report.looks import Method, cumulate
from targetry.report.options import METRIC_NAMES, ReportOptions
from targetry.report.simulation.error_rate import (
    error_rate,
    least_p_value,
    sequential_method,
    uniform_p_value,
)
from targetry.report.simulation.groups import draw_group, draw_group_with_history, group_sums
from targetry.report.simulation.self_test import run_self_test

# wrong, runs, limit → state
STATES = {
    "few errors": (60, 2_000, 0.05, "holds"),
    "many errors": (160, 2_000, 0.05, "exceeded"),
    "few runs": (3, 100, 0.05, "unclear"),
    "no error": (0, 2_000, 0.01, "holds"),
    "only errors": (20, 20, 0.5, "exceeded"),
}


@each_case("wrong, runs, limit, state", STATES.values(), ids=STATES)
def test_error_rate_is_compared_with_its_limit(wrong: int, runs: int, limit: float, state: str) -> None:
    assert error_rate("one", 5, wrong, runs, limit).state == state


# binomtest(wrong, 40).proportion_ci(0.99, "exact") of SciPy 1.17.1, whose import takes a second
INTERVALS = {
    0: (0.0, 0.12406021952910057),
    1: (0.00012530569415047406, 0.17151532886809398),
    7: (0.05367051693558455, 0.37632305659046894),
    40: (0.8759397804708998, 1.0),
}


@each_case("wrong, expected", INTERVALS.items())
def test_interval_of_an_error_rate_equals_that_of_scipy(wrong: int, expected: tuple[float, float]) -> None:
    made = error_rate("one", 1, wrong, 40, 0.05).interval
    assert (made.low, made.high) == pytest.approx(expected, abs=1e-9)


def test_p_value_of_uniformity_equals_that_of_scipy() -> None:
    values = [(number * 0.6180339887498949 % 1) ** 1.1 for number in range(1, 401)]
    # kstest(values, "uniform", method="asymp").pvalue of SciPy 1.17.1
    assert uniform_p_value(values) == pytest.approx(0.6311074715388965)


def test_sums_of_a_group_add_up_over_the_looks() -> None:
    made = group_sums(
        np.array([5, 4]),
        np.array([2, 1]),
        np.array([0, 0, 1]),
        np.array([1, 2, 1]),
        np.array([3.0, 5.0, 2.0]),
    )
    assert made == [Cohort(5, 2, 2, 3, 5, 8, 34, 13), Cohort(9, 3, 3, 4, 6, 10, 38, 15)]


@each_case("fixed", [False, True], ids=["every look", "one look"])
@each_case("metric", METRIC_NAMES)
def test_simulated_p_value_is_that_of_the_report(metric: str, fixed: bool) -> None:
    random = np.random.default_rng(2)
    rates = (0.1, 0.13, 0.11)
    daily = [
        {day: draw_group(random, np.array([300]), rate, cap=90.0)[0] for day in range(12)} for rate in rates
    ]
    made = compare(daily, ReportOptions(metric=metric, fixed=fixed), compared=[1, 2], is_broken=False)
    reported = [lift.p_value for one in made.metrics[1:] if (lift := one[metric].lift)]
    method = Method(0.05 / 2, None) if fixed else sequential_method(0.05, 10_000, 2)
    assert len(reported) == 2
    assert least_p_value(metric, cumulate(daily), method) == min(reported) < 1


def test_history_of_a_drawn_group_correlates_with_its_revenue() -> None:
    sizes = np.array([400, 4_000])
    first, last = draw_group_with_history(np.random.default_rng(3), sizes)
    assert (first.visitors, last.visitors) == (400, 4_000)
    before = last.history["revenue"]
    covariance = before.product / 4_000 - before.total * last.revenue / 4_000**2
    spread = (before.squared / 4_000 - (before.total / 4_000) ** 2) ** 0.5
    deviation = (last.revenue_squared / 4_000 - (last.revenue / 4_000) ** 2) ** 0.5
    assert 0.2 < covariance / spread / deviation < 0.6


@pytest.mark.slow
def test_no_error_rate_exceeds_its_limit() -> None:
    """Look hundreds of times at 100 simulated tests of each kind."""
    progress: list[tuple[int, int]] = []
    found = run_self_test(100, 1, lambda *done: progress.append(done))
    assert {one.state for one in found} <= {"holds", "unclear"}
    assert progress[-1] == (len(progress), len(progress))
    assert len({one.name for one in found}) == len(found)
    assert run_self_test(10, 1) == run_self_test(10, 1)
