"""Reading and writing of the `mbox` and `mboxEdgeCluster` cookies (docs/cookies.md).

The value of the `mbox` cookie is a list of parts, each with its own expiry:

    value = part *( "|" part )
    part  = name "#" text "#" expires [ "#" ignored ]

Name and text are percent-encoded; `expires` is in epoch seconds. The value comes from a browser, so
it can hold anything: reading never raises, and the ids that it yields can be encoded as UTF-8.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

TARGET_COOKIE = "mbox"
LOCATION_HINT_COOKIE = "mboxEdgeCluster"
SESSION_ID_COOKIE = "session"
DEVICE_ID_COOKIE = "PC"

SESSION_ID_MAX_AGE = 1_860  # 31 minutes; like all ages here in seconds
DEVICE_ID_MAX_AGE = 63_244_800  # 732 days
LOCATION_HINT_MAX_AGE = 1_860

_USUAL = re.compile(r"session#([^#|%]+)#([0-9]{1,15})\|PC#([^#|%]+)#([0-9]{1,15})")  # as SDKs write it
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PERCENT = ord("%")  # found in bytes faster than b"%"
_OTHERS_AS_PERCENT = bytes(byte if byte in _UNRESERVED else _PERCENT for byte in range(256))


class TargetCookie(NamedTuple):
    """Ids of a target cookie that have not expired."""

    session_id: str | None = None
    device_id: str | None = None


class Cookie(dict[str, Any]):
    """Cookie for the application to set, as a dict and with attributes.

    Keys: `name`, `value`, and the age in seconds as `max_age` and as `maxAge`, because the
    documentation and the official package spell it differently (docs/migrating.md#d-03).
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self["name"])

    @property
    def value(self) -> str:
        return str(self["value"])

    @property
    def max_age(self) -> int:
        return int(self["max_age"])


def parse_target_cookie(value: str | None, now: float) -> TargetCookie:
    """Read the session id and the device id (tnt id) from an `mbox` cookie.

    Args:
        value: The cookie's value as it came from the browser.
        now: Epoch seconds; rounded up before parts are checked for expiry.

    Returns:
        Both ids, None where they are absent, empty or expired. The last of several wins.
    """
    if not value:
        return TargetCookie()
    if "#" not in value:
        value = unquote(value)  # some frameworks percent-encode the whole value
    seconds = ceil(now)
    if value.isascii() and (usual := _USUAL.fullmatch(value)) is not None:
        session_id, session_expires, device_id, device_expires = usual.groups()
        return TargetCookie(
            session_id if int(session_expires) >= seconds else None,
            device_id if int(device_expires) >= seconds else None,
        )
    session_id = device_id = None
    for name, text in _unexpired_parts(value, seconds):
        if name == SESSION_ID_COOKIE:
            session_id = text or None
        elif name == DEVICE_ID_COOKIE:
            device_id = text or None
    return TargetCookie(session_id, device_id)


def target_cookie(session_id: str, device_id: str | None, now: float) -> Cookie:
    """Return the `mbox` cookie for these ids; its age is that of its longest-lived part.

    `now` is in epoch seconds. A session id lives for 31 minutes, a device id for 732 days.
    """
    device_id = device_id or ""
    if _PERCENT in (session_id + device_id).encode("utf-8", "replace").translate(_OTHERS_AS_PERCENT):
        session_id, device_id = _encoded(session_id), _encoded(device_id)
    session_expires, device_expires = _expiries(ceil(now))
    if device_id:
        value = f"session#{session_id}#{session_expires}|PC#{device_id}#{device_expires}"
        max_age = DEVICE_ID_MAX_AGE
    else:
        value = f"session#{session_id}#{session_expires}"
        max_age = SESSION_ID_MAX_AGE
    return Cookie(name=TARGET_COOKIE, value=value, max_age=max_age, maxAge=max_age)


@lru_cache(maxsize=1)  # calls of the same second
def _expiries(seconds: int) -> tuple[str, str]:
    """Return the expiry of a session id and that of a device id, as texts."""
    return str(seconds + SESSION_ID_MAX_AGE), str(seconds + DEVICE_ID_MAX_AGE)


def location_hint_cookie(cluster: str) -> Cookie:
    """Return the `mboxEdgeCluster` cookie that keeps a visitor on this edge cluster."""
    max_age = LOCATION_HINT_MAX_AGE
    return Cookie(name=LOCATION_HINT_COOKIE, value=cluster, max_age=max_age, maxAge=max_age)


def _unexpired_parts(value: str, seconds: int) -> list[tuple[str, str]]:
    parts = []
    is_plain = value.isascii() and "%" not in value
    for part in value.split("|"):
        fields = part.split("#", 3)
        if len(fields) >= 3 and _expiry(fields[2]) >= seconds:
            name, text = fields[0], fields[1]
            parts.append((name, text) if is_plain else (_decoded(name), _decoded(text)))
    return parts


def _expiry(text: str) -> float:
    """Return the expiry as a number, minus infinity for other text; some SDKs write a fraction."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return float("-inf")


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _decoded(text: str) -> str:
    text = unquote(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
