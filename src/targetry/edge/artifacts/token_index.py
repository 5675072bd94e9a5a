"""From an event token back to the activity and experience that gave it out.

Tokens are opaque. Those of options belong to one experience; that of a click metric is shared by all experiences of its activity, so
there the visitor's allocation tells which one he has.
"""

from __future__ import annotations

from typing import NamedTuple

from targetry.device.artifact import read_consequence, read_rule
from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import CompiledRule, Location, RuleSet


class Attribution(NamedTuple):
    """Whose token it is; empty texts where that is not known."""

    activity_id: str = ""
    experience_id: str = ""


UNKNOWN = Attribution()


class _Giver(NamedTuple):
    """A rule that gives out a token."""

    rule: CompiledRule
    attribution: Attribution


class TokenIndex:
    """The tokens of a RuleSet; built once for an artifact."""

    def __init__(self, rules: RuleSet) -> None:
        self._by_token: dict[str, list[_Giver]] = {}
        for location in (*rules.mboxes.values(), *rules.views.values()):
            self._add(location)

    def __len__(self) -> int:
        return len(self._by_token)

    def find(self, token: str, client_code: str, visitor: str) -> Attribution:
        """Whose token it is, when this visitor sends it; `UNKNOWN` for a token of no rule."""
        givers = self._by_token.get(token)
        if givers is None:
            return UNKNOWN
        first = givers[0].attribution
        if len(givers) == 1:
            return first
        for giver in givers:
            rule = giver.rule
            if rule.low <= allocation(client_code, rule.activity_id, visitor) <= rule.high:
                return giver.attribution
        return Attribution(first.activity_id)

    def _add(self, location: Location) -> None:
        for rule in location.rules:
            document = read_rule(rule.raw)
            experience = document.meta.get("experience.id")
            attribution = Attribution(rule.activity_id, "" if experience is None else str(experience))
            consequence = read_consequence(document.consequence)
            for given in (*(consequence.options or ()), *(consequence.metrics or ())):
                if given.event_token:
                    self._note(given.event_token, _Giver(rule, attribution))

    def _note(self, token: str, giver: _Giver) -> None:
        """An experience that gives a token out at several locations is listed once."""
        givers = self._by_token.setdefault(token, [])
        if all(known.attribution != giver.attribution for known in givers):
            givers.append(giver)
