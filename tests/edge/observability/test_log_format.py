from __future__ import annotations

import json
import logging
import sys
from typing import Any

from targetry.edge.observability.log_format import HumanLines, JsonLines


def record(message: str, *, level: int = logging.INFO, error: Any = None, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("targetry.edge", level, "file", 1, message, (), error)
    made.__dict__.update(extra)
    return made


def test_json_line_has_the_fields_of_a_request() -> None:
    line = json.loads(JsonLines().format(record("GET / 200", fields={"status": 200, "path": "/"})))
    assert (line["message"], line["level"], line["status"], line["path"]) == ("GET / 200", "info", 200, "/")


def test_json_line_has_the_traceback_of_an_error() -> None:
    try:
        raise ZeroDivisionError("the cause")
    except ZeroDivisionError:
        text = JsonLines().format(record("failed", level=logging.ERROR, error=sys.exc_info()))
    assert "\n" not in text
    assert "the cause" in json.loads(text)["error"]


def test_human_line_escapes_control_characters() -> None:
    assert "\x1b" not in HumanLines().format(record("GET /\x1b[2J 404"))
    assert HumanLines().format(record("GET /\x1b[2J 404")).endswith(r"GET /\x1b[2J 404")


def test_warning_has_its_level() -> None:
    assert HumanLines().format(record("the disk is full", level=logging.WARNING)).startswith("warning: ")
