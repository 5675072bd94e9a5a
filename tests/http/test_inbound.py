from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.http.inbound import MAX_INTERIM_RESPONSES, HeadLimits, Inbound, InvalidResponseError

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def started() -> Inbound:
    inbound = Inbound()
    inbound.start_response()
    return inbound


def read(inbound: Inbound, pieces: list[bytes]) -> bytes:
    """Return what a parser gets that needs every byte."""
    got = b""
    for piece in pieces:
        inbound.check(piece)
        got += inbound.hold(piece) + inbound.take_held()
    return got


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_every_byte_is_passed_once_and_in_order(places: list[int]) -> None:
    data = _CONTINUE + _HEAD + b"body"
    inbound = started()
    assert read(inbound, cut(data, places)) == data
    assert not inbound.held


@given(st.integers(1, 100))
def test_complete_response_leaves_the_surplus_held(size: int) -> None:
    inbound = started()
    inbound.hold(_HEAD + b"body" + b"x" * size)
    assert inbound.held


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_interim_responses_are_bounded_in_number(size: int) -> None:
    flood = _CONTINUE * (MAX_INTERIM_RESPONSES + 1) + _HEAD
    with pytest.raises(InvalidResponseError, match="interim"):
        read(started(), [flood[start : start + size] for start in range(0, len(flood), size)])


def test_interim_responses_up_to_the_limit_are_accepted() -> None:
    data = _CONTINUE * MAX_INTERIM_RESPONSES + _HEAD
    assert read(started(), [data]) == data


@each_case(
    "endless",
    [b"x: y\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, b"\n" * 1000],
    ids=["header-lines", "empty-lines", "one-line", "line-feeds"],
)
def test_endless_head_is_rejected(endless: bytes) -> None:
    inbound = started()
    with pytest.raises(InvalidResponseError, match="its head"):
        read(inbound, [endless] * 50_000)


def test_body_is_not_counted_as_head() -> None:
    data = _HEAD + b"\n" * 5000 + _CONTINUE * 50
    assert read(started(), [data]) == data


@given(
    st.lists(st.integers(0, 10_000), max_size=8),
    st.sampled_from(
        [
            _HEAD,
            _CONTINUE + _HEAD,
            _HEAD.replace(b"\r", b""),
            _HEAD.replace(b"\r\n\r", b"\r\n"),
            b"\r\n" + _HEAD,
            _HEAD.replace(b" 200", b"  200"),
        ]
    ),
)
def test_head_limits_count_the_bytes_of_the_head(places: list[int], head: bytes) -> None:
    limits = HeadLimits()
    counted = sum(limits.feed(piece) for piece in cut(head + b"body\r\n\r\n", places))
    assert counted == len(head)


@each_case(
    "head, length",
    [
        pytest.param("200 OK|Content-Length: 5", 5, id="usual"),
        pytest.param("404 Not Found|Date: now|content-length:5 |Vary: a", 5, id="any-case-and-place"),
        pytest.param("200 OK|Content-Length: 0", 0, id="no-body"),
        pytest.param("200 OK|Date: now", None, id="no-length"),
        pytest.param("204 No Content|Content-Length: 5", None, id="204"),
        pytest.param("304 Not Modified|Content-Length: 5", None, id="304"),
        pytest.param("200 OK|Content-Length: 5|Transfer-Encoding: chunked", None, id="chunks"),
        pytest.param("200 OK|Content-Length: 5|Content-Length: 5", None, id="two-lengths"),
        pytest.param("200 OK|Content-Length: 5|Content-Length : 7", None, id="space-before-colon"),
        pytest.param("200 OK|Content-Length: 5| 7", None, id="folded"),
        pytest.param("200 OK|Content-Length: 5\rContent-Length: 7", None, id="bare-cr"),
        pytest.param("200 OK|Content-Length: +5", None, id="sign"),
        pytest.param("200 OK|Content-Length: 5, 5", None, id="list"),
        pytest.param(f"200 OK|Content-Length: {'9' * 30}", None, id="endless"),
        pytest.param("103 Early Hints|Content-Length: 5||HTTP/1.1 200 OK", None, id="interim"),
    ],
)
def test_length_of_the_body_is_taken_only_from_plain_heads(head: str, length: int | None) -> None:
    limits = HeadLimits()
    limits.feed(f"HTTP/1.1 {head}||".replace("|", "\r\n").encode() + b"hello")
    assert limits.is_complete
    assert limits.body_length == length


def test_bytes_before_the_first_request_are_not_counted() -> None:
    inbound = Inbound()
    inbound.check(b"x: y\n" * 100_000)
    assert not inbound.is_started
