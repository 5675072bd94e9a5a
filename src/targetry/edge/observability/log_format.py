"""Log format of an edge on stderr: lines for people, or one JSON object each for machines."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec

LogFormat = Literal["human", "json"]

_LOGGERS: Final = ("targetry.edge", "uvicorn.error")
_PIPE_BYTES: Final = 4096
_LONGEST_CHARACTER: Final = 4  # bytes


RequestLine = tuple[float, str, str, str, int, float]
"""Answered request: time (epoch seconds), route, method, path, status, duration in seconds."""


def request_fields(line: RequestLine) -> dict[str, Any]:
    """Return the fields that are logged of a request."""
    _, _, method, path, status, seconds = line
    return {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 2)}


def request_text(line: RequestLine) -> str:
    """Return the line that is logged of a request."""
    _, _, method, path, status, seconds = line
    return f"{method} {path} {status} {_milliseconds(round(seconds * 100_000))} ms"


@lru_cache(maxsize=4096)  # writing a float takes longer than the rest of a line
def _milliseconds(hundredths: int) -> str:
    return str(hundredths / 100)


class Lines:
    """Lines of many requests; becomes a text on demand."""

    def __init__(self, lines: Sequence[RequestLine]) -> None:
        self._lines = lines

    def __str__(self) -> str:
        return "\n".join(map(request_text, self._lines))


class JsonLines(logging.Formatter):
    """Formatter with one JSON object for each line.

    Its keys are `time`, `level`, `logger` and `message`, the fields of a request, and `error` with
    the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        requests: Sequence[RequestLine] | None = getattr(record, "requests", None)
        if requests is not None:
            lines = (_json_line(record, one[0], request_text(one), request_fields(one)) for one in requests)
            return "\n".join(lines)
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return _json_line(record, record.created, record.getMessage(), fields)


def _json_line(record: logging.LogRecord, at: float, message: str, fields: dict[str, Any]) -> str:
    line = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": message,
        **fields,
    }
    return msgspec.json.encode(line).decode()


class HumanLines(logging.Formatter):
    """Formatter with lines such as `09:14:27 POST /rest/v1/delivery 200 0.41 ms`.

    Control characters are escaped, so a line cannot command a terminal.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        requests: Sequence[RequestLine] | None = getattr(record, "requests", None)
        if requests is None:
            return super().format(record)
        return "\n".join(_human_lines(requests))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of a record, with the level of warnings and errors."""
        line = super().formatMessage(record)
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return level + _escape_controls(line)


def _escape_controls(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _human_lines(requests: Iterable[RequestLine]) -> Iterator[str]:
    second = next_second = 0
    clock = ""
    for at, _, method, path, status, seconds in requests:
        if not second <= at < next_second:
            second = int(at)
            next_second = second + 1
            clock = time.strftime("%H:%M:%S", time.localtime(second))
        yield f"{clock} {_human_start(method, path, status)} {_milliseconds(round(seconds * 100_000))} ms"


@lru_cache(maxsize=64)
def _human_start(method: str, path: str, status: int) -> str:
    """Return the part of a request's line that most requests share."""
    return _escape_controls(f"{method} {path} {status}")


class LineHandler(logging.StreamHandler[TextIO]):
    """Handler that writes whole lines to stderr, as many at once as a pipe does not split.

    Processes that write to one pipe do not mix writes of up to 4 KB.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines of a record."""
        try:
            for lines in whole_lines(self.format(record) + self.terminator):
                self.stream.write(lines)
                self.flush()
        except Exception:
            self.handleError(record)


def whole_lines(text: str) -> Iterator[str]:
    """Yield the lines of a text, many at once: up to 4 KB, or one line that is longer."""
    most = _PIPE_BYTES if text.isascii() else _PIPE_BYTES // _LONGEST_CHARACTER
    start = 0
    while len(text) - start > most:
        end = text.rfind("\n", start, start + most) + 1 or text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def start_logging(form: LogFormat) -> None:
    """Write the log of the edge and of uvicorn to stderr.

    Replaces the handlers of an earlier call.
    """
    handler = LineHandler()
    handler.setFormatter(JsonLines() if form == "json" else HumanLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "targetry.edge" else logging.ERROR)
