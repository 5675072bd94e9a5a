"""Finding of a check: a mistake in the files of the activities, with its position."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mistake in a file, as `targetry activities check` reports it.

    Attributes:
        code: Id of the rule that found it, such as `TA103`.
        level: `error` if the files cannot be compiled as written, else `warning`.
        message: Description of the mistake.
        hint: Description of the remedy, None without one.
        file: Path of the file, relative to the folder of the activities, with `/`.
        line: Line, counted from 1.
        column: Column in characters, counted from 1.
        path: Path of the value in the file, such as `activities[2].experiences[0].share`; empty for
            the whole file.
    """

    code: str
    level: Level
    message: str
    hint: str | None = None
    file: str
    line: int = 1
    column: int = 1
    path: str = ""

    def __str__(self) -> str:
        """Return the finding on one line: `hero.yaml:14:16: error TA103: …; did you mean …`."""
        hint = f"; {self.hint}" if self.hint else ""
        text = f"{self.file}:{self.line}:{self.column}: {self.level} {self.code}: {self.message}{hint}"
        return text.replace("\r", "\\r").replace("\n", "\\n")  # a name of a file can have both
