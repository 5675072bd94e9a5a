"""History of the last requests of an edge, for the dashboard.

A request costs the delivery path one small object; the dashboard computes the explanation. The
history is bounded: it has a fixed number of requests, no content of large ones, and refers to rules
weakly.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Final

import msgspec

from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.delivery.handler import DeliveryResult
from targetry.edge.http.errors import RequestRejected
from targetry.edge.observability.flag_summary import FlagSummary
from targetry.models import DeliveryRequest

CAPACITY: Final = 50
LARGEST_STORED: Final = 32 * 1024  # bytes of a body; a decoded request takes several times as much

_LONGEST_MESSAGE: Final = 500


class HistoryEntry:
    """One request; `flag` is set if it was one of OFREP.

    `request` is the decided request, None if it is too large or was rejected before the decision;
    `rejection` is the error's message. `rules()` returns the artifact, None if it was replaced.
    `row` is the HTML of the dashboard, once it is rendered.
    """

    __slots__ = (
        "at_ms",
        "flag",
        "ignored_fields",
        "number",
        "rejection",
        "request",
        "row",
        "rules",
        "size",
        "status",
    )

    def __init__(
        self,
        number: int,
        at_ms: int,
        answer: DeliveryResult,
        size: int,
        rejected: RequestRejected | None,
        flag: FlagSummary | None,
    ) -> None:
        self.flag = flag
        self.number = number
        self.at_ms = at_ms
        self.status = answer.status if rejected is None else rejected.status
        self.size = size
        self.request: DeliveryRequest | None = answer.request if size <= LARGEST_STORED else None
        self.rules = weakref.ref(answer.artifact) if answer.artifact is not None else _gone
        self.rejection: str | None = None
        if rejected is not None:
            self.rejection = rejected.message[:_LONGEST_MESSAGE]
        elif answer.status >= 400:
            self.rejection = _message(answer.body)
        self.ignored_fields = answer.ignored_fields
        self.row: str | None = None


class RequestHistory:
    """Ring buffer of the last requests.

    Numbers start at `first`, which differs between starts of an edge, so that an open page detects
    a new edge.
    """

    def __init__(self, first: int, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._next = first
        self._ring: deque[HistoryEntry] = deque(maxlen=capacity)

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
        self._ring.append(HistoryEntry(self._next, at_ms, answer, size, rejected, flag))
        self._next += 1

    def add_rejected(self, rejected: RequestRejected, *, at_ms: int) -> None:
        """Add a request that was rejected before its decision."""
        self.add(DeliveryResult(rejected.status), at_ms=at_ms, size=0, rejected=rejected)

    def after(self, number: int = 0) -> list[HistoryEntry]:
        """Return the requests with a higher number, the latest first."""
        return [one for one in reversed(self._ring.copy()) if one.number > number]


def _gone() -> LoadedArtifact | None:
    return None


def _message(body: bytes) -> str:
    return msgspec.json.decode(body, type=_ErrorBody).message[:_LONGEST_MESSAGE]


class _ErrorBody(msgspec.Struct):
    message: str
