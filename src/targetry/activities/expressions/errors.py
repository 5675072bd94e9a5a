"""Error of an audience expression that cannot be parsed."""

from __future__ import annotations

from targetry.errors import TargetError


class ExpressionError(TargetError):
    """An audience expression cannot be parsed.

    Attributes:
        code: Id of the lint rule, such as `TA103`.
        message: Description of the mistake.
        line: Line in the text of the expression, counted from 1.
        column: Column in characters, counted from 1.
        hint: Description of the remedy, None without one.
    """

    def __init__(
        self, code: str, message: str, line: int = 1, column: int = 1, hint: str | None = None
    ) -> None:
        super().__init__(f"{line}:{column}: {code} {message}" + (f"; {hint}" if hint else ""))
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint

    def __reduce__(self) -> tuple[type[ExpressionError], tuple[str, str, int, int, str | None]]:
        return type(self), (self.code, self.message, self.line, self.column, self.hint)
