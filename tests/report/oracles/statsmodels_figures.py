"""Prints the figures of statsmodels."""

from __future__ import annotations

import math

import numpy as np
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_chisquare
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from visitors import CONVERSIONS, NEWCOMBE, P_VALUES, SEGMENTS, SLEEP, WILSON, write


def _floats(values):
    return [float(one) for one in values]


def main():
    (first, first_of), (second, second_of) = NEWCOMBE
    welch = CompareMeans(*map(DescrStatsW, SLEEP))
    t, p_value, freedom = welch.ttest_ind(usevar="unequal")
    power = TTestIndPower()
    counts, numbers = zip(*CONVERSIONS, strict=True)
    ratios = [math.log(x / n / (y / m)) for (x, n), (y, m) in SEGMENTS]
    variances = [1 / x - 1 / n + 1 / y - 1 / m for (x, n), (y, m) in SEGMENTS]
    segments = combine_effects(np.array(ratios), np.array(variances))
    found = {
        "wilson": [_floats(proportion_confint(count, number, method="wilson")) for count, number in WILSON],
        "newcombe": _floats(
            confint_proportions_2indep(first, first_of, second, second_of, compare="diff", method="newcomb")
        ),
        "sleep": {
            "t": float(t),
            "p_value": float(p_value),
            "degrees of freedom": float(freedom),
            "interval": _floats(welch.tconfint_diff(usevar="unequal")),
        },
        "chi-square": float(proportions_chisquare(counts, numbers)[1]),
        "holm": _floats(multipletests(P_VALUES, method="holm")[1]),
        "benjamini-hochberg": _floats(multipletests(P_VALUES, method="fdr_bh")[1]),
        "power of 20": float(power.power(effect_size=1.0, nobs1=20, alpha=0.05)),
        "segments": {
            "q": float(segments.q),
            "p_value": float(segments.test_homogeneity().pvalue),
            "i_squared": float(segments.i2),
        },
        "sample for 90 %": float(power.solve_power(effect_size=1.0, alpha=0.05, power=0.9)),
    }
    write(found)


if __name__ == "__main__":
    main()
