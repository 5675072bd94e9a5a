"""Copy of a ledger to another one, in any pair of databases."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from targetry.ledger.database import Progress, no_progress
from targetry.ledger.store import EventStore, LedgerReader

_CHUNK: Final = 5_000


class CopyResult(NamedTuple):
    """Numbers of events that were copied, and that the target had."""

    copied: int
    known: int


def copy_ledger(reader: LedgerReader, target: EventStore, *, progress: Progress = no_progress) -> CopyResult:
    """Copy activities and events; repeating it copies only what is missing.

    Args:
        reader: A snapshot of the source.
        target: The ledger to record in.
        progress: Called with the number of copied events, twice.

    Raises:
        LedgerError: A ledger cannot be read or written. Completed transactions stand.
    """
    target.describe(reader.activities())
    copied = known = 0
    events = reader.events()
    while chunk := list(islice(events, _CHUNK)):
        new = sum(target.record(chunk))
        copied, known = copied + new, known + len(chunk) - new
        progress(copied + known, copied + known)
    return CopyResult(copied, known)
