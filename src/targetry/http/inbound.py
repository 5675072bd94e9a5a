"""Surplus detection and limits on response heads, before an HTTP/1.1 parser.

A parser stops when its response is complete, and keeps the bytes behind it for the next response,
which would then answer another visitor's request. So the last byte of every read is held back until
the parser needs more. A parser with a complete response needs nothing; a byte that is still held
then lies behind the response.
"""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

MAX_INTERIM_RESPONSES: Final = 20
MAX_HEAD_LINES: Final = 1000
MAX_HEAD_BYTES: Final = 256 * 1024
_BODILESS: Final = (b"204", b"304")
_LENGTH_LINE: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n[^ \t])")


class InvalidResponseError(Exception):
    """A response arrived and cannot be returned. Never leaves this package."""


class StaleConnectionError(InvalidResponseError):
    """The connection cannot carry the request; the server has processed none of it."""


class EarlyDataError(StaleConnectionError):
    """Bytes arrived before the request was sent."""


class Inbound:
    """The responses of one connection, one after the other."""

    __slots__ = ("_head", "held")

    def __init__(self) -> None:
        self.held = b""  # the byte held back
        self._head: HeadLimits | None = None

    @property
    def is_started(self) -> bool:
        """Return whether a response was ever expected: SOCKS messages can precede the first."""
        return self._head is not None

    def start_response(self) -> None:
        """Expect the head of a response next."""
        self._head = HeadLimits()

    def check(self, data: bytes) -> None:
        """Count `data`, which was just read; see `HeadLimits.feed`."""
        if self._head is not None:
            self._head.feed(data)

    def hold(self, data: bytes) -> bytes:
        """Return what the parser gets now of `data`, which is not empty."""
        passed, self.held = self.held + data[:-1], data[-1:]
        return passed

    def take_held(self) -> bytes:
        """Return the byte that was held back, or b"" if there is none."""
        held, self.held = self.held, b""
        return held


class HeadLimits:
    """Limits of a response head: lines and bytes up to the body, interim responses included."""

    __slots__ = ("_interim", "_line", "_lines", "_size", "_status", "body_length", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self.body_length: int | None = None  # if the head says it in the usual form
        self._line = b""  # the beginning of a line whose end has not arrived yet
        self._status = b""
        self._interim = 0
        self._lines = 0
        self._size = 0

    def feed(self, data: bytes) -> int:
        """Count `data` and return how many bytes of it belong to the head; 0 once it is complete.

        Raises `InvalidResponseError` when the head exceeds its limits.
        """
        if self.is_complete:
            return 0
        if not self._size and (end := _end_of_plain_head(data)):
            self.is_complete = True
            self.body_length = _body_length(data[:end])
            return end
        self._size += len(data)
        before = len(self._line)
        text, start = self._line + data, 0
        while (end := text.find(b"\n", start)) >= 0:
            start, line = end + 1, text[start:end].rstrip(b"\r")
            if self._ends_with(line):
                self.is_complete = True
                return start - before
        self._line = text[start:]
        if self._size > MAX_HEAD_BYTES:
            raise InvalidResponseError(
                f"the response is not HTTP: its head is larger than {MAX_HEAD_BYTES} bytes"
            )
        return len(data)

    def _ends_with(self, line: bytes) -> bool:
        """Count `line` and return whether it ends the head."""
        self._lines += 1
        if self._lines > MAX_HEAD_LINES:
            raise InvalidResponseError(
                f"the response is not HTTP: its head has more than {MAX_HEAD_LINES} lines"
            )
        if line or not self._status:
            self._status = self._status or line
            return False
        code = self._status.split(None, 2)[1:2]
        self._status = b""
        if not code or not code[0].startswith(b"1") or code[0] == b"101":
            return True
        self._interim += 1
        if self._interim > MAX_INTERIM_RESPONSES:
            raise InvalidResponseError(
                f"more than {MAX_INTERIM_RESPONSES} interim responses arrived before the response"
            )
        return False


def _end_of_plain_head(data: bytes) -> int:
    """Return the length of the head if `data` begins with a whole one of a usual form, else 0."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0 or data[8:9] != b" " or not b"2" <= data[9:10] <= b"5":
        return 0
    lines = data.count(b"\r\n", 0, end)
    is_plain = lines == data.count(b"\n", 0, end) == data.count(b"\r", 0, end)
    return end + 4 if is_plain and lines < MAX_HEAD_LINES else 0


def _body_length(head: bytes) -> int | None:
    """Return the length of the body behind a plain head, unless anything makes it doubtful.

    The response is taken not to be one to HEAD.
    """
    if head[9:12] in _BODILESS or b"\r\ntransfer-encoding" in (lower := head.lower()):
        return None
    lengths = _LENGTH_LINE.findall(lower)
    return int(lengths[0]) if len(lengths) == 1 == lower.count(b"\r\ncontent-length") else None


def is_readable(sock: socket.socket) -> bool:
    """Return whether a read would return at once: with data, the end or an error."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    except ValueError:  # it is closed, perhaps by a signal handler just now
        return True


def peek(sock: socket.socket) -> bytes | None:
    """Return the next byte of a plain socket and leave it there; see `pool.Connection.unread`."""
    if not is_readable(sock):
        return None
    import socket  # the caller has imported it; clients that call nothing do not need it

    try:
        return sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
