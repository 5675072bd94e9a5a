"""Cochran's test of equal lifts."""

from __future__ import annotations

import math

import pytest

from targetry.report.inference.confidence_sequence import ConfidenceSequence
from targetry.report.inference.estimates import Estimate, rate_estimate
from targetry.report.inference.heterogeneity import heterogeneity

pytest.importorskip("scipy")


def rate(conversions: int, visitors: int) -> Estimate:
    made = rate_estimate(visitors, conversions)
    assert made is not None
    return made


# converters of the experience and of its control, of 1,000 visitors each
PAIRS = [(rate(own, 1_000), rate(control, 1_000)) for own, control in ((130, 100), (95, 100), (160, 110))]


def test_p_value_of_two_segments_at_every_look_is_that_of_their_difference() -> None:
    sequence = ConfidenceSequence(0.05, 4_000)
    made = heterogeneity(PAIRS[:2], sequence)
    assert made is not None
    assert made.p_value == pytest.approx(sequence.p_value(math.sqrt(made.q), 4_000))


def test_equal_lifts_have_a_statistic_of_0() -> None:
    for sequence in (None, ConfidenceSequence(0.05)):
        made = heterogeneity([PAIRS[0]] * 4, sequence)
        assert made is not None
        assert (made.q, made.i_squared, made.p_value) == (pytest.approx(0, abs=1e-20), 0, 1)


def test_segments_without_a_ratio_are_left_out() -> None:
    nobody, everybody = (rate(0, 1_000), rate(100, 1_000)), (rate(9, 9), rate(9, 9))
    assert heterogeneity([PAIRS[0], nobody, everybody], None) is None
    made = heterogeneity([*PAIRS, nobody, everybody], None)
    assert made == heterogeneity(PAIRS, None)
