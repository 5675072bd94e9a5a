"""The `mbox` cookie as the official `target_python_sdk.cookies` takes it apart and puts it together (spec/delivery.md §4)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any
from urllib.parse import quote, unquote

from targetry.delivery.cookies import TARGET_COOKIE, Cookie


def parse_cookies(target_cookie: str | None) -> dict[str, dict[str, Any]]:
    """The parts of an `mbox` cookie that have not expired: name → `name`, `value`, and `expires` in epoch seconds.

    Never raises for any text.
    """
    parts = {}
    now = ceil(time.time())
    for part in (target_cookie or "").split("|"):
        fields = part.split("#", 3)
        expires = _seconds(fields[2]) if len(fields) >= 3 else None
        if expires is not None and expires >= now:
            name = unquote(fields[0])
            parts[name] = {"name": name, "value": unquote(fields[1]), "expires": expires}
    return parts


def create_target_cookie(cookies: Iterable[Mapping[str, Any]]) -> Cookie:
    """An `mbox` cookie to be set, of parts with `name`, `value`, and `expires` in epoch seconds.

    It lives as long as its longest-lived part.
    """
    parts = list(cookies)
    last = max((int(part["expires"]) for part in parts), default=0)
    max_age = max(0, last - ceil(time.time()))
    value = "|".join(
        f"{_encoded(part['name'])}#{_encoded(part['value'])}#{part['expires']}" for part in parts
    )
    return Cookie(name=TARGET_COOKIE, value=value, max_age=max_age, maxAge=max_age)


def _seconds(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _encoded(text: str) -> str:
    return quote(text, safe="", errors="replace")
