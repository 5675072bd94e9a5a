"""What counts as a textual IP address (spec/models.md §4).

`ipaddress` builds a number, which takes three to eight times as long as a look at the text, and every request with
a place passes here.
"""

from __future__ import annotations

UNKNOWN_IP_ADDRESS = "unknownIpAddress"
"""On device, asks for the place that the lookup itself comes from (spec/decisioning.md §3)."""

_OCTETS = frozenset(map(str, range(256)))
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def is_ip_address(text: str) -> bool:
    """Whether `text` is an IPv4 dotted quad or any textual IPv6 form; a zone and surrounding spaces are allowed."""
    parts = text.split(".")
    if len(parts) == 4 and _OCTETS.issuperset(parts):
        return True
    text = text.strip()
    return _is_ipv4(text) or _is_ipv6(text)


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
