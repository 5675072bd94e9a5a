"""Request of a WSGI environment, as visits read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from targetry.web.request import READ_HEADERS

_KEYS: Final = {name: "HTTP_" + name.upper().replace("-", "_") for name in READ_HEADERS}
_IN_A_PATH: Final = "/!$&'()*+,;=:@"  # RFC 3986, section 3.3, besides letters and digits


class WsgiRequest:
    """Request of a WSGI environment.

    Args:
        environ: The environment; of a proxy, as middleware of the application has corrected it.
        original: Request that the functions among the options are given.
    """

    __slots__ = ("_environ", "original")

    def __init__(self, environ: Mapping[str, Any], original: Any) -> None:
        self._environ = environ
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
        quoted = quote(path or "/", safe=_IN_A_PATH, encoding="latin-1")
        query = environ.get("QUERY_STRING", "")
        scheme = environ.get("wsgi.url_scheme", "http")
        return f"{scheme}://{self.host}{quoted}{'?' if query else ''}{query}"

    @property
    def peer(self) -> str | None:
        return self._environ.get("REMOTE_ADDR")

    def header(self, name: str) -> Sequence[str]:
        value = self._environ.get(_KEYS[name])
        return () if value is None else (value,)
