"""FastAPI: middleware, and the target of a request as a dependency (extra `fastapi`)."""

from __future__ import annotations

from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Annotated, Any

from targetry._runtime.lazy_import import importing_extra
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent

with importing_extra("fastapi"):
    from fastapi import Depends
    from fastapi.requests import HTTPConnection

    from targetry.contrib.asgi import blocking_target_of, target_of
    from targetry.contrib.current import current_target
    from targetry.contrib.starlette import TargetMiddleware, get_sync_target, get_target

__all__ = [
    "AsyncBoundTarget",
    "BoundTarget",
    "Consent",
    "SyncTarget",
    "Target",
    "TargetMiddleware",
    "current_target",
    "get_sync_target",
    "get_target",
]


async def target_for_endpoint(connection: HTTPConnection) -> Any:
    """Return the target that the endpoint can call: a synchronous one for `def` endpoints.

    Raises:
        LookupError: The middleware is not installed, or its option `exclude` has the path.
    """
    scope = connection.scope
    return target_of(scope) if _runs_in_loop(scope.get("endpoint")) else blocking_target_of(scope)


def _runs_in_loop(endpoint: Any) -> bool:
    if endpoint is None or iscoroutinefunction(endpoint) or isasyncgenfunction(endpoint):
        return True
    return iscoroutinefunction(getattr(endpoint, "__call__", None))  # noqa: B004  of an instance


Target = Annotated[AsyncBoundTarget, Depends(target_for_endpoint)]
"""Parameter of an `async def` endpoint: the target of the request."""

SyncTarget = Annotated[BoundTarget, Depends(target_for_endpoint)]
"""Parameter of a `def` endpoint: the target of the request, whose calls wait in its thread."""
