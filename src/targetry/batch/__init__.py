"""Decisions for tables of visitors: columns in, columns out, with the results of `decide`."""

from targetry._runtime.lazy_import import importing_extra

with importing_extra("batch"):
    from targetry.batch.decider import BatchStats, Decider
    from targetry.batch.diff import (
        CHANGE_KINDS,
        ArtifactComparison,
        DecisionChange,
        Diff,
        Side,
        diff,
        made_up_visitors,
    )
    from targetry.batch.engine.columns import Columns
    from targetry.batch.forecast import ActivityForecast, ExperienceForecast, Forecast, forecast
    from targetry.batch.output import DEFAULT_OUTPUTS, OUTPUTS
    from targetry.batch.shadow import Difference, Shadow, ShadowLocation, shadow
    from targetry.batch.write import Totals, decide, write, write_batches

__all__ = [
    "CHANGE_KINDS",
    "DEFAULT_OUTPUTS",
    "OUTPUTS",
    "ActivityForecast",
    "ArtifactComparison",
    "BatchStats",
    "Columns",
    "Decider",
    "DecisionChange",
    "Diff",
    "Difference",
    "ExperienceForecast",
    "Forecast",
    "Shadow",
    "ShadowLocation",
    "Side",
    "Totals",
    "decide",
    "diff",
    "forecast",
    "made_up_visitors",
    "shadow",
    "write",
    "write_batches",
]
