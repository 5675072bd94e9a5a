from __future__ import annotations

import contextlib
import errno
import gzip
import socket
import ssl
import zlib
from collections import deque
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpcore2
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.errors import DeadlineError, TransportError
from targetry.http import async_connection, sync_connection
from targetry.http.deadline import Deadline, deadline_after
from targetry.http.inbound import InvalidResponseError, StaleConnectionError
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.http.proxies import ProxyConfigurationError
from targetry.http.translation import CANNOT_BE_SENT, ResponseReader, WireRequest

_ORIGIN = "https://acme.example:443"


def started(seconds_left: float = 60) -> Deadline:
    return Deadline(deadline_after(seconds_left))


# Requests


def wire(
    url: str, headers: dict[str, str] | None = None, body: bytes | None = None, method: str = "POST"
) -> WireRequest:
    return WireRequest(HttpRequest(method, url, headers or {}, body))


@each_case(
    "url, host, target, authority",
    [
        ("https://acme.example", "acme.example", "/", "acme.example"),
        ("https://acme.example:443/a", "acme.example", "/a", "acme.example"),
        ("http://acme.example:8080/a?b=c#d", "acme.example", "/a?b=c", "acme.example:8080"),
        ("https://acme.example?b=%20", "acme.example", "/?b=%20", "acme.example"),
        ("http://[::1]:81/", "::1", "/", "[::1]:81"),
        (
            "https://b\u00fccher.example/\u00fc?x=\u2603 y",
            "xn--bcher-kva.example",
            "/%C3%BC?x=%E2%98%83%20y",
            "xn--bcher-kva.example",
        ),
    ],
)
def test_url_becomes_host_target_and_host_header(url: str, host: str, target: str, authority: str) -> None:
    request = wire(url)
    assert (request.server.host, request.target, request.headers["host"]) == (host, target, authority)
    assert request.url == f"{url.partition(':')[0]}://{authority}{target}"


@given(st.from_regex(r"https?://[a-z.@:0-9]{1,9}[!-~]{0,20}", fullmatch=True))
def test_plain_urls_are_split_as_urllib_splits_them(url: str) -> None:
    try:
        parts = urlsplit(url)
        expected = (parts.scheme, parts.hostname, parts.path or "/", parts.query)
        assert parts.hostname
        assert parts.port is None or parts.port > 0
    except (ValueError, AssertionError):
        return
    request = wire(url)
    path, _, query = request.target.partition("?")
    assert (request.server.scheme, request.server.host, path, query) == expected


def test_given_headers_win_in_any_case() -> None:
    headers = wire("https://a.example", {"HOST": "b", "User-Agent": "me", "X-Y": "\u00e9"}).headers
    assert (headers["host"], headers["user-agent"], headers["x-y"]) == ("b", "me", "\u00e9")


@each_case(
    "method, body, length",
    [("POST", b"abc", "3"), ("POST", None, "0"), ("GET", None, None), ("GET", b"", "0")],
)
def test_content_length_is_that_of_the_body(method: str, body: bytes | None, length: str | None) -> None:
    assert wire("https://a.example", body=body, method=method).headers.get("content-length") == length


@given(
    st.text(max_size=40),
    st.sampled_from(["", "http://", "https://", "https://a.example/", "https://a.example?"]),
)
def test_any_text_is_a_url_or_a_transport_error(text: str, start: str) -> None:
    try:
        request = wire(start + text)
    except TransportError:
        return
    assert request.target.startswith("/")
    assert request.url.isascii()


