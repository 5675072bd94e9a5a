"""Decisions written to files: Parquet, Arrow, CSV and JSON Lines."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from targetry._runtime.lazy_import import importing
from targetry.batch.arrow_errors import reason_of
from targetry.batch.arrow_types import plain_schema
from targetry.batch.artifact import ArtifactInput
from targetry.batch.decider import EXPOSURES, BatchStats, Decider
from targetry.batch.json_lines import JsonLinesEncoder
from targetry.batch.output import DEFAULT_OUTPUTS
from targetry.batch.stream import TableReader, batches_of
from targetry.errors import OptionError

Progress = Callable[[int, int | None], object]
"""Called after each batch with the rows decided so far, and their number if it is known."""

_ROW_GROUP: Final = 65_536  # rows of Parquet that are written together, or more
_ABANDONED_S: Final = 86_400.0  # since the last write to a file
FORMATS: Final = (".parquet", ".arrow", ".csv", ".jsonl")


class Totals(msgspec.Struct, frozen=True):
    """Rows of output, counts of the decider, missing columns, and locations not in the artifact."""

    rows_written: int
    stats: BatchStats
    missing: list[str]
    unknown_locations: list[str]


def decide(source: Any, artifact: ArtifactInput, **options: Any) -> Any:
    """Return the decisions for a table as a `pyarrow.RecordBatchReader`.

    Args:
        source: As of `Decider.stream`.
        artifact: As of `Decider`.
        options: Of `Decider`.

    Raises:
        OptionError: An option or the table is wrong.
        ArtifactError: The artifact cannot be used.
    """
    return Decider(artifact, **options).stream(source)


def write(
    source: Any,
    path: str | Path,
    artifact: ArtifactInput,
    *,
    progress: Progress | None = None,
    as_exposures: bool = False,
    **options: Any,
) -> Totals:
    """Decide a table and write the decisions to a file, whose suffix is its format.

    The file appears when it is complete; a run that fails or is interrupted leaves none. A run that
    is killed leaves a hidden file `.NAME.PID.unfinished`, which a run a day later removes.

    Args:
        source: As of `Decider.stream`.
        path: A file with the suffix `.parquet`, `.arrow`, `.csv` or `.jsonl`.
        artifact: As of `Decider`.
        progress: Called after each batch with the rows decided so far, and their number if known.
        as_exposures: Write the columns of an assignment log instead: `unit_id`, `timestamp`,
            `experiment_id`, `variation_id` and `location`, for each match of a visitor with an id.
            The options `layout`, `outputs` and `keep` have no meaning then, and are errors.
        options: Of `Decider`.

    Raises:
        OptionError: An option or the table is wrong, or the file cannot be written.
        ArtifactError: The artifact cannot be used.
    """
    decider = Decider(artifact, **options)
    if as_exposures:
        for name, usual in (("layout", "long"), ("outputs", DEFAULT_OUTPUTS), ("keep", ())):
            if options.get(name, usual) != usual:
                raise OptionError(name, "has no effect on exposures, whose columns are fixed; leave it out")
    reader = decider.reader(source)
    check_output(path, reader)
    schema = decider.output_schema(reader.schema) if not as_exposures else EXPOSURES
    written = done = 0
    with _writer(Path(path), schema) as put:
        for batch in batches_of(reader):
            found = decider.exposures(batch) if as_exposures else decider.decide(batch, first_row=done)
            done += batch.num_rows
            put(found)
            written += found.num_rows
            if progress is not None:
                progress(done, reader.rows)
    return Totals(written, decider.stats, decider.missing, decider.unknown_locations)


def write_batches(reader: Any, path: str | Path) -> int:
    """Write a `pyarrow.RecordBatchReader` to a file as `write` does; return the number of rows.

    Raises:
        OptionError: The file cannot be written.
    """
    written = 0
    with _writer(Path(path), reader.schema) as put:
        for batch in reader:
            put(batch)
            written += batch.num_rows
    return written


def check_output(path: str | Path, reader: TableReader) -> None:
    """Check that decisions can be written to a file without replacing the table that is read.

    Raises:
        OptionError: The suffix is of no known format, the folder does not exist, or the file is one
            of the table.
    """
    target = Path(path)
    _opener(target)
    if target.exists() and any(os.path.samefile(target, one) for one in reader.files):
        raise OptionError("path", f"{target} is a file of the table that is read; choose another name")


Put = Callable[[Any], object]


def _opener(path: Path) -> Any:
    """Return what opens a file of the format of a path, in a folder that exists."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise OptionError("path", f"unknown format {suffix!r}; known are {', '.join(FORMATS)}")
    if path.is_dir():
        raise OptionError("path", f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise OptionError("path", f"the folder {str(path.parent)!r} does not exist; create it")
    return _FORMATS[suffix]


@contextmanager
def _writer(path: Path, schema: Any) -> Iterator[Put]:
    """Open a file that gets its name when all is written."""
    opened = _opener(path)
    _remove_abandoned(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with opened(unfinished, schema) as put:
            yield put
        unfinished.replace(path)
    except (OSError, pa.ArrowException) as error:
        raise OptionError("path", f"{path} cannot be written: {reason_of(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _remove_abandoned(path: Path) -> None:
    """Remove what killed runs left of a file; a run writes much more often than once a day.

    Process ids would not show that a run has ended: it can be one of another host or container.
    """
    for file in path.parent.glob(f".{glob.escape(path.name)}.*.unfinished"):
        with contextlib.suppress(OSError):
            if time.time() - file.lstat().st_mtime > _ABANDONED_S:
                file.unlink()


@contextmanager
def _parquet(path: Path, schema: Any) -> Iterator[Put]:
    with importing():
        from pyarrow import parquet

    held: list[Any] = []

    def put(batch: Any) -> None:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _ROW_GROUP:
            flush()

    def flush() -> None:
        writer.write_table(pa.Table.from_batches(held, schema))
        held.clear()

    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    is_numbered = schema.field("row").type == pa.int64() if "row" in schema.names else False
    with parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name, _ in leaves if not (is_numbered and name == "row")],
        column_encoding={"row": "DELTA_BINARY_PACKED"} if is_numbered else None,
        # Each row group has most of the few values of a decision: statistics would exclude none.
        write_statistics=[name for name, kind in leaves if not pa.types.is_dictionary(kind)],
    ) as writer:
        yield put
        if held:
            flush()


def _leaves(path: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the paths of Parquet's columns for an Arrow type, and their types."""
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            field = kind.field(place)
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind


@contextmanager
def _arrow(path: Path, schema: Any) -> Iterator[Put]:
    plain = plain_schema(schema)  # the format has one dictionary for all batches
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, plain) as writer:
        yield lambda batch: writer.write_batch(batch.cast(plain))


@contextmanager
def _csv(path: Path, schema: Any) -> Iterator[Put]:
    with importing():
        from pyarrow import csv

    plain = plain_schema(schema)
    nested = [field.name for field in plain if pa.types.is_nested(field.type)]
    if nested:
        names = ", ".join(nested)
        raise OptionError("path", f"CSV cannot hold the nested columns {names}; choose another format")
    with csv.CSVWriter(path, plain) as writer:
        yield lambda batch: writer.write_batch(batch.cast(plain))


@contextmanager
def _json_lines(path: Path, schema: Any) -> Iterator[Put]:
    lines = JsonLinesEncoder(schema)
    with path.open("wb") as file:
        yield lambda batch: file.write(lines.encode(batch))


_FORMATS: Final = {".parquet": _parquet, ".arrow": _arrow, ".csv": _csv, ".jsonl": _json_lines}
