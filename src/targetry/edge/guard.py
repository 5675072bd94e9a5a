"""The outermost layer: every request is timed, counted and logged, and an error of ours becomes a 500 with a logged cause."""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .refusal import error_body

_QUIET: Final = frozenset({"recent_requests"})  # asked every two seconds by each page that is open


class Guard:
    """Wraps an ASGI app."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: logging.Logger) -> None:
        self._app = app
        self._metrics = metrics
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
        except Exception:
            self._log.exception("%s %s failed", scope["method"], scope["path"])
            if not status:
                await _internal_error(counted)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("endpoint"), "__name__", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        if self._log.isEnabledFor(level):
            milliseconds = round(seconds * 1000, 2)
            fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": milliseconds}
            self._log.log(level, "%(method)s %(path)s %(status)s %(ms)s ms", fields, extra={"fields": fields})


async def _internal_error(send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    body = error_body(500, "an internal error; the edge's log has its cause")
    await send({"type": "http.response.body", "body": body})
