"""What the Delivery API's answer to a call with notifications means for them (spec/delivery.md §8, §9)."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Any, Final

import msgspec

from targetry.http.protocol import HttpResponse

# Safe to repeat although it is a POST: the ids stay the same, and the API counts an impression id once. 500 is
# among them since it is what a failing service answers; a delivery that causes it is given up by its isolated_failures.
_PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_DENYING_STATUSES: Final = frozenset({401, 403, 404})


class ResponseMeaning(enum.Enum):
    SENT = enum.auto()
    RETRY = enum.auto()  # may be different in a moment
    REJECTED = enum.auto()  # this call is wrong, and would be so again
    DENIED = enum.auto()  # wrong too, and probably every other is


class _Id(msgspec.Struct):
    id: str | None = None


class _WithIds(msgspec.Struct):
    notifications: list[_Id] | None = None


_decode = msgspec.json.Decoder(_WithIds).decode


def classify_response(answer: HttpResponse) -> ResponseMeaning:
    status = answer.status
    if 200 <= status < 300:
        return ResponseMeaning.SENT if _is_readable(answer.body) else ResponseMeaning.RETRY
    if status in _PASSING_STATUSES:
        return ResponseMeaning.RETRY
    return ResponseMeaning.DENIED if status in _DENYING_STATUSES else ResponseMeaning.REJECTED


def notification_ids(body: bytes) -> list[str]:
    """The ids in a request or a readable answer; none in what cannot be read."""
    try:
        found = _decode(body).notifications or ()
    except msgspec.DecodeError:
        return []
    return [one.id for one in found if one.id is not None]


def unprocessed_ids(body: bytes, answer: HttpResponse) -> list[str]:
    """Ids of notifications in the request `body` that the answer does not list as processed.

    An answer without any list says nothing about them, and they are taken as processed.
    """
    if not answer.body or _decode(answer.body).notifications is None:
        return []
    processed = set(notification_ids(answer.body))
    return [one for one in notification_ids(body) if one not in processed]


def keep_notifications(body: bytes, ids: Collection[str]) -> bytes:
    """The request with those of its notifications only."""
    request: dict[str, Any] = msgspec.json.decode(body)
    request["notifications"] = [one for one in request["notifications"] if one.get("id") in ids]
    return msgspec.json.encode(request)


def _is_readable(body: bytes) -> bool:
    """Nothing, or what the API could have said: not the page of some proxy on the way."""
    if not body:
        return True
    try:
        _decode(body)
    except msgspec.DecodeError:
        return False
    return True
