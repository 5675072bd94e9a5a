"""What is written waits a moment for what is written next, so that a request's head and body go out in one piece.

httpcore2 writes them one by one. Two small packets are twice the work, and where somebody on the way holds small packets back
until the one before is acknowledged (Nagle's algorithm, as in many a proxy) the second comes 40 ms late.
"""

from __future__ import annotations

from typing import Final

_ENOUGH: Final = 64 * 1024


class Unsent:
    """The bytes that wait; to be sent before anything is read, or when they are enough. `size` is how many."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> bool:
        """Whether it is time to send."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)
        return self.size >= _ENOUGH

    def take(self) -> bytes:
        """All of them."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return b"".join(pieces)
