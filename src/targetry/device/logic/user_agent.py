"""Browser and platform of a visitor, as audiences name them.

The tables are ordered, and the order matters, as browsers claim to be each other: Edge also claims
to be Chrome and Safari, an Android WebView (`Version/4.0 Chrome/…`) counts as Safari, Chrome claims
to be Safari, and Internet Explorer 11 only claims to be like Gecko. An iPhone claims `Mac OS X`,
Android claims `Linux`. Browsers that are not in the tables (Firefox with text after its version,
Chrome on iOS, bots) are `unknown`, as in Adobe's Node SDK.

A browser is recognized by the position of its version. Three rows also require a second mark at
least one character after the version. Only ASCII text matches, in any case; platforms are
case-sensitive.

User agents can be hostile, so no pattern backtracks over text that it has read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

_LONGEST_CACHED = 2048  # characters of user agent and client hints
_LONGEST_READ = 32_768  # characters; servers limit headers to less


class UserAgentInfo(NamedTuple):
    """A browser, its major version (-1 if unknown) and the platform."""

    browser: str
    version: int
    platform: str


class _Browser(NamedTuple):
    name: str
    sign: str  # a fast first test
    version: re.Pattern[str]  # with the leading digits of the version as a group
    behind: re.Pattern[str] | None = None


def _ascii(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_DIGITS = r"(?=[\w.])(\d*+)"
_VERSION = _ascii(rf"version/{_DIGITS}")

_BROWSERS = (
    _Browser("edge", "edg", _ascii(rf"edg(?:e|ios|a|)/{_DIGITS}")),
    _Browser("mobile safari", "safari", _VERSION, _ascii(r"mobile/\w++\ssafari")),
    _Browser("safari", "safari", _VERSION, _ascii("safari")),
    _Browser("chrome", "chrome/", _ascii(rf"chrome/v?{_DIGITS}")),
    _Browser("firefox", "firefox/", _ascii(r"firefox/(?=[\w.-])(\d*+)[\w.-]*+\Z")),
    _Browser("ie", "ie", _ascii(rf"ie(?:(?<=msie)|(?<=\(ie))\s{_DIGITS}")),
    # Only the last `rv` counts.
    _Browser("ie", "trident", _ascii(rf"trident(?s:.+rv[:\s]{_DIGITS})?"), _ascii(r"like\sgecko")),
)  # fmt: skip

_BRANDS = tuple(
    (name, re.compile(rf'{name}";v="([\d.]+)"', re.ASCII)) for name in ("chrome", "edge", "safari", "firefox")
)

UNKNOWN: Final = "unknown"
BROWSER_NAMES: Final = frozenset({UNKNOWN, *(row.name for row in _BROWSERS), *(name for name, _ in _BRANDS)})
"""Names that the fact `user.browserType` can have."""


def _any_of(*marks: str) -> Callable[[str], bool]:
    return lambda text: any(mark in text for mark in marks)


def _android(text: str) -> bool:
    return "Android " in text and _ANDROID.search(text) is not None


_ANDROID = re.compile(r"Android [0-9.]++;")

_PLATFORMS = (
    (_any_of("iPhone", "iPad", "iPod"), "iOS"),
    (_android, "Android"),
    (_any_of(" Linux "), "Linux"),
    (_any_of("FreeBSD", "OpenBSD", "CrOS"), "Unix"),
    (_any_of("(Windows ", " Windows "), "Windows"),
    (_any_of("Macintosh;"), "Mac OS"),
)

# platform → name in rules, if they differ
_RULE_NAMES = {"Windows": "windows", "Macintosh": "mac", "Mac OS": "mac", "macOS": "mac", "Linux": "linux"}


def parse_user_agent(
    user_agent: str | None,
    platform_hint: str | None = None,
    brands_full: str | None = None,
    brands_major: str | None = None,
) -> UserAgentInfo:
    """Parse a user agent; client hints take precedence.

    Args:
        user_agent: The header of that name.
        platform_hint: The client hint `platform`.
        brands_full: The client hint `browserUAWithFullVersion`, a list such as
            `"Chromium";v="119.0.6045.105", "Google Chrome";v="119.0.6045.105"`.
        brands_major: The client hint `browserUAWithMajorVersion`, the same with major versions.
    """
    text = user_agent or ""
    brands = brands_full or brands_major or ""
    if platform_hint is None and not brands:
        return _of_text(text) if len(text) > _LONGEST_CACHED else _of_text_cached(text)
    if len(text) + len(brands) + len(platform_hint or "") > _LONGEST_CACHED:
        return _hinted(text, platform_hint, brands)
    return _hinted_cached(text, platform_hint, brands)


def _of_text(text: str) -> UserAgentInfo:
    read = text[:_LONGEST_READ]
    return UserAgentInfo(*_browser(_plain(read)), _platform(read))


def _hinted(text: str, platform_hint: str | None, brands: str) -> UserAgentInfo:
    client = _of_text(text)
    browser, version = _brand(_plain(brands[:_LONGEST_READ]))
    return UserAgentInfo(
        client.browser if browser == UNKNOWN else browser,
        client.version if version < 0 else version,
        client.platform if platform_hint is None else _RULE_NAMES.get(platform_hint, platform_hint),
    )


_of_text_cached = lru_cache(maxsize=4096)(_of_text)
_hinted_cached = lru_cache(maxsize=4096)(_hinted)


def _plain(text: str) -> str:
    if not text.isascii():
        text = text.replace("\xa0", " ").encode("ascii", "replace").decode("ascii")
    return text.lower()


def _browser(text: str) -> tuple[str, int]:
    for name, sign, version, behind in _BROWSERS:
        if sign not in text:
            continue
        found = version.search(text)
        if found is None or found[1] is None:
            continue
        if behind is None or behind.search(text, found.start(1) + 2):
            return name, _major(found[1])
    return UNKNOWN, -1


def _brand(brands: str) -> tuple[str, int]:
    for name, version in _BRANDS:
        if found := version.search(brands):
            return name, _major(found[1].partition(".")[0])
    return UNKNOWN, -1


def _major(digits: str) -> int:
    if len(digits) < 16:
        return int(digits) if digits else -1
    return int(float(digits[:300]))  # rounded as in JavaScript, and bounded


def _platform(text: str) -> str:
    for matches, platform in _PLATFORMS:
        if matches(text):
            return _RULE_NAMES.get(platform, platform)
    return UNKNOWN
