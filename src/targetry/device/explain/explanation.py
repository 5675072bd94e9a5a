"""Why a visitor gets what he gets: for each location that a request asks for, each rule and what became of it.

Which rules match is asked of `select.py`, the road of every decision, so an explanation cannot disagree with it; what is
worked out here is only why the others did not. That is paid for from an allowance: when it is used up, conditions and
rules that did not match are left out, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from targetry.device.explain.budget import Allowance
from targetry.device.explain.condition_tree import Node, condition_tree
from targetry.device.explain.truncation import excerpt
from targetry.device.logic.facts import Details, Facts, RequestFacts, bucketing_id
from targetry.device.matching import all_matches, first_match
from targetry.device.remote import RemoteDependency, remote_dependency
from targetry.device.ruleset import CompiledRule, Location, RuleSet
from targetry.errors import ArtifactError
from targetry.models import Context, DeliveryRequest, RequestDetails

_NO_CONTEXT = Context()
_RULE = 500  # what a rule costs besides its meta and its condition


class Verdict(StrEnum):
    """What became of a rule."""

    MATCHED = "matched"
    CONDITION = "condition"
    ALLOCATION = "allocation"
    PROPERTY = "property"
    RULE_KEY = "rule-key"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    NOT_REACHED = "not-reached"


class RuleExplanation(msgspec.Struct, rename="camel", omit_defaults=True):
    """One rule of a location: `position` is its place in the artifact's list for `location`.

    `allocation` (percent) and `window`, both ends included, are there where the condition asks for the allocation; `condition`
    where the rule was met, which a rule of another property, say, is not.
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
    condition: Node | None = None


