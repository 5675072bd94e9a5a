"""Rate-limited log."""

from __future__ import annotations

import pytest

from support.background_fakes import Clock, Lines
from targetry._runtime.rate_limited_log import RateLimitedLog


def test_one_kind_is_logged_once_a_minute() -> None:
    lines, clock = Lines(), Clock()
    log = RateLimitedLog(lines, clock)
    for second in range(121):
        clock.time = second
        log.error("disk", "failed at %d", second)
    more = " (59 more like this since the last such line)"
    assert lines.errors == ["failed at 0", f"failed at 60{more}", f"failed at 120{more}"]
    assert log.suppressed == 118


def test_kinds_do_not_silence_each_other() -> None:
    lines = Lines()
    log = RateLimitedLog(lines, Clock())
    log.error("disk", "full")
    log.warning("net", "down")
    assert lines.errors == ["full", "down"]


def test_debug_lines_are_not_limited() -> None:
    lines = Lines()
    log = RateLimitedLog(lines, Clock())
    log.debug("asking %s", 1)
    log.debug("asking %s", 2)
    assert lines.debugs == ["asking 1", "asking 2"]


def test_warning_is_logged_as_warning_if_the_logger_has_the_method() -> None:
    class WithWarnings(Lines):
        def __init__(self) -> None:
            super().__init__()
            self.warnings: list[str] = []

        def warning(self, message: str, *args: object) -> None:
            self.warnings.append(message % args)

    lines = WithWarnings()
    RateLimitedLog(lines, Clock()).warning("net", "down")
    assert (lines.warnings, lines.errors) == (["down"], [])


def test_exceptions_of_the_logger_are_ignored() -> None:
    class Failing:
        def debug(self, message: str, *args: object) -> None:
            raise OSError("no space left")

        error = debug

    log = RateLimitedLog(Failing(), Clock())
    log.debug("a")
    log.error("kind", "b")
    log.warning("other kind", "c")


def test_kinds_without_end_fill_neither_memory_nor_the_log() -> None:
    lines, clock = Lines(), Clock()
    log = RateLimitedLog(lines, clock)
    for _ in range(3):
        for number in range(2_000):
            log.error(str(number), "text")
    assert len(lines.errors) == 257
    assert log.suppressed == 6_000 - 257
    assert len(log._limiter._kinds) <= 257
    clock.advance(60)
    log.error("new", "text")
    assert lines.errors[-1] == "text"


@pytest.mark.parametrize("line", [("100 %",), ("%s", "100 %")])
def test_line_with_a_percent_sign_is_counted_too(line: tuple[str, ...]) -> None:
    lines, clock = Texts(), Clock()
    log = RateLimitedLog(lines, clock)
    for _ in range(3):
        log.error("a", *line)
    clock.advance(60)
    log.error("a", *line)
    assert lines.errors == ["100 %", "100 % (2 more like this since the last such line)"]


class Texts(Lines):
    """As a `logging.Logger`, which formats only what has arguments."""

    def error(self, message: str, *args: object) -> None:
        self.errors.append(message % args if args else message)
