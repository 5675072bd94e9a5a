"""Recognition and reading of IP addresses in the forms that servers and proxies use.

`ipaddress` builds a number, which takes three to eight times as long as a check of the text, and
every request with a place passes here.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

UNKNOWN_IP_ADDRESS = "unknownIpAddress"
"""Address of the geo lookup itself: on device it asks for the place of the caller."""

_LOCAL_NETWORKS = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "100.64.0.0/10",  # shared by the customers of a provider
        "0.0.0.0/8",
        "fc00::/7",
        "::1/128",
        "fe80::/10",
    )
)
_OCTETS = frozenset(map(str, range(256)))
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def is_ip_address(text: str) -> bool:
    """Return whether a text is an IPv4 or IPv6 address; a zone and outer spaces are allowed."""
    parts = text.split(".")
    if len(parts) == 4 and _OCTETS.issuperset(parts):
        return True
    text = text.strip()
    return _is_ipv4(text) or _is_ipv6(text)


def is_local_address(address: str) -> bool:
    """Return whether a text is an IP address without a place, such as a private or a loopback one.

    Args:
        address: Without spaces and zone.
    """
    return is_in_networks(address, _LOCAL_NETWORKS)


def is_in_networks(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether a text is an IP address in one of the networks, mapped to IPv4 or not.

    Args:
        address: Without spaces and zone.
        networks: Of both versions.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return any(parsed in network for network in networks if network.version == parsed.version)


def parse_ip_address(text: str) -> str | None:
    """Return the address in a text, None if there is none.

    Besides an address itself, these are understood: `host:port` and `[host]:port`, a list as in
    `X-Forwarded-For`, of which the first entry is the visitor, and the `for=` of a `Forwarded`
    header. An address itself is returned unchanged.
    """
    if is_ip_address(text):
        return text
    first = next((entry for part in text.split(",") if (entry := part.strip())), "")
    if "=" in first:
        first = _forwarded_for(first)
    address = _without_port(first)
    return address if is_ip_address(address) else None


def read_ip_address(value: object, kind: Any, path: str, mode: Any) -> str:
    """Return an address in any form as text, and a text that is not an address as it is.

    Accepts texts, bytes (headers of ASGI), objects of `ipaddress`, and lists and tuples, of which
    the first entry counts. Raises nothing: an address that cannot be read is ignored when the
    request is prepared.
    """
    if issubclass(type(value), list | tuple):
        items: Any = value
        value = next(iter(items), "")
    if issubclass(type(value), IPv4Address | IPv6Address):
        return str(value)
    if issubclass(type(value), bytes | bytearray):
        data: Any = value
        return bytes(data).decode("latin-1")
    text: Any = value
    return str.__str__(text) if issubclass(type(value), str) else ""


def _forwarded_for(entry: str) -> str:
    for pair in entry.split(";"):
        name, _, address = pair.partition("=")
        if name.strip().lower() == "for":
            return address.strip().strip('"')
    return ""


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.partition(":")
    return host if colon and port.isdigit() else text


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and _OCTETS.issuperset(parts)


def _is_ipv6(text: str) -> bool:
    address, percent, zone = text.partition("%")
    if percent and not (zone and zone.isprintable()):
        return False
    head, gap, tail = address.partition("::")
    groups = _groups(head) + _groups(tail)
    width = len(groups)
    if "." in address:
        last = groups.pop()
        if not (address.endswith(last) and _is_ipv4(last)):
            return False
        width += 1  # an embedded IPv4 address stands for two groups
    if width > 7 if gap else width != 8:
        return False
    return all(groups) and max(map(len, groups), default=0) <= 4 and _HEX_DIGITS.issuperset("".join(groups))


def _groups(text: str) -> list[str]:
    return text.split(":") if text else []
