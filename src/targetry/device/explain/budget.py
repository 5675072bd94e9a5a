"""Time and size budget of one explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from targetry.device.logic.javascript import EvaluationError

DEFAULT_SECONDS: Final = 2.0
DEFAULT_NODES: Final = 100_000
_CHARACTERS_PER_NODE: Final = 100


class ExplainBudget:
    """Bound on the time that an explanation takes and on the nodes that it shows.

    A rule, a part of a condition and an item of a value are one node each, and 100 characters of
    text are one more. An explanation counts the rules, parts and items that it leaves out.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        seconds: float = DEFAULT_SECONDS,
        nodes: int = DEFAULT_NODES,
    ) -> None:
        """Start the budget.

        Args:
            clock: Clock in seconds, read now and before each piece of work. `time.thread_time`
                makes the limit one of processor time.
            seconds: Time limit. The compilation or evaluation under way may exceed it; both are
                bounded by the limits of a decision.
            nodes: Size limit.
        """
        self._clock = clock
        self._deadline = clock() + seconds
        self.nodes_left = nodes

    @property
    def is_exhausted(self) -> bool:
        """Whether the time or the nodes are used up."""
        return self.nodes_left <= 0 or self._is_late()

    def take(self, nodes: int = 1) -> None:
        """Deduct nodes that are shown."""
        self.nodes_left -= nodes

    def take_text(self, text: str) -> None:
        """Deduct the nodes of the characters of a text."""
        self.nodes_left -= len(text) // _CHARACTERS_PER_NODE

    def check_time(self) -> None:
        """Raise `EvaluationError` if the time is used up."""
        if self._is_late():
            raise EvaluationError("the explanation has used up its time")

    def _is_late(self) -> bool:
        return self._clock() >= self._deadline
