"""Windows: the ranges of allocations that see an experience, and how they change.

A window is a pair of hundredths of a percent, 0 to 10,000. The first one is closed at 0 and all
others are open below, so that (0, 5000) has 5,001 buckets and (5000, 10000) has 4,999.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from targetry.device.logic.allocation import BUCKETS

WHOLE: Final = BUCKETS
Span = tuple[int, int]


def hundredths(percent: float) -> int:
    """Return a percentage in hundredths, rounded."""
    return round(percent * 100)


def percent(hundredths: int) -> int | float:
    """Return hundredths as a percentage, as an integer if it is whole."""
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


def part_of(width: int, whole: int) -> int:
    """Return the share `width` of `whole`, both in hundredths of a percent."""
    return (width * whole + WHOLE // 2) // WHOLE


def lanes(shares: Sequence[int], traffic: int, room: Span = (0, WHOLE)) -> list[list[Span]]:
    """Return the windows of experiences, each at the start of its own lane.

    The lane of an experience starts at the sum of the shares before it, so that more traffic only
    adds visitors.

    Args:
        shares: The shares in hundredths of a percent.
        traffic: The part of each lane that is used, in hundredths of a percent.
        room: The range that the lanes divide.
    """
    low, high = room
    start, found = low, []
    for share in shares:
        lane = part_of(share, high - low)
        width = part_of(lane, traffic)
        found.append([(start, start + width)] if width else [])
        start += lane
    return found


def rebalance(old: Mapping[str, Sequence[Span]], widths: Mapping[str, int]) -> dict[str, list[Span]]:
    """Return windows of new widths, with the least movement of visitors.

    A shrinking key gives up its highest allocations. A growing one takes free ones: next to its own
    windows, otherwise from the left. Keys without a width lose their windows.

    Args:
        old: The windows by key.
        widths: The new widths, in hundredths of a percent; together at most 10,000.
    """
    windows = {key: _keep_lowest(merged(old.get(key, ())), width) for key, width in widths.items()}
    free = _complement(window for spans in windows.values() for window in spans)
    for key, width in widths.items():
        missing = width - total_width(windows[key])
        if missing > 0:
            taken, free = _take(free, missing, windows[key])
            windows[key] = merged([*windows[key], *taken])
    return windows


def total_width(windows: Iterable[Span]) -> int:
    """Return the width of windows together."""
    return sum(high - low for low, high in windows)


def merged(windows: Iterable[Span]) -> list[Span]:
    """Return windows in order, those that touch as one."""
    found: list[Span] = []
    for low, high in sorted(window for window in windows if window[0] < window[1]):
        if found and found[-1][1] >= low:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def bucket_owners(windows: Mapping[str, Iterable[Span]]) -> list[str | None]:
    """Return the key that each of the 10,000 buckets belongs to, None for no key.

    Of windows that overlap, the first key's counts.
    """
    owners: list[str | None] = [None] * WHOLE
    for key, spans in reversed(list(windows.items())):
        for low, high in spans:
            first = 0 if low == 0 else low + 1
            last = min(high, WHOLE - 1)
            owners[first : last + 1] = [key] * max(0, last - first + 1)
    return owners


def _keep_lowest(windows: list[Span], width: int) -> list[Span]:
    kept = []
    for low, high in windows:
        if width <= 0:
            break
        kept.append((low, min(high, low + width)))
        width -= high - low
    return kept


def _complement(windows: Iterable[Span]) -> list[Span]:
    found, start = [], 0
    for low, high in merged(windows):
        if start < low:
            found.append((start, low))
        start = max(start, high)
    if start < WHOLE:
        found.append((start, WHOLE))
    return found


def _take(free: list[Span], width: int, own: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Take room, first what touches windows; return what was taken and what stays free."""
    starts, ends = {low for low, _ in own}, {high for _, high in own}
    taken: list[Span] = []
    # Above an own window, below one, elsewhere; each from the left.
    order = sorted(free, key=lambda span: (span[0] not in ends, span[1] not in starts, span[0]))
    for low, high in order:
        size = min(width, high - low)
        if size <= 0:
            break
        is_below = low not in ends and high in starts
        taken.append((high - size, high) if is_below else (low, low + size))
        width -= size
    return taken, _complement([*_complement(free), *taken])
