"""Prints the figures of gbstats."""

from __future__ import annotations

from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models.statistics import (
    ProportionStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
    compute_theta,
)
from visitors import CONVERSIONS, visitors, write

PLANNED = 5_000


def _mean(values):
    return SampleMeanStatistic(n=len(values), sum=sum(values), sum_squares=sum(one * one for one in values))


def _product(first, second):
    return sum(one * other for one, other in zip(first, second, strict=True))


def _statistics():
    groups = [visitors(0), visitors(1)]
    rates = [ProportionStatistic(n=number, sum=count) for count, number in CONVERSIONS]
    columns = [list(zip(*group, strict=True)) for group in groups]
    revenue = [_mean(one[1]) for one in columns]
    ratios = [
        RatioStatistic(
            n=len(one[0]),
            m_statistic=_mean(one[1]),
            d_statistic=_mean(one[0]),
            m_d_sum_of_products=_product(one[1], one[0]),
        )
        for one in columns
    ]
    adjusted = [
        RegressionAdjustedStatistic(
            n=len(one[0]),
            post_statistic=_mean(one[1]),
            pre_statistic=_mean(one[2]),
            post_pre_sum_of_products=_product(one[1], one[2]),
            theta=0,
        )
        for one in columns
    ]
    slope = compute_theta(*adjusted)
    for one in adjusted:
        one.theta = slope
    return {"conversion": rates, "revenue": revenue, "rpo": ratios, "revenue with history": adjusted}


def _figures(test):
    return {
        "difference": float(test.point_estimate),
        "interval": [float(one) for one in test.confidence_interval],
        "p_value": float(test.p_value),
        "z": float(test.critical_value),
    }


def main():
    config = SequentialConfig(difference_type="absolute", sequential_tuning_parameter=PLANNED)
    fixed = FrequentistConfig(difference_type="absolute")
    found = {
        name: {
            "every look": _figures(SequentialTwoSidedTTest(*both, config)),
            "one look": _figures(TwoSidedTTest(*both, fixed)),
        }
        for name, both in _statistics().items()
    }
    write(found)


if __name__ == "__main__":
    main()
