"""Paths of OFREP, each with the client code and the environment that can precede them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

_EVENTS: Final = "/ofrep/v1/events"
_PATH: Final = re.compile(
    r"(?:/([^/]+))?(?:/([^/]+))?/ofrep/v1/(?:evaluate/flags(?:/(.*))?|(events))", re.DOTALL
)


_LONGEST_CACHED: Final = 256  # characters


class OfrepTarget(NamedTuple):
    """Target of an OFREP request; `key` is None for all flags and for the event stream.

    `client` and `environment` select the artifact, if they are given.
    """

    client: str | None
    environment: str | None
    key: str | None
    is_event_stream: bool

    @property
    def events_path(self) -> str:
        """Path of the event stream of the same artifact."""
        prefix = "".join(f"/{quote(part)}" for part in (self.client, self.environment) if part is not None)
        return f"{prefix}{_EVENTS}"


def parse_ofrep_path(path: str) -> OfrepTarget | None:
    """Return the target of a decoded path; None if the path is not one of OFREP.

    A flag key contains anything, since clients do not encode a slash in it.
    """
    return _parse(path) if len(path) <= _LONGEST_CACHED else _parse.__wrapped__(path)


@lru_cache(maxsize=256)
def _parse(path: str) -> OfrepTarget | None:
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    client, environment, key, events = found.groups()
    return OfrepTarget(client, environment, key, events is not None)