class LocationExplanation(msgspec.Struct, rename="camel", omit_defaults=True):
    """One location asked for. `mode` is `execute` or `prefetch`, `type` is `mbox`, `pageLoad` or `view`.

    A view without a name is every view. `is_remote`: it holds, or may hold, activities that only the Delivery API decides.
    `more` counts the rules that are left out because the explanation has cost enough; none that matched is.
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
        """The rules whose content is given, in the order in which it is given."""
        return [rule for rule in self.rules if rule.verdict is Verdict.MATCHED]


class Explanation(msgspec.Struct, rename="camel"):
    """`visitor` is the id that allocations come from; `context` is what rules may ask for everywhere in the request."""

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
    allowance: Allowance | None = None,
) -> Explanation:
    """Explain what `decide` answers to the same arguments. The request is prepared, as `decide` wants it; never raises.

    `allowance` is what it may cost besides the decision: by default about two seconds.
    """
    facts = RequestFacts(request.context or _NO_CONTEXT, bucketing_id(request.id), client_code, now_ms)
    token = request._property.token if request._property is not None else None
    context = Facts(facts, RequestDetails(), None).as_dict(None)
    del context["mbox"]
    explainer = _Explainer(rules, facts, token, remote_dependency(rules, request), allowance or Allowance())
    locations = list(explainer.locations(request))
    return Explanation(client_code, facts.visitor, token, now_ms, context, locations)


class _Explainer:
    def __init__(
        self,
        rules: RuleSet,
        facts: RequestFacts,
        token: str | None,
        remote: RemoteDependency,
        allowance: Allowance,
    ) -> None:
        self._rules = rules
        self._request = facts
        self._token = token
        self._remote = remote
        self._allowance = allowance

    def locations(self, request: DeliveryRequest) -> Iterator[LocationExplanation]:
        """What is executed first; mboxes before the pageLoad before views."""
        for mode, asked in (("execute", request.execute), ("prefetch", request.prefetch)):
            if asked is None:
                continue
            for mbox in asked.mboxes or ():
                yield self._mbox(mode, "mbox", mbox.name or "", mbox)
            if asked.page_load is not None:
                yield self._mbox(mode, "pageLoad", self._rules.global_mbox, asked.page_load)
        if request.prefetch is not None:
            for view in request.prefetch.views or ():
                yield self._view(view.name or None, view)

    def _mbox(self, mode: str, kind: str, name: str, details: Details) -> LocationExplanation:
        first_only = kind == "mbox" and name != self._rules.global_mbox
        location = self._rules.mbox(name)
        rules, more = self._explained(details, name, location, self._placed("mbox", [name]), first_only)
        return LocationExplanation(
            mode, kind, name, name in self._remote.mboxes, rules, details.parameters or {}, more
        )

    def _view(self, name: str | None, details: Details) -> LocationExplanation:
        names = list(self._rules.views) if name is None else [name]
        location = self._rules.view(name)
        rules, more = self._explained(details, name, location, self._placed("view", names), False)
        is_remote = bool(self._remote.views) if name is None else name in self._remote.views
        return LocationExplanation("prefetch", "view", name, is_remote, rules, details.parameters or {}, more)

    def _explained(
        self,
        details: Details,
        name: str | None,
        location: Location,
        placed: Iterator[_Placed],
        first_only: bool,
    ) -> tuple[list[RuleExplanation], int]:
        """The rules, and how many are left out."""
        facts, runs = Facts(self._request, details, name), location.runs(self._token)
        if first_only:
            first = first_match(runs, facts)
            matches = [first] if first is not None else []
        else:
            matches = list(all_matches(runs, facts))
        meeting = _Meeting(facts, self._token, matches, first_only, self._allowance)
        rules, more = [], 0
        for one in placed:
            if self._allowance.is_used_up and not meeting.is_match(one.rule):
                more += 1
            else:
                rules.append(meeting.explained(one))
        return rules, more

    def _placed(self, kind: str, names: list[str]) -> Iterator[_Placed]:
        """The rules of locations in the artifact's order, those that are quarantined among them."""
        known = self._rules.mboxes if kind == "mbox" else self._rules.views
        faults = self._faults[kind]
        for name in names:
            usable = known[name].rules if name in known else ()
            rest, here = iter(usable), faults.get(name, {})
            for position in range(len(usable) + len(here)):
                fault = here.get(position)
                yield fault if fault is not None else _Placed(name, position, next(rest))

    @cached_property
    def _faults(self) -> dict[str, dict[str, dict[int, _Placed]]]:
        """The rules that are quarantined, by type and name of their location and their place in it."""
        faults: dict[str, dict[str, dict[int, _Placed]]] = {"mbox": {}, "view": {}}
        try:
            parsed = self._rules.document()["rules"] if self._rules.quarantined else {}
        except ArtifactError:  # a rule that is not JSON takes the others' names with it
            parsed = {}
        for kind, name, position, reason in self._rules.quarantined:
            parts = parsed.get("mboxes" if kind == "mbox" else "views", {})
            rule = parts[name][position] if name in parts else None
            faults[kind].setdefault(name, {})[position] = _Placed(name, position, None, reason, rule)
        return faults


class _Placed(NamedTuple):
    """A place in the artifact's list for a location. A rule that is quarantined has a `fault` and its text as parsed."""

    location: str
    position: int
    rule: CompiledRule | None
    fault: str = ""
    parsed: Any = None


