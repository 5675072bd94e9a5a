"""Record batches as JSON Lines."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pyarrow as pa
import pytest

from support.cases import each_case
from targetry.batch.json_lines import JsonLinesEncoder
from targetry.errors import OptionError

MOMENT = 1_795_941_571_947_000_000  # ns
TEXTS = pa.map_(pa.string(), pa.string())
VALUES: dict[str, tuple[Any, Any]] = {
    "map": (pa.array([[("b", "1"), ("a", "2")]], TEXTS), {"b": "1", "a": "2"}),
    "map with a key twice": (pa.array([[("a", "1"), ("a", "2")]], TEXTS), {"a": "2"}),
    "map of numbers": (pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())), [[1, "a"]]),
    "map in a struct": (
        pa.array([{"n": 1, "tokens": [("a", "b")]}], pa.struct([("n", pa.int64()), ("tokens", TEXTS)])),
        {"n": 1, "tokens": {"a": "b"}},
    ),
    "maps in a list": (pa.array([[[("a", "b")], None]], pa.list_(TEXTS)), [{"a": "b"}, None]),
    "maps in a map": (
        pa.array([[("a", [("b", "c")])]], pa.map_(pa.large_string(), TEXTS)),
        {"a": {"b": "c"}},
    ),
    "list": (pa.array([[1, 2]]), [1, 2]),
    "struct": (pa.array([{"a": 1}]), {"a": 1}),
    "microseconds": (pa.array([MOMENT // 1000], pa.timestamp("us", "UTC")), "2026-11-29T08:39:31.947000Z"),
    "whole microseconds": (pa.array([MOMENT], pa.timestamp("ns")), "2026-11-29T08:39:31.947000"),
    "nanoseconds": (pa.array([MOMENT + 1], pa.timestamp("ns", "UTC")), "2026-11-29 08:39:31.947000001Z"),
    "time of nanoseconds": (pa.array([1001], pa.time64("ns")), "00:00:00.000001001"),
    "date": (pa.array([datetime.date(2026, 11, 29)]), "2026-11-29"),
    "decimal": (pa.array([decimal.Decimal("1.50")]), "1.50"),
    "bytes": (pa.array([b"\xff\x00"]), "/wA="),
    "no number": (pa.array([float("nan")]), None),
}


@each_case("column, expected", VALUES.values(), ids=VALUES)
def test_value_of_any_type_has_its_form_in_json(column: Any, expected: Any) -> None:
    batch = pa.record_batch({"id": ["x", "y"], "value": pa.concat_arrays([column, pa.nulls(1, column.type)])})
    lines = JsonLinesEncoder(batch.schema).encode(batch).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "x", "value": expected},
        {"id": "y", "value": None},
    ]


UNKNOWN: dict[str, Any] = {
    "time after the year 9999": pa.array([1_795_941_571_947], pa.timestamp("s")),
    "duration of nanoseconds": pa.array([1001], pa.duration("ns")),
}


@pytest.mark.parametrize("column", UNKNOWN.values(), ids=UNKNOWN)
def test_value_without_a_form_in_json_is_an_error(column: Any) -> None:
    batch = pa.record_batch({"value": column})
    with pytest.raises(OptionError, match="cannot hold"):
        JsonLinesEncoder(batch.schema).encode(batch)
