"""Who may look at the page: it tells what visitors did, while everything else here answers any site that asks.

A site that a developer happens to have open could read it through his browser: with a request of its own, which names its
`origin`, or under a name of its own that it lets lead to this machine, which the `host` then names.
"""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from .refusal import Refused


def check_own(request: Request) -> None:
    """Raises `Refused` for a request that a foreign site makes."""
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise Refused(403, "this is for people who open it themselves, not for other sites")
    if _is_local(request) and not _is_own_name(host):
        raise Refused(403, f"the page is at localhost, not at {host[:100]!r}")


def _is_local(request: Request) -> bool:
    """Whether the request came to an address that only this machine reaches."""
    server = request.scope.get("server")
    return server is not None and _is_loopback(str(server[0]))


def _is_own_name(host: str) -> bool:
    """An address, or a name that nobody outside can give away."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return "." not in name or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
