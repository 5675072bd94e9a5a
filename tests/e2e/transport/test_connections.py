"""Reuse and replacement of connections over real sockets, blocking and with asyncio."""

from __future__ import annotations

import gzip
import socket

import pytest

from servers.clients import Connect, Serve, get, post
from servers.faulty import (
    Behaviour,
    Close,
    answer,
    gzip_answer,
    half,
    json_answer,
    then_close,
)
from servers.threaded import ThreadedServer
from targetry.errors import ClosedError, TransportError

_OK = json_answer({"status": 200})


def test_consecutive_calls_share_one_connection(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(_OK, gzip_answer(b"x"), answer(404, b"y"), answer(204), _OK)
    for _ in range(20):
        client.send(post(server.url))
    assert (len(server.requests), server.connections) == (20, 1)


@pytest.mark.parametrize(
    ("behaviour", "options"),
    [
        pytest.param(then_close(_OK), {}, id="at-once"),
        pytest.param(_OK, {"idle_seconds": 0.05}, id="after-a-while"),
    ],
)
def test_connection_closed_while_idle_is_replaced(
    connect: Connect, serve: Serve, behaviour: Behaviour, options: dict[str, float]
) -> None:
    client, server = connect(), serve(behaviour, **options)
    for _ in range(3):
        client.send(post(server.url))
        server.wait_until(lambda: server.open_connections == 0)
    assert (len(server.requests), server.connections) == (3, 3)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_reused_connection_closed_during_the_request_is_replaced(
    connect: Connect, serve: Serve, reset: bool
) -> None:
    client, server = connect(), serve(_OK, (Close(reset),), _OK)
    client.send(post(server.url))
    assert client.send(post(server.url, b"second")).status == 200
    assert [received.connection for received in server.requests] == [1, 1, 2]
    assert server.requests[2].body == b"second"


def test_request_is_sent_at_most_twice(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(_OK, (Close(),))
    client.send(post(server.url))
    with pytest.raises(TransportError, match="cut short"):
        client.send(post(server.url))
    assert len(server.requests) == 3


def test_request_with_a_partial_response_is_not_sent_again(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(_OK, half(_OK, Close()))
    client.send(post(server.url))
    with pytest.raises(TransportError, match="cut short"):
        client.send(post(server.url))
    assert len(server.requests) == 2


def test_request_on_a_new_connection_is_not_sent_again(connect: Connect, serve: Serve) -> None:
    server = serve((Close(),), _OK)
    with pytest.raises(TransportError):
        connect().send(post(server.url))
    assert len(server.requests) == 1


def test_connection_is_usable_after_an_undecodable_response(connect: Connect, serve: Serve) -> None:
    client, server = (
        connect(),
        serve(answer(200, gzip.compress(b"x")[:-4], {"Content-Encoding": "gzip"}), _OK),
    )
    with pytest.raises(TransportError):
        client.send(get(server.url))
    client.send(get(server.url))
    assert server.connections == 1


def test_idle_connections_to_other_hosts_are_evicted(connect: Connect, serve: Serve) -> None:
    client, servers = connect(max_connections=2), [serve(_OK) for _ in range(4)]
    for server in servers * 2:
        assert client.send(get(server.url)).status == 200
    servers[0].wait_until(lambda: sum(server.open_connections for server in servers) <= 2)


def test_closed_transport_raises_and_can_be_closed_again(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(_OK)
    client.send(get(server.url))
    client.close()
    client.close()
    server.wait_until(lambda: server.open_connections == 0)
    with pytest.raises(ClosedError):
        client.send(get(server.url))


class OnePacket(ThreadedServer):
    """A server that records the first packet and responds to it."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        super().__init__()

    def serve(self, sock: socket.socket, number: int) -> None:
        while data := sock.recv(65536):
            self.came.append(data)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_head_and_body_are_sent_in_one_packet(connect: Connect) -> None:
    """Check for one packet, as a proxy can delay the body until the head is acknowledged."""
    with OnePacket() as server:
        client = connect()
        for _ in range(2):
            assert client.send(post(server.url, b'{"id":1}')).status == 200
        client.close()
    assert [data[-8:] for data in server.came] == [b'{"id":1}'] * 2
