"""Access control by Host, Origin and Fetch Metadata: CORS, same-origin checks, DNS rebinding.

The Delivery API and the CDN's paths answer scripts of loopback origins, and of those that the operator names. All other paths are
for the operator, and answer no other site. An edge that only this machine reaches answers to names that lead nowhere else.
A refused request is refused before its body is read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from targetry.edge.http.errors import RequestRejected
from targetry.errors import OptionError

ANY: Final = "*"

Respond = Callable[[Request, Exception], Response]

_PUBLIC_PATH: Final = re.compile(r"/rest/v1/delivery|/v1/geo|/[^/]+/[^/]+/v1/(?:[^/]+/)?rules\.(?:json|bin)")
_METHODS: Final = ("GET", "POST")
_PREFLIGHT_MAX_AGE_S: Final = 600
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})
_SHOWN: Final = 100  # characters of a refused value that a message repeats
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\\\s]+)(?::(\d{0,5}))?")

Authority = tuple[str, int | None]
"""Host name in lower case, without brackets and trailing dot, and port."""


def parse_authority(text: str) -> Authority | None:
    """Return host and port of a `Host` field or a URL's authority; None if it is not one, or has user information."""
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
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 address that is mapped into IPv6 counts as the IPv4 address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def normalized_origin(text: str) -> str | None:
    """Return an origin such as `https://shop.example` in lower case, without default port; None if it is not one."""
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
            allow_origins: origins whose scripts are answered besides loopback ones; `*` stands for all.
            host: the address or name that the edge listens on.

        Raises:
            OptionError: an origin is not one.
        """
        self._host = host.lower().strip("[]")
        self._is_loopback_only = is_loopback_name(self._host)
        self._named: set[str] = set()
        self._allows_any = False
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
        """Return whether a request with this `Host` is answered on a connection to the local address `server`."""
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

    def check(self, scope: Scope, headers: Headers) -> dict[str, str]:
        """Return the CORS headers of the answer.

        Raises:
            RequestRejected: the request is not answered (403), or has several `Origin` fields (400).
        """
        is_public = is_public_path(scope["path"])
        host = headers.get("host", "")
        if host and not self.allows_host(host, scope.get("server"), is_public=is_public):
            raise RequestRejected(
                403, f"host {host[:_SHOWN]!r} is not a name of this edge; use localhost or --host"
            )
        origins = headers.getlist("origin")
        if len(origins) > 1:
            raise RequestRejected(400, "the request has several Origin fields")
        if not origins:
            self._check_fetch_metadata(scope, headers, is_public)
            return {}
        origin = origins[0]
        if not is_public:
            if _is_same_origin(origin, host):
                return {}
            raise RequestRejected(
                403, f"origin {origin[:_SHOWN]!r} is refused: this path is for the edge's own pages"
            )
        granted = self.grants(origin)
        if granted is None:
            raise RequestRejected(403, f"origin {origin[:_SHOWN]!r} is refused; allow it with --allow-origin")
        return granted

    def _check_fetch_metadata(self, scope: Scope, headers: Headers, is_public: bool) -> None:
        """Refuse what a browser sends for another site without an `Origin`, such as images and links."""
        site = headers.get("sec-fetch-site", "").strip().lower()
        if site not in _FOREIGN_SITES:
            return
        if is_public:
            if self._allows_any or site == "same-site":
                return
        elif scope["path"] == "/" and _is_navigation(scope, headers):
            return
        raise RequestRejected(403, f"a {site} request without Origin is refused")


def is_public_path(path: str) -> bool:
    """Return whether scripts of web pages may ask there: the Delivery API, the artifact, the place of an address."""
    return _PUBLIC_PATH.fullmatch(path) is not None


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Whether a link is followed: no script of the other site can read the page that opens."""
    return (
        scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _is_loopback_origin(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and is_loopback_name(parts.hostname or "")


def _is_same_origin(origin: str, host: str) -> bool:
    """Whether the origin is the edge itself, which may be behind a proxy that speaks TLS."""
    scheme = origin.partition("://")[0]
    return (
        scheme.lower() in ("http", "https")
        and normalized_origin(origin) == normalized_origin(f"{scheme}://{host}") is not None
    )


class AccessMiddleware:
    """ASGI middleware that enforces an `AccessPolicy` and answers CORS preflights.

    `respond` makes the answer of a refused request.
    """

    def __init__(self, app: ASGIApp, *, policy: AccessPolicy, respond: Respond) -> None:
        self._app = app
        self._policy = policy
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            granted = self._policy.check(scope, headers)
        except RequestRejected as refused:
            response = self._respond(Request(scope), refused)
            response.headers["vary"] = "Origin"
            await response(scope, receive, send)
            return
        if granted and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(headers, granted)(scope, receive, send)
            return

        async def granting(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                added.update(granted)
                if granted:
                    added["access-control-expose-headers"] = "etag"
                added.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, granting)


def _preflight(headers: Headers, granted: dict[str, str]) -> Response:
    told = {
        **granted,
        "access-control-allow-methods": ", ".join(_METHODS),
        "access-control-max-age": str(_PREFLIGHT_MAX_AGE_S),
        "vary": "Origin",
    }
    if asked := headers.get("access-control-request-headers"):
        told["access-control-allow-headers"] = asked
    is_allowed = headers["access-control-request-method"] in _METHODS
    return Response(status_code=200 if is_allowed else 400, headers=told)
