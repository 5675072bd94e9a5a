"""Maps of parameters as columns, one for each key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from targetry.batch.engine.columns import PARAMETER_PREFIX, is_parameter
from targetry.errors import OptionError


def with_map_columns(batch: Any, name: str) -> Any:
    """Return a batch with a column for each key of a map column, in the order of the keys.

    Of a key that a row has twice, the last value counts.

    Args:
        batch: A record batch.
        name: The column; the batch is returned as it is if it has none, or one of another type.
    """
    place = batch.schema.get_field_index(name)
    if place < 0 or not pa.types.is_map(batch.schema.field(place).type):
        return batch
    column = batch.column(place)
    kind = column.type
    if not (pa.types.is_string(kind.key_type) and is_parameter(kind.item_type)):
        raise OptionError(f"table[{name!r}]", f"must be a map of texts to parameters, not {kind}")
    offsets = column.offsets.to_numpy()
    first, total = int(offsets[0]), int(offsets[-1] - offsets[0])
    rows = np.repeat(np.arange(len(column)), np.diff(offsets))
    keys = column.keys.slice(first, total).dictionary_encode()
    items = column.items.slice(first, total)
    codes = keys.indices.to_numpy(zero_copy_only=False)
    arrays, names = list(batch.columns), list(batch.schema.names)
    del arrays[place], names[place]
    for key, code in sorted((key, code) for code, key in enumerate(keys.dictionary.to_pylist())):
        found = np.full(len(column), -1, np.int64)
        here = np.flatnonzero(codes == code)
        found[rows[here]] = here
        if column.null_count:
            found[~column.is_valid().to_numpy(zero_copy_only=False)] = -1
        arrays.append(items.take(pa.array(found, mask=found < 0)))
        names.append(PARAMETER_PREFIX + key)
    return pa.RecordBatch.from_arrays(arrays, names=names)
