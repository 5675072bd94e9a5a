"""Rules that decisions skip: counted by activity and cause, logged once a minute."""

from __future__ import annotations

from support.background_fakes import Lines
from targetry._client.decisions.skipped_rules import SkippedRules
from targetry._runtime.logger import Log
from targetry.device.logic.facts import RuleFailure
from targetry.device.logic.operators import EvaluationError


def test_skipped_rules_are_counted_by_activity_and_cause() -> None:
    skipped = SkippedRules(Log(Lines()))
    for _ in range(3):
        skipped.note(
            [RuleFailure("1", EvaluationError("too much")), RuleFailure("2", ValueError("of a visitor"))]
        )
    assert skipped.counts == {"activity 1: too much": 3, "activity 2: ValueError": 3}


def test_skipped_rules_of_many_activities_make_one_line_for_each_cause() -> None:
    lines = Lines()
    skipped = SkippedRules(Log(lines))
    for activity in range(1000):
        skipped.note([RuleFailure(str(activity), EvaluationError("too much"))])
    assert lines.errors == [
        "A rule of activity 0 is skipped: too much; `stats().skipped_rules` has the counts"
    ]
    assert len(skipped.counts) == 101
    assert sum(skipped.counts.values()) == 1000
    assert skipped.counts["other activities"] == 900
