"""Meaning of the Delivery API's response to a request with notifications."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Any, Final

import msgspec

from targetry.http.protocol import HttpResponse

# Repeating the POST is safe: the ids stay the same, and the API counts an impression id once. 500
# is one of them since a failing service returns it; a delivery that causes it is dropped in the
# end, because it fails while others succeed.
_PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_DENYING_STATUSES: Final = frozenset({401, 403, 404})


class ResponseMeaning(enum.Enum):
    """Outcome of a call."""

    SENT = enum.auto()
    RETRY = enum.auto()  # a repetition may succeed
    REJECTED = enum.auto()  # the request is wrong, and so would be its repetition
    DENIED = enum.auto()  # the configuration is wrong, for all requests


class _Id(msgspec.Struct):
    id: str | None = None


class _WithIds(msgspec.Struct):
    notifications: list[_Id] | None = None


_decode = msgspec.json.Decoder(_WithIds).decode


def classify_response(response: HttpResponse) -> ResponseMeaning:
    """Return what a response means for the notifications of its request."""
    status = response.status
    if 200 <= status < 300:
        return ResponseMeaning.SENT if _is_readable(response.body) else ResponseMeaning.RETRY
    if status in _PASSING_STATUSES:
        return ResponseMeaning.RETRY
    return ResponseMeaning.DENIED if status in _DENYING_STATUSES else ResponseMeaning.REJECTED


def notification_ids(body: bytes) -> list[str]:
    """Return the ids of the notifications in a body, none if it is unreadable."""
    try:
        found = _decode(body).notifications or ()
    except msgspec.DecodeError:
        return []
    return [one.id for one in found if one.id is not None]


def unprocessed_ids(body: bytes, response: HttpResponse) -> list[str]:
    """Return the ids of notifications in the request `body` that the response does not list.

    A response without any list says nothing about them, and they count as processed.
    """
    if not response.body or _decode(response.body).notifications is None:
        return []
    processed = set(notification_ids(response.body))
    return [one for one in notification_ids(body) if one not in processed]


def filter_notifications(body: bytes, ids: Collection[str]) -> bytes:
    """Return the request without notifications whose id is not in `ids`."""
    request: dict[str, Any] = msgspec.json.decode(body)
    request["notifications"] = [one for one in request["notifications"] if one.get("id") in ids]
    return msgspec.json.encode(request)


def first_notification(body: bytes, request_id: str) -> bytes:
    """Return the request with its first notification only, as one of another id."""
    request: dict[str, Any] = msgspec.json.decode(body)
    return msgspec.json.encode(
        request | {"requestId": request_id, "notifications": request["notifications"][:1]}
    )


def without_first(body: bytes) -> bytes:
    """Return the request without its first notification, and without telemetry."""
    request: dict[str, Any] = msgspec.json.decode(body)
    request.pop("telemetry", None)
    return msgspec.json.encode(request | {"notifications": request["notifications"][1:]})


def _is_readable(body: bytes) -> bool:
    """Return whether a body is empty or from the Delivery API, and not the page of some proxy."""
    if not body:
        return True
    try:
        _decode(body)
    except msgspec.DecodeError:
        return False
    return True
