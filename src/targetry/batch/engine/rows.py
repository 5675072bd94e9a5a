"""Rows of one batch: visitors, times and distinct values of what conditions read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from targetry.batch.engine.arrays import Array, has_byte
from targetry.batch.engine.columns import CLIENT, IDS, Parameter, TableLayout
from targetry.batch.engine.distinct import (
    Distinct,
    combined,
    distinct_numbers,
    distinct_of,
    interval_codes,
    is_mostly_distinct,
    plain_texts,
)
from targetry.device.logic.user_agent import parse_user_agent

Source = tuple[Hashable, ...]
"""Input of a condition, by its kind and arguments:

`("time",)`, `("minute",)` of the day, `("weekday",)`, `("user",)`, `("text", role)`,
`("number", role)`, `("url", location)`, `("page", location)` (the URL, perhaps without query and
fragment), `("parameter", column, field)`, `("interval", source, numbers)`.
"""

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
_DOT: Final = ord(".")
_COMPARISONS: Final = 4
_UNITS: Final = {"s": 1000, "ms": 1, "us": -1000, "ns": -1_000_000}

T = TypeVar("T")


class Rows:
    """One batch of a table.

    Args:
        layout: Of the batch's schema.
        batch: A record batch.
        now_ms: Epoch ms of all rows; None: the column of times.
    """

    def __init__(self, layout: TableLayout, batch: Any, now_ms: int | None) -> None:
        self.layout = layout
        self.batch = batch
        self.count: int = batch.num_rows
        self._now_ms = now_ms
        self._known: dict[Any, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what was computed under this key before, or compute it."""
        try:
            known: T = self._known[key]
        except KeyError:
            known = self._known[key] = compute()
        return known

    def column(self, role: str) -> Any | None:
        """Return the column of a role, None if the table has none."""
        position = self.layout.roles.get(role)
        return None if position is None else self.batch.column(position)

    @cached_property
    def visitors(self) -> Any:
        """The ids for bucketing, `""` for visitors without one, as `bucketing_id` has them."""
        found = None
        for role in reversed(IDS):
            column = self.column(role)
            if column is None:
                continue
            texts = plain_texts(column)
            if texts.null_count:
                texts = texts.fill_null("")
            if role == "tnt_id" and has_byte(texts, _DOT):
                texts = pc.list_element(pc.split_pattern(texts, ".", max_splits=1), 0)
            if found is not None and pc.any(is_empty := pc.equal(texts, "")).as_py():
                texts = pc.if_else(is_empty, found, texts)
            found = texts
        return found

    @cached_property
    def has_visitor(self) -> Array | None:
        """Whether each row has a visitor id; None: all have."""
        filled = pc.not_equal(self.visitors, "")
        return None if pc.all(filled, min_count=0).as_py() else filled.to_numpy(zero_copy_only=False)

    @cached_property
    def now_ms(self) -> Array:
        """Epoch ms of each row, 0 for null."""
        if self._now_ms is not None:
            return np.full(self.count, self._now_ms, np.int64)
        column = self.column("time")
        if column is None or pa.types.is_null(column.type):
            return np.zeros(self.count, np.int64)
        return _milliseconds(column)

    @cached_property
    def has_time(self) -> Array | None:
        """Whether each row has a time; None: all have, or the table has no column of times."""
        column = self.column("time")
        if self._now_ms is not None or column is None or not column.null_count:
            return None
        known: Array = column.is_valid().to_numpy(zero_copy_only=False)
        return known

    def url(self, location: str | None, role: str = "url") -> Any | None:
        """Return the URLs of a location: those of its own column, else those of the visitor."""
        position = self.layout.addresses.get(location) if location is not None and role == "url" else None
        shared = self.column(role)
        if position is None:
            return shared
        own = plain_texts(self.batch.column(position))
        return own if shared is None else pc.coalesce(own, plain_texts(shared))

    def parameter(self, parameter: Parameter) -> Any:
        """Return the column of a parameter."""
        column = self.batch.column(parameter.column)
        if parameter.field is None:
            return column
        return pc.struct_field(column, [parameter.field])

    def distinct(self, sources: tuple[Source, ...]) -> Distinct:
        """Return the distinct tuples of what these sources have."""
        return self.once(sources, lambda: combined([self._distinct(source) for source in sources]))

    def _distinct(self, source: Source) -> Distinct:
        return self.once(("distinct", source), lambda: self._computed(source))

    def _computed(self, source: Source) -> Distinct:
        kind = source[0]
        if kind == "time":
            return distinct_numbers(self.now_ms)
        if kind == "minute":
            return _classes(self.now_ms // MINUTE_MS, 1440)
        if kind == "weekday":  # as the number of days after a Thursday
            return _classes(self.now_ms // DAY_MS, 7)
        if kind == "user":
            return self._users()
        if kind == "interval":
            _, inner, numbers = source
            return self._intervals(inner, numbers)  # type: ignore[arg-type]
        return distinct_of(self.array(source))

    def array(self, source: Source) -> Any:
        """Return the column of a source that has one."""
        kind, *arguments = source
        if kind == "text":
            return self.column(str(arguments[0]))
        if kind == "number":
            return self.once(source, lambda: _doubles(self.column(str(arguments[0]))))
        if kind == "parameter":
            return self.parameter(Parameter("", arguments[0], arguments[1]))  # type: ignore[arg-type]
        if kind == "url":
            return self.once(source, lambda: self.url(arguments[0], str(arguments[1])))  # type: ignore[arg-type]
        return self.once(source, lambda: self._cut_url(("url", *arguments)))

    def is_mostly_distinct(self, source: Source) -> bool:
        """Return whether most rows have a value of their own."""
        return self.once(("mostly distinct", source), lambda: is_mostly_distinct(self.array(source)))

    def is_rarely_compared(self, source: Source) -> bool:
        """Count a comparison of a column; return whether distinct texts are not worth their time.

        To find them takes as long as some comparisons, and the next conditions take half of one.
        """
        if ("distinct", source) in self._known:
            return False
        count = self._known[("comparisons", source)] = self._known.get(("comparisons", source), 0) + 1
        return bool(count <= _COMPARISONS)

    def _cut_url(self, source: Source) -> Any:
        """Return URLs without query and fragment if many are distinct."""
        urls = self.array(source)
        if not self.is_mostly_distinct(source):
            return urls
        urls = plain_texts(urls)
        for sign in ("?", "#"):
            if pc.any(pc.match_substring(urls, sign)).as_py():
                urls = pc.list_element(pc.split_pattern(urls, sign, max_splits=1), 0)
        return urls

    def _users(self) -> Distinct:
        """Return browsers and platforms, of the user agents and client hints."""
        roles = [role for role in CLIENT if role in self.layout.roles]
        given = combined([distinct_of(self.column(role)) for role in roles])
        places = [roles.index(role) if role in roles else len(roles) for role in CLIENT]
        numbers: dict[Any, int] = {}
        codes = []
        for values in given.values:
            hints = (*values, None)
            user = parse_user_agent(*[hints[place] for place in places])
            codes.append(numbers.setdefault(user, len(numbers)))
        return Distinct(np.array(codes, np.int32).take(given.codes), list(numbers))

    def _intervals(self, source: Source, numbers: tuple[float, ...]) -> Distinct:
        if source[0] == "time":
            return interval_codes(self.now_ms, None, numbers)
        column = self.array(source)
        valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
        filled = column.fill_null(0) if column.null_count else column
        return interval_codes(filled.to_numpy(zero_copy_only=False), valid, numbers)


def _doubles(column: Any) -> Any:
    """Return a column as doubles, as a request has them."""
    return column if pa.types.is_float64(column.type) else column.cast(pa.float64())


def _classes(numbers: Array, count: int) -> Distinct:
    """Return the remainders of numbers."""
    codes = numbers // count  # NumPy's `%` takes four times as long
    codes *= -count
    codes += numbers
    return Distinct(codes, list(range(count)))


def _milliseconds(column: Any) -> Array:
    kind = column.type
    if pa.types.is_timestamp(kind):
        numbers = (
            column.view(pa.int64())
            if kind.tz is None
            else column.cast(pa.timestamp(kind.unit)).view(pa.int64())
        )
        factor = _UNITS[kind.unit]
    elif pa.types.is_date32(kind):
        numbers, factor = column.view(pa.int32()).cast(pa.int64()), DAY_MS
    elif pa.types.is_date64(kind):
        numbers, factor = column.view(pa.int64()), 1
    else:
        numbers, factor = column.cast(pa.int64()), 1
    if numbers.null_count:
        numbers = numbers.fill_null(0)
    values: Array = numbers.to_numpy(zero_copy_only=False)
    if factor == 1:
        return values
    return values * factor if factor > 0 else values // -factor
