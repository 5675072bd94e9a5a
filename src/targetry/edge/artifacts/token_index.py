"""Index of event tokens: maps a token to its activity and experience.

Tokens are opaque. The token of an option belongs to one experience. The token of a click metric is
shared by all experiences of its activity, so the visitor's allocation determines the experience.
"""

from __future__ import annotations

from typing import NamedTuple

from targetry.device.artifact import read_consequence, read_rule
from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import CompiledRule, Location, RuleSet


class Attribution(NamedTuple):
    """Activity and experience of a token; empty texts if unknown."""

    activity_id: str = ""
    experience_id: str = ""


UNKNOWN = Attribution()


class _TokenRule(NamedTuple):
    """Rule with a token in its consequence."""

    rule: CompiledRule
    attribution: Attribution


class TokenIndex:
    """Tokens of a rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self._by_token: dict[str, list[_TokenRule]] = {}
        for location in (*rules.mboxes.values(), *rules.views.values()):
            self._add(location)

    def __len__(self) -> int:
        return len(self._by_token)

    def find(self, token: str, client_code: str, visitor: str) -> Attribution:
        """Return the attribution of a token sent by a visitor; `UNKNOWN` for an unknown token."""
        rules_with_token = self._by_token.get(token)
        if rules_with_token is None:
            return UNKNOWN
        first = rules_with_token[0].attribution
        if len(rules_with_token) == 1:
            return first
        for entry in rules_with_token:
            rule = entry.rule
            if rule.low <= allocation(client_code, rule.activity_id, visitor) <= rule.high:
                return entry.attribution
        return Attribution(first.activity_id)

    def _add(self, location: Location) -> None:
        for rule in location.rules:
            document = read_rule(rule.raw)
            experience = document.meta.get("experience.id")
            attribution = Attribution(rule.activity_id, "" if experience is None else str(experience))
            consequence = read_consequence(document.consequence)
            for part in (*(consequence.options or ()), *(consequence.metrics or ())):
                if part.event_token:
                    self._register(part.event_token, _TokenRule(rule, attribution))

    def _register(self, token: str, entry: _TokenRule) -> None:
        """Add a rule with a token, once for each experience."""
        rules_with_token = self._by_token.setdefault(token, [])
        if all(known.attribution != entry.attribution for known in rules_with_token):
            rules_with_token.append(entry)
