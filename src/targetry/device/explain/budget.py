"""What an explanation may cost, however large the artifact is and whatever its conditions ask for."""

from __future__ import annotations

from types import CodeType
from typing import Final

from targetry.device.logic.javascript import EvaluationError

# The unit is a step of a loop, or a character that is told.
PART: Final = 150  # to compile one part of a condition
KNOWN_PART: Final = 30  # where its code is there already
_ENOUGH: Final = 10_000_000  # about two seconds


class Allowance:
    """How much an explanation may still cost; all that it tells is paid from one."""

    def __init__(self, left: int = _ENOUGH) -> None:
        self.left = left
        self._known: set[CodeType] = set()

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0

    def spend(self, cost: int) -> None:
        """Pay what is to be paid in any case, though it may be more than there is."""
        self.left -= cost

    def demand(self, cost: int) -> None:
        """Pay for work that can be left; raises `EvaluationError` when there is not enough."""
        if cost > self.left:
            self.left = 0
            raise EvaluationError("more work than an explanation may cost")
        self.left -= cost

    def give_back_for(self, code: CodeType, parts: int) -> None:
        """Give back most of what these parts have cost, if they turn out to have the code of others."""
        if code in self._known:
            self.left += (PART - KNOWN_PART) * parts
        self._known.add(code)
