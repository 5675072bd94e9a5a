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

import httpcore2
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from targetry.errors import DeadlineError, TransportError
from targetry.http.deadline import Attempt, deadline_after
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.http.translation import Answer, Prepared, UnusableError, failure, was_stale

_ORIGIN = "https://acme.example:443"


def attempt(seconds_left: float = 60) -> Attempt:
    return Attempt(deadline_after(seconds_left))


# Requests


def prepared(
    url: str, headers: dict[str, str] | None = None, body: bytes | None = None, method: str = "POST"
) -> Any:
    return Prepared(HttpRequest(method, url, headers or {}, body)).request(attempt())


@pytest.mark.parametrize(
    ("url", "host", "target", "authority"),
    [
        ("https://acme.example", b"acme.example", b"/", b"acme.example"),
        ("https://acme.example:443/a", b"acme.example", b"/a", b"acme.example"),
        ("http://acme.example:8080/a?b=c#d", b"acme.example", b"/a?b=c", b"acme.example:8080"),
        ("https://acme.example?b=%20", b"acme.example", b"/?b=%20", b"acme.example"),
        ("http://[::1]:81/", b"::1", b"/", b"[::1]:81"),
        (
            "https://b\u00fccher.example/\u00fc?x=\u2603 y",
            b"xn--bcher-kva.example",
            b"/%C3%BC?x=%E2%98%83%20y",
            b"xn--bcher-kva.example",
        ),
    ],
)
def test_a_url_becomes_host_target_and_host_header(
    url: str, host: bytes, target: bytes, authority: bytes
) -> None:
    request = prepared(url)
    assert (request.url.host, request.url.target, dict(request.headers)[b"host"]) == (host, target, authority)


def test_own_headers_win_whatever_their_case() -> None:
    headers = dict(prepared("https://a.example", {"HOST": "b", "User-Agent": "me", "X-Y": "\u00e9"}).headers)
    assert (headers[b"host"], headers[b"user-agent"], headers[b"x-y"]) == (b"b", b"me", "\u00e9".encode())


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("POST", b"abc", b"3"), ("POST", None, b"0"), ("GET", None, None), ("GET", b"", b"0")],
)
def test_the_length_of_the_body_is_said(method: str, body: bytes | None, length: bytes | None) -> None:
    headers = dict(prepared("https://a.example", body=body, method=method).headers)
    assert headers.get(b"content-length") == length


@given(
    st.text(max_size=40),
    st.sampled_from(["", "http://", "https://", "https://a.example/", "https://a.example?"]),
)
def test_any_text_is_a_url_or_a_transport_error(text: str, start: str) -> None:
    try:
        request = prepared(start + text)
    except TransportError:
        return
    assert request.url.target.startswith(b"/")
    assert request.url.target.isascii()


