"""Estimates of groups whose visitors differ by rounding alone."""

from __future__ import annotations

import math

from support.cases import each_case
from targetry.report.inference.cuped import adjusted_estimates
from targetry.report.inference.estimates import Moments, mean_estimate, ratio_estimate


def moments(amounts: list[float], orders: int) -> Moments:
    return Moments(
        len(amounts),
        sum(amounts),
        sum(one * one for one in amounts),
        orders * len(amounts),
        orders * orders * len(amounts),
        sum(one * orders for one in amounts),
    )


@each_case("count", [7, 60, 1_000, 30_000])
@each_case("amount", [0.1, 50 / 3, 1e9 / 7, 1e12])
def test_same_amounts_have_no_variance(count: int, amount: float) -> None:
    one = moments([amount] * count, 3)
    mean, ratio = mean_estimate(one), ratio_estimate(one)
    assert mean is not None
    assert ratio is not None
    assert (mean.variance, ratio.variance) == (0.0, 0.0)
    assert adjusted_estimates([one, one]) is None


def test_small_differences_of_large_amounts_keep_their_variance() -> None:
    amounts = [1e5 + place % 2 for place in range(1_000)]
    estimate = mean_estimate(moments(amounts, 1))
    assert estimate is not None
    assert math.isclose(estimate.variance, 0.25 / 999, rel_tol=1e-3)


def test_variance_that_history_explains_is_no_rounding() -> None:
    before = [10.0 / 3 * place for place in range(100)]
    one = Moments(
        100,
        sum(3 * y for y in before),
        sum(9 * y * y for y in before),
        sum(before),
        sum(y * y for y in before),
        sum(3 * y * y for y in before),
    )
    made = adjusted_estimates([one, one])
    assert made is not None
    assert [estimate.variance for estimate in made] == [0.0, 0.0]
