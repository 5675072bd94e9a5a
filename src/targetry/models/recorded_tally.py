"""Tally of a log of requests: answers by location and outcome, and those that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

import msgspec

from targetry.models.constraint import ConstraintError

UNREADABLE: Final = (msgspec.MsgspecError, ConstraintError, ValueError, OverflowError)
"""Errors of a line that is no recorded request."""

_MOST_ERRORS: Final = 5  # texts of errors that are kept

Pair = TypeVar("Pair", bound=Hashable)
"""Location, outcome, and the two answers that differ."""


class LogTally(Generic[Pair]):
    """Tally of a log.

    Attributes:
        lines: Lines of the log.
        lines_with_error: Lines that cannot be read.
        errors: The first of all errors.
        outcomes: Counts of outcomes by location, in the order in which locations occur.

    Args:
        examples: Number of lines that each difference names.
    """

    def __init__(self, examples: int) -> None:
        self.lines = self.lines_with_error = 0
        self.errors: list[str] = []
        self.outcomes: dict[str, Counter[str]] = {}
        self._examples = examples
        self._counts: Counter[Pair] = Counter()
        self._places: dict[Pair, list[int]] = {}

    def note(self, number: int, error: Exception) -> None:
        """Keep the error of a line, if it is among the first."""
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(f"line {number}: {error}")

    def note_unreadable(self, number: int, error: Exception) -> None:
        """Count a line that cannot be read, and keep its error."""
        self.lines_with_error += 1
        self.note(number, error)

    def count(self, location: str, outcome: str) -> None:
        """Count the answer at a location."""
        self.outcomes.setdefault(location, Counter())[outcome] += 1

    def count_difference(self, pair: Pair, number: int) -> bool:
        """Count a difference of a line; return whether the line is one of its examples."""
        self._counts[pair] += 1
        places = self._places.setdefault(pair, [])
        if len(places) >= self._examples:
            return False
        places.append(number)
        return True

    def differences(self) -> Iterator[tuple[Pair, int, list[int]]]:
        """Yield each difference with its count and its examples, the most frequent first."""
        for pair, count in self._counts.most_common():
            yield pair, count, self._places[pair]
