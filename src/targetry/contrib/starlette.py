"""Starlette: middleware, and the target of a request (extra `starlette`)."""

from __future__ import annotations

from targetry._runtime.lazy_import import importing_extra
from targetry.contrib.asgi import AsgiTarget, Scope, blocking_target_of, target_of
from targetry.contrib.current import current_target
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent

with importing_extra("starlette"):
    from starlette.requests import HTTPConnection

__all__ = [
    "AsyncBoundTarget",
    "BoundTarget",
    "Consent",
    "TargetMiddleware",
    "current_target",
    "get_sync_target",
    "get_target",
]


class TargetMiddleware(AsgiTarget):
    """Middleware of Starlette and FastAPI: `app.add_middleware(TargetMiddleware, client=…)`.

    The target is `request.state.target`. Functions among the options are given a `HTTPConnection`.
    Arguments and errors are those of `AsgiTarget`.
    """

    def make_request(self, scope: Scope) -> HTTPConnection:
        """Return the request that the functions among the options are given."""
        return HTTPConnection(scope)


def get_target(connection: HTTPConnection) -> AsyncBoundTarget:
    """Return the target of a request or a WebSocket.

    Raises:
        LookupError: The middleware is not installed, or its option `exclude` has the path.
    """
    return target_of(connection.scope)


def get_sync_target(connection: HTTPConnection) -> BoundTarget:
    """Return the target of a request for a synchronous endpoint, which runs in a thread.

    Raises:
        LookupError: As `get_target`.
    """
    return blocking_target_of(connection.scope)
