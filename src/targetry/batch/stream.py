"""Tables as streams of record batches: files, Arrow streams, and objects of other libraries."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from targetry._runtime.lazy_import import importing
from targetry.batch.arrow_errors import reason_of
from targetry.errors import OptionError

ROWS: Final = 32_768  # of a batch: more cost memory, fewer time
_ROWS_OF_GROUPS: Final = 131_072  # of row groups of Parquet that are read together, or more
_HEAD: Final = 16 << 20  # bytes of CSV and JSON Lines by which columns and types are chosen
_BLOCK: Final = 2 << 20  # bytes of them that are read at once; Arrow reads up to 32 blocks ahead
_JSON: Final = (".jsonl", ".ndjson", ".json")
FORMATS: Final = (".parquet", ".arrow", ".feather", ".csv", *_JSON)

_ADVICE: Final = "columns and types are those of the first 16 MB; if they change later, convert to Parquet"

Select = Callable[[Iterable[str]], list[str]]
"""Returns those of the names of columns that are needed."""


class TableReader:
    """A table as record batches.

    Attributes:
        schema: The columns that are read.
        rows: Number of rows, None if unknown.
        files: Paths of the files of the table.
    """

    def __init__(
        self, schema: Any, batches: Iterable[Any], rows: int | None = None, files: Sequence[str] = ()
    ) -> None:
        self.schema = schema
        self.rows = rows
        self.files = files
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


def reader_of(source: Any, select: Select, texts: Sequence[str] = (), time: str = "") -> TableReader:
    """Return the table of a source.

    Args:
        source: A path or glob, or a list of them; an object with `__arrow_c_stream__`, or record
            batches.
        select: Chooses the columns to read from a file.
        texts: Columns of CSV and JSON Lines that are texts, whatever they look like.
        time: A column of CSV and JSON Lines that has times, or integers.

    Raises:
        OptionError: The source is none of these, or a file cannot be read.
    """
    if isinstance(source, str | Path):
        return _files([source], select, texts, time)
    if isinstance(source, list | tuple) and source and all(isinstance(one, str | Path) for one in source):
        return _files(source, select, texts, time)
    if isinstance(source, TableReader):
        return source
    if isinstance(source, pa.RecordBatch):
        return TableReader(source.schema, [source], source.num_rows)
    if hasattr(source, "__arrow_c_stream__"):
        with _translated("source"):
            reader = pa.RecordBatchReader.from_stream(source)
        rows = getattr(source, "num_rows", None)
        return TableReader(reader.schema, _checked(reader, "source"), rows if isinstance(rows, int) else None)
    if not isinstance(source, Iterable):
        raise OptionError("source", f"must be a path, a table or record batches, not {type(source).__name__}")
    batches = iter(source)
    first = next(batches, None)
    if not isinstance(first, pa.RecordBatch):
        kind = "nothing" if first is None else type(first).__name__
        raise OptionError("source", f"must yield record batches, not {kind}")
    return TableReader(first.schema, _same_schema(first, batches))


def batches_of(reader: TableReader) -> Iterator[Any]:
    """Yield the record batches of a table, none larger than `ROWS` and none empty."""
    for batch in reader:
        for first in range(0, batch.num_rows, ROWS):
            yield batch.slice(first, ROWS)


def _same_schema(first: Any, batches: Iterator[Any]) -> Iterator[Any]:
    yield first
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch) or batch.schema != first.schema:
            raise OptionError("source", "must yield record batches of one schema")
        yield batch


def _files(sources: Sequence[str | Path], select: Select, texts: Sequence[str], time: str) -> TableReader:
    names = list(dict.fromkeys(name for source in sources for name in _names(source)))
    readers = [_file(name, select, texts, time) for name in names]
    schema = _common_schema(readers, names)
    if any(map(_is_text, names)):
        # Arrow chooses the types of a file by its first block, which may have no values.
        schema = pa.schema([_text_if_null(field) for field in schema])
        types = dict(zip(schema.names, schema.types, strict=True))
        for place, name in enumerate(names):
            if _is_text(name) and readers[place].schema != schema:
                readers[place] = _file(name, select, texts, time, types)
    known = [reader.rows for reader in readers if reader.rows is not None]
    rows = sum(known) if len(known) == len(readers) else None
    batches = (_with_schema(batch, schema) for reader in readers for batch in reader)
    return TableReader(schema, batches, rows, names)


def _names(source: str | Path) -> list[str]:
    """Return the files of a path, glob or folder."""
    names = [str(source)] if Path(source).exists() else sorted(glob.glob(str(source), recursive=True))
    if not names:
        raise OptionError("source", f"there is no file {str(source)!r}")
    if Path(names[0]).is_dir():
        names = sorted(str(file) for file in Path(names[0]).iterdir() if file.suffix.lower() in FORMATS)
        if not names:
            raise OptionError(
                "source", f"the folder {str(source)!r} has no table; known are {', '.join(FORMATS)}"
            )
    return names


def _common_schema(readers: Sequence[TableReader], names: Sequence[str]) -> Any:
    """Return the columns of files, which can have any order, and no values in some files.

    A file of JSON Lines lacks the columns of which its rows have no values.
    """
    schema, advice = readers[0].schema, "give all files the same columns, or read them apart"
    for name, reader in zip(names, readers, strict=True):
        twice = [one for one, count in Counter(reader.schema.names).items() if count > 1]
        if twice:
            raise OptionError("source", f"{name} has two columns {twice[0]!r}; rename one")
        try:
            schema = pa.unify_schemas([schema, reader.schema], promote_options="default")
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            reason = f"{name} has other types than the files before: {error}; {advice}"
            raise OptionError("source", reason) from error
    for name, reader in zip(names, readers, strict=True):
        lacking = [one for one in schema.names if one not in reader.schema.names]
        if lacking and Path(name).suffix.lower() not in _JSON:
            raise OptionError("source", f"{name} has no column {lacking[0]!r}, unlike other files; {advice}")
    return schema


def _with_schema(batch: Any, schema: Any) -> Any:
    """Return a batch with the columns of all files; of a column without a type, all are null."""
    if batch.schema == schema:
        return batch
    columns = [batch.column(field.name) for field in schema]
    for place, field in enumerate(schema):
        if pa.types.is_null(columns[place].type):
            columns[place] = pa.nulls(batch.num_rows, field.type)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _text_if_null(field: Any) -> Any:
    return field.with_type(pa.string()) if pa.types.is_null(field.type) else field


def _is_text(name: str) -> bool:
    return Path(name).suffix.lower() in (".csv", *_JSON)


def _file(
    name: str,
    select: Select,
    texts: Sequence[str],
    time: str,
    types: Mapping[str, Any] = MappingProxyType({}),
) -> TableReader:
    """Return a file; `types` has those of the columns of CSV and JSON Lines."""
    suffix = Path(name).suffix.lower()
    with _translated(name):
        if suffix == ".parquet":
            return _parquet(name, select)
        if suffix in (".arrow", ".feather"):
            return _ipc(name)
        if suffix == ".csv":
            return _csv(name, texts, time, types)
        if suffix in _JSON:
            return _json(name, texts, time, types)
    raise OptionError("source", f"{name}: unknown format; known are {', '.join(FORMATS)}")


def _parquet(name: str, select: Select) -> TableReader:
    with importing():
        from pyarrow import parquet

    file = parquet.ParquetFile(name)  # mapped pages would count as memory of the process
    columns = select(file.schema_arrow.names)
    schema = pa.schema([file.schema_arrow.field(one) for one in columns])
    ordered = (
        batch.select(columns)
        for groups in _row_groups(file.metadata)
        for batch in file.iter_batches(ROWS, row_groups=groups, columns=columns, use_threads=False)
    )
    return TableReader(schema, _checked(ordered, name), file.metadata.num_rows)


def _row_groups(metadata: Any) -> Iterator[list[int]]:
    """Yield the row groups that are read together; Arrow keeps them until it has read the last."""
    groups: list[int] = []
    rows = 0
    for number in range(metadata.num_row_groups):
        groups.append(number)
        rows += metadata.row_group(number).num_rows
        if rows >= _ROWS_OF_GROUPS:
            yield groups
            groups, rows = [], 0
    if groups:
        yield groups


def _ipc(name: str) -> TableReader:
    source = pa.memory_map(name)
    try:
        file = pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        return TableReader(reader.schema, _checked(reader, name))
    batches = (file.get_batch(number) for number in range(file.num_record_batches))
    return TableReader(file.schema, _checked(batches, name))


def _csv(name: str, texts: Sequence[str], time: str, types: Mapping[str, Any]) -> TableReader:
    with importing():
        from pyarrow import csv

    def opened(file: Any, block: int, types: dict[str, Any]) -> Any:
        options = csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        return csv.open_csv(file, csv.ReadOptions(block_size=block), convert_options=options)

    known = {**dict.fromkeys(texts, pa.string()), **types}
    found = opened(_head(name), _HEAD, known).schema
    chosen = {field.name: field.type for field in found}
    if time in chosen and pa.types.is_timestamp(chosen[time]):
        chosen[time] = pa.timestamp("ns", chosen[time].tz)  # perhaps without fractions of seconds
    schema = pa.schema([field.with_type(chosen[field.name]) for field in found])
    return TableReader(schema, _checked(_opened_late(opened, name, chosen), name))


def _json(name: str, texts: Sequence[str], time: str, types: Mapping[str, Any]) -> TableReader:
    with importing():
        from pyarrow import json

    def opened(file: Any, block: int, types: dict[str, Any]) -> Any:
        options = json.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="infer")
        return json.open_json(file, json.ReadOptions(block_size=block), parse_options=options)

    found = opened(_head(name), _HEAD, {}).schema
    chosen = {field.name: pa.string() if field.name in texts else field.type for field in found}
    if time in chosen and (pa.types.is_timestamp(chosen[time]) or pa.types.is_string(chosen[time])):
        chosen[time] = pa.timestamp("ns")  # texts have fractions of seconds
    chosen |= types
    return TableReader(pa.schema(chosen), _checked(_opened_late(opened, name, chosen), name))


def _opened_late(opened: Any, name: str, types: dict[str, Any]) -> Iterator[Any]:
    """Yield the batches of a file that is opened when the first is read."""
    yield from opened(name, _BLOCK, types)


def _head(name: str) -> Any:
    """Return the first whole lines of a file."""
    with Path(name).open("rb") as file:
        data = file.read(_HEAD)
    if len(data) == _HEAD:
        data = data[: data.rfind(b"\n") + 1] or data
    return pa.BufferReader(data)


def _checked(batches: Iterable[Any], name: str) -> Iterator[Any]:
    source = iter(batches)
    advice = f"; {_ADVICE}" if _is_text(name) else ""
    while True:
        with _translated(name, advice):
            batch = next(source, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _translated(name: str, advice: str = "") -> Iterator[None]:
    """Raise Arrow's errors as `OptionError`; `advice` is for a file of text after its head."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = reason_of(error, counts_rows=not advice)
        raise OptionError("source", f"{name}: {reason}{advice}") from error
