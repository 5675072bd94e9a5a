from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targetry.http.deadline import Attempt, deadline_after
from targetry.http.errors import UnusableError
from targetry.http.inbound import MAX_INTERIM_RESPONSES, Inbound

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def started() -> Inbound:
    inbound = Inbound()
    inbound.before_send(b"GET", lambda: None, Attempt(deadline_after(10)))
    return inbound


def read(inbound: Inbound, pieces: list[bytes]) -> bytes:
    """What a parser gets that asks for more as long as there is any."""
    got = b""
    for piece in pieces:
        got += inbound.accept(piece) + inbound.take()
    return got


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(data) for place in places} - {0}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_every_byte_is_handed_on_once_and_in_order(places: list[int]) -> None:
    data = _CONTINUE + _HEAD + b"body"
    inbound = started()
    assert read(inbound, cut(data, places)) == data
    assert not inbound.has_surplus


@given(st.integers(1, 100))
def test_a_parser_that_has_enough_leaves_a_surplus(size: int) -> None:
    inbound = started()
    inbound.accept(_HEAD + b"body" + b"x" * size)
    assert inbound.has_surplus


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_interim_responses_are_bounded_in_number(size: int) -> None:
    flood = _CONTINUE * (MAX_INTERIM_RESPONSES + 1) + _HEAD
    with pytest.raises(UnusableError, match="interim"):
        read(started(), [flood[start : start + size] for start in range(0, len(flood), size)])


def test_as_many_interim_responses_as_allowed_are_taken() -> None:
    data = _CONTINUE * MAX_INTERIM_RESPONSES + _HEAD
    assert read(started(), [data]) == data


@pytest.mark.parametrize(
    "endless",
    [b"x: y\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, b"\n" * 1000],
    ids=["header-lines", "empty-lines", "one-line", "line-feeds"],
)
def test_a_head_without_end_is_refused(endless: bytes) -> None:
    inbound = started()
    with pytest.raises(UnusableError, match="its head"):
        read(inbound, [endless] * 50_000)


def test_the_body_is_not_counted_as_head() -> None:
    data = _HEAD + b"\n" * 5000 + _CONTINUE * 50
    assert read(started(), [data]) == data


def test_what_is_no_http_request_is_answered_as_it_is() -> None:
    inbound = Inbound()
    inbound.before_send(b"\x05\x01\x02", lambda: b"", Attempt(deadline_after(10)))
    assert inbound.accept(b"\x05\x02") == b"\x05\x02"
