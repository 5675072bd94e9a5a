"""History of the last requests of an edge, for its page.

A request costs the delivery path one small object; the page computes the rest on demand. The
history is bounded: by the number of requests, and by the bytes of the bodies whose content it
keeps. It refers to rules weakly.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.delivery.handler import DeliveryResult
from targetry.edge.http.errors import RequestRejected
from targetry.edge.observability.flag_summary import FlagSummary
from targetry.edge.ui.request_summary import RequestSummary
from targetry.models import DeliveryRequest

CAPACITY: Final = 5_000
LARGEST_STORED: Final = 32 * 1024
"""Bytes of a body whose content is kept."""

MOST_STORED: Final = 4 * 1024 * 1024
"""Bytes of all bodies whose content is kept; a decoded request takes several times as much."""

_LONGEST_MESSAGE: Final = 500


class HistoryEntry(msgspec.Struct, eq=False, gc=False):
    """One request; `flag` is set if it was one of OFREP.

    `request` is the decided request, None if it is too large, among the oldest of too many bytes,
    or was rejected before the decision; `rejection` is the error's message. `rules()` returns the
    artifact, None if it was replaced. `summary` and `detail` are what the page has computed: the
    row of the list, and the HTML of the explanation.
    """

    number: int
    at_ms: int
    size: int
    status: int
    request: DeliveryRequest | None
    rules: Callable[[], LoadedArtifact | None]
    ignored_fields: tuple[str, ...]
    flag: FlagSummary | None
    rejection: str | None
    summary: RequestSummary | None = None
    detail: str | None = None

    @classmethod
    def of(
        cls,
        answer: DeliveryResult,
        *,
        at_ms: int,
        number: int = 0,
        size: int = 0,
        rejected: RequestRejected | None = None,
        flag: FlagSummary | None = None,
    ) -> HistoryEntry:
        """Return the entry of a request; `rejected` was sent in place of `answer`."""
        status, rejection = answer.status, None
        if rejected is not None:
            status, rejection = rejected.status, rejected.message[:_LONGEST_MESSAGE]
        elif status >= 400:
            rejection = _message(answer.body)
        return cls(
            number,
            at_ms,
            size,
            status,
            answer.request if size <= LARGEST_STORED else None,
            weakref.ref(answer.artifact) if answer.artifact is not None else _gone,
            answer.ignored_fields,
            flag,
            rejection,
        )


class RequestHistory:
    """Ring buffer of the last requests.

    Numbers start at `first`, which differs between starts of an edge, so that an open page detects
    a new edge.
    """

    def __init__(self, first: int, capacity: int = CAPACITY, most_stored: int = MOST_STORED) -> None:
        self.capacity = capacity
        self._most_stored = most_stored
        self._next = first
        self._ring: deque[HistoryEntry] = deque(maxlen=capacity)
        self._with_content: deque[HistoryEntry] = deque()
        self._stored = 0

    def add(
        self,
        answer: DeliveryResult,
        *,
        at_ms: int,
        size: int,
        rejected: RequestRejected | None = None,
        flag: FlagSummary | None = None,
    ) -> None:
        """Add a request with a body of `size` bytes; `rejected` was sent in place of `answer`."""
        entry = HistoryEntry.of(
            answer, at_ms=at_ms, number=self._next, size=size, rejected=rejected, flag=flag
        )
        self._next += 1
        self._ring.append(entry)
        if entry.request is not None:
            self._with_content.append(entry)
            self._stored += size
            while self._stored > self._most_stored or len(self._with_content) > self.capacity:
                oldest = self._with_content.popleft()
                oldest.request = None
                self._stored -= oldest.size

    def add_rejected(self, rejected: RequestRejected, *, at_ms: int) -> None:
        """Add a request that was rejected before its decision."""
        self.add(DeliveryResult(rejected.status), at_ms=at_ms, size=0, rejected=rejected)

    def between(self, after: int = 0, before: int | None = None) -> list[HistoryEntry]:
        """Return the requests with a number above `after` and below `before`, the latest first."""
        entries = self._ring.copy()
        return [
            one for one in reversed(entries) if one.number > after and (before is None or one.number < before)
        ]

    def find(self, number: int) -> HistoryEntry | None:
        """Return the request with this number, None if the history no longer has it."""
        return next((one for one in self._ring.copy() if one.number == number), None)


def _gone() -> LoadedArtifact | None:
    return None


def _message(body: bytes) -> str:
    return msgspec.json.decode(body, type=_ErrorBody).message[:_LONGEST_MESSAGE]


class _ErrorBody(msgspec.Struct):
    message: str
