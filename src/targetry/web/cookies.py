"""Cookies of requests and responses: `mbox`, `mboxEdgeCluster`, `AMCV_…`.

Frameworks keep the first or the last of two cookies of one name, and some take quotes as part of
the value, so the `Cookie` headers are read here. They come from a browser: reading never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from targetry.delivery.cookies import Cookie, TargetCookie, location_hint_cookie, parse_target_cookie
from targetry.delivery.prepare import usable_ids
from targetry.device.logic.url import parse_url

_LONGEST_VALUE = 8 * 1024


def cookie_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of the cookies of some names, for `read_cookies`."""
    return re.compile(rf";[ \t]*({'|'.join(map(re.escape, names))})[ \t]*=([^;]*)")


def read_cookies(headers: Iterable[str], pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """Return the values of some cookies by name, without quotes around the values.

    Args:
        headers: Values of the `Cookie` headers, in their order.
        pattern: That of the names.
    """
    found: dict[str, list[str]] = {}
    for header in headers:
        for name, text in pattern.findall(f";{header}"):
            value = text.strip(" \t")
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1]
            found.setdefault(name, []).append(value)
    return found


def ids_of_cookies(values: Iterable[str], now: float) -> TargetCookie:
    """Return the ids of the first `mbox` cookie that has a living one.

    Two are common: at.js writes a cookie for `.example.com`, a server one for its own host.

    Args:
        values: The values of all cookies of the name.
        now: Epoch seconds.
    """
    for value in values:
        if len(value) <= _LONGEST_VALUE:
            ids = usable_ids(parse_target_cookie(value, now))
            if ids.session_id or ids.device_id:
                return ids
    return TargetCookie()


def registrable_domain(host: str) -> str | None:
    """Return the domain that all hosts of a site share; None for an address or a bare name.

    Args:
        host: With or without a port.
    """
    parts = parse_url(f"//{host}")
    return parts.domain if parts.topLevelDomain and "." in parts.domain and host.isascii() else None


def set_cookie(cookie: Cookie, attributes: str) -> str:
    """Return a `Set-Cookie` header; the value of a cookie of ours needs no quotes."""
    return f"{cookie['name']}={cookie['value']}; Max-Age={cookie['max_age']}{attributes}"


@lru_cache(maxsize=256)
def set_location_hint(cluster: str, attributes: str) -> str:
    """Return the `Set-Cookie` header that keeps a visitor on an edge cluster."""
    return set_cookie(location_hint_cookie(cluster), attributes)


def delete_cookie(name: str, attributes: str) -> str:
    """Return a `Set-Cookie` header that deletes a cookie of the same path and domain."""
    return f"{name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{attributes}"
