"""QA mode: selected experiences, and audiences that count as true or false.

The token of a QA link contains its activities, encrypted by Adobe. Here their ids are expected in
plain text, separated by commas: `482910,482917`. With another token only the audience ids apply.

QA mode changes the rules; the decision is the usual one. An artifact limits it in two ways: a rule
with several audiences can only be true for all of them together, and a rule that mixes its audience
with the allocation stays unchanged.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable
from typing import Any, Final

from targetry.device.artifact import read_rule
from targetry.device.ruleset import (
    AllocationWindow,
    CompiledRule,
    Location,
    RuleSet,
    decidable_locations,
)
from targetry.models import DeliveryRequest, QAMode

_MOST_LISTED: Final = 100
_EVERY_ALLOCATION: Final = AllocationWindow()


def rules_for(rules: RuleSet, request: DeliveryRequest) -> RuleSet:
    """Return the rules that decide a request: the artifact's, changed by the request's QA mode."""
    if request.qa_mode is None:
        return rules
    views = request.prefetch is not None and bool(request.prefetch.views)
    return qa_rules(rules, request.qa_mode, _requested_mboxes(request, rules.global_mbox), views=views)


def qa_rules(rules: RuleSet, mode: QAMode, mboxes: Container[str | None], *, views: bool = False) -> RuleSet:
    """Return the rules as QA mode changes those of some mboxes, and of all views if `views`."""
    qa = _QaRules(mode, rules)
    if not qa.changes_rules:
        return rules
    changed = copy.copy(rules)
    changed.mboxes = {name: qa.location(one) if name in mboxes else one for name, one in rules.mboxes.items()}
    changed.decidable_mboxes = decidable_locations(changed.mboxes, rules.local_mboxes, rules.remote_mboxes)
    if views:
        changed.views = {name: qa.location(one) for name, one in rules.views.items()}
        changed.all_views = Location(rule for one in changed.views.values() for rule in one.rules)
    return changed


def listed_activities(token: str | None) -> list[str]:
    """Return the activities of a plain-text token; none of a token that only Adobe can read."""
    listed = [one.strip() for one in (token or "").split(",")]
    is_clear = len(listed) <= _MOST_LISTED and all(one.isascii() and one.isdigit() for one in listed)
    return listed if is_clear else []


def _requested_mboxes(request: DeliveryRequest, global_mbox: str) -> set[str | None]:
    modes = [mode for mode in (request.execute, request.prefetch) if mode is not None]
    requested = {mbox.name for mode in modes for mbox in mode.mboxes or ()}
    return requested | {global_mbox} if any(mode.page_load is not None for mode in modes) else requested


class _QaRules:
    """One QA mode, of requests for one rule set."""

    def __init__(self, mode: QAMode, rules: RuleSet) -> None:
        listed = listed_activities(mode.token)
        self._only = frozenset(listed) if mode.listed_activities_only and listed else None
        self._true = frozenset(mode.evaluate_as_true_audience_ids or ())
        self._false = frozenset(mode.evaluate_as_false_audience_ids or ())
        self._chosen = dict(_chosen_experiences(mode, listed, rules))
        self.changes_rules = bool(self._only or self._true or self._false or self._chosen)

    def location(self, location: Location) -> Location:
        return Location(made for rule in location.rules if (made := self._rule(rule)) is not None)

    def _rule(self, rule: CompiledRule) -> CompiledRule | None:
        """Return the rule as QA mode changes it; None if it cannot match."""
        if self._only is not None and rule.activity_id not in self._only:
            return None
        meta = read_rule(rule.raw).meta
        audiences = _audience_ids(meta)
        if not self._false.isdisjoint(audiences):
            return None
        chosen = self._chosen.get(rule.activity_id)
        if chosen is not None and str(meta.get("experience.id")) != chosen:
            return None
        is_true = bool(audiences) and self._true.issuperset(audiences)
        if chosen is None and not is_true:
            return rule
        window = AllocationWindow(rule.low, rule.high) if chosen is None else _EVERY_ALLOCATION
        made = CompiledRule(rule.raw, rule.key, rule.activity_id, rule.tokens, window)
        made.audience, made.test, made.template = None if is_true else rule.audience, rule.test, rule.template
        return made


def _chosen_experiences(mode: QAMode, listed: list[str], rules: RuleSet) -> Iterable[tuple[str, str]]:
    """Yield activities with their experiences; indexes start at 1, unknown ones are skipped."""
    for index in mode.preview_indexes or ():
        position, experience = index.activity_index, index.experience_index
        if position is None or experience is None or not 1 <= position <= len(listed):
            continue
        experiences = rules.experiences.get(listed[position - 1], ())
        if 1 <= experience <= len(experiences):
            yield listed[position - 1], experiences[experience - 1]


def _audience_ids(meta: dict[str, Any]) -> list[Any]:
    ids = meta.get("audience.ids")
    return [one for one in ids if type(one) is int] if isinstance(ids, list) else []
