"""Arrow arrays as NumPy arrays, and back."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_PIECE: Final = 65_536  # bytes that are searched at once
_FREED: Final = 16 << 20  # bytes; glibc keeps up to twice the size of what was freed


def keep_freed_memory() -> None:
    """Let glibc keep what one batch frees for the next.

    It gives the kernel back what exceeds twice the largest array that was freed. Arrays of a batch
    are smaller than that together, so without a larger one each page is mapped again.
    """
    np.empty(_FREED, np.uint8)


def offsets_of(texts: Any) -> Array:
    """Return the offsets of an array of `pa.string()`: the bounds of each text in `bytes_of`."""
    buffer = texts.buffers()[1]
    if buffer is None or not len(texts):
        return np.zeros(len(texts) + 1, np.int32)
    return np.frombuffer(buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]


def bytes_of(texts: Any) -> Array:
    """Return the bytes to which the offsets of an array of `pa.string()` point."""
    buffer = texts.buffers()[2]
    return np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)


def has_byte(texts: Any, byte: int) -> bool:
    """Return whether a byte below 128 is in a text of an array of `pa.string()` without nulls."""
    data = _bytes_of_texts(texts)
    return any((data[begin : begin + _PIECE] == byte).any() for begin in range(0, len(data), _PIECE))


def is_ascii(texts: Any) -> bool:
    """Return whether all texts of an array of `pa.string()` are ASCII."""
    return bool(_bytes_of_texts(texts).max(initial=0) < 128)


def _bytes_of_texts(texts: Any) -> Array:
    offsets = offsets_of(texts)
    return bytes_of(texts)[offsets[0] : offsets[-1]]


def indices(codes: Array) -> Any:
    """Return codes as an Arrow array of int32 without a copy; negative ones are null."""
    codes = np.ascontiguousarray(codes, np.int32)
    missing = codes < 0
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(pa.int32(), len(codes), [valid, pa.py_buffer(codes)])


def filled_codes(codes: Any, missing: int) -> Array:
    """Return the indices of a dictionary array, `missing` for null."""
    if codes.null_count:
        codes = codes.fill_null(pa.scalar(missing, codes.type))
    numbers: Array = codes.to_numpy(zero_copy_only=False)
    return numbers
