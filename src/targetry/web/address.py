"""IP address of the visitor, from the connection or from headers of trusted proxies.

A header names whatever its sender wrote. So it is read from its end, where the own proxies have
added to it, and only if the connection is from one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from targetry.models.ip_address import is_in_networks, is_local_address, parse_ip_address

Network = IPv4Network | IPv6Network
_MOST_HOPS = 64
_LONGEST_ENTRY = 256


def visitor_address(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> str | None:
    """Return the visitor's public address, None if it is unknown or private.

    Args:
        peer: Address of the other side of the connection; None or empty for a Unix socket.
        forwarded: Values of the header that the own proxies write, in their order.
        proxies: Networks of these proxies. If there are any, a Unix socket is trusted too.
    """
    address = _address(peer or "")
    if forwarded and proxies and (not peer or (address is not None and is_in_networks(address, proxies))):
        address = _behind(forwarded, proxies)
    return None if address is None or is_local_address(address) else address


def _behind(values: Sequence[str], proxies: Sequence[Network]) -> str | None:
    """Return the last address that is no trusted proxy's; None if it cannot be read."""
    entries = [entry.strip() for value in values for entry in value.split(",")]
    address = None
    for entry in reversed(entries[-_MOST_HOPS:]):
        address = _address(entry)
        if address is None or not is_in_networks(address, proxies):
            break
    return address


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    if not text or len(text) > _LONGEST_ENTRY:
        return None
    parsed = parse_ip_address(text)
    if parsed is None:
        return None
    return parsed.strip().partition("%")[0]
