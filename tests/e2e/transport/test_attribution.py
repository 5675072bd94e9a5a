"""Matching of responses to requests over real sockets, blocking and with asyncio."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from servers.certificates import Authority
from servers.clients import Blocking, Client, Connect, Serve, post
from servers.faulty import (
    HANG,
    Close,
    FaultyServer,
    Hang,
    Pause,
    Received,
    RequestReader,
    Send,
    Steps,
    json_answer,
)
from servers.proxy import ForwardProxy
from servers.threaded import ThreadedServer
from targetry.errors import DeadlineError, TransportError
from targetry.http import AsyncHttpTransport
from targetry.http.pool import Origin
from targetry.http.protocol import HttpRequest

Response = Callable[[bytes], bytes]


def echo(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a response that repeats the request's body."""
    lines = b"".join(b"%b\r\n" % line for line in headers)
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), lines, body)


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def once(first: Response) -> Callable[[Received], Steps]:
    """Return a behavior: `first` for the first request, an echo for later ones."""
    was_first: list[bool] = []

    def behave(received: Received) -> Steps:
        was_first.append(not was_first)
        return (Send(first(received.body) if was_first[-1] else echo(received.body)),)

    return behave


SURPLUS: dict[str, Response] = {
    "two-answers": lambda body: echo(body) * 2,
    "one-byte": lambda body: echo(body) + b"\n",
    "longer-than-its-length": lambda body: echo(body) + b"more of it",
    "after-the-last-chunk": lambda body: chunked(body) + echo(b"other"),
    "after-empty-body": lambda body: echo(b"") + echo(b"other"),
    "204-with-a-body": lambda body: b"HTTP/1.1 204 No Content\r\n\r\n" + echo(b"other"),
    "304-with-a-body": lambda body: b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nother",
    "after-interim": lambda body: b"HTTP/1.1 103 Early Hints\r\n\r\n" + echo(body) * 2,
    "interim-after": lambda body: echo(body) + b"HTTP/1.1 100 Continue\r\n\r\n",
    "after-gzip": lambda body: echo(gzip.compress(body), b"content-encoding: gzip") * 2,
    "after-old-http": lambda body: (echo(body) * 2).replace(b"HTTP/1.1", b"HTTP/1.0"),
}


@pytest.mark.parametrize("first", SURPLUS.values(), ids=SURPLUS)
def test_surplus_bytes_are_never_the_next_response(connect: Connect, serve: Serve, first: Response) -> None:
    client, server = connect(), serve(once(first))
    client.send(post(server.url, b"alice"))
    assert [client.send(post(server.url, name)).body for name in (b"bob", b"carol")] == [b"bob", b"carol"]
    assert [received.connection for received in server.requests] == [1, 2, 2]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(lambda body: echo(body), id="length"),
        pytest.param(chunked, id="chunks"),
        pytest.param(lambda body: echo(gzip.compress(body), b"content-encoding: gzip"), id="gzip"),
    ],
)
@pytest.mark.parametrize("surplus", [echo(b"other"), b"\n"], ids=["an-answer", "one-byte"])
def test_surplus_in_one_segment_with_the_body_is_detected(
    connect: Connect, serve: Serve, response: Response, surplus: bytes
) -> None:
    """Check a head that arrives before the body, which completes aiohttp's response early."""

    def behave(received: Received) -> Steps:
        if received.body != b"alice":
            return (Send(echo(received.body)),)
        head, _, body = response(received.body).partition(b"\r\n\r\n")
        return (Send(head + b"\r\n\r\n"), Pause(0.05), Send(body + surplus))

    client, server = connect(), serve(behave)
    answers = [client.send(post(server.url, name)).body for name in (b"alice", b"bob", b"carol")]
    assert answers == [b"alice", b"bob", b"carol"]
    assert [received.connection for received in server.requests] == [1, 2, 2]


