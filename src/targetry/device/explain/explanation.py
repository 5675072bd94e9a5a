"""Explanation of a decision: each rule of each requested location, and why it matched or not.

`matching.py` decides which rules match, so an explanation agrees with the decision; this module
finds out why the others did not. When the budget is exhausted, rules that did not match are left
out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode, condition_tree
from targetry.device.explain.truncation import truncate
from targetry.device.logic.facts import Details, Facts, RequestFacts, bucketing_id
from targetry.device.matching import all_matches, first_match
from targetry.device.personalize import Template
from targetry.device.remote import remote_dependency
from targetry.device.ruleset import CompiledRule, Location, RuleSet
from targetry.errors import ArtifactError
from targetry.models import Context, DeliveryRequest, RequestDetails

_NO_CONTEXT = Context()
_NAMES = ("activity.id", "activity.name", "experience.id", "experience.name")


class Verdict(StrEnum):
    """Result of one rule."""

    MATCHED = "matched"
    CONDITION = "condition"
    ALLOCATION = "allocation"
    PROPERTY = "property"
    RULE_KEY = "rule-key"
    UNUSABLE = "quarantined"
    FAILED = "failed"
    NOT_REACHED = "not-reached"


class RuleExplanation(msgspec.Struct, rename="camel", omit_defaults=True):
    """One rule of a location; `position` is its index in the artifact's list for `location`.

    `allocation` (percent) and `window`, both ends included, are set if the condition uses the
    allocation; `condition` is set if the rule was evaluated, which a rule of another property is
    not.
    """

    location: str
    position: int
    verdict: Verdict
    reason: str
    rule_key: str | None = None
    meta: dict[str, Any] = {}
    property_tokens: list[str] = []
    allocation: float | None = None
    window: tuple[float, float] | None = None
    condition: ConditionNode | None = None


class LocationExplanation(msgspec.Struct, rename="camel", omit_defaults=True):
    """One requested location.

    `mode` is `execute` or `prefetch`, `type` `mbox`, `pageLoad` or `view`.

    A view without a name is every view. `is_remote`: it has, or may have, activities that only the
    Delivery API decides. `more` counts the rules that are left out when the budget is exhausted;
    rules that matched are never left out.
    """

    mode: str
    type: str
    name: str | None
    is_remote: bool
    rules: list[RuleExplanation]
    parameters: dict[str, Any] = {}
    more: int = 0

    @property
    def matched(self) -> list[RuleExplanation]:
        """The rules whose content is in the response, in the order of the response."""
        return [rule for rule in self.rules if rule.verdict is Verdict.MATCHED]


class Explanation(msgspec.Struct, rename="camel"):
    """An explained request.

    `visitor` is the id that allocations are computed from; `context` holds the facts that all
    locations share.
    """

    client_code: str
    visitor: str
    property_token: str | None
    now_ms: int
    context: dict[str, Any]
    locations: list[LocationExplanation]


def explain(
    rules: RuleSet,
    request: DeliveryRequest,
    *,
    client_code: str,
    now_ms: int,
    budget: ExplainBudget,
) -> Explanation:
    """Explain the response of `decide` to the same arguments. Never raises.

    Args:
        rules: The compiled artifact.
        request: A prepared request, as for `decide`.
        client_code: The client code, a part of the bucketing key.
        now_ms: The time of the decision, epoch milliseconds.
        budget: Bounds what the explanation takes in addition to the decision.
    """
    facts, token = _facts_of(request, client_code, now_ms)
    context = Facts(facts, RequestDetails(), None).as_dict(None)
    del context["mbox"]
    explainer = _Explainer(rules, facts, token, budget)
    locations = [explainer.location(one) for one in _requested(rules, request)]
    return Explanation(client_code, facts.visitor, token, now_ms, context, locations)


class LocationMatches(msgspec.Struct, frozen=True):
    """One requested location with the content of the rules that matched.

    The other fields are those of `LocationExplanation`.
    """

    mode: str
    type: str
    name: str | None
    is_remote: bool
    matched: list[Template]


def match_locations(
    rules: RuleSet, request: DeliveryRequest, *, client_code: str, now_ms: int
) -> list[LocationMatches]:
    """Return the matches that `explain` explains, in a tenth of its time. Never raises.

    Args:
        rules: The compiled artifact.
        request: A prepared request, as for `decide`.
        client_code: The client code, a part of the bucketing key.
        now_ms: The time of the decision, epoch milliseconds.
    """
    facts, token = _facts_of(request, client_code, now_ms)
    found = []
    for one in _requested(rules, request):
        matched = one.matches(Facts(facts, one.details, one.name), token)
        templates = [rules.template(rule) for rule in matched]
        found.append(LocationMatches(one.mode, one.type, one.name, one.is_remote, templates))
    return found


def _facts_of(request: DeliveryRequest, client_code: str, now_ms: int) -> tuple[RequestFacts, str | None]:
    """Return the facts of a request, and its property token."""
    facts = RequestFacts(request.context or _NO_CONTEXT, bucketing_id(request.id), client_code, now_ms)
    return facts, request._property.token if request._property is not None else None


class _Requested(NamedTuple):
    """A requested location; `names` are those of the artifact's lists of its rules."""

    mode: str
    type: str
    name: str | None
    is_remote: bool
    details: Details
    location: Location
    names: list[str]
    first_only: bool

    def matches(self, facts: Facts, token: str | None) -> list[CompiledRule]:
        """Return the rules whose content is in the response."""
        runs = self.location.runs(token)
        if not self.first_only:
            return list(all_matches(runs, facts))
        first = first_match(runs, facts)
        return [first] if first is not None else []


