"""Responses of the endpoints that answer without Starlette."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.types import Message

from targetry.edge.http.access_policy import Headers
from targetry.edge.http.errors import error_body
from targetry.edge.http.request_head import Fields

JSON: Final = (b"content-type", b"application/json")
GZIP: Final = (b"content-encoding", b"gzip")
VARY_ORIGIN: Final = (b"vary", b"Origin")
VARY_ENCODING_AND_ORIGIN: Final = (b"vary", b"Accept-Encoding, Origin")

_CLOSE: Final = (b"connection", b"close")
_CROSS_ORIGIN_METHODS: Final = (b"GET", b"POST")
_PREFLIGHT_MAX_AGE_S: Final = 600


class EdgeResponse(msgspec.Struct, frozen=True, gc=False):
    """A whole response; `headers` are without `content-length`."""

    status: int
    body: bytes = b""
    headers: Headers = ()


def error_response(status: int, message: str, headers: Headers = (), *, closes: bool = False) -> EdgeResponse:
    """Return an error of the Delivery API's shape; `closes`: the connection is closed after it."""
    end = (_CLOSE,) if closes else ()
    return EdgeResponse(status, error_body(status, message), (JSON, VARY_ORIGIN, *headers, *end))


def answer_preflight(fields: Fields) -> EdgeResponse:
    """Return the response to a CORS preflight request of an allowed origin."""
    requested = fields.get(b"access-control-request-headers")
    headers: Headers = (
        (b"access-control-allow-methods", b", ".join(_CROSS_ORIGIN_METHODS)),
        (b"access-control-max-age", b"%d" % _PREFLIGHT_MAX_AGE_S),
        VARY_ORIGIN,
    )
    if requested is not None:
        headers = (*headers, (b"access-control-allow-headers", requested))
    is_allowed = fields[b"access-control-request-method"] in _CROSS_ORIGIN_METHODS
    return EdgeResponse(200 if is_allowed else 400, b"", headers)


def cors_headers(granted: Headers) -> Headers:
    """Return the CORS headers of a response from those that the access policy grants."""
    return (*granted, (b"access-control-expose-headers", b"etag")) if granted else ()


def response_messages(response: EdgeResponse, cors: Headers) -> tuple[Message, Message]:
    """Return a response as messages of ASGI, with the CORS headers of the access policy."""
    status, body, headers = response.status, response.body, response.headers
    if status != 204 and status != 304:
        headers = (*headers, (b"content-length", b"%d" % len(body)))
    if cors:
        headers = (*headers, *cors_headers(cors))
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
