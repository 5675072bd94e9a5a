"""Statistics against figures of other programs and of printed tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.estimates import Estimate, rate_estimate
from targetry.report.inference.fieller import difference_in_errors, lift_interval
from targetry.report.inference.multiple_comparisons import benjamini_hochberg, holm
from targetry.report.inference.sample_size import means_sample, rates_sample, sequential_factor
from targetry.report.inference.split_check import split_p_value
from targetry.report.inference.statistics import (
    Sample,
    lift,
    normal_p_value,
    normal_quantile,
    rate_interval,
    sample_ratio,
)

pytest.importorskip("scipy")

EXACT = 1e-9
PRINTED = 1e-4


def rate(conversions: int, visitors: int) -> Estimate:
    made = rate_estimate(visitors, conversions)
    assert made is not None
    return made


@each_case("alpha, planned", [(0.05, 10**18), (0.9998, 10**15), (1e-9, 100)])
def test_sequence_is_finite_for_any_plan(alpha: float, planned: int) -> None:
    sequence = ConfidenceSequence(alpha, planned)
    multiplier = sequence.multiplier(1)
    assert 0 < multiplier < math.inf
    assert sequence.p_value(multiplier, 1) == pytest.approx(alpha)


CONTROL, OTHER = rate(500, 10_000), rate(575, 10_000)


@each_case(
    "part, multiplier",
    [(0.1, 3.8551), (0.25, 3.2643), (0.5, 3.0836), (1, 3.0352), (2, 3.0615), (5, 3.1530)],
)
def test_width_depends_on_the_part_of_the_plan(part: float, multiplier: float) -> None:
    for planned in (1_000, 10_000):
        made = ConfidenceSequence(0.05, planned).multiplier(round(part * planned))
        assert made == pytest.approx(multiplier, abs=5e-5)


@each_case(
    "visitors, half",
    [
        (100, 0.908437943731058),
        (1_000, 0.121907531463415),
        (10_000, 0.030352089903762525),
        (100_000, 0.010251228683166386),
    ],
)
def test_half_width_of_unit_variance_equals_that_of_gbstats(visitors: int, half: float) -> None:
    sequence = ConfidenceSequence(0.05, 10_000)
    assert sequence.multiplier(visitors) / math.sqrt(visitors) == pytest.approx(half, rel=EXACT)


# planned visitors → interval of the difference, p-value; the first row is that of gbstats 0.8.0
SEQUENTIAL = {
    "5000": (5_000, -0.002472197360022693, 0.017472197360022694, 0.3918696712597377),
    "20000": (20_000, -0.00217911681191487, 0.01717911681191487, 0.2563751918020383),
}


@pytest.mark.parametrize(("planned", "low", "high", "p_value"), SEQUENTIAL.values(), ids=SEQUENTIAL)
def test_sequential_difference(planned: int, low: float, high: float, p_value: float) -> None:
    sequence = ConfidenceSequence(0.05, planned)
    half = sequence.multiplier(20_000) * math.sqrt(CONTROL.variance + OTHER.variance)
    difference = OTHER.mean - CONTROL.mean
    assert (difference - half, difference + half) == pytest.approx((low, high), rel=EXACT)
    z = difference_in_errors(OTHER, CONTROL)
    assert sequence.p_value(z, 20_000) == pytest.approx(p_value, rel=EXACT)


def test_difference_for_one_look_is_nearly_that_of_gbstats() -> None:
    # gbstats takes the t distribution with 20,000 degrees of freedom.
    half = normal_quantile(0.95) * math.sqrt(CONTROL.variance + OTHER.variance)
    difference = OTHER.mean - CONTROL.mean
    expected = (0.0012494012285234968, 0.013750598771476504)
    assert (difference - half, difference + half) == pytest.approx(expected, abs=1e-6)
    p_value = normal_p_value(difference_in_errors(OTHER, CONTROL))
    assert p_value == pytest.approx(0.01868876427595456, abs=1e-5)


LIFTS = {
    "one look": (None, 0.02360858589220549, 0.2933020157761175, EXACT),
    "5000 planned": (5_000, -0.0452779265, 0.3888204818, 1e-8),
    "20000 planned": (20_000, -0.0400044193, 0.3809802465, 1e-8),
}


@pytest.mark.parametrize(("planned", "low", "high", "tolerance"), LIFTS.values(), ids=LIFTS)
def test_interval_of_the_lift(planned: int | None, low: float, high: float, tolerance: float) -> None:
    multiplier = ConfidenceSequence(0.05, planned).multiplier(20_000) if planned else normal_quantile(0.95)
    found = lift_interval(OTHER, CONTROL, multiplier)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=tolerance)
    # Each end is a lift whose test statistic is exactly the multiplier.
    for end in (found.low, found.high):
        error = math.sqrt(OTHER.variance + (1 + end) ** 2 * CONTROL.variance)
        assert abs(OTHER.mean - (1 + end) * CONTROL.mean) / error == pytest.approx(multiplier, rel=1e-8)


def test_lift_for_one_look_equals_scipy() -> None:
    found = lift(Sample(575, 10_000), Sample(500, 10_000))
    assert found is not None
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0234328599, 0.2922195992), abs=1e-8)
    assert found.p_value == pytest.approx(0.018695412847872062, rel=EXACT)


# conversions, visitors → Wilson's interval, by statsmodels
@each_case(
    "conversions, visitors, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_rate_interval_equals_statsmodels(conversions: int, visitors: int, low: float, high: float) -> None:
    made = rate_interval(Sample(conversions, visitors))
    assert (made.low, made.high) == pytest.approx((low, high), abs=PRINTED)


def test_sample_of_two_rates_equals_power_prop_test_of_r() -> None:
    assert rates_sample(0.5, 0.75, 0.05, 0.9) == pytest.approx(76.7069, abs=PRINTED)
    assert rates_sample(0.05, 0.06, 0.05, 0.8) == pytest.approx(8157.73, abs=0.01)
    assert rates_sample(0.5, 0.75, 0.05, 0.7401659) == pytest.approx(50, abs=1e-3)


def test_sample_of_two_means_equals_the_normal_formula() -> None:
    # R's power.t.test gives 22.02 for the t distribution; the normal one needs about one less.
    assert means_sample(1.0, 1.0, 0.05, 0.9) == pytest.approx(21.0149, abs=PRINTED)
    unequal = means_sample(1.0, 1.0, 0.05, 0.9, ratio=3.0)
    assert unequal == pytest.approx(21.0149 * (1 + 1 / 3) / 2, abs=PRINTED)


@pytest.mark.parametrize(
    ("alpha", "power", "factor"), [(0.05, 0.8, 1.65), (0.05, 0.9, 1.56), (0.02, 0.85, 1.53)]
)
def test_test_that_may_stop_at_any_time_needs_a_larger_sample(
    alpha: float, power: float, factor: float
) -> None:
    assert sequential_factor(alpha, power) == pytest.approx(factor, abs=0.05)


def test_holm_and_benjamini_hochberg_equal_statsmodels() -> None:
    p_values = [0.04, 0.01, 0.03, 0.02, 0.05]
    assert holm(p_values) == pytest.approx([0.09, 0.05, 0.09, 0.08, 0.09])
    assert benjamini_hochberg(p_values) == pytest.approx([0.05] * 5)
    assert (holm([]), benjamini_hochberg([])) == ([], [])


@pytest.mark.slow  # for the import of scipy.stats, which takes a second
@given(st.lists(st.floats(0, 1), max_size=12))
@settings(max_examples=examples(60), deadline=None)
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    from scipy.stats import false_discovery_control

    expected = false_discovery_control(p_values) if p_values else []
    assert benjamini_hochberg(p_values) == pytest.approx(list(expected))


# The 15 p-values of the example in Benjamini and Hochberg, "Controlling the False Discovery Rate".
EXAMPLE = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
    0.7590, 1.0,
]  # fmt: skip


def test_printed_example_rejects_four_by_false_discovery_and_three_by_holm() -> None:
    assert sum(one <= 0.05 for one in benjamini_hochberg(EXAMPLE)) == 4
    assert sum(one <= 0.05 for one in holm(EXAMPLE)) == 3


def test_split_of_two_halves_equals_chi_square_and_the_sequential_check() -> None:
    counts = [821_588, 815_482]
    ratio = sample_ratio(counts, [50.0, 50.0])
    assert ratio is not None
    assert ratio.p_value == pytest.approx(1.8217928726191858e-06, rel=EXACT)
    assert split_p_value(counts, [50.0, 50.0]) == pytest.approx(4.6226e-04, rel=PRINTED)
    for strength, p_value in ((1, 1.8184e-02), (100, 1.4556e-03), (10_000, 1.5596e-04)):
        assert split_p_value(counts, [1.0, 1.0], strength) == pytest.approx(p_value, rel=PRINTED)
