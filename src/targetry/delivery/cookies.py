"""The grammar of the two cookies that Target's server-side SDKs read and write (spec/delivery.md §4).

The value of the `mbox` cookie is a list of parts, each with its own expiry:

    value = part *( "|" part )
    part  = name "#" text "#" expires [ "#" ignored ]      name, text percent-encoded; expires in epoch seconds

It comes from a browser, so it may hold anything: reading it never raises. What it yields can always be
encoded as UTF-8.
"""

from __future__ import annotations

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

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class TargetCookie(NamedTuple):
    """What a target cookie says that has not expired."""

    session_id: str | None = None
    device_id: str | None = None


class Cookie(dict[str, Any]):
    """A cookie to be set: keys `name`, `value`, and its age in seconds as `max_age` and as `maxAge`.

    The documentation spells the age one way and the official package the other, so both keys are there
    (spec/divergences.md D-03).
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
    """Read the session id and the device id (tnt id) out of an `mbox` cookie; an empty one counts as absent."""
    if not value:
        return TargetCookie()
    if "#" not in value:
        value = unquote(value)  # some frameworks percent-encode, and do not decode, the value as a whole
    session_id = device_id = None
    for name, text in _living_parts(value, ceil(now)):
        if name == SESSION_ID_COOKIE:
            session_id = text or None
        elif name == DEVICE_ID_COOKIE:
            device_id = text or None
    return TargetCookie(session_id, device_id)


def target_cookie(session_id: str, device_id: str | None, now: float) -> Cookie:
    """The `mbox` cookie that carries these ids from `now` on; it lives as long as its longest-lived part."""
    device_id = device_id or ""
    if (session_id + device_id).encode("utf-8", "replace").translate(None, _UNRESERVED):
        session_id, device_id = _encoded(session_id), _encoded(device_id)
    seconds = ceil(now)
    value = f"session#{session_id}#{seconds + SESSION_ID_MAX_AGE}"
    max_age = SESSION_ID_MAX_AGE
    if device_id:
        value = f"{value}|PC#{device_id}#{seconds + DEVICE_ID_MAX_AGE}"
        max_age = DEVICE_ID_MAX_AGE
    return Cookie(name=TARGET_COOKIE, value=value, max_age=max_age, maxAge=max_age)


def location_hint_cookie(cluster: str) -> Cookie:
    """The `mboxEdgeCluster` cookie that keeps a visitor on this edge cluster."""
    max_age = LOCATION_HINT_MAX_AGE
    return Cookie(name=LOCATION_HINT_COOKIE, value=cluster, max_age=max_age, maxAge=max_age)


def _living_parts(value: str, seconds: int) -> list[tuple[str, str]]:
    parts = []
    for part in value.split("|"):
        fields = part.split("#", 3)
        if len(fields) >= 3 and _expiry(fields[2]) >= seconds:
            parts.append((_decoded(fields[0]), _decoded(fields[1])))
    return parts


def _expiry(text: str) -> float:
    """The expiry as a number, below every clock when it is none (a fraction is some other SDK's)."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return float("-inf")


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _decoded(text: str) -> str:
    text = unquote(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
