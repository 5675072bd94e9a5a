"""Arrow types and columns in the layouts that all libraries and formats have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa


def plain_schema(schema: Iterable[Any]) -> Any:
    """Return a schema with plain values in place of dictionaries, at any depth."""
    return changed_schema(schema, _plain)


def changed_schema(schema: Iterable[Any], change: Callable[[Any], Any]) -> Any:
    """Return a schema with changes of those types that hold no others, at any depth."""
    return pa.schema([field.with_type(_changed(field.type, change)) for field in schema])


def without_views(field: Any) -> Any:
    """Return a field with texts and bytes in place of views on them, at any depth."""
    return field.with_type(_changed(field.type, _owned))


def values_without_views(column: Any) -> Any:
    """Return a column as one of the type of `without_views`."""
    kind = _changed(column.type, _owned)
    if kind == column.type:
        return column
    if pa.types.is_dictionary(kind):
        dictionary = values_without_views(column.dictionary)
        return pa.DictionaryArray.from_arrays(column.indices, dictionary, ordered=kind.ordered)
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError:  # of dictionaries of views inside other types
        return pa.array(column.to_pylist(), kind)


def _plain(kind: Any) -> Any:
    return _changed(kind.value_type, _plain) if pa.types.is_dictionary(kind) else kind


def _owned(kind: Any) -> Any:
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _changed(kind.value_type, _owned), kind.ordered)
    return kind


def _changed(kind: Any, change: Callable[[Any], Any]) -> Any:
    """Return a type with changes of those inside it that hold no others."""

    def inner(field: Any) -> Any:
        return field.with_type(_changed(field.type, change))

    if pa.types.is_struct(kind):
        return pa.struct([inner(kind.field(place)) for place in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(inner(kind.key_field), inner(kind.item_field), kind.keys_sorted)
    if pa.types.is_large_list(kind):
        return pa.large_list(inner(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(inner(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(inner(kind.value_field))
    return change(kind)
