"""Arrow arrays as NumPy arrays, and back."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def offsets_of(texts: Any) -> Array:
    """Return the offsets of an array of `pa.string()`: the bounds of each text in `bytes_of`."""
    buffer = texts.buffers()[1]
    if buffer is None or not len(texts):
        return np.zeros(len(texts) + 1, np.int32)
    return np.frombuffer(buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]


def bytes_of(texts: Any) -> Array:
    """Return the bytes of all texts of an array of `pa.string()`."""
    buffer = texts.buffers()[2]
    return np.frombuffer(buffer, np.uint8) if buffer is not None else np.zeros(0, np.uint8)


def filled_codes(codes: Any, missing: int) -> Array:
    """Return the indices of a dictionary array, `missing` for null."""
    if codes.null_count:
        codes = codes.fill_null(pa.scalar(missing, codes.type))
    numbers: Array = codes.to_numpy(zero_copy_only=False)
    return numbers
