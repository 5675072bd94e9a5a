"""Counts of rules that decisions skipped because they could not be evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.device.logic.facts import RuleFailure

_MOST_CAUSES: Final = 100
_OTHERS: Final = "other activities"


class SkippedRules:
    """Counter of skipped rules by activity and cause; logs each cause at most once a minute."""

    def __init__(self, log: Log) -> None:
        self._log = RateLimitedLog(log)
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Counts by `activity <id>: <cause>`, a copy; those beyond a hundred causes are summed."""
        return self._counts.copy()

    def note(self, problems: Iterable[RuleFailure]) -> None:
        """Count the rules that a decision skipped, and log new causes."""
        for problem in problems:
            name = f"activity {problem.activity_id}: {problem.reason}"
            if name not in self._counts and len(self._counts) >= _MOST_CAUSES:
                name = _OTHERS
            self._counts[name] = self._counts.get(name, 0) + 1
            self._log.error(
                problem.reason,
                "A rule of activity %s is skipped: %s; `stats().skipped_rules` has the counts",
                problem.activity_id,
                problem.reason,
            )
