"""The streams under httpcore2, over a pair of connected sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from targetry.http.async_sockets import AsyncStream
from targetry.http.deadline import Attempt, deadline_after
from targetry.http.errors import EarlyDataError, StaleConnectionError
from targetry.http.sync_sockets import Stream

_REQUEST = b"GET / HTTP/1.1\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Exchange = Callable[[Attempt], bytes]
Pair = tuple[Exchange, socket.socket]


def blocking(sock: socket.socket) -> Exchange:
    stream = Stream(sock)

    def exchange(attempt: Attempt) -> bytes:
        stream.write(_REQUEST, attempt)
        return stream.read(65536, attempt) + stream.read(65536, attempt)

    return exchange


def looped(sock: socket.socket) -> Exchange:
    sock.setblocking(False)

    async def ask(attempt: Attempt) -> bytes:
        stream = AsyncStream(sock)
        await stream.write(_REQUEST, attempt)
        return await stream.read(65536, attempt) + await stream.read(65536, attempt)

    return lambda attempt: asyncio.run(ask(attempt))


@pytest.fixture(params=[blocking, looped], ids=["blocking", "asyncio"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """What sends a request and returns what is read after it, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield request.param(ours), theirs


def attempt(*, is_new: bool) -> Attempt:
    tried = Attempt(deadline_after(10))
    tried.opened = object() if is_new else None  # type: ignore[assignment]
    return tried


def test_an_answer_is_read_whole(pair: Pair) -> None:
    exchange, server = pair
    tried = attempt(is_new=True)

    def serve() -> None:
        server.recv(65536)
        server.sendall(_ANSWER)

    thread = threading.Thread(target=serve)
    thread.start()
    assert exchange(tried) == _ANSWER
    thread.join()


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "kept"])
def test_bytes_that_came_before_the_request_are_refused(pair: Pair, is_new: bool) -> None:
    exchange, server = pair
    server.sendall(_ANSWER)
    with pytest.raises(EarlyDataError):
        exchange(attempt(is_new=is_new))


def test_a_kept_connection_that_has_ended_is_stale(pair: Pair) -> None:
    exchange, server = pair
    server.close()
    with pytest.raises(StaleConnectionError) as caught:
        exchange(attempt(is_new=False))
    assert not isinstance(caught.value, EarlyDataError)
