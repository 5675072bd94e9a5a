"""The outermost layer: every request is timed, counted and logged, and an error of ours becomes a 500 with a logged cause."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .refusal import INTERNAL_ERROR
from .request_notes import RequestNotes


class Guard:
    """Wraps an ASGI app."""

    def __init__(self, app: ASGIApp, *, notes: RequestNotes, log: logging.Logger) -> None:
        self._app = app
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
        except Exception:
            self._log.exception("%s %s failed", scope["method"], scope["path"])
            if not status:
                await _internal_error(counted)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "other")
            seconds = time.perf_counter() - started
            self._notes.note(route, scope["method"], scope["path"], status, seconds)


async def _internal_error(send: Send) -> None:
    length = str(len(INTERNAL_ERROR)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"vary", b"Origin")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": INTERNAL_ERROR})
