"""Batch of writes: the responses of one turn of the event loop are written together.

A write wakes the client and takes the processor's caches from the code that builds responses, so
writes after each other cost less than writes between responses. A response waits for the others of
its turn only, not for requests that take longer.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class HeldWrites(Protocol):
    """Interface of a transport that holds what is written to it."""

    def release_writes(self) -> None:
        """Write what is held. Must not raise."""


class WriteBatch:
    """Writes of the connections of one event loop."""

    def __init__(self) -> None:
        self._held: list[HeldWrites] = []
        self._serving = 0

    def start_request(self) -> None:
        """Note that a request is being served, until `finish_request`."""
        self._serving += 1

    def finish_request(self, transport: HeldWrites, loop: asyncio.AbstractEventLoop) -> None:
        """Write the response that the transport holds, at the end of the turn at the latest."""
        self._serving -= 1
        self._held.append(transport)
        if not self._serving:
            self._release_all()
        elif len(self._held) == 1:
            loop.call_soon(self._release_all)

    def _release_all(self) -> None:
        held, self._held = self._held, []
        for transport in held:
            transport.release_writes()
