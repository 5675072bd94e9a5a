"""Log of a client."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from support.cases import each_case
from targetry._runtime.logger import LOGGER_NAME, Log


class Minimal:
    """The documented minimum: `debug` and `error`, of one finished text."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str]] = []

    def debug(self, message: str) -> None:
        self.logged.append(("debug", message))

    def error(self, message: str) -> None:
        self.logged.append(("error", message))


class WithWarnings(Minimal):
    def warning(self, message: str) -> None:
        self.logged.append(("warning", message))


class Broken:
    def debug(self, message: str) -> None:
        raise ValueError

    error = debug


class Unspeakable:
    """Cannot be written."""

    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


SAID = [
    (("plain",), "plain"),
    (("100 %",), "100 %"),
    (("%s and %r", "a", "b"), "a and 'b'"),
    (("%d", 5), "5"),
    (("%s", {"a": 1}), "{'a': 1}"),
    (("%s", (1, 2)), "(1, 2)"),
]


@each_case("arguments, text", SAID)
@each_case("level", ["debug", "error"])
def test_logger_with_two_methods_gets_finished_texts(level: str, arguments: Any, text: str) -> None:
    logger = Minimal()
    getattr(Log(logger), level)(*arguments)
    assert logger.logged == [(level, text)]


def test_warning_is_logged_as_error_without_a_method_warning() -> None:
    minimal, full = Minimal(), WithWarnings()
    for logger in (minimal, full):
        Log(logger).warning("careful with %s", "that")
    assert minimal.logged == [("error", "careful with that")]
    assert full.logged == [("warning", "careful with that")]


@pytest.mark.parametrize(("arguments", "text"), SAID)
def test_standard_logger_formats_for_itself(
    caplog: pytest.LogCaptureFixture, arguments: Any, text: str
) -> None:
    caplog.set_level(logging.DEBUG, "mine")
    log = Log(logging.getLogger("mine"))
    log.debug(*arguments)
    log.warning(*arguments)
    log.error(*arguments)
    assert [record.getMessage() for record in caplog.records] == [text] * 3
    assert [record.levelname for record in caplog.records] == ["DEBUG", "WARNING", "ERROR"]


def test_record_names_the_line_that_logged_it(caplog: pytest.LogCaptureFixture) -> None:
    Log(logging.getLogger("mine")).error("here")
    (record,) = caplog.records
    assert record.pathname == __file__
    assert record.funcName == "test_record_names_the_line_that_logged_it"


def test_default_logger_is_the_official_one_with_its_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    official = logging.getLogger(LOGGER_NAME)
    before = official.level
    log = Log()
    assert log.logger is official
    assert LOGGER_NAME == "adobe.target"
    assert official.level == before
    log.error("told")
    assert [record.name for record in caplog.records] == ["adobe.target"]


def test_adapter_is_a_standard_logger(caplog: pytest.LogCaptureFixture) -> None:
    Log(logging.LoggerAdapter(logging.getLogger("mine"), {})).error("%s", "told")
    assert [record.args for record in caplog.records] == [("told",)]


def test_debug_is_enabled_by_the_logger() -> None:
    quiet, loud = logging.getLogger("quiet"), logging.getLogger("loud")
    quiet.setLevel(logging.INFO)
    loud.setLevel(logging.DEBUG)
    assert not Log(quiet).wants_debug
    assert Log(loud).wants_debug
    assert Log(Minimal()).wants_debug


@pytest.mark.parametrize("level", ["debug", "warning", "error"])
def test_exceptions_of_a_logger_are_ignored(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    say = getattr(Log(Broken()), level)
    say("message")
    getattr(Log(Minimal()), level)("%s", Unspeakable())
    getattr(Log(Minimal()), level)("%d", "no number")
    getattr(Log(object()), level)("message")
    assert capsys.readouterr() == ("", "")
