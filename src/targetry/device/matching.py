"""Which rules match: the fast road through a location's compiled rules.

`first_match` and `all_matches` answer as the plain road of `trace.py` does, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterator

from targetry.device.logic.compiler import Condition
from targetry.device.logic.facts import Facts
from targetry.device.ruleset import CompiledRule, Run

_ANY = 0.0  # an allocation


def first_match(runs: tuple[Run, ...], facts: Facts) -> CompiledRule | None:
    """The first rule that matches."""
    answers = facts.answers
    for audience, activity_id, splits, rules in runs:
        if audience is not None:
            answer = answers.get(audience)
            if answer is None:
                answer = answers[audience] = _holds(audience, facts, None, activity_id)
            if not answer:
                continue
        allocation = facts.request.allocation(activity_id) if splits else _ANY
        for rule in rules:
            if rule.low <= allocation <= rule.high and (rule.test is None or _passes(rule, facts)):
                return rule
    return None


def all_matches(runs: tuple[Run, ...], facts: Facts) -> Iterator[CompiledRule]:
    """All rules that match, the first of each rule key only."""
    answers = facts.answers
    matched: set[str] = set()
    for audience, activity_id, splits, rules in runs:
        if audience is not None:
            answer = answers.get(audience)
            if answer is None:
                answer = answers[audience] = _holds(audience, facts, None, activity_id)
            if not answer:
                continue
        allocation = facts.request.allocation(activity_id) if splits else _ANY
        for rule in rules:
            if (
                rule.low <= allocation <= rule.high
                and rule.key not in matched
                and (rule.test is None or _passes(rule, facts))
            ):
                matched.add(rule.key)
                yield rule


def _passes(rule: CompiledRule, facts: Facts) -> bool:
    assert rule.test is not None
    return _holds(rule.test, facts, facts.request.allocation(rule.activity_id), rule.activity_id)


def _holds(condition: Condition, facts: Facts, allocation: float | None, activity_id: str) -> bool:
    try:
        return bool(condition(facts, allocation))
    except Exception as error:  # the artifact's fault must not be the visitor's
        facts.request.record_failure(activity_id, error)
        return False
