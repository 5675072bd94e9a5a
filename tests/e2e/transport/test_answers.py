"""Requests, responses and the size limit over real sockets, blocking and with asyncio."""

from __future__ import annotations

import gzip

import pytest

from servers.clients import Connect, Serve, get, post
from servers.faulty import (
    Behaviour,
    Close,
    Send,
    answer,
    drip,
    gzip_answer,
    gzip_bomb,
    html_answer,
    json_answer,
    redirect_to_itself,
)
from targetry.errors import TransportError
from targetry.http.protocol import HttpRequest

_OK = json_answer({"status": 200})


def test_method_target_headers_and_body_are_sent_unchanged(connect: Connect, serve: Serve) -> None:
    server = serve(_OK)
    connect().send(HttpRequest("POST", f"{server.url}/a/b?c=d%20e&f=%C3%A9", {"X-One": "1"}, b"{}"))
    received = server.requests[0]
    assert (received.method, received.target, received.body) == ("POST", "/a/b?c=d%20e&f=%C3%A9", b"{}")
    assert received.headers["x-one"] == "1"
    assert received.headers["host"] == f"127.0.0.1:{server.port}"


def test_response_has_status_reason_lower_case_headers_and_body(connect: Connect, serve: Serve) -> None:
    server = serve(answer(404, b"gone", {"X-Two": "2", "ETag": '"x"'}, reason="Nothing Here"))
    response = connect().send(get(server.url))
    assert (response.status, response.reason, response.body) == (404, "Nothing Here", b"gone")
    assert response.headers == {"content-length": "4", "x-two": "2", "etag": '"x"'}


@pytest.mark.parametrize(
    ("behaviour", "status", "body"),
    [
        pytest.param(answer(204), 204, b"", id="204"),
        pytest.param(answer(304, headers={"Content-Encoding": "gzip"}), 304, b"", id="304-that-says-gzip"),
        pytest.param(html_answer(), 200, b"<html><body>Sorry</body></html>", id="html-instead-of-json"),
        pytest.param(answer(429, b"", {"Retry-After": "7"}), 429, b"", id="retry-after"),
        pytest.param(answer(503, b"busy"), 503, b"busy", id="503"),
        pytest.param(gzip_answer(b"x" * 5000), 200, b"x" * 5000, id="gzip"),
        pytest.param(drip(gzip_answer(b"y" * 500), 0.001), 200, b"y" * 500, id="gzip-in-single-bytes"),
        pytest.param(answer(200, b"z" * 3_000_000), 200, b"z" * 3_000_000, id="big"),
        pytest.param(
            (Send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"), Close()), 200, b"until the end", id="no-length"
        ),
        pytest.param(
            (Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),),
            200,
            b"abcde",
            id="chunked",
        ),
        pytest.param(
            (Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), *answer(200, b"after")),
            200,
            b"after",
            id="hints-first",
        ),
    ],
)
def test_valid_http_is_a_response(
    connect: Connect, serve: Serve, behaviour: Behaviour, status: int, body: bytes
) -> None:
    response = connect().send(get(serve(behaviour).url))
    assert (response.status, response.body) == (status, body)


def test_redirects_are_responses_and_not_followed(connect: Connect, serve: Serve) -> None:
    server = serve(redirect_to_itself)
    response = connect().send(post(f"{server.url}/here"))
    assert (response.status, response.headers["location"], len(server.requests)) == (302, "/here", 1)


def test_gzip_is_requested_unless_the_caller_sets_the_header(connect: Connect, serve: Serve) -> None:
    server = serve(_OK)
    client = connect()
    client.send(get(server.url))
    client.send(get(server.url, **{"Accept-Encoding": "identity"}))
    assert [received.headers["accept-encoding"] for received in server.requests] == ["gzip", "identity"]


def test_user_and_password_of_the_url_are_sent_as_basic_authorization(connect: Connect, serve: Serve) -> None:
    server = serve(_OK)
    connect().send(get(f"http://me:p%40ss@127.0.0.1:{server.port}/rules.json"))
    assert server.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert server.requests[0].target == "/rules.json"


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(200, b"x" * 1001), id="length-says-so"),
        pytest.param((Send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001), Close()), id="no-length"),
        pytest.param(gzip_answer(b"x" * 1001), id="gzip"),
        pytest.param(gzip_bomb(64 << 20), id="gzip-bomb"),
        pytest.param(
            answer(200, gzip.compress(b"x" * 600) * 2, {"Content-Encoding": "gzip"}), id="two-gzip-members"
        ),
    ],
)
def test_body_larger_than_max_bytes_raises(connect: Connect, serve: Serve, behaviour: Behaviour) -> None:
    with pytest.raises(TransportError, match=r"\(status 200\) is larger than 1000 bytes"):
        connect().send(get(serve(behaviour).url), max_bytes=1000)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(200, b"x" * 1000), id="plain"),
        pytest.param(
            answer(200, gzip.compress(b"x" * 500) * 2 + b"\0\0", {"Content-Encoding": "gzip"}),
            id="gzip-and-padding",
        ),
    ],
)
def test_body_of_exactly_max_bytes_is_accepted(connect: Connect, serve: Serve, behaviour: Behaviour) -> None:
    assert connect().send(get(serve(behaviour).url), max_bytes=1000).body == b"x" * 1000
