"""Sample of visitors: the same ones for the same visitors in any order, in bounded memory."""

from __future__ import annotations

import hashlib
import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class VisitorSample(Generic[T]):
    """Items of visitors: of all, or of those whose ids have the smallest digests.

    Attributes:
        items: The items by visitor.
    """

    def __init__(self, most: int | None = None) -> None:
        """Keep at most `most` visitors, None for all."""
        self.items: dict[str, list[T]] = {}
        self._most = most
        self._digests: list[tuple[int, str]] = []  # a heap with the largest digest first

    def items_of(self, visitor: str) -> list[T] | None:
        """Return the items of a visitor, to add to; None if the visitor is not in the sample."""
        found = self.items.get(visitor)
        if found is None and self._admits(visitor):
            found = self.items[visitor] = []
        return found

    def _admits(self, visitor: str) -> bool:
        if self._most is None:
            return True
        text = visitor.encode("utf-8", "replace")
        entry = -int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()), visitor
        if len(self._digests) < self._most:
            heapq.heappush(self._digests, entry)
            return True
        _, removed = heapq.heappushpop(self._digests, entry)
        if removed == visitor:
            return False
        del self.items[removed]
        return True
