"""Statistics against the figures of gbstats, tea-tasting and statsmodels.

`scripts/statistics-oracles` writes the figures.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from report.oracles import visitors as given
from support.cases import each_case
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.cuped import adjusted_estimates
from targetry.report.inference.estimates import (
    Estimate,
    Moments,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
)
from targetry.report.inference.fieller import difference_in_errors
from targetry.report.inference.heterogeneity import heterogeneity
from targetry.report.inference.multiple_comparisons import benjamini_hochberg, holm
from targetry.report.inference.sample_size import means_sample
from targetry.report.inference.statistics import (
    Sample,
    lift,
    normal_p_value,
    normal_quantile,
    rate_interval,
    sample_ratio,
)

pytest.importorskip("scipy")

FIGURES = json.loads((Path(__file__).parents[1] / "oracles" / "figures.json").read_text("utf-8"))
GBSTATS, TEA_TASTING, STATSMODELS = (FIGURES[name] for name in ("gbstats", "tea-tasting", "statsmodels"))
EXACT = 1e-9
PLANNED = 5_000


def moments(first: list[float], second: list[float]) -> Moments:
    squares = [math.fsum(one * one for one in values) for values in (first, second)]
    product = math.fsum(one * other for one, other in zip(first, second, strict=True))
    return Moments(len(first), math.fsum(first), squares[0], math.fsum(second), squares[1], product)


def estimates() -> dict[str, tuple[Estimate, Estimate]]:
    """Return the estimates of both groups by the name of the metric."""
    columns = [list(map(list, zip(*given.visitors(group), strict=True))) for group in (0, 1)]
    found: dict[str, list[Estimate | None]] = {
        "conversion": [rate_estimate(number, count) for count, number in given.CONVERSIONS],
        "orders": [mean_estimate(moments(orders, revenue)) for orders, revenue, _ in columns],
        "revenue": [mean_estimate(moments(revenue, orders)) for orders, revenue, _ in columns],
        "rpo": [ratio_estimate(moments(revenue, orders)) for orders, revenue, _ in columns],
        "revenue with history": list(
            adjusted_estimates([moments(revenue, before) for _, revenue, before in columns]) or ()
        ),
    }
    both = {name: (first, second) for name, (first, second) in found.items()}
    return {name: (first, second) for name, (first, second) in both.items() if first and second}


ESTIMATES = estimates()


@each_case("name", GBSTATS)
def test_figures_for_every_look_equal_those_of_gbstats(name: str) -> None:
    control, other = ESTIMATES[name]
    expected = GBSTATS[name]["every look"]
    sequence, visitors = ConfidenceSequence(0.05, PLANNED), control.visitors + other.visitors
    difference, z = other.mean - control.mean, difference_in_errors(other, control)
    half = sequence.multiplier(visitors) * math.sqrt(control.variance + other.variance)
    assert difference == pytest.approx(expected["difference"], rel=EXACT)
    assert [difference - half, difference + half] == pytest.approx(expected["interval"], rel=1e-8)
    assert sequence.p_value(z, visitors) == pytest.approx(expected["p_value"], rel=1e-8)
    assert z == pytest.approx(GBSTATS[name]["one look"]["z"], rel=EXACT)


@each_case("name", [name for name in TEA_TASTING if name != "split"])
def test_figures_for_one_look_equal_those_of_tea_tasting(name: str) -> None:
    control, other = ESTIMATES[name]
    expected = TEA_TASTING[name]
    difference = other.mean - control.mean
    half = normal_quantile(0.95) * math.sqrt(control.variance + other.variance)
    assert difference == pytest.approx(expected["effect_size"], rel=EXACT)
    assert difference - half == pytest.approx(expected["effect_size_ci_lower"], rel=1e-8)
    assert difference + half == pytest.approx(expected["effect_size_ci_upper"], rel=1e-8)
    p_value = normal_p_value(difference_in_errors(other, control))
    assert p_value == pytest.approx(expected["pvalue"], rel=1e-8)


def test_split_check_for_one_look_equals_that_of_tea_tasting() -> None:
    ratio = sample_ratio(given.SPLIT, [50.0, 50.0])
    assert ratio is not None
    assert ratio.p_value == pytest.approx(TEA_TASTING["split"]["pvalue"], rel=EXACT)


def test_rate_intervals_equal_those_of_statsmodels() -> None:
    made = [rate_interval(Sample(count, number)) for count, number in given.WILSON]
    for one, expected in zip(made, STATSMODELS["wilson"], strict=True):
        assert (one.low, one.high) == pytest.approx(tuple(expected), rel=EXACT, abs=1e-15)


def test_newcombe_interval_of_a_difference_follows_from_rate_intervals() -> None:
    first, second = (Sample(count, number) for count, number in given.NEWCOMBE)
    one, other = rate_interval(first), rate_interval(second)
    difference = first.rate - second.rate
    low = difference - math.hypot(first.rate - one.low, other.high - second.rate)
    high = difference + math.hypot(one.high - first.rate, second.rate - other.low)
    assert [low, high] == pytest.approx(STATSMODELS["newcombe"], rel=EXACT)
    assert [low, high] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_statistic_of_a_difference_of_means_is_that_of_welch() -> None:
    from scipy.special import stdtrit

    first, second = (mean_estimate(moments(list(one), [0.0] * len(one))) for one in given.SLEEP)
    assert first is not None
    assert second is not None
    expected: dict[str, Any] = STATSMODELS["sleep"]
    assert difference_in_errors(first, second) == pytest.approx(expected["t"], rel=EXACT)
    error = math.sqrt(first.variance + second.variance)
    half = stdtrit(expected["degrees of freedom"], 0.975) * error
    difference = first.mean - second.mean
    assert [difference - half, difference + half] == pytest.approx(expected["interval"], rel=1e-8)
    # As printed by R for the data set `sleep`.
    assert [expected["t"], expected["degrees of freedom"]] == pytest.approx([-1.8608, 17.776], abs=1e-3)
    assert expected["p_value"] == pytest.approx(0.07939, abs=1e-5)


def test_chi_square_and_corrections_equal_those_of_statsmodels() -> None:
    control, other = (Sample(count, number) for count, number in given.CONVERSIONS)
    found = lift(other, control)
    assert found is not None
    assert found.p_value == pytest.approx(STATSMODELS["chi-square"], rel=EXACT)
    assert holm(given.P_VALUES) == pytest.approx(STATSMODELS["holm"], rel=EXACT)
    assert benjamini_hochberg(given.P_VALUES) == pytest.approx(STATSMODELS["benjamini-hochberg"], rel=EXACT)


def test_sample_of_two_means_is_a_visitor_below_that_of_the_t_test() -> None:
    # For small groups the t distribution needs a quarter of the squared quantile more.
    more = normal_quantile(0.95) ** 2 / 4
    assert STATSMODELS["sample for 90 %"] == pytest.approx(22.021, abs=1e-3)
    assert means_sample(1.0, 1.0, 0.05, 0.9) + more == pytest.approx(22.021, abs=0.06)
    power = STATSMODELS["power of 20"]
    assert power == pytest.approx(0.86895, abs=1e-5)
    assert means_sample(1.0, 1.0, 0.05, power) + more == pytest.approx(20, abs=0.06)


def test_test_of_equal_lifts_equals_that_of_statsmodels() -> None:
    pairs = [(rate_estimate(*one[::-1]), rate_estimate(*control[::-1])) for one, control in given.SEGMENTS]
    found = heterogeneity([(one, control) for one, control in pairs if one and control], None)
    expected = STATSMODELS["segments"]
    assert found is not None
    assert (found.q, found.p_value, found.i_squared) == pytest.approx(
        (expected["q"], expected["p_value"], expected["i_squared"]), rel=EXACT
    )
