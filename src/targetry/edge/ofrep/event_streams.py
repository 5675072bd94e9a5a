"""Event streams (server-sent events): web clients evaluate their flags again after each event.

A stream has one event for each artifact that replaces the one of its path, and a comment from time
to time, by which proxies and clients know that it is alive. It keeps no events: a client that
connects again names the last one that it has seen, and gets the latest if that is another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.types import Receive, Send

from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import LimitMonitor
from targetry.edge.ofrep.paths import OfrepTarget

POLL_INTERVAL_S: Final = 0.2
HEARTBEAT_S: Final = 15.0
RECONNECT_MS: Final = 2_000

_HEARTBEAT: Final = b":\n\n"
_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect the events
]


class EventStreams:
    """Open event streams of one worker; belongs to its event loop.

    Args:
        registry: Returns the artifacts in use.
        limit: Number of streams at a time.
        monitor: Counts the streams that are over the limit.
        delay_s: Seconds from a new artifact to its event, in which other workers load it as well.
        heartbeat_s: Seconds between comments.

    Attributes:
        is_stopping: Returns whether the server is about to stop, for which it waits for responses.
    """

    def __init__(
        self,
        registry: Callable[[], ArtifactRegistry],
        *,
        limit: int,
        monitor: LimitMonitor,
        delay_s: float = 0.0,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._registry = registry
        self._limit = limit
        self._monitor = monitor
        self._delay_s = delay_s
        self._heartbeat_s = heartbeat_s
        self._open: set[_Stream] = set()
        self._watching: asyncio.Task[None] | None = None
        self.is_stopping: Callable[[], bool] = lambda: False

    async def respond(
        self,
        target: OfrepTarget,
        last_event_id: str,
        receive: Receive,
        send: Send,
        has_left: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send events until the client closes the stream or the edge shuts down.

        Args:
            target: Of the path.
            last_event_id: The last event that the client has seen, empty for none.
            receive: The ASGI callable.
            send: The ASGI callable.
            has_left: Returns whether the client has closed its side of the connection, which is no
                disconnect: a client of another request can wait for its response.

        Raises:
            RequestRejected: 503, there are too many streams, or the edge shuts down.
        """
        if self.is_stopping():
            raise RequestRejected(503, "the edge shuts down; connect again later")
        if len(self._open) >= self._limit:
            self._monitor.record("streams")
            raise RequestRejected(503, "there are too many event streams; poll, or connect again later")
        registry = self._registry()
        current = self._version(target)
        stream = _Stream(target, current, has_left)
        self._open.add(stream)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(registry))
        gone = asyncio.create_task(_end_at_disconnect(receive, stream))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            first = b"retry: %d\nid: %b\n\n" % (RECONNECT_MS, current.encode())
            if last_event_id not in ("", current):
                first += _event(current)
            await _send_chunk(send, first)
            while (chunk := await stream.next_chunk()) is not None:
                await _send_chunk(send, chunk)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self._open.discard(stream)

    async def _watch(self, registry: ArtifactRegistry) -> None:
        """Notify streams of new artifacts, and end them with the server."""
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + self._heartbeat_s
        while self._open:
            await asyncio.sleep(POLL_INTERVAL_S)
            is_stopping = self.is_stopping()
            for stream in self._open:
                if is_stopping or stream.has_left():
                    stream.end()
            if self._registry() is not registry:
                registry = self._registry()
                loop.call_later(self._delay_s, self._notify)
            if loop.time() >= next_beat:
                next_beat = loop.time() + self._heartbeat_s
                for stream in self._open:
                    stream.put(_HEARTBEAT)

    def _notify(self) -> None:
        for stream in self._open:
            version = self._version(stream.target)
            if version != stream.version:
                stream.version = version
                stream.put(_event(version))

    def _version(self, target: OfrepTarget) -> str:
        """Return the digest of a target's artifact."""
        try:
            artifact = self._registry().for_flags(target.client, target.environment)
        except RequestRejected:
            return "none"
        return artifact.digest


class _Stream:
    """One stream with the chunk to send next, in which a newer event replaces an older one."""

    def __init__(self, target: OfrepTarget, version: str, has_left: Callable[[], bool]) -> None:
        self.has_left = has_left
        self.target = target
        self.version = version
        self._chunk = b""
        self._is_ended = False
        self._changed = asyncio.Event()

    def put(self, chunk: bytes) -> None:
        if chunk is not _HEARTBEAT or not self._chunk:
            self._chunk = chunk
        self._changed.set()

    def end(self) -> None:
        self._is_ended = True
        self._changed.set()

    async def next_chunk(self) -> bytes | None:
        """Return the next chunk; None at the end."""
        await self._changed.wait()
        self._changed.clear()
        chunk, self._chunk = self._chunk, b""
        return None if self._is_ended else chunk


def _event(version: str) -> bytes:
    data = msgspec.json.encode({"type": "refetchEvaluation", "etag": version})
    return b"id: %b\ndata: %b\n\n" % (version.encode(), data)


async def _send_chunk(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _end_at_disconnect(receive: Receive, stream: _Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
