"""Cookies of requests: reading of headers, choice among several `mbox` cookies, writing."""

from __future__ import annotations

from http.cookies import SimpleCookie

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.delivery.cookies import TargetCookie, target_cookie
from targetry.web.cookies import (
    cookie_pattern,
    delete_cookie,
    ids_of_cookies,
    read_cookies,
    registrable_domain,
    set_cookie,
)

NOW = 1_000_000.0
LIVING = "session#s1#1001860|PC#p1.35_0#64244800"
EXPIRED = "session#s0#999999|PC#p0.35_0#999999"


@each_case(
    "headers, expected",
    [
        (["a=1; b=2; c=3"], {"a": ["1"], "b": ["2"]}),
        (["a=x", "a=y; a=z"], {"a": ["x", "y", "z"]}),
        (['a="x y"'], {"a": ["x y"]}),
        (["a=1;b=2"], {"a": ["1"], "b": ["2"]}),
        (["a=b=c"], {"a": ["b=c"]}),
        (["a; ;=; b="], {"b": [""]}),
        (['a="'], {"a": ['"']}),
        ([], {}),
    ],
    ids=["two", "two headers", "quoted", "no space", "equals in value", "garbled", "one quote", "none"],
)
def test_cookie_headers_are_read(headers: list[str], expected: dict[str, list[str]]) -> None:
    assert read_cookies(headers, cookie_pattern(["a", "b"])) == expected


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_cookie_header_is_read_without_error(headers: list[str]) -> None:
    names = {part.partition("=")[0].strip(" \t") for header in headers for part in header.split(";")}
    for values in read_cookies(headers, cookie_pattern(names)).values():
        assert ";" not in "".join(values)
        ids_of_cookies(values, NOW)


@given(st.text('abcdef-#|%\x00é"= ', max_size=40), st.text(max_size=40))
def test_written_cookie_is_read_with_the_same_ids(session_id: str, tnt_id: str) -> None:
    written = target_cookie(f"s{session_id}", tnt_id, NOW).value
    cookies = read_cookies([f"a=b; mbox={written}"], cookie_pattern(["mbox", "mboxEdgeCluster"]))
    if all(one.isprintable() and one not in " ?/" for one in session_id):
        clean = tnt_id.encode("utf-8", "replace").decode() or None
        assert ids_of_cookies(cookies["mbox"], NOW) == TargetCookie(f"s{session_id}", clean)


@each_case(
    "values, expected",
    [
        ([LIVING], TargetCookie("s1", "p1.35_0")),
        ([EXPIRED, LIVING], TargetCookie("s1", "p1.35_0")),
        ([LIVING, "session#s2#1001860"], TargetCookie("s1", "p1.35_0")),
        (["garbage", "", "a#b", LIVING], TargetCookie("s1", "p1.35_0")),
        (["x" * 9000 + "#", LIVING], TargetCookie("s1", "p1.35_0")),
        (["|".join(["junk#j#1"] * 800) + "|" + LIVING], TargetCookie("s1", "p1.35_0")),
        (["session#a b#1001860", LIVING], TargetCookie("s1", "p1.35_0")),
        ([EXPIRED], TargetCookie()),
        ([], TargetCookie()),
    ],
    ids=[
        "one",
        "expired first",
        "both living",
        "garbled first",
        "9 KB",
        "7 KB of junk",
        "bad id",
        "expired",
        "none",
    ],
)
def test_first_cookie_with_a_living_id_counts(values: list[str], expected: TargetCookie) -> None:
    assert ids_of_cookies(values, NOW) == expected


@each_case(
    "host, expected",
    [
        ("www.shop.example.co.uk", "example.co.uk"),
        ("example.com:8080", "example.com"),
        ("localhost:8000", None),
        ("127.0.0.1", None),
        ("[::1]:80", None),
        ("co.uk", None),
        ("", None),
        ("a" * 5000, None),
    ],
)
def test_registrable_domain_of_a_host(host: str, expected: str | None) -> None:
    assert registrable_domain(host) == expected


def test_cookie_is_written_as_browsers_read_it() -> None:
    written = SimpleCookie(set_cookie(target_cookie("s", "p", NOW), "; Path=/; SameSite=Lax"))["mbox"]
    assert (written.coded_value, written["path"]) == (f"session#s#1001860|PC#p#{1_000_000 + 63_244_800}", "/")


def test_deleted_cookie_expires_at_once() -> None:
    deleted = SimpleCookie(delete_cookie("mbox", "; Path=/"))["mbox"]
    assert (deleted.value, deleted["max-age"], deleted["path"]) == ("", "0", "/")
