"""Decisions for batches of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa

from targetry.batch.arrow_types import plain_schema, values_without_views, without_views
from targetry.batch.artifact import ArtifactInput, compiled
from targetry.batch.engine.arrays import keep_freed_memory
from targetry.batch.engine.checks import row_errors
from targetry.batch.engine.columns import (
    CLIENT,
    DEGREES,
    IDS,
    PAGE,
    PARAMETER_PREFIX,
    PLACE_TEXTS,
    Columns,
    TableLayout,
    layout_of,
)
from targetry.batch.engine.engine import BatchEngine
from targetry.batch.engine.leaves import Leaves
from targetry.batch.engine.locations import UNKNOWN_LOCATION, Requested, requested_locations
from targetry.batch.engine.maps import with_map_columns
from targetry.batch.engine.plans import base_name
from targetry.batch.engine.rows import Rows
from targetry.batch.engine.select import NONE, Matches
from targetry.batch.output import DEFAULT_OUTPUTS, Entries, OutputWriter
from targetry.batch.stream import Select, TableReader, batches_of, reader_of
from targetry.device.ruleset import RuleSet
from targetry.errors import OptionError

_MOST_LAYOUTS: Final = 64
_TIMES: Final = frozenset({"current_timestamp", "current_time", "current_day"})

EXPOSURES: Final = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("timestamp", pa.timestamp("ms", "UTC")),
        pa.field("experiment_id", pa.dictionary(pa.int32(), pa.string())),
        pa.field("variation_id", pa.dictionary(pa.int32(), pa.string())),
        pa.field("location", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""Columns of an assignment log, as warehouses join them."""


class BatchStats(msgspec.Struct, frozen=True):
    """Counts of a `Decider`.

    Attributes:
        rows: Rows of input.
        decisions: Pairs of row and location.
        rows_with_error: Rows that exceed a limit of the Delivery API or have no time.
        evaluations: Evaluations of conditions by the scalar engine.
        rows_by_scalar_engine: Pairs of row and location that were decided one by one.
        problems: Rows by activity and reason of a condition that could not be evaluated.
    """

    rows: int
    decisions: int
    rows_with_error: int
    evaluations: int
    rows_by_scalar_engine: int
    problems: dict[tuple[str, str], int]