@pytest.mark.parametrize(
    "url", ["http://me:secret#1@a.example", "http://me:secret@a.example:x", "ftp://me:secret@a?secret"]
)
def test_a_wrong_url_is_not_repeated_when_it_may_hold_a_password(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        prepared(url)
    assert "secret" not in str(caught.value)


# Answers


def received(headers: dict[str, str], status: int = 200) -> httpcore2.Response:
    return httpcore2.Response(
        status, headers=[(name.encode(), value.encode()) for name, value in headers.items()]
    )


def answered(pieces: list[bytes], headers: dict[str, str], max_bytes: int | None = None) -> HttpResponse:
    answer = Answer(received(headers), max_bytes)
    for piece in pieces:
        deque(answer.feed(piece), maxlen=0)
    return answer.response()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these places."""
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
def test_a_body_is_the_same_however_it_is_packed_and_cut(
    body: bytes, places: list[int], encoding: str
) -> None:
    packed = {"deflate": zlib.compress(body), "": body}.get(encoding, gzip.compress(body))
    pieces = cut(packed, places)
    assert answered(pieces, {"Content-Encoding": encoding}, max_bytes=len(body)).body == body
    if body:
        with pytest.raises(UnusableError, match="is larger than"):
            answered(pieces, {"Content-Encoding": encoding}, max_bytes=len(body) - 1)


@given(st.binary(min_size=1, max_size=200), st.integers(0, 20))
def test_damaged_gzip_is_unusable_or_what_it_was(body: bytes, position: int) -> None:
    packed = bytearray(gzip.compress(body))
    packed[position] ^= 0xFF
    with contextlib.suppress(UnusableError):
        assert answered([bytes(packed)], {"Content-Encoding": "gzip"}).body == body


def test_a_bomb_never_takes_more_memory_than_was_allowed() -> None:
    answer = Answer(received({"Content-Encoding": "gzip"}), 1000)
    with pytest.raises(UnusableError):
        deque(answer.feed(gzip.compress(bytes(10_000_000))), maxlen=0)
    assert sum(len(piece) for piece in answer._pieces) <= 1000


def test_a_small_piece_that_unpacks_to_a_lot_is_unpacked_in_steps() -> None:
    answer = Answer(received({"Content-Encoding": "gzip"}), None)
    steps = sum(1 for _ in answer.feed(gzip.compress(bytes(10_000_000))))
    assert steps > 30
    assert answer.response().body == bytes(10_000_000)


def test_headers_that_come_several_times_are_joined() -> None:
    response = httpcore2.Response(200, headers=[(b"Via", b"a"), (b"VIA", b"b"), (b"X", b"\xe9")])
    assert Answer(response, None).response().headers == {"via": "a, b", "x": "\xe9"}


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (404, "Not Found"), (299, "")])
def test_an_answer_without_a_reason_gets_that_of_its_status(status: int, reason: str) -> None:
    assert Answer(received({}, status), None).response().reason == reason


# Errors


def exported(module: Any) -> list[type[Exception]]:
    found = (getattr(module, name) for name in module.__all__)
    return [one for one in found if isinstance(one, type) and issubclass(one, Exception)]


def made(kind: type[Exception]) -> Exception:
    """Without its constructor, which may want anything."""
    return kind.__new__(kind, "secret")


@pytest.mark.parametrize(
    "kind", exported(httpcore2) + exported(httpx2), ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_no_exception_of_the_libraries_gets_through(kind: type[Exception]) -> None:
    error = failure(made(kind), attempt(), _ORIGIN, 3)
    assert type(error) in (TransportError, DeadlineError)
    assert error.status == 0
    assert str(error.reason).startswith(f"{_ORIGIN}: ")


def test_the_libraries_have_exceptions_to_translate() -> None:
    assert len(exported(httpcore2)) > 10
    assert len(exported(httpx2)) > 20


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host name is not known (while looking up acme)"),
        (UnicodeError("label too long"), "the host name is not known (while looking up acme)"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "Connection refused (while looking up acme)"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "Connection timed out (while looking up acme)"),
        (ssl.SSLError(1, "x"), "TLS failed: x (while looking up acme)"),
        (OSError("its name has no address"), "its name has no address (while looking up acme)"),
        (httpcore2.LocalProtocolError("illegal header value b'secret'"), "the request cannot be sent as HTTP: a header or the URL holds what may not be there"),
        (UnusableError("too much"), "too much"),
        (RuntimeError("secret"), "RuntimeError (while looking up acme)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_the_reason_says_what_happened_with_which_host(error: Exception, reason: str) -> None:
    tried = attempt()
    tried.doing = "looking up acme"
    assert failure(error, tried, _ORIGIN, 3).reason == f"{_ORIGIN}: {reason}"


def test_the_deadline_is_told_from_a_timeout_of_the_system() -> None:
    assert type(failure(TimeoutError(), attempt(), _ORIGIN, 3)) is DeadlineError
    assert type(failure(TimeoutError(errno.ETIMEDOUT, ""), attempt(), _ORIGIN, 3)) is TransportError
    assert type(failure(TimeoutError(errno.ETIMEDOUT, ""), attempt(-1), _ORIGIN, 3)) is DeadlineError


@pytest.mark.parametrize(
    ("error", "stale"),
    [
        (ConnectionResetError(), True),
        (httpcore2.RemoteProtocolError("Server disconnected"), True),
        (httpcore2.WriteError(), True),
        (httpcore2.LocalProtocolError(), False),
        (UnusableError(), False),
    ],
)
def test_only_a_connection_that_broke_without_a_word_is_stale(error: Exception, stale: bool) -> None:
    assert was_stale(error, attempt()) == stale


def test_nothing_is_stale_that_is_new_or_was_heard_or_is_late() -> None:
    new, heard, late = attempt(), attempt(), attempt(-1)
    new.opened = object()
    heard.heard = True
    assert not any(was_stale(ConnectionResetError(), tried) for tried in (new, heard, late))
