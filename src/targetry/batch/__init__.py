"""Decisions for tables of visitors: columns in, columns out, with the results of `decide`."""

from targetry._runtime.lazy_import import importing_extra

with importing_extra("batch"):
    import numpy as _numpy  # noqa: F401
    import pyarrow as _pyarrow  # noqa: F401