def _requested(rules: RuleSet, request: DeliveryRequest) -> Iterator[_Requested]:
    """Yield executed locations first; within a mode mboxes, then the page load, then views."""
    remote = remote_dependency(rules, request)
    for mode, requested in (("execute", request.execute), ("prefetch", request.prefetch)):
        if requested is None:
            continue
        places: list[tuple[str, str, Details]] = [
            ("mbox", one.name or "", one) for one in requested.mboxes or ()
        ]
        if requested.page_load is not None:
            places.append(("pageLoad", rules.global_mbox, requested.page_load))
        for kind, name, details in places:
            first_only = kind == "mbox" and name != rules.global_mbox
            yield _Requested(
                mode, kind, name, name in remote.mboxes, details, rules.mbox(name), [name], first_only
            )
    if request.prefetch is not None:
        for view in request.prefetch.views or ():
            key = view.name or None
            names = list(rules.views) if key is None else [key]
            is_remote = bool(remote.views) if key is None else key in remote.views
            yield _Requested("prefetch", "view", key, is_remote, view, rules.view(key), names, False)


class _Explainer:
    def __init__(self, rules: RuleSet, facts: RequestFacts, token: str | None, budget: ExplainBudget) -> None:
        self._rules = rules
        self._request = facts
        self._token = token
        self._budget = budget

    def location(self, one: _Requested) -> LocationExplanation:
        """Return the explanation of a requested location."""
        facts = Facts(self._request, one.details, one.name)
        matches = one.matches(facts, self._token)
        explainer = _RuleExplainer(facts, self._token, matches, one.first_only, self._budget)
        rules, more = [], 0
        for entry in self._entries("view" if one.type == "view" else "mbox", one.names):
            if self._budget.is_exhausted and not explainer.is_match(entry.rule):
                more += 1
            else:
                rules.append(explainer.explain(entry))
        parameters = one.details.parameters or {}
        return LocationExplanation(one.mode, one.type, one.name, one.is_remote, rules, parameters, more)

    def _entries(self, kind: str, names: list[str]) -> Iterator[_Entry]:
        """Yield the rules of locations in the artifact's order, unusable ones included."""
        known = self._rules.mboxes if kind == "mbox" else self._rules.views
        unusable = self._unusable[kind]
        for name in names:
            usable = known[name].rules if name in known else ()
            rest, here = iter(usable), unusable.get(name, {})
            for position in range(len(usable) + len(here)):
                entry = here.get(position)
                yield entry if entry is not None else _Entry(name, position, next(rest))

    @cached_property
    def _unusable(self) -> dict[str, dict[str, dict[int, _Entry]]]:
        """The unusable rules by location type, location name and position."""
        entries: dict[str, dict[str, dict[int, _Entry]]] = {"mbox": {}, "view": {}}
        try:
            parsed = self._rules.document()["rules"] if self._rules.unusable else {}
        except ArtifactError:  # one rule that is not JSON hides the meta of the others
            parsed = {}
        for kind, name, position, reason in self._rules.unusable:
            parts = parsed.get("mboxes" if kind == "mbox" else "views", {})
            rule = parts[name][position] if name in parts else None
            entries[kind].setdefault(name, {})[position] = _Entry(name, position, None, reason, rule)
        return entries


class _Entry(NamedTuple):
    """A position in the artifact's list for a location; an unusable rule has a `reason`."""

    location: str
    position: int
    rule: CompiledRule | None
    reason: str = ""
    parsed: Any = None


