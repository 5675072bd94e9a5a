"""Target of the request that is being answered, for code that is not given the request."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from targetry.web.bound import AsyncBoundTarget, BoundTarget

AnyTarget = BoundTarget | AsyncBoundTarget

CURRENT: Final[ContextVar[AnyTarget | None]] = ContextVar("targetry_current_target", default=None)

_finders: list[Callable[[], AnyTarget | None]] = []


def find_target_by(finder: Callable[[], AnyTarget | None]) -> None:
    """Ask `finder` before `CURRENT`: for a framework that keeps the context of a request itself."""
    _finders.append(finder)


def current_target() -> BoundTarget | AsyncBoundTarget | None:
    """Return the target of the current request; None outside of requests.

    It is asynchronous in ASGI, except in synchronous views of Django.
    """
    for finder in _finders:
        found = finder()
        if found is not None:
            return found
    return CURRENT.get()
