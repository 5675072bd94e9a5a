"""Index of event tokens: maps a token to its activity and experience.

Tokens are opaque. The token of an option belongs to one experience. The token of a click metric is
shared by all experiences of its activity, so the visitor's allocation determines the experience.

Pages that were rendered before an artifact was replaced send tokens of the earlier one.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from targetry.device.artifact import read_consequence, read_rule
from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import Location, RuleSet


class Attribution(NamedTuple):
    """Activity and experience of a token; empty texts if unknown."""

    activity_id: str = ""
    experience_id: str = ""


UNKNOWN = Attribution()

_MOST_EARLIER: Final = 10_000  # tokens of earlier artifacts


class _TokenWindow(NamedTuple):
    """Window of the allocation in percent, ends included, in which a token has an attribution."""

    low: float
    high: float
    attribution: Attribution


class TokenIndex:
    """Tokens of a rule set, and those of the rule sets before it, the latest up to a bound."""

    def __init__(self, rules: RuleSet, earlier: TokenIndex | None = None) -> None:
        self._by_token: dict[str, dict[_TokenWindow, None]] = {}
        for location in (*rules.mboxes.values(), *rules.views.values()):
            self._add(location)
        if earlier is not None:
            gone = (one for one in earlier._by_token.items() if one[0] not in self._by_token)
            self._by_token.update(list(islice(gone, _MOST_EARLIER)))
        self._of_one_experience = {
            token: next(iter(windows)).attribution
            for token, windows in self._by_token.items()
            if len({one.attribution for one in windows}) == 1
        }

    def __len__(self) -> int:
        return len(self._by_token)

    def find(self, token: str, client_code: str, visitor: str) -> Attribution:
        """Return the attribution of a token sent by a visitor; `UNKNOWN` for an unknown token."""
        known = self._of_one_experience.get(token)
        if known is not None:
            return known
        windows = self._by_token.get(token)
        if windows is None:
            return UNKNOWN
        allocations: dict[str, float] = {}
        for low, high, attribution in windows:
            activity = attribution.activity_id
            if activity not in allocations:
                allocations[activity] = allocation(client_code, activity, visitor)
            if low <= allocations[activity] <= high:
                return attribution
        return Attribution(next(iter(windows)).attribution.activity_id)

    def _add(self, location: Location) -> None:
        for rule in location.rules:
            document = read_rule(rule.raw)
            experience = document.meta.get("experience.id")
            attribution = Attribution(rule.activity_id, "" if experience is None else str(experience))
            consequence = read_consequence(document.consequence)
            window = _TokenWindow(rule.low, rule.high, attribution)
            for part in (*(consequence.options or ()), *(consequence.metrics or ())):
                if part.event_token:
                    self._by_token.setdefault(part.event_token, {})[window] = None