class _RuleExplainer:
    """Explains the rules of one requested location in order."""

    def __init__(
        self,
        facts: Facts,
        token: str | None,
        matches: list[CompiledRule],
        first_only: bool,
        budget: ExplainBudget,
    ) -> None:
        self._facts = facts
        self._budget = budget
        self._token = token
        self._matches = set(matches)
        self._first_only = first_only
        self._keys: set[str] = set()
        self._is_decided = False

    def is_match(self, rule: CompiledRule | None) -> bool:
        return rule in self._matches

    def explain(self, entry: _Entry) -> RuleExplanation:
        rule = entry.rule
        if rule is None:
            meta = entry.parsed.get("meta") if isinstance(entry.parsed, dict) else None
            meta = self._truncated(meta if isinstance(meta, dict) else {})
            return RuleExplanation(entry.location, entry.position, Verdict.UNUSABLE, entry.reason, meta=meta)
        verdict, reason = self._verdict(rule)
        explained = RuleExplanation(
            entry.location,
            entry.position,
            verdict,
            reason,
            rule.key,
            self._truncated(rule.meta),
            sorted(rule.tokens),
        )
        if verdict not in _NOT_EVALUATED:
            self._add_condition(rule, explained)
        return explained

    def _truncated(self, meta: dict[str, Any]) -> dict[str, Any]:
        self._budget.take()
        budget = self._budget
        if budget.is_exhausted:  # a rule that matched keeps its names
            meta = {name: meta[name] for name in _NAMES if name in meta}
            budget = ExplainBudget(lambda: 0.0, nodes=100)
        shown: dict[str, Any] = truncate(meta, budget)
        return shown

    def _verdict(self, rule: CompiledRule) -> tuple[Verdict, str]:
        if self._is_decided:
            return Verdict.NOT_REACHED, "an earlier rule decided"
        if rule.tokens and self._token not in rule.tokens:
            has = f"is of property {self._token}" if self._token else "names no property"
            return Verdict.PROPERTY, f"only for {_properties(rule)}, and the request {has}"
        if rule in self._matches:
            self._keys.add(rule.key)
            self._is_decided = self._first_only
            return Verdict.MATCHED, "its content is given"
        if rule.key in self._keys:
            return Verdict.RULE_KEY, f"an earlier rule of the key {rule.key} matched"
        return self._why_not(rule)

    def _why_not(self, rule: CompiledRule) -> tuple[Verdict, str]:
        try:
            if rule.audience is not None and not rule.audience(self._new_facts(), None):
                return Verdict.CONDITION, "its condition does not hold"
            allocation = self._allocation(rule)
            if allocation is not None and not rule.low <= allocation <= rule.high:
                low, high = rule.percent_window
                return Verdict.ALLOCATION, f"the allocation {allocation:g} is not in {low:g} to {high:g}"
            if rule.test is not None and not rule.test(self._new_facts(), allocation):
                return Verdict.CONDITION, "its condition does not hold"
        except Exception as error:  # as in a decision
            return Verdict.FAILED, f"its condition cannot be evaluated: {error}"
        return Verdict.FAILED, "earlier rules have used up the work that a decision may cost"

    def _add_condition(self, rule: CompiledRule, explained: RuleExplanation) -> None:
        allocation = explained.allocation = self._allocation(rule)
        if _has_bounds(rule):
            explained.window = rule.percent_window
        explained.condition = condition_tree(rule.condition, self._new_facts, allocation, self._budget)

    def _allocation(self, rule: CompiledRule) -> float | None:
        """Return the visitor's allocation in percent, None if the rule does not use it."""
        uses_allocation = _has_bounds(rule) or rule.test is not None
        return self._facts.request.allocation(rule.activity_id) if uses_allocation else None

    def _new_facts(self) -> Facts:
        """Return the location's facts with all of the work that a decision is allowed."""
        facts = self._facts
        return _TimedFacts(facts.request, facts.details, facts.name, budget=self._budget)


class _TimedFacts(Facts, kw_only=True):
    """Facts whose loops end when the time of the explanation is used up."""

    budget: ExplainBudget

    def spend(self, steps: int) -> None:
        self.budget.check_time()
        super().spend(steps)


_NOT_EVALUATED = frozenset({Verdict.NOT_REACHED, Verdict.PROPERTY, Verdict.RULE_KEY})


def _has_bounds(rule: CompiledRule) -> bool:
    """Return whether the condition has a window, even one that admits every allocation."""
    return rule.low != -math.inf or rule.high != math.inf


def _properties(rule: CompiledRule) -> str:
    return ("property " if len(rule.tokens) == 1 else "properties ") + ", ".join(sorted(rule.tokens))
