"""Codec of the `mbox` cookie, as in the official `target_python_sdk.cookies`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any
from urllib.parse import quote, unquote

from targetry.compat.conversions import parse_int
from targetry.delivery.cookies import TARGET_COOKIE, Cookie


def parse_cookies(target_cookie: str | None) -> dict[str, dict[str, Any]]:
    """Return the parts of an `mbox` cookie that have not expired, by name.

    Each has `name`, `value`, and `expires` in epoch seconds. Never raises for any text.
    """
    now = ceil(time.time())
    parts = map(deserialize_cookie, get_internal_cookies(target_cookie or ""))
    return {part["name"]: part for part in parts if part is not None and part["expires"] >= now}


def create_target_cookie(cookies: Iterable[Mapping[str, Any]]) -> Cookie:
    """Return an `mbox` cookie of parts with `name`, `value`, and `expires` in epoch seconds.

    It lives as long as its longest-lived part.
    """
    parts = list(cookies)
    last = int(get_max_expires(parts)) if parts else 0
    max_age = max(0, last - ceil(time.time()))
    value = "|".join(map(serialize_cookie, parts))
    return Cookie(name=TARGET_COOKIE, value=value, max_age=max_age, maxAge=max_age)


def create_internal_cookie(name: str, value: str, expires: int) -> dict[str, Any]:
    """Return one part of an `mbox` cookie; `expires` is in epoch seconds."""
    return {"name": name, "value": value, "expires": expires}


def get_internal_cookies(cookie_value: str) -> list[str]:
    """Split an `mbox` cookie into its parts, which are still encoded."""
    return cookie_value.split("|")


def deserialize_cookie(string: str) -> dict[str, Any] | None:
    """Decode one part, expired or not; None for a text that is not a part."""
    fields = string.split("#", 3)
    expires = parse_int(fields[2]) if len(fields) >= 3 else None
    return (
        None if expires is None else create_internal_cookie(unquote(fields[0]), unquote(fields[1]), expires)
    )


def serialize_cookie(cookie: Mapping[str, Any]) -> str:
    """Encode one part."""
    return f"{_encoded(cookie['name'])}#{_encoded(cookie['value'])}#{cookie['expires']}"


def get_expires(cookie: Mapping[str, Any]) -> Any:
    """Return when a part expires, in epoch seconds; None if it does not say."""
    return cookie.get("expires")


def get_max_expires(cookies: Iterable[Mapping[str, Any]]) -> Any:
    """Return the latest expiry of several parts, in epoch seconds. Raises `ValueError` for none."""
    return max(map(get_expires, cookies))


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")
