"""Address of the visitor: connection, trusted proxies, forged headers."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.web.address import visitor_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("198.51.100.1"), ip_network("fd00::/8"))

CASES = {
    "connection": ("203.0.113.7", [], None, "203.0.113.7"),
    "port": ("203.0.113.7:4711", [], None, "203.0.113.7"),
    "IPv6 with port": ("[2001:db8::7]:4711", [], None, "2001:db8::7"),
    "IPv6 with zone": ("2001:db8::7%eth0", [], None, "2001:db8::7"),
    "no address": ("testclient", [], None, None),
    "Unix socket": (None, [], None, None),
    "private": ("192.168.1.5", [], None, None),
    "loopback": ("127.0.0.1", [], None, None),
    "link-local": ("fe80::1", [], None, None),
    "shared": ("100.64.0.1", [], None, None),
    "mapped private": ("::ffff:10.0.0.1", [], None, None),
    "forged without proxies": ("203.0.113.7", ["1.2.3.4"], None, "203.0.113.7"),
    "forged from outside": ("203.0.113.7", ["1.2.3.4"], PROXIES, "203.0.113.7"),
    "one proxy": ("10.0.0.1", ["203.0.113.7"], PROXIES, "203.0.113.7"),
    "two proxies": ("10.0.0.1", ["203.0.113.7, 198.51.100.1"], PROXIES, "203.0.113.7"),
    "forged before the real one": ("10.0.0.1", ["1.2.3.4, 203.0.113.7, 10.1.1.1"], PROXIES, "203.0.113.7"),
    "two headers": ("10.0.0.1", ["1.2.3.4", "203.0.113.7"], PROXIES, "203.0.113.7"),
    "mapped proxy": ("::ffff:10.0.0.1", ["203.0.113.7"], PROXIES, "203.0.113.7"),
    "IPv6 proxy": ("fd00::1", ["[2001:db8::7]:99"], PROXIES, "2001:db8::7"),
    "socket of a proxy": (None, ["203.0.113.7"], PROXIES, "203.0.113.7"),
    "garbled": ("10.0.0.1", ["1.2.3.4, unknown"], PROXIES, None),
    "empty entry": ("10.0.0.1", ["1.2.3.4,"], PROXIES, None),
    "no header": ("198.51.100.1", [], PROXIES, "198.51.100.1"),
    "all trusted": ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], PROXIES, None),
    "private visitor": ("10.0.0.1", ["192.168.1.5"], PROXIES, None),
    "Forwarded": (
        "10.0.0.1",
        ['for=1.2.3.4, for="[2001:db8::7]:99";proto=https;by=10.0.0.1'],
        PROXIES,
        "2001:db8::7",
    ),
    "Forwarded obfuscated": ("10.0.0.1", ["for=_hidden"], PROXIES, None),
    "very long": ("10.0.0.1", ["1.2.3.4, " * 20_000 + "203.0.113.7"], PROXIES, "203.0.113.7"),
    "long entry": ("10.0.0.1", ["9" * 100_000], PROXIES, None),
}


@each_case("peer, forwarded, proxies, expected", CASES.values(), ids=CASES)
def test_visitor_address(
    peer: str | None, forwarded: list[str], proxies: tuple, expected: str | None
) -> None:
    assert visitor_address(peer, forwarded, proxies or ()) == expected


@given(st.lists(st.text('0123456789.:[]%,;= forFOR"\x00é', max_size=80), max_size=3), st.text(max_size=40))
def test_header_from_outside_changes_nothing(forwarded: list[str], peer: str) -> None:
    assert visitor_address("203.0.113.7", forwarded, PROXIES) == "203.0.113.7"
    assert visitor_address(peer, forwarded, ()) == visitor_address(peer, [], ())


@given(
    st.lists(st.ip_addresses().map(str), max_size=4), st.ip_addresses(v=4, network="203.0.113.0/24").map(str)
)
def test_forged_entries_do_not_replace_that_of_the_proxy(forged: list[str], real: str) -> None:
    assert visitor_address("10.0.0.1", [", ".join([*forged, real])], PROXIES) == real


@given(st.lists(st.text(max_size=50), max_size=3))
def test_garbled_headers_of_a_proxy_give_an_address_or_none(forwarded: list[str]) -> None:
    address = visitor_address("10.0.0.1", forwarded, PROXIES)
    assert address is None or address[0] in "0123456789abcdefABCDEF:"
