"""The outermost layer: every request is timed, counted and logged, and an error of ours becomes a 500 with a logged cause."""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from targetry.edge.http.errors import INTERNAL_ERROR
from targetry.edge.observability.access_log import RequestNotes
from targetry.edge.observability.internal_error import log_internal_error

_UNKNOWN_PATH: Final = "(unknown path)"


class Guard:
    """Wraps an ASGI app."""

    def __init__(
        self, app: ASGIApp, *, paths: frozenset[str], notes: RequestNotes, log: logging.Logger
    ) -> None:
        """Wrap an app; `paths` are those that the log shows, whatever becomes of their requests."""
        self._app = app
        self._paths = paths
        self._notes = notes
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as error:
            shown = self._shown_path(scope, 500)
            log_internal_error(self._log, "%s %s failed", scope["method"], shown, error=error)
            if not status:
                await _internal_error(counted)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "other")
            seconds = time.perf_counter() - started
            self._notes.note(route, scope["method"], self._shown_path(scope, status), status, seconds)

    def _shown_path(self, scope: Scope, status: int) -> str:
        """The path, where it is one of the edge's: any other may hold whatever a client puts there."""
        path: str = scope["path"]
        return path if path in self._paths or 0 < status < 400 else _UNKNOWN_PATH


async def _internal_error(send: Send) -> None:
    length = str(len(INTERNAL_ERROR)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"vary", b"Origin")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": INTERNAL_ERROR})
