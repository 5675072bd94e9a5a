"""Context of a request: device, browser and page, as its headers and its URL say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from targetry.models import Address, Browser, ChannelType, ClientHints, Context
from targetry.models.constraint import MAX_URL_LENGTH
from targetry.web.request import WebRequest

HIGH_ENTROPY_HINTS = (
    "Sec-CH-UA-Full-Version-List, Sec-CH-UA-Platform-Version, Sec-CH-UA-Model, Sec-CH-UA-Arch, "
    "Sec-CH-UA-Bitness"
)
"""Value of `Accept-CH`: the client hints that browsers send on request only."""


Headers = Mapping[str, Sequence[str]]


def request_context(request: WebRequest) -> Context:
    """Return the context of a request, without the visitor's address."""
    headers = request.headers
    language = _header(headers, "accept-language")
    return Context(
        channel=ChannelType.WEB,
        address=Address(
            url=_url(request.url), referring_url=_url(headers["referer"][0] if "referer" in headers else None)
        ),
        user_agent=_header(headers, "user-agent"),
        browser=None if language is None else Browser(language=language),
        client_hints=None if _HINT_NAMES.isdisjoint(headers) else _client_hints(headers),
    )


def _client_hints(headers: Headers) -> ClientHints | None:
    found: dict[str, Any] = {}
    for name, field, read in _HINTS:
        values = headers.get(name)
        if values:
            value = read(_clean(values[0]))
            if value is not None:
                found[field] = value
    return ClientHints(**found) if found else None


def _unquoted(text: str) -> str | None:
    """Return the text of a quoted string: `"Windows"` is `Windows`."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text or None


def _brands(text: str) -> str | None:
    return text or None


def _flag(text: str) -> bool | None:
    return {"?1": True, "?0": False}.get(text)


_HINTS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("sec-ch-ua", "browser_ua_with_major_version", _brands),
    ("sec-ch-ua-mobile", "mobile", _flag),
    ("sec-ch-ua-platform", "platform", _unquoted),
    ("sec-ch-ua-full-version-list", "browser_ua_with_full_version", _brands),
    ("sec-ch-ua-platform-version", "platform_version", _unquoted),
    ("sec-ch-ua-model", "model", _unquoted),
    ("sec-ch-ua-arch", "architecture", _unquoted),
    ("sec-ch-ua-bitness", "bitness", _unquoted),
)


_HINT_NAMES = frozenset(name for name, _, _ in _HINTS)


def _header(headers: Headers, name: str) -> str | None:
    values = headers.get(name)
    return _clean(values[0]) or None if values else None


def _clean(text: str) -> str:
    """Return a text that JSON can carry: a header can hold any bytes."""
    text = text[:MAX_URL_LENGTH].strip()
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _url(url: str | None) -> str | None:
    """Return a URL that the Delivery API takes: one that is too long loses its query."""
    if url is not None and len(url) > MAX_URL_LENGTH:
        url = url.partition("?")[0]
    return _clean(url) or None if url else None
