"""Limits of the Delivery API for each row.

A row that exceeds one has an error instead of offers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from targetry.batch.engine.arrays import Array, offsets_of
from targetry.batch.engine.columns import DEGREES, IDS, PAGE
from targetry.batch.engine.distinct import plain_texts
from targetry.batch.engine.requests import RowRequests
from targetry.batch.engine.rows import Rows
from targetry.models.constraint import (
    MAX_ID_LENGTH,
    MAX_PARAMETER_VALUE,
    MAX_PARAMETERS,
    MAX_URL_LENGTH,
    ConstraintError,
)
from targetry.models.snapshot import snapshot

_LONGEST: Final = {**dict.fromkeys(IDS, MAX_ID_LENGTH), **dict.fromkeys(PAGE, MAX_URL_LENGTH), "city": 50}
_LARGEST: Final = 2**63 - 1
_NO_TIME: Final = "time: must not be null, unless all rows are decided at one time"


def row_errors(rows: Rows, requests: RowRequests) -> dict[int, str]:
    """Return the errors of rows by their positions, as a request would get them.

    Columns are searched for values that may be wrong; the models check the requests of these rows.
    """
    errors: dict[int, str] = {}
    suspicious = _union(rows.count, _suspicious(rows))
    if suspicious is not None:
        for row in np.flatnonzero(suspicious).tolist():
            try:
                snapshot(requests.request(row), wire=False)
            except ConstraintError as error:
                errors[row] = str(error)
    if rows.has_time is not None:
        for row in np.flatnonzero(~rows.has_time).tolist():
            errors.setdefault(row, _NO_TIME)
    return errors


def _union(count: int, masks: Iterator[Array]) -> Array | None:
    found: Array | None = None
    for mask in masks:
        found = mask if found is None else found | mask
    return found


def _suspicious(rows: Rows) -> Iterator[Array]:
    for role, longest in _LONGEST.items():
        column = rows.column(role)
        if column is not None:
            yield from _longer(column, longest)
    for position in rows.layout.addresses.values():
        yield from _longer(rows.batch.column(position), _LONGEST["url"])
    for role in DEGREES:
        column = rows.column(role)
        if column is not None:
            yield from _not_finite(column)
    given: Array | None = None
    for parameter in rows.layout.parameters:
        column = rows.parameter(parameter)
        yield from _longer(column, MAX_PARAMETER_VALUE)
        yield from _not_finite(column)
        if len(rows.layout.parameters) > MAX_PARAMETERS:
            here = column.is_valid().to_numpy(zero_copy_only=False).astype(np.int32)
            given = here if given is None else given + here
    if given is not None and given.max(initial=0) > MAX_PARAMETERS:
        yield given > MAX_PARAMETERS


def _longer(column: Any, longest: int) -> Iterator[Array]:
    """Yield where a text has more characters, if that occurs; other columns are short."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        long = list(_longer(plain_texts(column.dictionary), longest))
        if long:
            yield pc.fill_null(pa.array(long[0]).take(column.indices), False).to_numpy(zero_copy_only=False)
        return
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return
    texts = plain_texts(column)
    if np.diff(offsets_of(texts)).max(initial=0) > longest:  # bytes, one or more for a character
        lengths = pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False)
        if (lengths > longest).any():
            yield lengths > longest


def _not_finite(column: Any) -> Iterator[Array]:
    """Yield where a number is none of JSON, or an integer has more than 64 bits."""
    kind = column.type
    if pa.types.is_floating(kind):
        numbers = column.to_numpy(zero_copy_only=False)  # NaN for null
        wrong = ~np.isfinite(numbers)
        if column.null_count:
            wrong &= column.is_valid().to_numpy(zero_copy_only=False)
        if wrong.any():
            yield wrong
    elif pa.types.is_uint64(kind):
        large = pc.fill_null(pc.greater(column, pa.scalar(_LARGEST, pa.uint64())), False)
        yield large.to_numpy(zero_copy_only=False)
