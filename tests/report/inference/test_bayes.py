"""Posterior distributions of two conversion rates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from targetry.report.inference.bayes import compare_rates
from targetry.report.inference.statistics import Sample

pytest.importorskip("scipy")


def chance_by_sum(one: Sample, control: Sample) -> float:
    """Return the chance by the finite sum for beta distributions of whole numbers."""
    a, b = 1 + control.conversions, 1 + control.visitors - control.conversions
    c, d = 1 + one.conversions, 1 + one.visitors - one.conversions

    def log_beta(x: float, y: float) -> float:
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    return math.fsum(
        math.exp(log_beta(a + i, b + d) - math.log(d + i) - log_beta(1 + i, d) - log_beta(a, b))
        for i in range(c)
    )


SAMPLES = {
    "equal": (Sample(50, 1_000), Sample(50, 1_000)),
    "better": (Sample(65, 1_000), Sample(50, 1_000)),
    "much worse": (Sample(20, 1_000), Sample(80, 1_000)),
    "no conversion": (Sample(0, 30), Sample(0, 3_000)),
    "all converted": (Sample(30, 30), Sample(29, 30)),
    "very different sizes": (Sample(3, 40), Sample(50_000, 1_000_000)),
    "large": (Sample(5_100, 100_000), Sample(5_000, 100_000)),
}


@pytest.mark.parametrize(("one", "control"), SAMPLES.values(), ids=SAMPLES)
def test_chance_to_beat_the_control_equals_the_finite_sum(one: Sample, control: Sample) -> None:
    made = compare_rates(one, control).chance_to_beat_control
    assert made == pytest.approx(chance_by_sum(one, control), rel=1e-6, abs=1e-9)


samples = st.tuples(st.integers(1, 5_000), st.floats(0, 1)).map(
    lambda drawn: Sample(int(drawn[0] * drawn[1]), drawn[0])
)


@given(samples, samples)
@settings(max_examples=examples(60), deadline=None)
def test_both_directions_add_up(one: Sample, other: Sample) -> None:
    first, second = compare_rates(one, other), compare_rates(other, one)
    assert first.chance_to_beat_control + second.chance_to_beat_control == pytest.approx(1, abs=1e-9)
    means = [(1 + sample.conversions) / (2 + sample.visitors) for sample in (one, other)]
    assert second.expected_loss - first.expected_loss == pytest.approx(means[0] - means[1], abs=1e-9)
    assert min(first.expected_loss, second.expected_loss) >= 0
