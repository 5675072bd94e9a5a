"""Measurement of one call with the standard library only, equal for all contestants."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from operator import truediv
from typing import Any, NamedTuple

BATCH_S = 0.001  # long compared to the clock, short compared to the scheduler's time slices


class Timing(NamedTuple):
    """Microseconds of one call: of the best batch, without noise, and of the median batch."""

    best_us: float
    median_us: float
    calls: int


def measure(
    call: Callable[[], object], *, seconds: float, between: Callable[[], object] | None = None
) -> Timing:
    """Call for about `seconds` in batches of at least a millisecond, with garbage collection on.

    `between` runs between batches, without being timed, to finish background work.
    """
    once = _timed(call, 1)
    call()
    size = max(1, round(BATCH_S / max(min(once, _timed(call, 1)), 1e-7)))
    batches: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(batches) < 3:
        if between is not None:
            between()
        batches.append(_timed(call, size) / size * 1e6)
    return Timing(min(batches), statistics.median(batches), len(batches) * size)


def _timed(call: Callable[[], object], size: int) -> float:
    started = time.perf_counter()
    for _ in range(size):
        call()
    return time.perf_counter() - started


def by_turns(calls: dict[str, Callable[[], object]], command: dict[str, Any]) -> dict[str, Any]:
    """Return a timing of each call in processor time of this process, without that of servers.

    `command` has the `size` of a batch and the `seconds` for all. The calls take turns, so that
    other load affects all of them; `ratio` is the median of each batch's time divided by that of
    the last call's batch in the same turn.
    """
    size = command["size"]
    batches: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(size // 4):
            call()
    end = time.perf_counter() + command["seconds"]
    while time.perf_counter() < end or not all(batches.values()):
        for name, call in calls.items():
            batches[name].append(_processor_time(call, size) / size * 1e6)
    *_, last = calls
    return {
        name: {
            **Timing(min(found), statistics.median(found), len(found) * size)._asdict(),
            "ratio": statistics.median(map(truediv, found, batches[last])),
        }
        for name, found in batches.items()
    }


def _processor_time(call: Callable[[], object], size: int) -> float:
    started = time.process_time()
    for _ in range(size):
        call()
    return time.process_time() - started


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
