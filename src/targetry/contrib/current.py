"""Target of the request that is being answered, for code that is not given the request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from targetry.web.bound import AsyncBoundTarget, BoundTarget

CURRENT: Final[ContextVar[BoundTarget | AsyncBoundTarget | None]] = ContextVar(
    "targetry_current_target", default=None
)


def current_target() -> BoundTarget | AsyncBoundTarget | None:
    """Return the target of the current request; None outside of requests.

    It is asynchronous in ASGI, except in synchronous views of Django.
    """
    return CURRENT.get()
