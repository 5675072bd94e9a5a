"""Bodies of OFREP responses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from targetry.device.logic.javascript import UNDEFINED
from targetry.edge.artifacts.workload import MAX_ANSWER_BYTES
from targetry.edge.http.access_policy import Headers
from targetry.edge.http.entity_tags import is_known_tag
from targetry.edge.http.errors import RequestRejected
from targetry.edge.http.response import JSON, VARY_ORIGIN, EdgeResponse
from targetry.errors import ErrorCode
from targetry.flags.evaluation import FlagEvaluation, Metadata

_PLAIN: Final = (JSON, VARY_ORIGIN)
_CLOSE: Final = (b"connection", b"close")
_STRICT: Final = {"DEFAULT": "UNKNOWN", "STALE": "UNKNOWN"}  # other reasons are in the protocol's schema
_INACTIVITY_DELAY_S: Final = 120  # a page in the background keeps its stream for so long

_encode = msgspec.json.Encoder().encode


class _Flag(msgspec.Struct, kw_only=True):
    """A flag; without `value`, the application's default applies."""

    key: str
    value: Any = msgspec.UNSET
    reason: str
    variant: str  # clients require it
    metadata: Metadata


class _Failure(msgspec.Struct, kw_only=True, rename="camel"):
    key: str | msgspec.UnsetType = msgspec.UNSET
    error_code: ErrorCode | msgspec.UnsetType = msgspec.UNSET
    error_details: str


class _AllFlags(msgspec.Struct, rename="camel"):
    flags: list[msgspec.Raw]
    metadata: dict[str, str]
    event_streams: list[dict[str, Any]]


def flag_response(evaluation: FlagEvaluation, *, is_strict: bool) -> EdgeResponse:
    """Return the response with one flag."""
    status = 200
    if evaluation.error_code is not None:
        status = 404 if evaluation.error_code == "FLAG_NOT_FOUND" else 400
    return EdgeResponse(status, _encode(_document(evaluation, is_strict=is_strict)), _PLAIN)


def all_flags_body(
    evaluations: Iterable[FlagEvaluation],
    *,
    is_strict: bool,
    metadata: dict[str, str],
    events_uri: str,
) -> bytes:
    """Return the body with all flags.

    Raises:
        RequestRejected: 413, it would be too large.
    """
    flags = []
    size = 0
    for evaluation in evaluations:
        text = _encode(_document(evaluation, is_strict=is_strict))
        size += len(text)
        if size > MAX_ANSWER_BYTES:
            reason = f"all flags together are larger than {MAX_ANSWER_BYTES:,} bytes"
            raise RequestRejected(413, f"{reason}; evaluate single flags")
        flags.append(msgspec.Raw(text))
    stream = {
        "type": "sse",
        "endpoint": {"requestUri": events_uri},
        "inactivityDelaySec": _INACTIVITY_DELAY_S,
    }
    return _encode(_AllFlags(flags, metadata, [stream]))


def all_flags_response(body: bytes, known_tags: str) -> EdgeResponse:
    """Return the response with all flags, or 304 if the client has them.

    The tag is strong, so the body is never compressed.
    """
    etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
    headers = (*_PLAIN, (b"etag", etag.encode()))
    if is_known_tag(etag, known_tags):
        return EdgeResponse(304, b"", headers[1:])
    return EdgeResponse(200, body, headers)


def failure_response(
    status: int,
    details: str,
    code: ErrorCode | None = None,
    key: str | None = None,
    headers: Headers = (),
    *,
    closes: bool = False,
) -> EdgeResponse:
    """Return an error; `closes`: the connection is closed after it."""
    failure = _Failure(
        key=msgspec.UNSET if key is None else key,
        error_code=code or msgspec.UNSET,
        error_details=details,
    )
    end = (_CLOSE,) if closes else ()
    return EdgeResponse(status, _encode(failure), (*_PLAIN, *headers, *end))


def _document(evaluation: FlagEvaluation, *, is_strict: bool) -> _Flag | _Failure:
    if evaluation.error_code is not None:
        return _Failure(
            key=evaluation.key,
            error_code=evaluation.error_code,
            error_details=evaluation.message or "",
        )
    reason: str = evaluation.reason
    value = evaluation.value
    return _Flag(
        key=evaluation.key,
        value=msgspec.UNSET if value is UNDEFINED or value is None else value,
        reason=_STRICT.get(reason, reason) if is_strict else reason,
        variant=evaluation.variant or "",
        metadata=evaluation.metadata,
    )
