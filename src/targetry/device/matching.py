"""Matching of rules: evaluation of a location's compiled rules for one request.

`first_match` and `all_matches` give the same result as the traced evaluation in `trace.py`; a
property test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from targetry.device.logic.compiler import Condition
from targetry.device.logic.facts import Facts, RequestFacts
from targetry.device.ruleset import CompiledRule, Run

_ANY = 0.0  # the allocation where no rule uses it


def first_match(runs: tuple[Run, ...], facts: Facts) -> CompiledRule | None:
    """Return the first rule that matches, None if none does."""
    results: dict[Condition, bool] | None = None if len(runs) == 1 else {}  # of audiences that runs share
    for audience, activity_id, uses_allocation, rules in runs:
        if audience is not None:
            result = None if results is None else results.get(audience)
            if result is None:
                result = _holds(audience, facts, None, activity_id)
                if results is not None:
                    results[audience] = result
            if not result:
                continue
        allocation = _ANY
        if uses_allocation:
            allocations = facts.request.allocations
            allocation = (
                allocations[activity_id]
                if activity_id in allocations
                else facts.request.allocate(activity_id)
            )
        for rule in rules:
            if (
                allocation <= rule.high
                and rule.low <= allocation
                and (rule.test is None or _passes(rule, facts))
            ):
                return rule
    return None


def first_in_window(runs: tuple[Run, ...], request: RequestFacts) -> CompiledRule | None:
    """Return the first rule that matches, None if none does, where no rule has a condition."""
    allocations = request.allocations
    for _, activity_id, uses_allocation, rules in runs:
        if not uses_allocation:
            return rules[0]
        allocation = allocations[activity_id] if activity_id in allocations else request.allocate(activity_id)
        for rule in rules:
            if allocation <= rule.high and rule.low <= allocation:
                return rule
    return None


def all_matches(runs: tuple[Run, ...], facts: Facts) -> Iterator[CompiledRule]:
    """Yield all rules that match, only the first of each rule key."""
    results: dict[Condition, bool] = {}  # of audiences that runs share
    matched: set[str] = set()
    for audience, activity_id, uses_allocation, rules in runs:
        if audience is not None:
            result = results.get(audience)
            if result is None:
                result = results[audience] = _holds(audience, facts, None, activity_id)
            if not result:
                continue
        allocation = facts.request.allocation(activity_id) if uses_allocation else _ANY
        for rule in rules:
            if (
                allocation <= rule.high
                and rule.low <= allocation
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
    except Exception as error:  # a fault of the artifact skips the rule
        facts.record_failure(activity_id, error)
        return False
