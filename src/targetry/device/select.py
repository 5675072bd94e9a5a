"""Which rules match: the fast road through a location's compiled rules.

`first_match` and `all_matches` answer as the plain road of `trace.py` does, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .facts import Facts
from .logic import Condition
from .ruleset import Location, Rule


class Problem(NamedTuple):
    """A rule that could not be evaluated for a request, and so was skipped (D-18)."""

    rule: Rule
    error: Exception


class Selector:
    """Chooses among the rules of locations for one request; `problems` collects what went wrong."""

    def __init__(self, property_token: str | None, problems: list[Problem]) -> None:
        self._property_token = property_token
        self._problems = problems

    def first(self, location: Location, facts: Facts) -> Rule | None:
        """The first rule that matches."""
        answers = facts.answers
        for audience, rules in location.runs(self._property_token):
            if audience is not None:
                answer = answers.get(audience)
                if answer is None:
                    answer = answers[audience] = self._holds(audience, facts, None, rules[0])
                if not answer:
                    continue
            for rule in rules:
                if self._in_window(rule, facts):
                    return rule
        return None

    def every(self, location: Location, facts: Facts) -> Iterator[Rule]:
        """All rules that match, the first of each rule key only."""
        answers = facts.answers
        matched: set[str] = set()
        for audience, rules in location.runs(self._property_token):
            if audience is not None:
                answer = answers.get(audience)
                if answer is None:
                    answer = answers[audience] = self._holds(audience, facts, None, rules[0])
                if not answer:
                    continue
            for rule in rules:
                if rule.key not in matched and self._in_window(rule, facts):
                    matched.add(rule.key)
                    yield rule

    def _in_window(self, rule: Rule, facts: Facts) -> bool:
        if rule.windowed and not rule.low <= facts.request.allocation(rule.activity_id) <= rule.high:
            return False
        if rule.test is None:
            return True
        return self._holds(rule.test, facts, facts.request.allocation(rule.activity_id), rule)

    def _holds(self, condition: Condition, facts: Facts, allocation: float | None, rule: Rule) -> bool:
        try:
            return bool(condition(facts, allocation))
        except Exception as error:  # the artifact's fault must not be the visitor's
            self._problems.append(Problem(rule, error))
            return False
