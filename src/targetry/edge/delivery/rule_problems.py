"""Counts and log lines of rules that could not be evaluated."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.device.logic.facts import RuleFailure
from targetry.edge.observability.metrics import Metrics


class RuleProblems:
    """Counts rules that are skipped, and logs each reason at a limited rate."""

    def __init__(self, metrics: Metrics, log: logging.Logger) -> None:
        self._count = metrics.problems
        self._limited_log = RateLimitedLog(log)

    def note(self, problems: Iterable[RuleFailure]) -> None:
        """Count and log problems; callable from any thread."""
        for problem in problems:
            self._count.inc()
            activity, reason = problem.activity_id, problem.reason
            self._limited_log.warning(
                f"rule: {reason}", "a rule of activity %s is skipped: %s", activity, reason
            )
