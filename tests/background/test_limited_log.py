from __future__ import annotations

from background_fakes import Clock, Lines
from targetry.background.limited_log import LimitedLog


def test_the_same_kind_is_told_once_a_minute() -> None:
    lines, clock = Lines(), Clock()
    log = LimitedLog(lines, clock)
    for second in range(121):
        clock.time = second
        log.error("disk", "failed at %d", second)
    assert lines.errors == ["failed at 0", "failed at 60", "failed at 120"]
    assert log.suppressed == 118


def test_kinds_do_not_silence_each_other() -> None:
    lines = Lines()
    log = LimitedLog(lines, Clock())
    log.error("disk", "full")
    log.warning("net", "down")
    assert lines.errors == ["full", "down"]


def test_debug_lines_are_not_limited() -> None:
    lines = Lines()
    log = LimitedLog(lines, Clock())
    log.debug("asking %s", 1)
    log.debug("asking %s", 2)
    assert lines.debugs == ["asking 1", "asking 2"]


def test_a_warning_is_one_where_the_logger_has_them() -> None:
    class WithWarnings(Lines):
        def __init__(self) -> None:
            super().__init__()
            self.warnings: list[str] = []

        def warning(self, message: str, *args: object) -> None:
            self.warnings.append(message % args)

    lines = WithWarnings()
    LimitedLog(lines, Clock()).warning("net", "down")
    assert (lines.warnings, lines.errors) == (["down"], [])


def test_a_logger_that_fails_harms_nobody() -> None:
    class Failing:
        def debug(self, message: str, *args: object) -> None:
            raise OSError("no space left")

        error = debug

    log = LimitedLog(Failing(), Clock())
    log.debug("a")
    log.error("kind", "b")
    log.warning("other kind", "c")


def test_kinds_without_end_do_not_fill_memory() -> None:
    log = LimitedLog(Lines(), Clock())
    for number in range(10_000):
        log.error(str(number), "text")
    assert len(log._told) <= 256
