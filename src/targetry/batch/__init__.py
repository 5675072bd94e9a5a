"""Decisions for tables of visitors: columns in, columns out, with the results of `decide`."""

from targetry._runtime.lazy_import import importing_extra

with importing_extra("batch"):
    from targetry.batch.decider import BatchStats, Decider
    from targetry.batch.engine.columns import Columns

__all__ = ["BatchStats", "Columns", "Decider"]
