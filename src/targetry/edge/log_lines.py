"""What an edge says on stderr: lines for people, or one JSON object each for machines."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

LogFormat = Literal["human", "json"]

_LOGGERS: Final = ("targetry.edge", "uvicorn.error")


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`; the fields of a request; `error` with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class HumanLines(logging.Formatter):
    """`09:14:27 POST /rest/v1/delivery 200 0.41 ms`; nothing in a line can command a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name that logging calls
        line = super().formatMessage(record)
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return level + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def start_logging(form: LogFormat, stream: TextIO | None = None) -> None:
    """Send the edge's lines, and its server's, to `stream` (default stderr). Replaces what an earlier call set up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else HumanLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "targetry.edge" else logging.WARNING)
