"""Access control by Host, Origin and Fetch Metadata: CORS, same-origin checks, DNS rebinding.

The Delivery API and the CDN's paths answer scripts of loopback origins, and of those that the
operator names. All other paths are for the operator, and answer no other site. An edge on a
loopback address answers to loopback names only. A request is rejected before its body is read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from targetry.edge.http.errors import RequestRejected
from targetry.errors import OptionError

ANY: Final = "*"

DELIVERY_PATH: Final = "/rest/v1/delivery"

_PUBLIC_PATH: Final = re.compile(
    r"/rest/v1/delivery|/v1/geo|/[^/]+/[^/]+/v1/(?:[^/]+/)?rules\.(?:json|bin)"
    r"|(?:/[^/]+){0,2}/ofrep/v1/(?:events|evaluate/flags(?:/.*)?)",
    re.DOTALL,
)
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})
_PAGES: Final = frozenset({"/", "/ask"})  # a link of another site may lead there
_SHOWN: Final = 100  # characters of a rejected value that a message repeats
_MAX_ALLOWED: Final = 64
_LONGEST_CACHED: Final = 256  # characters of a path
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\\s]+)(?::(\d{0,5}))?")

Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values of header fields."""

Authority = tuple[str, int | None]
"""Host name in lower case, without brackets and trailing dot, and port."""


