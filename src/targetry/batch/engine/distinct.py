"""Columns as codes of their distinct values, of tuples of them, and of classes of numbers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from targetry.batch.engine.arrays import Array, filled_codes

_SAMPLES: Final = (1024, 8192)  # rows; fewer than the first are not worth a choice
LARGEST: Final = 2**53  # up to which integers and doubles compare alike


class Distinct(NamedTuple):
    """A column as codes: row `i` has `values[codes[i]]`, None for null.

    `is_cacheable`: values that are equal in Python are the same, which 0.0 and -0.0 are not.
    """

    codes: Array
    values: list[Any]
    is_cacheable: bool = True


def plain_texts(column: Any) -> Any:
    """Return a text column of any layout as an array of `pa.string()`."""
    if pa.types.is_dictionary(column.type):
        column = plain_texts(column.dictionary).take(column.indices)  # views cannot be taken
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def distinct_of(column: Any) -> Distinct:
    """Return the distinct values of a column of texts, numbers or booleans."""
    kind = column.type
    if pa.types.is_boolean(kind):
        codes = filled_codes(column.cast(pa.int8()), 2)
        return Distinct(codes, [False, True, None], False)
    if pa.types.is_floating(kind):
        bits = column.cast(pa.float64()).view(pa.int64()).dictionary_encode()
        numbers = bits.dictionary.to_numpy(zero_copy_only=False).view(np.float64).tolist()
        return Distinct(filled_codes(bits.indices, len(numbers)), [*numbers, None], False)
    if pa.types.is_integer(kind):
        encoded = column.dictionary_encode()
        found = encoded.dictionary.to_pylist()
        return Distinct(filled_codes(encoded.indices, len(found)), [*found, None], False)
    if pa.types.is_null(kind):
        return Distinct(np.zeros(len(column), np.int32), [None])
    if not pa.types.is_dictionary(kind):
        column = plain_texts(column).dictionary_encode()
    return _of_dictionary(column)


def _of_dictionary(column: Any) -> Distinct:
    dictionary = column.dictionary
    codes = filled_codes(column.indices, len(dictionary))
    if len(dictionary) <= len(codes):
        return Distinct(codes, [*dictionary.to_pylist(), None])
    used, codes = np.unique(codes, return_inverse=True)  # of a large dictionary
    return Distinct(codes, dictionary.take(pa.array(used, mask=used == len(dictionary))).to_pylist())


def distinct_numbers(numbers: Array) -> Distinct:
    """Return the distinct values of an array of integers."""
    values, codes = np.unique(numbers, return_inverse=True)
    return Distinct(codes, values.tolist())


def combined(columns: list[Distinct]) -> Distinct:
    """Return the distinct tuples of columns, whose values are tuples."""
    first, *others = columns
    codes, tuples = first.codes, [(value,) for value in first.values]
    for column in others:
        codes, tuples = _paired(codes, tuples, column)
    return Distinct(codes, tuples, all(column.is_cacheable for column in columns))


def _paired(
    codes: Array, tuples: list[tuple[Any, ...]], column: Distinct
) -> tuple[Array, list[tuple[Any, ...]]]:
    width = len(column.values)
    both = codes.astype(np.int64) * width + column.codes
    size = len(tuples) * width
    if size <= 4 * len(both) + 1024:
        seen = np.zeros(size, bool)
        seen[both] = True
        found = np.flatnonzero(seen)
        places = np.zeros(size, np.int32)
        places[found] = np.arange(len(found), dtype=np.int32)
        codes = places[both]
    else:
        found, codes = np.unique(both, return_inverse=True)
    values = column.values
    return codes, [(*tuples[one // width], values[one % width]) for one in found.tolist()]


def is_mostly_distinct(column: Any) -> bool:
    """Return whether more than one in four rows of a text column has a value of its own.

    Estimated from the first thousands of rows.
    """
    if pa.types.is_dictionary(column.type) or pa.types.is_null(column.type):
        return False
    if len(column) < _SAMPLES[0]:
        return False
    samples = (plain_texts(column.slice(0, size)) for size in _SAMPLES)
    return all(pc.count_distinct(sample, mode="all").as_py() > len(sample) // 4 for sample in samples)


def interval_codes(numbers: Array, valid: Array | None, bounds: tuple[float, ...]) -> Distinct:
    """Return numbers as classes with the same order to all bounds; null is a class of its own.

    Args:
        numbers: Integers or doubles, of any value where `valid` is False.
        valid: Whether each number is given; None: all are.
        bounds: Sorted numbers.
    """
    classes = np.searchsorted(bounds, numbers, "left") + np.searchsorted(bounds, numbers, "right")
    null = 2 * len(bounds) + 1
    if valid is not None:
        classes[~valid] = null
    if numbers.dtype.kind == "f":
        classes[np.isnan(numbers)] = null  # in rows with an error
    some = np.zeros(null + 1, numbers.dtype)
    some[classes] = numbers  # one of each class
    found = np.flatnonzero(np.bincount(classes, minlength=null + 1))
    places = np.zeros(null + 1, np.int32)
    places[found] = np.arange(len(found), dtype=np.int32)
    values = [None if number == null else some[number].item() for number in found.tolist()]
    return Distinct(places[classes], values, False)
