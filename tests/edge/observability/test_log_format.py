from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from targetry.edge.observability.log_format import HumanLines, JsonLines, LineHandler, whole_lines


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


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["short\n"] * 3, id="few"),
        pytest.param([f"{n} GET /\n" for n in range(2_000)], id="many"),
        pytest.param(["é" * 50 + "\n"] * 200, id="not ascii"),
        pytest.param(["x\n", "y" * 10_000 + "\n", "z\n"], id="a long one"),
        pytest.param(["y" * 10_000], id="a long one without end"),
        pytest.param([], id="none"),
    ],
)
def test_writes_are_whole_lines_of_up_to_4_kb(lines: list[str]) -> None:
    writes = list(whole_lines("".join(lines)))
    assert "".join(writes) == "".join(lines)
    for write in writes[:-1]:
        assert write.endswith("\n")
    assert all(len(write.encode()) <= 4096 or write.count("\n") <= 1 for write in writes)


def test_handler_writes_the_lines_of_a_burst(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LineHandler()
    handler.setFormatter(HumanLines())
    burst = [(1.0 + n / 100, "delivery", "POST", f"/{n}", 200, 0.001) for n in range(500)]
    handler.handle(record("%s", requests=burst))
    written = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in written] == [f"POST /{n} 200 1.0 ms" for n in range(500)]
    assert len({line.partition(" ")[0] for line in written}) == 5