class _Meeting:
    """The rules of one location asked for, met one after the other."""

    def __init__(
        self,
        facts: Facts,
        token: str | None,
        matches: list[CompiledRule],
        first_only: bool,
        allowance: Allowance,
    ) -> None:
        self._facts = facts
        self._allowance = allowance
        self._token = token
        self._matches = set(matches)
        self._first_only = first_only
        self._keys: set[str] = set()
        self._is_over = False

    def is_match(self, rule: CompiledRule | None) -> bool:
        return rule in self._matches

    def explained(self, placed: _Placed) -> RuleExplanation:
        rule = placed.rule
        if rule is None:
            meta = placed.parsed.get("meta") if isinstance(placed.parsed, dict) else None
            meta = self._shown(meta if isinstance(meta, dict) else {})
            return RuleExplanation(
                placed.location, placed.position, Verdict.QUARANTINED, placed.fault, meta=meta
            )
        verdict, reason = self._verdict(rule)
        explained = RuleExplanation(
            placed.location,
            placed.position,
            verdict,
            reason,
            rule.key,
            self._shown(rule.meta),
            sorted(rule.tokens),
        )
        if verdict not in _NOT_MET:
            self._add_condition(rule, explained)
        return explained

    def _shown(self, meta: dict[str, Any]) -> dict[str, Any]:
        self._allowance.spend(_RULE)
        shown: dict[str, Any] = excerpt(meta, self._allowance)
        return shown

    def _verdict(self, rule: CompiledRule) -> tuple[Verdict, str]:
        if self._is_over:
            return Verdict.NOT_REACHED, "an earlier rule decided"
        if rule.tokens and self._token not in rule.tokens:
            has = f"is of property {self._token}" if self._token else "names no property"
            return Verdict.PROPERTY, f"only for {_properties(rule)}, and the request {has}"
        if rule in self._matches:
            self._keys.add(rule.key)
            self._is_over = self._first_only
            return Verdict.MATCHED, "its content is given"
        if rule.key in self._keys:
            return Verdict.RULE_KEY, f"an earlier rule of the key {rule.key} matched"
        return self._why_not(rule)

    def _why_not(self, rule: CompiledRule) -> tuple[Verdict, str]:
        try:
            if rule.audience is not None and not rule.audience(self._fresh(), None):
                return Verdict.CONDITION, "its condition does not hold"
            allocation = self._allocation(rule)
            if allocation is not None and not rule.low <= allocation <= rule.high:
                low, high = display_window(rule.low, rule.high)
                return Verdict.ALLOCATION, f"the allocation {allocation:g} is not in {low:g} to {high:g}"
            if rule.test is not None and not rule.test(self._fresh(), allocation):
                return Verdict.CONDITION, "its condition does not hold"
        except Exception as error:  # as in a decision
            return Verdict.FAILED, f"its condition cannot be evaluated: {error}"
        return Verdict.FAILED, "earlier rules have used up the work that a decision may cost"

    def _add_condition(self, rule: CompiledRule, explained: RuleExplanation) -> None:
        allocation = explained.allocation = self._allocation(rule)
        if _has_window(rule):
            explained.window = display_window(rule.low, rule.high)
        explained.condition = condition_tree(rule.condition, self._fresh, allocation, self._allowance)

    def _allocation(self, rule: CompiledRule) -> float | None:
        """The visitor's, where the rule asks for it."""
        asks = _has_window(rule) or rule.test is not None
        return self._facts.request.allocation(rule.activity_id) if asks else None

    def _fresh(self) -> Facts:
        """The location's facts with all of the work that they may cost ahead of them."""
        facts = self._facts
        return _PaidFacts(facts.request, facts.details, facts.name, allowance=self._allowance)


class _PaidFacts(Facts, kw_only=True):
    """Facts whose work is paid for twice: as in a decision, and as a part of the explanation."""

    allowance: Allowance

    def spend(self, steps: int) -> None:
        self.allowance.demand(steps)
        super().spend(steps)


_NOT_MET = frozenset({Verdict.NOT_REACHED, Verdict.PROPERTY, Verdict.RULE_KEY})


def _has_window(rule: CompiledRule) -> bool:
    """Also for one that leaves nobody out."""
    return rule.low != -math.inf or rule.high != math.inf


def display_window(low: float, high: float) -> tuple[float, float]:
    """A rule's window on the scale from 0 to 100, without the hair's breadth by which `<` differs from `<=`."""
    return max(0.0, round(low, 4)), min(100.0, round(high, 4))


def _properties(rule: CompiledRule) -> str:
    return ("property " if len(rule.tokens) == 1 else "properties ") + ", ".join(sorted(rule.tokens))
