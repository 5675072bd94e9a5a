"""Record batches as JSON Lines: an object for each row, and for each map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from targetry.batch.arrow_types import changed_schema
from targetry.errors import OptionError

Convert = Callable[[Any], Any]


class JsonLinesEncoder:
    """Encoder of batches of one schema.

    Times are texts as of ISO 8601, bytes Base64, decimals texts. A map of texts is an object, in
    which the last value of a key counts; other maps are lists of pairs.

    Args:
        schema: Of the batches.
    """

    def __init__(self, schema: Any) -> None:
        self._encoder = msgspec.json.Encoder()
        self._microseconds = changed_schema(schema, _microseconds)
        self._texts = changed_schema(schema, _texts)
        self._converts = {field.name: _convert(field.type) for field in schema}

    def encode(self, batch: Any) -> bytes:
        """Return the rows of a batch, each a line.

        Raises:
            OptionError: A value is none of JSON, nor of Python, as a time after the year 9999.
        """
        try:
            columns = [
                _converted(column.to_pylist(), convert)
                for column, convert in zip(self._timed(batch).columns, self._converts.values(), strict=True)
            ]
            rows = zip(*columns, strict=True)
            return self._encoder.encode_lines([dict(zip(self._converts, row, strict=True)) for row in rows])
        except (ValueError, TypeError, OverflowError) as error:
            reason = f"JSON Lines cannot hold a value: {error}; choose another format"
            raise OptionError("path", reason) from error

    def _timed(self, batch: Any) -> Any:
        """Return a batch with times in microseconds, as Python has, else as texts."""
        if self._microseconds == batch.schema:
            return batch
        try:
            return batch.cast(self._microseconds)
        except pa.ArrowInvalid:
            return batch.cast(self._texts)


def _microseconds(kind: Any) -> Any:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    return pa.time64("us") if pa.types.is_time64(kind) else kind


def _texts(kind: Any) -> Any:
    return kind if _microseconds(kind) == kind else pa.string()


def _converted(values: list[Any], convert: Convert | None) -> list[Any]:
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _convert(kind: Any) -> Convert | None:
    """Return what makes objects of the maps in a value; None for a type without maps of texts."""
    if pa.types.is_map(kind) and (
        pa.types.is_string(kind.key_type) or pa.types.is_large_string(kind.key_type)
    ):
        of_item = _convert(kind.item_type)
        if of_item is None:
            return dict
        return lambda pairs: dict(
            zip((key for key, _ in pairs), _converted([item for _, item in pairs], of_item), strict=True)
        )
    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        found = {field.name: one for field in fields if (one := _convert(field.type)) is not None}
        if not found:
            return None
        return lambda value: value | {name: _converted([value[name]], one)[0] for name, one in found.items()}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        of_value = _convert(kind.value_type)
        return None if of_value is None else lambda values: _converted(values, of_value)
    return None
