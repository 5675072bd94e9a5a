"""`target_python_sdk.cookies`: the mbox cookie taken apart and put together."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from target_python_sdk.cookies import (
    DEVICE_ID_COOKIE,
    SESSION_ID_COOKIE,
    create_internal_cookie,
    create_target_cookie,
    deserialize_cookie,
    get_expires,
    get_internal_cookies,
    get_max_expires,
    parse_cookies,
    serialize_cookie,
)
from targetry.delivery.cookies import parse_target_cookie

FUTURE = 4_102_444_800  # the year 2100
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_cookie_is_split_into_its_parts() -> None:
    cookies = parse_cookies(f"session#s%201#{FUTURE}|PC#abc.35_0#{FUTURE + 1}")
    assert cookies == {
        SESSION_ID_COOKIE: {"name": "session", "value": "s 1", "expires": FUTURE},
        DEVICE_ID_COOKIE: {"name": "PC", "value": "abc.35_0", "expires": FUTURE + 1},
    }


@each_case(
    "cookie",
    [None, "", "|", "session#s1", "session#s1#soon", "session#s1#1.5", "session#s1#1"],
    ids=["none", "empty", "no part", "no expiry", "a word", "a fraction", "expired"],
)
def test_expired_part_is_left_out(cookie: str | None) -> None:
    assert parse_cookies(cookie) == {}


def test_of_two_parts_with_one_name_the_last_counts() -> None:
    assert parse_cookies(f"PC#a#{FUTURE}|PC#b#{FUTURE}")["PC"]["value"] == "b"


@given(st.text())
def test_no_text_raises(cookie: str) -> None:
    parse_cookies(cookie)


@given(TEXTS, TEXTS)
def test_encoded_cookie_is_decoded_again(session_id: str, device_id: str) -> None:
    parts = [
        {"name": "session", "value": session_id, "expires": FUTURE},
        {"name": "PC", "value": device_id, "expires": FUTURE + 1},
    ]
    value = create_target_cookie(parts)["value"]
    assert list(parse_cookies(value).values()) == parts
    assert parse_target_cookie(value, time.time()) == (session_id, device_id)


def test_cookie_lives_as_long_as_its_longest_lived_part() -> None:
    soon = int(time.time()) + 100
    cookie = create_target_cookie(
        [{"name": "session", "value": "s", "expires": soon}, {"name": "PC", "value": "d", "expires": FUTURE}]
    )
    assert cookie["name"] == "mbox"
    assert cookie["value"] == f"session#s#{soon}|PC#d#{FUTURE}"
    assert cookie["max_age"] == cookie["maxAge"]
    assert FUTURE - time.time() - 10 < cookie["max_age"] <= FUTURE - time.time() + 10


def test_cookie_of_expired_parts_lives_no_longer() -> None:
    assert create_target_cookie([{"name": "session", "value": "s", "expires": 1}])["max_age"] == 0


def test_cookie_without_parts_is_empty() -> None:
    assert create_target_cookie([]) == {"name": "mbox", "value": "", "max_age": 0, "maxAge": 0}


def test_one_part_is_made_encoded_and_decoded() -> None:
    part = create_internal_cookie("session", "s 1", 5)
    assert part == {"name": "session", "value": "s 1", "expires": 5}
    assert serialize_cookie(part) == "session#s%201#5"
    assert deserialize_cookie("session#s%201#5") == part
    assert deserialize_cookie("session#s") is deserialize_cookie("session#s#soon") is None


def test_parts_are_split_and_their_expiry_is_read() -> None:
    assert get_internal_cookies("a#b#1|c#d#2") == ["a#b#1", "c#d#2"]
    assert get_expires({"expires": 3}) == 3
    assert get_max_expires([{"expires": 3}, {"expires": 7}]) == 7