@pytest.mark.parametrize(
    "url", ["http://me:secret#1@a.example", "http://me:secret@a.example:x", "ftp://me:secret@a?secret"]
)
def test_invalid_url_that_can_contain_a_password_is_not_repeated(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        wire(url)
    assert "secret" not in str(caught.value)


# Responses


def reader(headers: dict[str, str], max_bytes: int | None = None, status: int = 200) -> ResponseReader:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return ResponseReader(status, None, raw, max_bytes)


def read(pieces: list[bytes], headers: dict[str, str], max_bytes: int | None = None) -> HttpResponse:
    response = reader(headers, max_bytes)
    for piece in pieces:
        deque(response.feed(piece), maxlen=0)
    return response.response()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return `data` in pieces, cut at these places."""
    return [
        data[start:end]
        for start, end in pairwise([0, *sorted(min(place, len(data)) for place in places), len(data)])
    ]


@given(
    st.binary(max_size=2000),
    st.lists(st.integers(0, 2000), max_size=5),
    st.sampled_from(["gzip", "x-gzip", "deflate", ""]),
)
@settings(max_examples=examples(200))
def test_body_is_the_same_in_any_encoding_and_pieces(body: bytes, places: list[int], encoding: str) -> None:
    packed = {"deflate": zlib.compress(body), "": body}.get(encoding, gzip.compress(body))
    pieces = cut(packed, places)
    assert read(pieces, {"Content-Encoding": encoding}, max_bytes=len(body)).body == body
    if body:
        with pytest.raises(InvalidResponseError, match="is larger than"):
            read(pieces, {"Content-Encoding": encoding}, max_bytes=len(body) - 1)


@given(st.binary(min_size=1, max_size=200), st.integers(0, 20))
def test_damaged_gzip_is_rejected_or_intact(body: bytes, position: int) -> None:
    packed = bytearray(gzip.compress(body))
    packed[position] ^= 0xFF
    with contextlib.suppress(InvalidResponseError):
        assert read([bytes(packed)], {"Content-Encoding": "gzip"}).body == body


def test_gzip_bomb_never_takes_more_memory_than_allowed() -> None:
    response = reader({"Content-Encoding": "gzip"}, 1000)
    with pytest.raises(InvalidResponseError):
        deque(response.feed(gzip.compress(bytes(10_000_000))), maxlen=0)
    assert sum(len(piece) for piece in response._pieces) <= 1000


def test_small_piece_that_expands_is_decompressed_in_steps() -> None:
    response = reader({"Content-Encoding": "gzip"})
    steps = sum(1 for _ in response.feed(gzip.compress(bytes(10_000_000))))
    assert steps > 30
    assert response.response().body == bytes(10_000_000)


def test_repeated_headers_are_joined() -> None:
    response = ResponseReader(200, None, [(b"Via", b"a"), (b"VIA", b"b"), (b"X", b"\xe9")], None)
    assert response.response().headers == {"via": "a, b", "x": "\xe9"}


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (404, "Not Found"), (299, "")])
def test_missing_reason_is_that_of_the_status(status: int, reason: str) -> None:
    assert reader({}, status=status).response().reason == reason


# Errors


def exported(module: Any) -> list[type[Exception]]:
    found = (getattr(module, name) for name in module.__all__)
    return [one for one in found if isinstance(one, type) and issubclass(one, Exception)]


def made(kind: type[Exception]) -> Exception:
    """Return an instance, made without the constructor, which may require anything."""
    error = kind.__new__(kind, "secret")
    error.message, error.status, error._os_error, error._certificate_error = (
        "secret",
        400,
        OSError(),
        ssl.SSLCertVerificationError(),
    )  # type: ignore[attr-defined]
    return error


def name_of(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


@each_case("kind", exported(httpcore2) + exported(httpx2), ids=name_of)
def test_exceptions_of_httpcore_become_transport_errors(kind: type[Exception]) -> None:
    error = sync_connection.transport_error(made(kind), started(), _ORIGIN, 3)
    assert type(error) in (TransportError, DeadlineError)
    assert error.status == 0
    assert str(error.reason).startswith(f"{_ORIGIN}: ")


@each_case("kind", exported(aiohttp), ids=name_of)
def test_exceptions_of_aiohttp_become_transport_errors(kind: type[Exception]) -> None:
    error = async_connection.transport_error(made(kind), started(), _ORIGIN, 3)
    assert type(error) in (TransportError, DeadlineError)
    assert error.status == 0
    assert str(error.reason).startswith(f"{_ORIGIN}: ")


def test_libraries_export_exceptions() -> None:
    assert len(exported(httpcore2)) > 10
    assert len(exported(httpx2)) > 20
    assert len(exported(aiohttp)) > 20


@pytest.fixture(params=[sync_connection, async_connection], ids=["blocking", "asyncio"])
def library(request: pytest.FixtureRequest) -> Any:
    """Return the module that knows the errors of a library."""
    return request.param


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name is not known (while looking up acme)"),
        (UnicodeError("label too long"), "the host name is not known (while looking up acme)"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "Connection refused (while looking up acme)"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "Connection timed out (while looking up acme)"),
        (ssl.SSLError(1, "x"), "TLS failed: x (while looking up acme)"),
        (OSError("its name has no address"), "its name has no address (while looking up acme)"),
        (InvalidResponseError("too much"), "too much"),
        (ProxyConfigurationError("no proxy"), "no proxy"),
        (RuntimeError("secret"), "RuntimeError (while looking up acme)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_reason_says_what_happened_and_when(library: Any, error: Exception, reason: str) -> None:
    deadline = started()
    deadline.phase = "looking up acme"
    assert library.transport_error(error, deadline, _ORIGIN, 3).reason == f"{_ORIGIN}: {reason}"


@pytest.mark.parametrize(
    ("module", "error"),
    [
        (sync_connection, httpcore2.LocalProtocolError("illegal header value b'secret'")),
        (async_connection, ValueError("Newline in secret")),
    ],
    ids=["blocking", "asyncio"],
)
def test_request_that_cannot_be_sent_is_not_repeated(module: Any, error: Exception) -> None:
    assert module.transport_error(error, started(), _ORIGIN, 3).reason == f"{_ORIGIN}: {CANNOT_BE_SENT}"


def test_deadline_differs_from_a_timeout_of_the_system(library: Any) -> None:
    def kind(error: Exception, deadline: Deadline) -> type[Exception]:
        return type(library.transport_error(error, deadline, _ORIGIN, 3))

    assert kind(TimeoutError(), started()) is DeadlineError
    assert kind(TimeoutError(errno.ETIMEDOUT, ""), started()) is TransportError
    assert kind(TimeoutError(errno.ETIMEDOUT, ""), started(-1)) is DeadlineError


@each_case(
    "module, error, stale",
    [
        (sync_connection, ConnectionResetError(), True),
        (sync_connection, httpcore2.RemoteProtocolError("Server disconnected"), True),
        (sync_connection, httpcore2.WriteError(), True),
        (sync_connection, httpcore2.LocalProtocolError(), False),
        (sync_connection, InvalidResponseError(), False),
        (sync_connection, StaleConnectionError(), True),
        (async_connection, ConnectionResetError(), True),
        (async_connection, aiohttp.ServerDisconnectedError(), True),
        (async_connection, aiohttp.ClientPayloadError(), False),
        (async_connection, InvalidResponseError(), False),
        (async_connection, StaleConnectionError(), True),
    ],
)
def test_only_a_connection_that_broke_silently_is_stale(module: Any, error: Exception, stale: bool) -> None:
    assert module.was_stale(error, started()) == stale


def test_connection_that_is_new_or_received_bytes_or_is_late_is_not_stale(library: Any) -> None:
    new, received, late = started(), started(), started(-1)
    new.opened = object()  # type: ignore[assignment]
    received.has_received = True
    assert not any(library.was_stale(ConnectionResetError(), deadline) for deadline in (new, received, late))
