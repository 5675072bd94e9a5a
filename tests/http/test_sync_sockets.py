"""The blocking streams under httpcore2, over a pair of connected sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targetry.http.deadline import Deadline, deadline_after
from targetry.http.inbound import EarlyDataError, StaleConnectionError
from targetry.http.sync_sockets import TcpStream, WriteBuffer

_REQUEST = b"GET / HTTP/1.1\r\n\r\n"
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def exchange(client: socket.socket, *, is_new: bool) -> bytes:
    deadline = Deadline(deadline_after(10))
    stream = TcpStream(client)
    deadline.opened = stream if is_new else None
    stream.write(_REQUEST, deadline)
    return stream.read(65536, deadline) + stream.read(65536, deadline)


def test_response_is_read_whole(pair: Pair) -> None:
    client, server = pair

    def serve() -> None:
        server.recv(65536)
        server.sendall(_RESPONSE)

    thread = threading.Thread(target=serve)
    thread.start()
    assert exchange(client, is_new=True) == _RESPONSE
    thread.join()


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "reused"])
def test_bytes_before_the_request_are_rejected(pair: Pair, is_new: bool) -> None:
    client, server = pair
    server.sendall(_RESPONSE)
    with pytest.raises(EarlyDataError):
        exchange(client, is_new=is_new)


def test_reused_connection_that_has_ended_is_stale(pair: Pair) -> None:
    client, server = pair
    server.close()
    with pytest.raises(StaleConnectionError) as caught:
        exchange(client, is_new=False)
    assert not isinstance(caught.value, EarlyDataError)


@given(st.lists(st.tuples(st.binary(max_size=100), st.integers(1, 1000)), max_size=20))
def test_write_buffer_keeps_all_bytes_in_order_and_holds_few(pieces: list[tuple[bytes, int]]) -> None:
    buffer, sent = WriteBuffer(), b""
    for piece, times in pieces:
        if buffer.add(piece * times):
            sent += buffer.take()
        assert buffer.size < 64 * 1024
    sent += buffer.take()
    assert sent == b"".join(piece * times for piece, times in pieces)
    assert (buffer.size, buffer.take()) == (0, b"")