def test_body_of_a_head_response_is_never_the_next_response(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(once(lambda body: echo(b"HTTP/1.1 200 OK\r\n\r\n")))
    assert client.send(HttpRequest("HEAD", server.url, {})).body == b""
    assert client.send(post(server.url, b"bob")).body == b"bob"


@pytest.mark.parametrize("size", [1, 3000, 70_000, 300_000])
def test_surplus_after_a_body_of_any_size_is_detected(connect: Connect, serve: Serve, size: int) -> None:
    client, server = connect(), serve(once(lambda body: echo(b"x" * size) + echo(b"other")))
    assert client.send(post(server.url, b"alice")).body == b"x" * size
    assert client.send(post(server.url, b"bob")).body == b"bob"


@pytest.fixture(params=["direct", "tls", "forward-proxy", "tunnel", "tls-proxy", "tls-in-tls"])
def way(
    request: pytest.FixtureRequest, connect: Connect, authority: Authority
) -> Iterator[tuple[Client, Callable[..., FaultyServer]]]:
    """Return a client and a factory of servers, for one kind of connection."""
    kind = request.param
    to_proxy = kind in ("tls-proxy", "tls-in-tls")
    to_server = kind in ("tls", "tunnel", "tls-in-tls")
    servers: list[ThreadedServer] = []

    def serve(*behaviours: Callable[[Received], Steps]) -> FaultyServer:
        server = FaultyServer(*behaviours, tls=authority.server("localhost") if to_server else None)
        servers.append(server)
        return server

    options: dict[str, object] = {"ca_bundle": authority.bundle}
    if kind not in ("direct", "tls"):
        proxy = ForwardProxy(tls=authority.server("localhost") if to_proxy else None)
        servers.append(proxy)
        options["proxy"] = proxy.url
    yield connect(**options), serve
    for server in servers:
        server.stop()


def test_surplus_is_detected_on_each_kind_of_connection(
    way: tuple[Client, Callable[..., FaultyServer]],
) -> None:
    client, serve = way
    server = serve(once(lambda body: echo(body) * 2))
    answers = [client.send(post(server.url, name)).body for name in (b"alice", b"bob", b"carol")]
    assert answers == [b"alice", b"bob", b"carol"]


def test_each_kind_of_connection_is_reused(
    way: tuple[Client, Callable[..., FaultyServer]],
) -> None:
    client, serve = way
    server = serve(lambda received: (Send(echo(received.body)),))
    assert [client.send(post(server.url, name)).body for name in (b"alice", b"bob")] == [b"alice", b"bob"]


class LateSurplus(ThreadedServer):
    """A server that sends `surplus` on the first connection once `send_it` is set.

    It responds to each request, and sets `was_sent` after the surplus.
    """

    def __init__(self, surplus: bytes, **options: object) -> None:
        self.send_it, self.was_sent = threading.Event(), threading.Event()
        self._surplus = surplus
        super().__init__(**options)  # type: ignore[arg-type]

    def serve(self, sock: socket.socket, number: int) -> None:
        reader = RequestReader(sock)
        while (asked := reader.read()) is not None:
            sock.sendall(echo(asked[3]))
            if number == 1:
                self.send_it.wait(60)
                sock.sendall(self._surplus)
                self.was_sent.set()


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "surplus",
    [
        echo(b"other"),
        b"H",
        b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ],
    ids=["an-answer", "one-byte", "408"],
)
def test_bytes_on_an_idle_connection_are_never_the_next_response(
    connect: Connect, authority: Authority, surplus: bytes, is_secure: bool
) -> None:
    tls = authority.server("localhost") if is_secure else None
    with LateSurplus(surplus, tls=tls) as server:
        client = connect(ca_bundle=authority.bundle)
        assert client.send(post(server.url, b"alice")).body == b"alice"
        server.send_it.set()
        assert server.was_sent.wait(60)
        assert client.send(post(server.url, b"bob")).body == b"bob"
        assert server.connections == 2


def test_408_on_a_reused_connection_is_retried(connect: Connect, serve: Serve) -> None:
    gone = (Send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), Close())
    client, server = connect(), serve(json_answer(1), gone, json_answer(2))
    assert [client.send(post(server.url)).body for _ in range(2)] == [b"1", b"2"]
    assert [received.connection for received in server.requests] == [1, 1, 2]


