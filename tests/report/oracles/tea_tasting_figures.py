"""Prints the figures of tea-tasting."""

from __future__ import annotations

import pandas as pd
import tea_tasting as tt
from visitors import SPLIT, visitors, write

INTERVALS = ("effect_size", "effect_size_ci_lower", "effect_size_ci_upper", "pvalue")


def main():
    rows = [(group, *one) for group in (0, 1) for one in visitors(group)]
    table = pd.DataFrame(rows, columns=["variant", "orders", "revenue", "before"])
    experiment = tt.Experiment(
        orders=tt.Mean("orders", use_t=False),
        revenue=tt.Mean("revenue", use_t=False),
        rpo=tt.RatioOfMeans("revenue", "orders", use_t=False),
        history=tt.Mean("revenue", "before", use_t=False),
    )
    result = experiment.analyze(table)
    names = {"orders": "orders", "revenue": "revenue", "rpo": "rpo", "history": "revenue with history"}
    found = {
        name: {key: float(getattr(result[one], key)) for key in INTERVALS} for one, name in names.items()
    }
    counts = pd.DataFrame({"variant": [0] * SPLIT[0] + [1] * SPLIT[1]})
    split = tt.Experiment(split=tt.SampleRatio(method="norm", correction=False)).analyze(counts)["split"]
    write({**found, "split": {"pvalue": float(split.pvalue)}})


if __name__ == "__main__":
    main()