class Decider:
    """Decides the rows of tables by one artifact, with the results of on-device decisions.

    A row is one visitor at one time; its columns are those of `Columns`. Views are always decided
    as in a prefetch. A decider pickles to its artifact and options.

    Args:
        artifact: The artifact.
        client: The client code, a part of the bucketing key.
        mboxes: Names of mboxes.
        page_load: Whether to decide the page load.
        views: Names of views; True for all.
        columns: Names of columns that differ from the defaults.
        as_of: Time of all decisions, or the name of the column of times. Without it the column is
            `time` or `time_ms` (epoch ms), needed if a rule reads the time.
        property_token: The property of all rows, or with `property_token_column` none.
        property_token_column: Name of a column with the property of each row.
        mode: Whether mboxes and page load are executed or prefetched.
        layout: `long`: a row for each match, or for each location without one. `wide`: a struct
            column for each location.
        outputs: Names of output columns.
        keep: Names of input columns that are copied; `*` for all.
        strict: Whether a missing column that a rule reads is an error.
        exact: Whether the scalar engine decides every row, as a reference.
        organization_id: The key of a `rules.bin`.

    Raises:
        OptionError: An option is wrong.
        ArtifactError: The artifact cannot be used.
    """

    def __init__(
        self,
        artifact: ArtifactInput,
        *,
        client: str,
        mboxes: Sequence[str] = (),
        page_load: bool = False,
        views: Sequence[str] | bool = (),
        columns: Columns | None = None,
        as_of: datetime | str | None = None,
        property_token: str | None = None,
        property_token_column: str | None = None,
        mode: Literal["execute", "prefetch"] = "execute",
        layout: Literal["long", "wide"] = "long",
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        keep: Sequence[str] | Literal["*"] = (),
        strict: bool = False,
        exact: bool = False,
        organization_id: str | None = None,
        leaves: Leaves | None = None,
    ) -> None:
        given = dict(locals())  # of all parameters, for pickle
        if mode not in ("execute", "prefetch"):
            raise OptionError("mode", f"must be 'execute' or 'prefetch', not {mode!r}")
        if layout not in ("long", "wide"):
            raise OptionError("layout", f"must be 'long' or 'wide', not {layout!r}")
        for name, value in (("mboxes", mboxes), ("views", views), ("outputs", outputs)):
            if isinstance(value, str):
                raise OptionError(name, "must be a list of names, not a str")
        if isinstance(keep, str) and keep != "*":
            raise OptionError("keep", "must be a list of names, or '*'")
        if not isinstance(client, str) or not client:
            raise OptionError("client", "must be the client code")
        self.rules = compiled(artifact, organization_id)
        for name in ("self", "artifact", "organization_id", "leaves"):
            del given[name]
        self._options = given
        self._columns = columns or Columns()
        self._now_ms, self._time_column = _time(as_of)
        self._token_column = property_token_column
        self._is_wide = layout == "wide"
        self._keep = keep
        self._strict = strict
        self._leaves = leaves or Leaves()
        requested = requested_locations(self.rules, mboxes, page_load, views)
        is_prefetch = mode == "prefetch"
        self._engine = BatchEngine(
            self.rules,
            client,
            requested,
            self._leaves,
            token=property_token,
            is_prefetch=is_prefetch,
            exact=exact,
        )
        self.writer = OutputWriter(self._engine, outputs, is_prefetch)
        keep_freed_memory()
        self._layouts: dict[Any, TableLayout] = {}
        self._rows = self._rows_with_error = 0
        self.missing: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.rules, self._options)

    # ── columns ───

    @property
    def requested(self) -> Sequence[Requested]:
        """The locations."""
        return self._engine.requested

    @property
    def locations(self) -> list[str]:
        """Labels of the locations: names of mboxes, `page_load`, `view:<name>`, `views`."""
        return [one.label for one in self._engine.requested]

    @property
    def reads(self) -> list[str]:
        """The input columns on which the decisions can depend, by their names."""
        columns, paths = self._columns, self._paths
        found = [getattr(columns, role) for role in IDS]
        if self._now_ms is None and paths & _TIMES:
            found.append(self._time_column or columns.time)
        if self._token_column is not None:
            found.append(self._token_column)
        heads = {path.partition(".")[0] for path in paths}
        if "user" in heads:
            found += [getattr(columns, role) for role in CLIENT]
        if "page" in heads:
            found += [columns.url, *columns.addresses.values()]
        if "referring" in heads:
            found.append(columns.referring_url)
        found += [getattr(columns, role) for role in self._places(heads)]
        own = dict(columns.parameters)
        return list(dict.fromkeys([*found, *(own.get(n, PARAMETER_PREFIX + n) for n in self._parameters)]))

    def columns_read(self, names: Iterable[str]) -> list[str]:
        """Return those of the names of a table's columns that the decisions can depend on.

        Unlike `reads` this includes every parameter that shares its first part with one that is
        read, the column with a map of parameters, columns of times, and those to keep.
        """
        wanted = {*self.reads, self._columns.time + "_ms", self._columns.parameter_map, *self._kept_names()}
        bases = {base_name(name) for name in self._parameters}
        own = {column: name for name, column in self._columns.parameters.items()}

        def is_read(name: str) -> bool:
            parameter = own.get(name, name.removeprefix(PARAMETER_PREFIX))
            is_parameter = name in own or name.startswith(PARAMETER_PREFIX)
            if name in wanted or self._keep == "*":
                return True
            return is_parameter and (self._reads_everything or base_name(parameter) in bases)

        return [name for name in names if is_read(name)]

    def _kept_names(self) -> Sequence[str]:
        return () if self._keep == "*" else self._keep

    @property
    def _reads_everything(self) -> bool:
        return any(not chooser.is_columnar for chooser in self._engine.choosers)

    @property
    def _paths(self) -> frozenset[str]:
        """Paths of the facts that are read; if any fact can be read, one of each kind."""
        paths = frozenset(path for chooser in self._engine.choosers for path in chooser.paths)
        if self._reads_everything:
            every = {"user.platform", "page.url", "referring.url", *_TIMES}
            paths |= every | {
                f"geo.{name}" for name in ("country", "region", "city", "latitude", "longitude")
            }
        return paths

    def _places(self, heads: set[str]) -> list[str]:
        named = {"country_code": "country", "state_code": "region"}
        roles = (*PLACE_TEXTS, *DEGREES)
        found = [role for role in roles if f"geo.{named.get(role, role)}" in self._paths]
        outputs = set(self.writer.outputs) & {"options", "response_tokens"}
        tokens = {attribute for _, attribute in self.rules.geo_tokens} if outputs else set()
        return [role for role in roles if role in found or role in tokens]

    @property
    def _parameters(self) -> list[str]:
        names = [
            path.removeprefix("mbox.").removesuffix("_lc") for path in self._paths if path.startswith("mbox.")
        ]
        if set(self.writer.outputs) & {"content", "options"}:
            names += self.writer.macro_parameters
        return sorted(set(names))

    def check_columns(self, schema: Any) -> None:
        """Check the columns of a table, and note those that the rules read and it lacks.

        Args:
            schema: A `pyarrow.Schema`.

        Raises:
            OptionError: A column has a wrong type, or is missing although it is needed.
        """
        self.rows(pa.RecordBatch.from_pylist([], schema))

    @property
    def unknown_locations(self) -> list[str]:
        """Requested locations that are not in the artifact."""
        return [one.label for one in self.requested if one.unmatched == UNKNOWN_LOCATION]

    def _layout(self, schema: Any, has_map: bool) -> TableLayout:
        known = self._layouts.get((schema, has_map))
        if known is None:
            known = layout_of(
                schema,
                self._columns,
                property_token=self._token_column,
                time=self._time_column,
                has_map=has_map,
            )
            self.check(known)
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[schema, has_map] = known
        return known

    def check(self, layout: TableLayout) -> None:
        """Note columns that the rules read and the table lacks.

        Raises:
            OptionError: With `strict`; or the rules read the time, which the table does not have.
        """
        names = set(layout.schema.names)
        if self._now_ms is None and "time" not in layout.roles and self._paths & _TIMES:
            wanted = self._time_column or self._columns.time
            raise OptionError(
                "as_of", f"is needed: a rule reads the time, and the table has no column {wanted!r}"
            )
        parameters = {one.name for one in layout.parameters}
        is_there = {PARAMETER_PREFIX + name for name in parameters} | names
        optional = {getattr(self._columns, role) for role in (*IDS, *CLIENT[1:])} | {self._columns.time}
        if layout.has_map:
            optional |= {PARAMETER_PREFIX + name for name in self._parameters}
        missing = [name for name in self.reads if name not in is_there and name not in optional]
        if missing and self._strict:
            raise OptionError("table", f"lacks columns that rules read: {', '.join(missing)}")
        self.missing = list(dict.fromkeys([*self.missing, *missing]))

    def output_schema(self, schema: Any) -> Any:
        """Return the schema of the decisions for a table of this schema.

        Raises:
            OptionError: A column to keep is not in the table or has the name of an output.
        """
        fields = [pa.field("row", pa.int64(), False)]
        fields += [without_views(schema.field(name)) for name in self.kept(schema)]
        named = [(name, self.writer.type_of(name)) for name in self.writer.outputs]
        if not self._is_wide:
            from_rules = [("location", pa.dictionary(pa.int32(), pa.string())), *named]
            fields += [pa.field(name, kind) for name, kind in from_rules]
        else:
            inner = pa.struct([pa.field(name, kind) for name, kind in named if name != "error"])
            for one in self._engine.requested:
                fields.append(pa.field(one.label, pa.list_(inner) if one.takes_all else inner))
            if "error" in self.writer.outputs:
                fields.append(pa.field("error", pa.string()))
        names = [field.name for field in fields]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise OptionError("keep", f"the output has two columns {twice!r}; rename the one of the table")
        return pa.schema(fields)

    def kept(self, schema: Any) -> list[str]:
        """Return the names of the columns that are copied from a table of this schema.

        Raises:
            OptionError: A column to keep is not in the table.
        """
        names = list(schema.names) if self._keep == "*" else list(self._keep)
        for name in names:
            if name not in schema.names:
                raise OptionError("keep", f"the table has no column {name!r}")
        return names

    # ── decisions ───

    def rows(self, batch: Any) -> tuple[Rows, dict[int, str]]:
        """Return a record batch as rows, and the errors of rows by their positions."""
        whole = with_map_columns(batch, self._columns.parameter_map)
        rows = Rows(self._layout(whole.schema, whole is not batch), whole, self._now_ms)
        errors = row_errors(rows, self._engine.requests(rows))
        self._rows += rows.count
        self._rows_with_error += len(errors)
        return rows, errors

    def matches(self, rows: Rows, errors: Mapping[int, str]) -> list[Matches]:
        """Return the matches of each location."""
        return self._engine.choose(rows, list(errors))

    def entries(self, rows: Rows, errors: Mapping[int, str]) -> list[Entries]:
        """Return rule and reason of each location, in the order of the rows."""
        return self.writer.entries(rows, self.matches(rows, errors), list(errors))

    def decide(self, batch: Any, *, first_row: int = 0) -> Any:
        """Return the decisions for a record batch, as a record batch.

        Args:
            batch: A `pyarrow.RecordBatch`.
            first_row: Position of its first row in the table, for the column `row`.

        Raises:
            OptionError: A column has a wrong type or is missing.
        """
        if not isinstance(batch, pa.RecordBatch):
            raise OptionError("batch", f"must be a pyarrow.RecordBatch, not {type(batch).__name__}")
        schema = self.output_schema(batch.schema)
        rows, errors = self.rows(batch)
        entries = self.entries(rows, errors)
        if self._is_wide:
            columns = self._wide(rows, entries, errors, batch, first_row)
        else:
            columns = self._long(rows, self.writer.in_rows(entries), errors, batch, first_row)
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _long(
        self, rows: Rows, entries: Entries, errors: dict[int, str], batch: Any, first_row: int
    ) -> list[Any]:
        places = pa.array(entries.rows)
        columns = [pa.array(entries.rows + first_row) if first_row else places]
        columns += [values_without_views(batch.column(name)).take(places) for name in self.kept(batch.schema)]
        columns.append(self.writer.location_column(entries))
        return columns + [self.writer.column(name, entries, rows, errors) for name in self.writer.outputs]

    def _wide(
        self, rows: Rows, every: list[Entries], errors: dict[int, str], batch: Any, first_row: int
    ) -> list[Any]:
        columns = [pa.array(range(first_row, first_row + rows.count), pa.int64())]
        columns += [values_without_views(batch.column(name)) for name in self.kept(batch.schema)]
        for one, entries in zip(self._engine.requested, every, strict=True):
            names = [name for name in self.writer.outputs if name != "error"]
            arrays = [self.writer.column(name, entries, rows, errors) for name in names]
            fields = [pa.field(name, self.writer.type_of(name)) for name in names]
            inner = pa.StructArray.from_arrays(arrays, fields=fields)
            columns.append(_lists(entries, rows.count, inner) if one.takes_all else inner)
        if "error" in self.writer.outputs:
            columns.append(
                pa.array([errors.get(row) for row in range(rows.count)], pa.string())
                if errors
                else pa.nulls(rows.count, pa.string())
            )
        return columns

    def stream(self, source: Any) -> Any:
        """Return the decisions for a table as a `pyarrow.RecordBatchReader`, batch by batch.

        Args:
            source: A path or glob of Parquet, Arrow, CSV or JSON Lines files, or a list of them; an
                object with `__arrow_c_stream__` (of pyarrow, polars, pandas, DuckDB), or record
                batches.
        """
        reader = self.reader(source)
        schema = self.output_schema(reader.schema)
        return pa.RecordBatchReader.from_batches(schema, self._decided(batches_of(reader)))

    def reader(self, source: Any, select: Select | None = None) -> TableReader:
        """Return a table as record batches.

        Args:
            source: As of `stream`.
            select: Chooses the columns that are read from a file; by default those that are needed.
        """
        columns, texts = self._columns, (*IDS, *CLIENT, *PAGE, *PLACE_TEXTS)
        names = [getattr(columns, role) for role in texts] + list(columns.addresses.values())
        if self._token_column is not None:
            names.append(self._token_column)
        time = self._time_column or columns.time
        return reader_of(source, select or self.columns_read, names, time)

    def map_in_arrow_schema(self, schema: Any) -> Any:
        """Return the schema of what `map_in_arrow` yields for a table of this schema.

        Raises:
            OptionError: As of `output_schema`.
        """
        return plain_schema(field for field in self.output_schema(schema) if field.name != "row")

    def map_in_arrow(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the decisions for record batches of a part of a table.

        It is the function for `mapInArrow` of Spark: it can be pickled, and there is no column
        `row` and no dictionary, which Spark does not read.

        Args:
            batches: Each a `pyarrow.RecordBatch`.
        """
        for batch in batches:
            if batch.num_rows:
                schema = self.map_in_arrow_schema(batch.schema)
                yield self.decide(batch).select(schema.names).cast(schema)

    def exposures(self, batch: Any) -> Any:
        """Return the matches of visitors with an id as the rows of an assignment log.

        Args:
            batch: A `pyarrow.RecordBatch`.

        Raises:
            OptionError: A column has a wrong type or is missing; so is the time of the rows.
        """
        rows, errors = self.rows(batch)
        if self._now_ms is None and "time" not in rows.layout.roles:
            wanted = self._time_column or self._columns.time
            raise OptionError(
                "as_of", f"is needed: exposures have a time, and the table has no column {wanted!r}"
            )
        entries = self.writer.in_rows(self.entries(rows, errors))
        matched = entries.rules != NONE
        if rows.has_visitor is not None:
            matched &= rows.has_visitor[entries.rows]
        entries = Entries(*(part[matched] for part in entries))
        times = pa.array(rows.now_ms[entries.rows]).cast(pa.timestamp("ms", "UTC"))
        columns = [
            rows.visitors.take(pa.array(entries.rows)),
            times,
            self.writer.column("activity_id", entries, rows, errors),
            self.writer.column("experience_id", entries, rows, errors),
            self.writer.location_column(entries),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=EXPOSURES)

    def _decided(self, batches: Iterable[Any]) -> Iterator[Any]:
        first = 0
        for batch in batches:
            yield self.decide(batch, first_row=first)
            first += batch.num_rows

    @property
    def stats(self) -> BatchStats:
        """Counts since the decider was created."""
        counts = self._engine.counts
        return BatchStats(
            self._rows,
            self._rows * len(self._engine.requested),
            self._rows_with_error,
            self._leaves.evaluations,
            counts.rows_by_scalar_engine,
            dict(Counter(counts.problems)),
        )


def _unpickled(rules: RuleSet, options: dict[str, Any]) -> Decider:
    return Decider(rules, **options)


def _time(as_of: datetime | str | None) -> tuple[int | None, str | None]:
    if isinstance(as_of, datetime):
        moment = as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000 // 1), None
    if as_of is not None and not isinstance(as_of, str):
        raise OptionError("as_of", f"must be a datetime or the name of a column, not {type(as_of).__name__}")
    return None, as_of


def _lists(entries: Entries, count: int, values: Any) -> Any:
    """Return values as a list for each row."""
    offsets = np.searchsorted(entries.rows, np.arange(count + 1))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
