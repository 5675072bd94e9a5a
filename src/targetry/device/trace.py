"""Trace of a decision: the evaluation of each rule, recorded as Adobe's Node SDK records it.

A request with a trace evaluates the rules one by one in the artifact's order. Campaigns and targets
accumulate over the locations of one mode; each response has their state at its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from targetry.device.logic.compiler import Condition
from targetry.device.logic.facts import Facts
from targetry.device.ruleset import CompiledRule, Location, RuleSet
from targetry.models import DeliveryRequest, Notification, VisitorId


class TraceSource(msgspec.Struct, frozen=True):
    """Data of a trace that is neither in the request nor in the rules.

    `artifact` describes its source.
    """

    session_id: str
    client_code: str
    artifact: Mapping[str, Any]


class Tracer:
    """Matches rules as `matching.py` does and records why, for one mode of one request."""

    def __init__(
        self,
        rules: RuleSet,
        request: DeliveryRequest,
        mode: str,
        source: TraceSource,
    ) -> None:
        self._rules = rules
        self._request = request
        self._mode = mode
        self._source = source
        self._token = request._property.token if request._property is not None else None
        self._campaigns: dict[str, dict[str, Any]] = {}
        self._targets: dict[str, dict[str, Any]] = {}

    def first(self, location: Location, facts: Facts) -> CompiledRule | None:
        """Return the first rule that matches, None if none does."""
        return next(self.every(location, facts), None)

    def every(self, location: Location, facts: Facts) -> Iterator[CompiledRule]:
        """Yield all rules that match, only the first of each rule key."""
        matched: set[str] = set()
        results: dict[Condition, bool] = {}
        for rule in location.rules:
            if rule.tokens and self._token not in rule.tokens:
                continue
            if rule.key not in matched and self._evaluate(rule, facts, results):
                matched.add(rule.key)
                yield rule

    def _evaluate(self, rule: CompiledRule, facts: Facts, results: dict[Condition, bool]) -> bool:
        allocation = facts.request.allocation(rule.activity_id)
        try:
            holds = (
                rule.low <= allocation <= rule.high
                and (rule.audience is None or _audience_holds(rule.audience, facts, results))
                and (rule.test is None or bool(rule.test(facts, allocation)))
            )
        except Exception as error:  # as in `matching.py`
            facts.record_failure(rule.activity_id, error)
            holds = False
        self._record(rule, facts, allocation, holds)
        return holds

    def _record(self, rule: CompiledRule, facts: Facts, allocation: float, holds: bool) -> None:
        meta = rule.meta
        target = self._targets.get(rule.activity_id)
        if target is None:
            target = self._targets[rule.activity_id] = _target(meta, facts.as_dict(allocation))
        side = "matched" if holds else "unmatched"
        segments, ids = target[f"{side}SegmentIds"], meta.get("audience.ids")
        for segment in ids if isinstance(ids, list) else ():
            if segment not in segments:
                segments.append(segment)
        target[f"{side}RuleConditions"].append(rule.condition)
        if holds:
            self._campaigns.setdefault(rule.activity_id, self._campaign(meta))

    def _campaign(self, meta: dict[str, Any]) -> dict[str, Any]:
        offer = meta.get("offer.id")
        campaign = _present_values(
            meta, id="activity.id", campaignType="activity.type", branchId="experience.id"
        )
        campaign["offers"] = [] if offer is None else [offer]
        campaign |= _present_values(self._rules.meta, environment="environment")
        return campaign | ({"notifications": []} if self._mode == "execute" else {})

    def record_impression(self, rule: CompiledRule, notification: Notification) -> None:
        """Record the impression of a matched rule."""
        campaign = self._campaigns[rule.activity_id]
        campaign["notifications"].append(msgspec.to_builtins(notification))

    def document(self, facts: Facts, location_type: str) -> dict[str, Any]:
        """Return the trace of a location in its current state."""
        details = msgspec.to_builtins(facts.details)
        if facts.name is not None:
            details = {"name": facts.name} | details
        page = facts.request.page
        return {
            "clientCode": self._source.client_code,
            "artifact": {**self._source.artifact, **msgspec.to_builtins(self._rules.meta)},
            "profile": {"visitorId": _profile(self._request.id)},
            "request": {
                "sessionId": self._source.session_id,
                "pageURL": page.url,
                "host": page.domain,
                location_type: {**details, "type": self._mode},
            },
            "campaigns": [_copy(campaign) for campaign in self._campaigns.values()],
            "evaluatedCampaignTargets": [_copy(target) for target in self._targets.values()],
        }


def _target(meta: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return {
        "context": context,
        **_present_values(meta, campaignId="activity.id", campaignType="activity.type"),
        "matchedSegmentIds": [],
        "unmatchedSegmentIds": [],
        "matchedRuleConditions": [],
        "unmatchedRuleConditions": [],
    }


def _present_values(meta: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Return the values of a meta under the names of the trace, without absent ones."""
    return {name: meta[key] for name, key in names.items() if key in meta}


def _copy(record: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a record that later rules do not change."""
    return {key: list(value) if type(value) is list else value for key, value in record.items()}


def _profile(visitor_id: VisitorId | None) -> dict[str, Any]:
    profile: dict[str, Any] = msgspec.to_builtins(visitor_id) if visitor_id is not None else {}
    if visitor_id is not None and visitor_id.tnt_id:
        profile["tntId"], *location = visitor_id.tnt_id.split(".")
        if location:
            profile["profileLocation"] = location[0]
    return profile


def _audience_holds(audience: Condition, facts: Facts, results: dict[Condition, bool]) -> bool:
    """Return the result of an audience, evaluated once per location as in `matching.py`."""
    result = results.get(audience)
    if result is None:
        result = results[audience] = bool(audience(facts, None))
    return result
