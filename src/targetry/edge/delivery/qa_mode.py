"""QA mode, as far as an edge can honour it: experiences that are chosen by hand, and audiences that are held true or false.

Which activities a QA link is for is in its token, which only Adobe can read. Here the token is their ids, in the clear, with commas
between them: `482910,482917`. Any other token names none, and then only the audiences are heeded.

What is asked of QA mode is done to the rules, and then decided as ever. Two things cannot be told apart in an artifact: of a rule
with several audiences only all of them together can be held true, and a rule that mixes its audience with the allocation stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final

from targetry.device.artifact import read_rule
from targetry.device.ruleset import AllocationWindow, CompiledRule, Location, RuleSet
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.models import DeliveryRequest, QAMode

_MOST_LISTED: Final = 100
_EVERY_ALLOCATION: Final = AllocationWindow()


def rules_for(served: LoadedArtifact, request: DeliveryRequest) -> RuleSet:
    """The rules that decide a request: those that are served, or what its QA mode makes of those that it asks for."""
    if request.qa_mode is None:
        return served.rules
    qa = _Qa(request.qa_mode, served)
    if not qa.asks_for_anything:
        return served.rules
    rules = copy.copy(served.rules)
    asked = _asked_mboxes(request, rules.global_mbox)
    rules.mboxes = {name: qa.location(one) if name in asked else one for name, one in rules.mboxes.items()}
    if request.prefetch is not None and request.prefetch.views:
        rules.views = {name: qa.location(one) for name, one in rules.views.items()}
        rules.all_views = Location(rule for one in rules.views.values() for rule in one.rules)
    return rules


def _asked_mboxes(request: DeliveryRequest, global_mbox: str) -> set[str | None]:
    modes = [mode for mode in (request.execute, request.prefetch) if mode is not None]
    asked = {mbox.name for mode in modes for mbox in mode.mboxes or ()}
    return asked | {global_mbox} if any(mode.page_load is not None for mode in modes) else asked


class _Qa:
    """One QA mode, of requests for one artifact."""

    def __init__(self, mode: QAMode, served: LoadedArtifact) -> None:
        listed = _listed(mode.token)
        self._only = frozenset(listed) if mode.listed_activities_only and listed else None
        self._true = frozenset(mode.evaluate_as_true_audience_ids or ())
        self._false = frozenset(mode.evaluate_as_false_audience_ids or ())
        self._chosen = dict(_chosen(mode, listed, served))
        self.asks_for_anything = bool(self._only or self._true or self._false or self._chosen)

    def location(self, location: Location) -> Location:
        return Location(made for rule in location.rules if (made := self._rule(rule)) is not None)

    def _rule(self, rule: CompiledRule) -> CompiledRule | None:
        """The rule as QA mode has it; None where it cannot match."""
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


def _listed(token: str | None) -> list[str]:
    """The activities of a token in the clear."""
    listed = [one.strip() for one in (token or "").split(",")]
    is_clear = len(listed) <= _MOST_LISTED and all(one.isascii() and one.isdigit() for one in listed)
    return listed if is_clear else []


def _chosen(mode: QAMode, listed: list[str], served: LoadedArtifact) -> Iterable[tuple[str, str]]:
    """Activity → experience. Indexes begin with 1; one that leads nowhere chooses nothing."""
    for index in mode.preview_indexes or ():
        place, experience = index.activity_index, index.experience_index
        if place is None or experience is None or not 1 <= place <= len(listed):
            continue
        activity = served.activities.get(listed[place - 1])
        if activity is not None and 1 <= experience <= len(activity.experiences):
            yield activity.id, activity.experiences[experience - 1].id


def _audience_ids(meta: dict[str, Any]) -> list[Any]:
    ids = meta.get("audience.ids")
    return [one for one in ids if type(one) is int] if isinstance(ids, list) else []
