"""Header fields of a request, after the checks of their number, their size and `Host`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import Scope

from targetry.edge.http.access_policy import Authority, parse_authority
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.limits import MAX_FIELDS, MAX_HEAD_BYTES

Fields = dict[bytes, bytes]
"""Header fields by their lower-case names; of a repeated field the first value."""

HEAD_TOO_LARGE = f"the head is larger than {MAX_HEAD_BYTES:,} bytes, or has more than {MAX_FIELDS} fields"


def read_fields(scope: Scope, target: bytes = b"", *, is_large: bool = False) -> Fields:
    """Return the header fields of a request.

    Args:
        scope: The ASGI scope.
        target: The request target, if it is not a path.
        is_large: Whether the size of the head has to be checked.

    Raises:
        RequestRejected: 400, `Host` is missing, repeated, no authority or not the target's; 431,
            the head is too large.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > MAX_FIELDS or (is_large and _size(scope, headers) > MAX_HEAD_BYTES):
        raise RequestRejected(431, HEAD_TOO_LARGE, "head")
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = dict(reversed(headers))
        if sum(name == b"host" for name, _ in headers) > 1:
            raise _wrong_host()
    host = fields.get(b"host")
    if host is None:
        if scope["http_version"] != "1.0" or target:
            raise _wrong_host()
        return fields
    authority = _parse_host(host)
    if authority is None or (target and not _is_of_host(target, authority)):
        raise _wrong_host()
    return fields


@lru_cache(maxsize=64)
def _parse_host(host: bytes) -> Authority | None:
    return parse_authority(host.decode("latin-1"))


def _size(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> int:
    target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return target + sum(len(name) + len(value) for name, value in headers)


def _is_of_host(target: bytes, host: Authority) -> bool:
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return True  # no URL; the router rejects it
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return parse_authority(authority.decode("latin-1")) == host


def _wrong_host() -> RequestRejected:
    return RequestRejected(
        400, "the request must have one Host field, with the host that it is sent to", "host"
    )
