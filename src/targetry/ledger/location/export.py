"""Tables of a ledger as Arrow streams: events, exposures, sums.

A table is read in batches, so its size does not matter. `targetry.batch.write.write_batches` writes
it to a file; DuckDB, Polars and pandas read the stream as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry.errors import OptionError
from targetry.ledger.database import Progress, no_progress
from targetry.ledger.event import LedgerEvent, event_row
from targetry.ledger.schema import DAY_MS
from targetry.ledger.selection import ALL_EVENTS, EventSelection
from targetry.ledger.store import LedgerReader
from targetry.ledger.sums import Cohort

LedgerTable = Literal["events", "exposures", "sums"]
"""Tables: each event; the first impression of each visitor and activity; the sums of each day."""

_ROWS: Final = 32_768  # of a batch, and so of a row group in a Parquet file
_TEXT, _TIME, _DAY, _COUNT, _NUMBER = "string", "timestamp", "date32", "int64", "double"
_LAST: Final = {_TIME: 253_402_300_799_999, _DAY: 2_932_896}  # the end of the year 9999
_COHORT: Final = {
    field.name: _COUNT if field.type is int else _NUMBER for field in msgspec.structs.fields(Cohort)
}
_COLUMNS: Final[dict[str, dict[str, str]]] = {
    "events": {
        name: {"timestamp_ms": _TIME, "order_total": _NUMBER}.get(name, _TEXT)
        for name in LedgerEvent.__struct_fields__
    },
    # As those of `targetry decide --exposures`.
    "exposures": dict.fromkeys(("unit_id", "timestamp", "experiment_id", "variation_id", "location"), _TEXT)
    | {"timestamp": _TIME},
    "sums": {"activity_id": _TEXT, "experience_id": _TEXT, "day": _DAY, **_COHORT},
}


def export_table(
    reader: LedgerReader,
    table: LedgerTable = "events",
    selection: EventSelection = ALL_EVENTS,
    *,
    progress: Progress = no_progress,
) -> Any:
    """Return a table of a ledger as a `pyarrow.RecordBatchReader`.

    Times have the type timestamp in milliseconds and UTC; the end of the year 9999 stands for a
    later time. `exposures` has the columns of an
    assignment log, a row for each visitor and activity. `sums` has a row for each activity,
    experience and UTC day of the first impression, with the figures of `Cohort`: of the visitors
    since the shares last changed. A day belongs to the period in which it begins.

    Args:
        reader: The ledger, which has to stay open until the stream is read.
        table: The table.
        selection: The period and the activities; by default all.
        progress: Called after each batch with the number of rows so far, twice.

    Raises:
        OptionError: There is no such table.
        MissingExtraError: The extra `batch` is not installed.
        LedgerError: The ledger cannot be read, now or while the stream is read.
    """
    if table not in _COLUMNS:
        raise OptionError("table", f"must be one of {', '.join(_COLUMNS)}, not {table!r}")
    with importing_extra("batch"):
        import pyarrow as pa
    types = {_TEXT: pa.string(), _TIME: pa.timestamp("ms", "UTC"), _COUNT: pa.int64(), _NUMBER: pa.float64()}
    types[_DAY] = pa.date32()
    schema = pa.schema([(_renamed(name), types[kind]) for name, kind in _COLUMNS[table].items()])
    rows = _rows(reader, table, selection)

    def batches() -> Iterator[Any]:
        done = 0
        while chunk := list(islice(rows, _ROWS)):
            columns = zip(zip(*chunk, strict=True), _COLUMNS[table].values(), strict=True)
            arrays = [pa.array(_limited(column, kind), types[kind]) for column, kind in columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            done += len(chunk)
            progress(done, done)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _renamed(name: str) -> str:
    """Return the name of a column: that of a time has no unit, which is in its type."""
    return name.removesuffix("_ms")


def _limited(column: Sequence[Any], kind: str) -> Sequence[Any]:
    """Return a column whose times other programs can read."""
    return [min(value, _LAST[kind]) for value in column] if kind in _LAST else column


def _rows(reader: LedgerReader, table: str, selection: EventSelection) -> Iterator[Sequence[Any]]:
    if table == "sums":
        return _sums(reader, selection)
    if table == "events":
        return map(event_row, reader.events(selection))
    return map(msgspec.structs.astuple, reader.exposures(selection))


def _sums(reader: LedgerReader, selection: EventSelection) -> Iterator[Sequence[Any]]:
    first, last = selection.bounds
    for activity_id, sums in sorted(reader.sums().items()):
        if selection.activities and activity_id not in selection.activities:
            continue
        for experience_id, one in sorted(sums.experiences.items()):
            for day, cohort in sorted(one.cohorts.items()):
                if first <= day * DAY_MS <= last:
                    yield activity_id, experience_id, day, *msgspec.structs.astuple(cohort)
