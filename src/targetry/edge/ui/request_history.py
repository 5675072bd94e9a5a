"""The last requests that an edge answered, for the page that people look at.

A request costs the delivery path one small object: why it was answered so is worked out when somebody looks. What is kept is
bounded: so many requests, none of a large one's contents, and rules only as long as they are in use.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Final

import msgspec

from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.delivery.handler import DeliveryResult
from targetry.edge.http.errors import RequestRejected
from targetry.models import DeliveryRequest

CAPACITY: Final = 50
LARGEST_KEPT: Final = 32 * 1024  # bytes of a body; decoded, a request takes several times as much

_LONGEST_REFUSAL: Final = 500


class HistoryEntry:
    """One request. `number` rises; `refusal` is why it was not answered. `request` is as it was decided, None where it was
    too large or never was one; `unread` names its fields that are not understood; `rules()` gives None once they were replaced. `row` is for whoever shows it, once made."""

    __slots__ = ("at_ms", "ignored_fields", "number", "refusal", "request", "row", "rules", "size", "status")

    def __init__(
        self, number: int, at_ms: int, answer: DeliveryResult, size: int, refused: RequestRejected | None
    ) -> None:
        self.number = number
        self.at_ms = at_ms
        self.status = answer.status if refused is None else refused.status
        self.size = size
        self.request: DeliveryRequest | None = answer.request if size <= LARGEST_KEPT else None
        self.rules = weakref.ref(answer.artifact) if answer.artifact is not None else _gone
        self.refusal: str | None = None
        if refused is not None:
            self.refusal = refused.message[:_LONGEST_REFUSAL]
        elif answer.status >= 400:
            self.refusal = _message(answer.body)
        self.ignored_fields = answer.ignored_fields
        self.row: str | None = None


class RequestHistory:
    """A ring of the last requests. Numbers begin at `first`, by which a page tells a new edge from the one that it knew."""

    def __init__(self, first: int, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._next = first
        self._ring: deque[HistoryEntry] = deque(maxlen=capacity)

    def add(
        self, answer: DeliveryResult, *, at_ms: int, size: int, refused: RequestRejected | None = None
    ) -> None:
        """`size`: bytes of the request's body. `refused`: what was answered instead of the answer."""
        self._ring.append(HistoryEntry(self._next, at_ms, answer, size, refused))
        self._next += 1

    def add_refused(self, refused: RequestRejected, *, at_ms: int) -> None:
        """One that was refused before anything was decided."""
        self.add(DeliveryResult(refused.status), at_ms=at_ms, size=0, refused=refused)

    def after(self, number: int = 0) -> list[HistoryEntry]:
        """Those with a higher number, the latest first."""
        return [one for one in reversed(self._ring.copy()) if one.number > number]


def _gone() -> LoadedArtifact | None:
    return None


def _message(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Refusal).message[:_LONGEST_REFUSAL]


class _Refusal(msgspec.Struct):
    message: str
