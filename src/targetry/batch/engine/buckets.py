"""Allocation of many visitors: MurmurHash3 over columns of ids, with the results of `bucket`.

The hash of `client.activity.visitor.0` starts from the state after `client.activity.`, a number,
and the mixed blocks of the visitor's part do not depend on the activity: only the last six
operations of each block are done per activity. The part before the visitor ends with a dot, so
there are two ways to cut the visitor's part into blocks: with that dot or without.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from targetry.batch.engine.arrays import Array, bytes_of, is_ascii, offsets_of
from targetry.device.logic.allocation import BUCKETS, bucket
from targetry.device.logic.murmur3 import MASK, mixed

_ROWS: Final = 32_768  # hashed together: fewer cost calls of numpy, more leave the processor's cache
_IDS: Final = 16_384  # ids with blocks that are kept for some activities
_END: Final = ".0"  # behind the visitor
_DOT: Final = ord(".")
_C1: Final = np.uint32(0xCC9E2D51)
_C2: Final = np.uint32(0x1B873593)
_FIVE, _ADDED = np.uint32(5), np.uint32(0xE6546B64)
_F1, _F2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)


class VisitorBuckets:
    """Buckets of the visitors of a batch in any activity; results are kept.

    Args:
        client: The client code.
        visitors: Ids for bucketing, an array of `pa.string()` without nulls.
    """

    def __init__(self, client: str, visitors: Any) -> None:
        self._client = client
        self._visitors = visitors
        self._known: dict[str, Array] = {}
        self._groups: list[_Group] | None = None
        self._others: Array | None = None  # rows whose ids are not ASCII

    def prepare(self, activities: Iterable[str]) -> None:
        """Compute the buckets of all rows in these activities, in the order that is fastest."""
        wanted = [one for one in dict.fromkeys(activities) if one not in self._known]
        found = {one: np.empty(len(self._visitors), np.int32) for one in wanted}
        for group in self._of_one_length():
            for begin in range(0, group.count, _IDS):
                end = min(begin + _IDS, group.count)
                piece, rows = group.piece(begin, end), group.rows
                places = slice(begin, end) if rows is None else rows[begin:end]
                for names, hashed in self._hashed(piece, end - begin, wanted):
                    for activity, buckets in zip(names, hashed, strict=True):
                        found[activity][places] = buckets
        for activity, buckets in found.items():
            self._add_others(activity, buckets)
        self._known.update(found)

    def _hashed(
        self, piece: _Piece, count: int, activities: list[str]
    ) -> Iterable[tuple[list[str], list[Array]]]:
        for names in _chunks(activities, max(1, _ROWS // count)):
            yield names, piece.buckets([f"{self._client}.{activity}." for activity in names])

    def some(self, rows: Array) -> VisitorBuckets:
        """Return the buckets of some of the visitors, by their sorted positions."""
        return VisitorBuckets(self._client, self._visitors.take(pa.array(rows)))

    def of_each(self, activities: list[str], rows: Array) -> Array:
        """Return a row of buckets for each activity, of some rows (sorted positions)."""
        (group, *others) = self._of_one_length() or (None,)
        if group is None or others or group.rows is not None or 2 * len(rows) > group.count:
            return np.array([self.of(activity, rows) for activity in activities])
        found = np.empty((len(activities), len(rows)), np.int32)
        for begin in range(0, len(rows), _ROWS):
            end = min(begin + _ROWS, len(rows))
            first = 0
            for names, hashed in self._hashed(group.whole.some(rows[begin:end]), end - begin, activities):
                found[first : first + len(names), begin:end] = hashed
                first += len(names)
        return found

    def of(self, activity: str, rows: Array | None = None) -> Array:
        """Return the buckets, 0 to 9999, of all rows or of some (sorted positions)."""
        known = self._known.get(activity)
        if known is None:
            if rows is not None and 2 * len(rows) < len(self._visitors):
                return self.some(rows).of(activity)
            self.prepare([activity])
            known = self._known[activity]
        return known if rows is None else known[rows]

    def _of_one_length(self) -> list[_Group]:
        if self._groups is None:
            self._groups = list(self._grouped())
        return self._groups

    def _grouped(self) -> Iterable[_Group]:
        offsets, data = offsets_of(self._visitors), bytes_of(self._visitors)
        lengths = np.diff(offsets)
        if is_ascii(self._visitors):
            if len(lengths) and lengths.min() == lengths.max():
                yield _Group(data, offsets[:-1], int(lengths[0]), None)
                return
            ascii_rows = np.arange(len(lengths))
        else:
            own_ascii = pc.string_is_ascii(self._visitors).to_numpy(zero_copy_only=False)
            ascii_rows, self._others = np.flatnonzero(own_ascii), np.flatnonzero(~own_ascii)
        own = lengths[ascii_rows]
        for length in np.flatnonzero(np.bincount(own)) if len(own) else ():
            rows = ascii_rows[own == length]
            yield _Group(data, offsets[:-1][rows], int(length), rows)

    def _add_others(self, activity: str, buckets: Array) -> None:
        if self._others is not None:
            for row in self._others.tolist():
                buckets[row] = bucket(self._client, activity, self._visitors[row].as_py())


class _Group:
    """ASCII ids of one length, at these places of the data; `rows` is None if they are all rows."""

    def __init__(self, data: Array, starts: Array, length: int, rows: Array | None) -> None:
        self._data, self._starts, self._length, self.rows = data, starts, length, rows
        self.count = len(starts)
        self._whole: _Piece | None = None

    def piece(self, begin: int, end: int) -> _Piece:
        """Return some of the ids as bytes, one behind the other."""
        starts, length = self._starts[begin:end], self._length
        first = int(starts[0])
        if int(starts[-1]) == first + length * (len(starts) - 1):
            ids = self._data[first : first + length * len(starts)].reshape(len(starts), length)
        else:
            ids = self._data[starts[:, None] + np.arange(length)]
        return _Piece(length, lambda first: _blocks(ids, first))

    @property
    def whole(self) -> _Piece:
        """All ids, of which some are hashed again and again."""
        if self._whole is None:
            self._whole = self.piece(0, self.count)
        return self._whole


class _Piece:
    """Ids of one length as mixed blocks, by whether the dot before the id is in a block.

    Args:
        length: Of the ids.
        mix: Returns the mixed blocks and the rest of less than a block, a row for each.
    """

    def __init__(self, length: int, mix: Callable[[int], Array]) -> None:
        self._length = length
        self._mixed = mixed = functools.cache(mix)
        self._by_id = functools.cache(lambda first: mixed(first).T.copy())

    def some(self, rows: Array) -> _Piece:
        """Return some of the ids."""
        by_id = self._by_id
        return _Piece(self._length, lambda first: by_id(first).take(rows, axis=0).T.copy())

    def buckets(self, before: list[str]) -> list[Array]:
        """Return the buckets with each of these texts before the ids; they end with a dot."""
        found: list[Array | None] = [None] * len(before)
        coded = [text.encode("utf-16-le", "surrogatepass") for text in before]
        for first in (0, 1):  # 0: the dot is in a block with the first unit of the id
            places = [place for place, text in enumerate(coded) if len(text) // 2 % 2 ^ 1 == first]
            if places:
                for place, buckets in zip(
                    places, self._hashed([coded[i] for i in places], first), strict=True
                ):
                    found[place] = buckets
        return [buckets for buckets in found if buckets is not None]

    def _hashed(self, before: list[bytes], first: int) -> Array:
        """Return a row of buckets for each text."""
        mixed = self._mixed(first)
        is_whole = (self._length + 1 + len(_END) - first) % 2 == 0
        starts = np.array([_state(text[: len(text) // 4 * 4]) for text in before], np.uint32)
        lengths = np.array([len(text) + 2 * (self._length + len(_END)) for text in before], np.uint32)
        state = np.repeat(starts[:, None], mixed.shape[1], axis=1)
        scratch = np.empty_like(state)
        for block in mixed if is_whole else mixed[:-1]:
            state ^= block
            np.right_shift(state, 19, out=scratch)
            state <<= np.uint32(13)
            state |= scratch
            state *= _FIVE
            state += _ADDED
        if not is_whole:
            state ^= mixed[-1]
        state ^= lengths[:, None]
        for shift, factor in ((16, _F1), (13, _F2)):
            np.right_shift(state, shift, out=scratch)
            state ^= scratch
            state *= factor
        np.right_shift(state, 16, out=scratch)
        state ^= scratch
        size = np.abs(state.view(np.int32)).view(np.uint32)  # 2**31 stays itself
        np.floor_divide(size, np.uint32(BUCKETS), out=scratch)
        scratch *= np.uint32(BUCKETS)
        size -= scratch
        return size.view(np.int32)


def _blocks(ids: Array, first: int) -> Array:
    """Return the blocks of ids and the rest, mixed; `first` is 0 if the dot is in a block."""
    units = _units(ids, first)
    pairs = units.view(np.uint16).T.astype(np.uint32, order="C")  # transposed while narrow
    scratch = pairs << np.uint32(8)
    pairs |= scratch
    pairs &= np.uint32(0x00FF00FF)  # two bytes as two code units of UTF-16
    _mix(pairs, scratch)
    return pairs


def _units(ids: Array, first: int) -> Array:
    """Return the bytes of the ids between their dots, an even number of them, with zeros."""
    count, length = ids.shape
    begin = 1 - first
    width = begin + length + len(_END)
    units = np.zeros((count, width + width % 2), np.uint8)
    units[:, :begin] = _DOT
    units[:, begin : begin + length] = ids
    units[:, begin + length : width] = [ord(one) for one in _END]
    return units


def _chunks(names: list[str], size: int) -> Iterable[list[str]]:
    return (names[begin : begin + size] for begin in range(0, len(names), size))


def _mix(blocks: Array, scratch: Array) -> None:
    """Mix blocks in place, before they meet the state."""
    blocks *= _C1
    np.right_shift(blocks, 17, out=scratch)
    blocks <<= np.uint32(15)
    blocks |= scratch
    blocks *= _C2


@functools.lru_cache(4096)
def _state(data: bytes) -> int:
    """Return the state of the hash after whole blocks."""
    state = 0
    for (word,) in struct.iter_unpack("<I", data):
        state ^= mixed(word)
        state = (state << 13 | state >> 19) & MASK
        state = (state * 5 + 0xE6546B64) & MASK
    return state
