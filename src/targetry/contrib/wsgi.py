"""Request of a WSGI environment, as visits read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from targetry.web.request import READ_HEADERS

_NAMES: Final = {"HTTP_" + name.upper().replace("-", "_"): name for name in READ_HEADERS}
_IN_A_PATH: Final = "/!$&'()*+,;=:@"  # RFC 3986, section 3.3, besides letters and digits
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._~-]+")  # most paths: nothing is quoted in them


class WsgiRequest:
    """Request of a WSGI environment.

    Args:
        environ: The environment; of a proxy, as middleware of the application has corrected it.
        original: Request that the functions among the options are given.
    """

    __slots__ = ("_environ", "_headers", "original")

    def __init__(self, environ: Mapping[str, Any], original: Any) -> None:
        self._environ = environ
        self._headers: dict[str, tuple[str]] | None = None
        self.original = original

    @property
    def is_secure(self) -> bool:
        return self._environ.get("wsgi.url_scheme") == "https"

    @property
    def host(self) -> str:
        environ = self._environ
        host: str | None = environ.get("HTTP_HOST")
        return host or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}".strip(":")

    @property
    def url(self) -> str:
        environ = self._environ
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        quoted = path if _PLAIN.fullmatch(path) else quote(path or "/", safe=_IN_A_PATH, encoding="latin-1")
        query = environ.get("QUERY_STRING", "")
        scheme = environ.get("wsgi.url_scheme", "http")
        return f"{scheme}://{self.host}{quoted}{'?' if query else ''}{query}"

    @property
    def peer(self) -> str | None:
        return self._environ.get("REMOTE_ADDR")

    @property
    def headers(self) -> dict[str, tuple[str]]:
        headers = self._headers
        if headers is None:
            headers = self._headers = headers_of(self._environ)
        return headers


def headers_of(environ: Mapping[str, Any]) -> dict[str, tuple[str]]:
    """Return the headers of `READ_HEADERS` in a WSGI environment, by name."""
    return {name: (environ[key],) for key, name in _NAMES.items() if key in environ}
