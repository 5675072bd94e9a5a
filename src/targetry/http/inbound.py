"""Bytes read from a connection, on their way to the HTTP/1.1 parser: surplus detection and limits on response heads.

A parser stops when its response is complete, and keeps what was read behind it for the next response. That must never
be: it would answer another visitor's request. So the last byte of every read is held back until the parser asks for
more. A parser with a complete response does not ask; a byte that is still held then lies behind the response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from targetry.http.deadline import Attempt
from targetry.http.errors import EarlyDataError, StaleConnectionError, UnusableError

MAX_INTERIM_RESPONSES: Final = 20
_MAX_LINES: Final = 1000
_MAX_BYTES: Final = 256 * 1024


class Inbound:
    """The responses of one connection, one after the other."""

    __slots__ = ("_head", "_held", "_is_sending", "_is_spoiled")

    def __init__(self) -> None:
        self._held = b""
        self._head: _HeadLimits | None = None
        self._is_sending = False
        self._is_spoiled = False

    @property
    def has_surplus(self) -> bool:
        """Return whether the connection is ahead of, or behind, its requests, and must not carry another."""
        return bool(self._held) or self._is_spoiled

    def spoil(self) -> None:
        """Note that a request was not sent whole."""
        self._is_spoiled = True

    def before_send(self, data: bytes, unread: Callable[[], bytes | None], attempt: Attempt) -> None:
        """Check that nothing came before the request, of which `data` is about to be sent.

        Raises `EarlyDataError`, or `StaleConnectionError` when a connection that was used before has ended.
        """
        if not self._is_sending and data[:1] < b"A":
            return  # a message of SOCKS, which begins with its version, 1 or 5; one of HTTP begins with a letter
        if self._is_sending:
            if unread() is not None:
                self._is_spoiled = True
            return
        came = unread()
        if came:
            raise EarlyDataError("the server sent bytes before it was asked")
        if came == b"" and attempt.opened is None:
            raise StaleConnectionError("the server closed the connection")
        self._head = _HeadLimits()
        self._is_sending = True

    def take(self) -> bytes:
        """Return the byte that was held back, or b"" when there is none."""
        self._is_sending = False
        held, self._held = self._held, b""
        return held

    def accept(self, data: bytes) -> bytes:
        """Return what of `data`, just read, the parser gets now. Raises `UnusableError` when a head has no end."""
        head = self._head
        if head is None:
            return data
        if not head.is_complete:
            head.feed(data)
        if len(data) < 2:
            return data
        self._held = data[-1:]
        return data[:-1]


class _HeadLimits:
    """Counts the lines and bytes up to the body, interim responses (`100 Continue`) included."""

    __slots__ = ("_interim", "_line", "_lines", "_size", "_status", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self._line = b""  # the beginning of a line whose end has not come yet
        self._status = b""
        self._interim = 0
        self._lines = 0
        self._size = 0

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        text, start = self._line + data, 0
        while (end := text.find(b"\n", start)) >= 0:
            self._add_line(text[start:end].rstrip(b"\r"))
            if self.is_complete:
                self._line = b""
                return
            start = end + 1
        self._line = text[start:]
        if self._size > _MAX_BYTES:
            raise UnusableError(f"the answer is not HTTP: its head is larger than {_MAX_BYTES} bytes")

    def _add_line(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > _MAX_LINES:
            raise UnusableError(f"the answer is not HTTP: its head has more than {_MAX_LINES} lines")
        if line:
            self._status = self._status or line
        elif self._status:
            self._end_head()

    def _end_head(self) -> None:
        code = self._status.split(None, 2)[1:2]
        self._status = b""
        if not code or not code[0].startswith(b"1") or code[0] == b"101":
            self.is_complete = True
            return
        self._interim += 1
        if self._interim > MAX_INTERIM_RESPONSES:
            raise UnusableError(f"more than {MAX_INTERIM_RESPONSES} interim responses came before the answer")
