"""Connections that ask too much, or nothing, are ended (RELIABILITY B7): the head of a request is bounded in bytes, fields and time.

uvicorn's own protocol bounds none of the three. Bodies are bounded by `bodies`, which can say so in an answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .refusal import error_body

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 128
HEAD_TIMEOUT_S: Final = 10.0

_TOO_LARGE: Final = error_body(431, "the request's head is too large")
_ANSWER: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE)
)


class _HeadTooLarge(Exception):  # noqa: N818  ends the parser's work, and goes no further
    pass


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 of one connection. The time for a head counts from the connection, and from the first byte of later requests."""

    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._in_head = True
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:  # whatever followed a head that is complete by now was not part of it
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._set_deadline()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_FIELDS:
            raise _HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._clear_deadline()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self._in_head and len(self.headers or ()) >= MAX_FIELDS:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        self.transport.write(_ANSWER)
        self.transport.close()

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
