from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from targetry.edge.bodies import read_body
from targetry.edge.connections import BoundedProtocol
from targetry.edge.refusal import Refused
from targetry.edge.server import EdgeServer, listen


class Impatient(BoundedProtocol):
    head_timeout_s = 0.1


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = EdgeServer(
        hello,
        listen("127.0.0.1", 0),
        clients=["acme"],
        on_start=lambda: None,
        on_close=lambda: None,
        protocol=Impatient,
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.port
    server.stop()
    thread.join(10)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nhost:", b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT"],
    ids=["nothing", "half a head", "half of a second head"],
)
def test_a_head_that_does_not_come_to_its_end_ends_the_connection(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        answered = b""
        while chunk := connection.recv(1000):
            answered += chunk
    assert answered.count(b"hello") == sent.count(b"\r\n\r\n")


def test_a_connection_serves_many_requests(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(5):
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answered = b""
            while not answered.endswith(b"hello"):
                answered += connection.recv(1000) or pytest.fail("the connection was closed")


def test_a_body_that_does_not_come_to_its_end_is_408() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, never)
    with pytest.raises(Refused) as refused:
        asyncio.run(read_body(request, timeout_s=0.01))
    assert refused.value.status == 408


def test_a_client_that_goes_away_is_refused() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, gone)
    with pytest.raises(Refused) as refused:
        asyncio.run(read_body(request))
    assert refused.value.status == 400