def parse_authority(text: str) -> Authority | None:
    """Return host and port of a `Host` field or a URL's authority; None if it is invalid."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    port = int(found[2]) if found[2] else None
    if port is not None and port > 65535:
        return None
    name = found[1].strip("[]").lower().removesuffix(".")
    return (name, port) if name and (found[1][0] != "[" or _address(name) is not None) else None


def is_loopback_name(name: str) -> bool:
    """Return whether a host name or address always leads to the machine itself."""
    address = _address(name)
    if address is None:
        name = name.lower()
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address; of an IPv4 address that is mapped into IPv6, the IPv4 address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def normalized_origin(text: str) -> str | None:
    """Return an origin in lower case, without default port; None if it is not one."""
    scheme, separator, authority = text.partition("://")
    parsed = parse_authority(authority) if separator else None
    if parsed is None or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme.lower()):
        return None
    name, port = parsed
    shown = f"[{name}]" if ":" in name else name
    is_default = port is None or (scheme.lower(), port) in (("http", 80), ("https", 443))
    return f"{scheme.lower()}://{shown}{'' if is_default else f':{port}'}"


class AccessPolicy:
    """Decides which requests an edge answers, by their `Host`, `Origin` and `Sec-Fetch-Site`."""

    def __init__(self, allow_origins: Iterable[str] = (), *, host: str = "127.0.0.1") -> None:
        """Read the options.

        Args:
            allow_origins: Origins whose scripts are answered besides loopback ones; `*` stands for
                all.
            host: The address or name that the edge listens on.

        Raises:
            OptionError: An origin is not one.
        """
        self._host = host.lower().strip("[]")
        self._is_loopback_only = is_loopback_name(self._host)
        self._named: set[str] = set()
        self._allows_any = False
        self._allowed: set[tuple[bytes, tuple[str, int | None] | None, bool]] = set()
        for given in allow_origins:
            if given == ANY:
                self._allows_any = True
                continue
            origin = normalized_origin(given)
            if origin is None:
                reason = f"must be scheme, host and port, such as https://shop.example, or *; not {given!r}"
                raise OptionError("allow_origins", reason)
            self._named.add(origin)

    def allows_host(self, host: str, server: tuple[str, int | None] | None, *, is_public: bool) -> bool:
        """Return whether the edge answers to this `Host` on its local address `server`."""
        if server is None or not is_loopback_name(str(server[0])):
            return True
        if is_public and not self._is_loopback_only:
            return True
        parsed = parse_authority(host)
        if parsed is None:
            return False
        name, port = parsed
        return (is_loopback_name(name) or name == self._host) and port in (None, server[1])

    def grants(self, origin: str) -> dict[str, str] | None:
        """Return the CORS headers for a script of this origin; None if it is not answered."""
        known = normalized_origin(origin)
        if known is not None and known in self._named:
            return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}
        if self._allows_any:
            return {"access-control-allow-origin": ANY}
        if known is not None and _is_loopback_origin(known):
            return {"access-control-allow-origin": origin}
        return None

    def check(self, scope: Scope, fields: Mapping[bytes, bytes]) -> Headers:
        """Return the CORS headers of the response.

        Args:
            scope: The ASGI scope of the request.
            fields: Its header fields.

        Raises:
            RequestRejected: 403, the request is not answered; 400, it has several `Origin` fields.
        """
        path = scope["path"]
        is_public = path == DELIVERY_PATH or is_public_path(path)
        host = fields.get(b"host", b"")
        local = scope.get("server")
        server = None if local is None else tuple(local)
        if host and (host, server, is_public) not in self._allowed:
            self._check_host(host, server, is_public)
        origin = fields.get(b"origin")
        if origin is None:
            if b"sec-fetch-site" in fields:
                self._check_fetch_metadata(scope, fields, is_public)
            return ()
        if sum(name == b"origin" for name, _ in scope["headers"]) > 1:
            raise RequestRejected(400, "the request has several Origin fields")
        return self._check_origin(origin.decode("latin-1"), host.decode("latin-1"), is_public)

    def _check_host(self, host: bytes, server: tuple[str, int | None] | None, is_public: bool) -> None:
        name = host.decode("latin-1")
        if not self.allows_host(name, server, is_public=is_public):
            shown = name[:_SHOWN]
            raise RequestRejected(403, f"host {shown!r} is not a name of this edge; use localhost or --host")
        if len(self._allowed) >= _MAX_ALLOWED:
            self._allowed.clear()
        self._allowed.add((host, server, is_public))

    def _check_origin(self, origin: str, host: str, is_public: bool) -> Headers:
        shown = origin[:_SHOWN]
        if not is_public:
            if _is_same_origin(origin, host):
                return ()
            raise RequestRejected(403, f"origin {shown!r} is rejected: this path is for the edge's own pages")
        granted = self.grants(origin)
        if granted is None:
            raise RequestRejected(403, f"origin {shown!r} is rejected; allow it with --allow-origin")
        return tuple((name.encode(), value.encode("latin-1")) for name, value in granted.items())

    def _check_fetch_metadata(self, scope: Scope, fields: Mapping[bytes, bytes], is_public: bool) -> None:
        """Reject images, links and the like of other sites, which have no `Origin`."""
        site = fields[b"sec-fetch-site"].decode("latin-1").strip().lower()
        if site not in _FOREIGN_SITES:
            return
        if is_public:
            if self._allows_any or site == "same-site":
                return
        elif scope["path"] in _PAGES and _is_navigation(scope, fields):
            return
        raise RequestRejected(403, f"a {site} request without Origin is rejected")


def is_public_path(path: str) -> bool:
    """Return whether scripts of web pages can request the path."""
    return _is_public(path) if len(path) <= _LONGEST_CACHED else _is_public.__wrapped__(path)


@lru_cache(maxsize=256)
def _is_public(path: str) -> bool:
    return _PUBLIC_PATH.fullmatch(path) is not None


def _is_navigation(scope: Scope, fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a link is followed: a script of the other site cannot read the page."""
    return (
        scope["method"] in ("GET", "HEAD")
        and fields.get(b"sec-fetch-mode") == b"navigate"
        and fields.get(b"sec-fetch-dest") == b"document"
    )


def _is_loopback_origin(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and is_loopback_name(parts.hostname or "")


def _is_same_origin(origin: str, host: str) -> bool:
    """Return whether the origin is the edge itself, also behind a proxy that terminates TLS."""
    scheme = origin.partition("://")[0]
    return (
        scheme.lower() in ("http", "https")
        and normalized_origin(origin) == normalized_origin(f"{scheme}://{host}") is not None
    )