def test_408_on_a_new_connection_is_not_retried(connect: Connect, serve: Serve) -> None:
    server = serve((Send(echo(b"", status=b"408 Request Timeout")),))
    assert connect().send(post(server.url)).status == 408
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(lambda body: echo(body).replace(b"1.1", b"1.0", 1), id="old-http"),
        pytest.param(lambda body: echo(body, b"connection: close"), id="says-close"),
    ],
)
def test_connection_is_closed_after(connect: Connect, serve: Serve, first: Response) -> None:
    client, server = connect(), serve(once(first))
    assert [client.send(post(server.url, name)).body for name in (b"alice", b"bob")] == [b"alice", b"bob"]
    assert server.connections == 2


def test_response_with_length_and_chunks_ends_its_connection(connect: Connect, serve: Serve) -> None:
    """Check the blocking transport, which reads the chunks as RFC 9112 says; aiohttp raises."""
    both = once(lambda body: chunked(body).replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n", 1))
    client, server = connect(), serve(both)
    if isinstance(client, Blocking):
        assert client.send(post(server.url, b"alice")).body == b"alice"
    else:
        with pytest.raises(TransportError, match="not HTTP"):
            client.send(post(server.url, b"alice"))
    assert client.send(post(server.url, b"bob")).body == b"bob"
    assert server.connections == 2


def test_contradicting_lengths_raise(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(once(lambda body: echo(body, b"content-length: 2")))
    with pytest.raises(TransportError, match="not HTTP"):
        client.send(post(server.url, b"alice"))
    assert client.send(post(server.url, b"bob")).body == b"bob"


def test_rest_of_a_too_large_body_is_not_the_next_response(connect: Connect, serve: Serve) -> None:
    client, server = connect(), serve(once(lambda body: echo(b"x" * 100_000)))
    with pytest.raises(TransportError, match="is larger than"):
        client.send(post(server.url), max_bytes=1000)
    assert client.send(post(server.url, b"bob"), max_bytes=1000).body == b"bob"
    assert server.connections == 2


@pytest.mark.parametrize(
    "slow",
    [HANG, (Pause(0.4), Send(echo(b"late"))), (Send(echo(b"late")[:-2]), Hang())],
    ids=["silent", "late", "stops"],
)
def test_response_of_a_timed_out_request_is_not_the_next_response(
    connect: Connect, serve: Serve, slow: Steps
) -> None:
    client, server = connect(), serve(json_answer(1), slow, json_answer(3))
    client.send(post(server.url))
    with pytest.raises(DeadlineError):
        client.send(post(server.url), timeout=0.2)
    assert client.send(post(server.url)).body == b"3"
    assert [received.connection for received in server.requests] == [1, 1, 2]


def test_response_of_a_cancelled_request_is_not_the_next_response(serve: Serve) -> None:
    server = serve(json_answer(1), HANG, json_answer(3))

    async def main() -> None:
        transport = AsyncHttpTransport(trust_env=False)
        await transport.send(post(server.url), timeout=60)
        task = asyncio.create_task(transport.send(post(server.url), timeout=60))
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await transport.send(post(server.url), timeout=60)).body == b"3"
        await transport.aclose()

    asyncio.run(main())
    assert [received.connection for received in server.requests] == [1, 1, 2]


def test_surplus_is_reported_with_its_origin(connect: Connect, serve: Serve) -> None:
    reported: list[Origin] = []
    client, server = (
        connect(on_surplus=reported.append),
        serve(lambda received: (Send(echo(received.body) * 2),)),
    )
    for _ in range(3):
        client.send(post(server.url, b"alice"))
    assert reported == [("http", "127.0.0.1", server.port)] * 3


def test_ordinary_end_of_a_connection_is_not_reported(
    connect: Connect, serve: Serve, authority: Authority
) -> None:
    reported: list[Origin] = []
    client = connect(on_surplus=reported.append, ca_bundle=authority.bundle)
    for tls in (None, authority.server("localhost")):
        server = serve((*json_answer(1), Close()), tls=tls)
        for _ in range(3):
            client.send(post(server.url))
            server.wait_until(lambda server=server: server.open_connections == 0)
    assert reported == []
