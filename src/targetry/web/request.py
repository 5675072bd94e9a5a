"""Interface between frameworks and visits: what a request gives, and what a response takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

READ_HEADERS: Final = frozenset(
    {
        "accept-language",
        "cookie",
        "forwarded",
        "host",
        "referer",
        "sec-ch-ua",
        "sec-ch-ua-arch",
        "sec-ch-ua-bitness",
        "sec-ch-ua-full-version-list",
        "sec-ch-ua-mobile",
        "sec-ch-ua-model",
        "sec-ch-ua-platform",
        "sec-ch-ua-platform-version",
        "user-agent",
        "x-forwarded-for",
    }
)
"""Names of all headers that are read from a request."""

WRITTEN_HEADERS: Final = ("Accept-CH", "Set-Cookie", "Vary")
"""Names of all headers that are added to a response."""


class WebRequest(Protocol):
    """Request of a framework, whose members are read when they are first needed."""

    @property
    def original(self) -> Any:
        """The framework's own request, for the callables among the options."""

    @property
    def is_secure(self) -> bool:
        """Whether the request came by https."""

    @property
    def host(self) -> str:
        """Host of the request, with or without a port; empty if unknown."""

    @property
    def url(self) -> str:
        """The whole URL."""

    @property
    def peer(self) -> str | None:
        """Address of the other side of the connection; None or empty for a Unix socket."""

    @property
    def headers(self) -> Mapping[str, Sequence[str]]:
        """Headers of `READ_HEADERS` that the request has: name → values in their order."""


class HeaderSink(Protocol):
    """Headers of a response that has not started."""

    def add(self, name: str, value: str) -> None:
        """Add a header of `WRITTEN_HEADERS` after those of the same name."""

    def vary(self, name: str) -> None:
        """Name a request header in `Vary`, unless it is named there already."""


def merged_vary(values: Sequence[str], name: str) -> str | None:
    """Return a `Vary` header with `name` added; None if the response varies by it already.

    Args:
        values: The values of the headers `Vary` that there are.
        name: The request header.
    """
    if not values:
        return name
    listed = [item for value in values for part in value.split(",") if (item := part.strip())]
    if any(item == "*" or item.lower() == name.lower() for item in listed):
        return None
    return ", ".join([*listed, name])
