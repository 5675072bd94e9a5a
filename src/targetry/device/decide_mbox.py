"""Decision of one mbox for a visitor whose facts are reused, without request and response models.

Matching, allocation and personalization are those of `decide`; a property test holds both to the
same options, metrics, impressions and failures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from targetry.device import personalize
from targetry.device.decide import Impression, unreported_tokens
from targetry.device.logic.facts import Facts, Lazy, RequestFacts, RuleFailure, bucketing_id, parameter_facts
from targetry.device.logic.url import UrlParts
from targetry.device.logic.user_agent import UserAgentInfo
from targetry.device.matching import all_matches, first_match
from targetry.device.ruleset import EMPTY_LOCATION, CompiledRule, Location, RuleSet
from targetry.models import AnalyticsResponse, Context, MboxRequest, Metric, Option, VisitorId


class VisitorFacts(msgspec.Struct, dict=True, eq=False):
    """The facts that all decisions for one visitor share, each computed at the first access.

    `request` has the browser, geo location, page and allocations; `details` the visitor's own
    parameters. `is_unlocated`: the place of its IP address was never looked up.
    """

    request: RequestFacts
    details: MboxRequest
    property_token: str | None = None
    is_unlocated: bool = False

    @Lazy
    def mbox(self) -> dict[str, Any]:
        return parameter_facts(self.details.parameters or {})


def visitor_facts(
    visitor_id: VisitorId | None,
    context: Context,
    client_code: str,
    parameters: dict[str, Any] | None = None,
    property_token: str | None = None,
    *,
    is_unlocated: bool = False,
) -> VisitorFacts:
    """Return the facts of a visitor. `context` and `parameters` must not change afterwards."""
    request = RequestFacts(context, bucketing_id(visitor_id), client_code, 0)
    details = MboxRequest(index=0, parameters=parameters)
    return VisitorFacts(request, details, property_token, is_unlocated)


class MboxOutcome(msgspec.Struct, eq=False, gc=False):
    """The decision of one mbox.

    `rule` is the first rule that matched at `location`, None when none did. `impressions` are to be
    reported if the content is shown. `failures` are rules that could not be evaluated.
    """

    location: Location
    rule: CompiledRule | None
    options: list[Option]
    metrics: list[Metric]
    analytics: AnalyticsResponse | None
    impressions: list[Impression]
    failures: list[RuleFailure]


def decide_mbox(
    rules: RuleSet, name: str, visitor: VisitorFacts, parameters: dict[str, Any] | None, now_ms: int
) -> MboxOutcome | None:
    """Decide one mbox by its name; None if only the Delivery API can.

    Args:
        rules: The compiled artifact.
        name: The mbox, which is decided as one in `execute`.
        visitor: From `visitor_facts`.
        parameters: All mbox parameters if they are not the visitor's own; None for those. Not
        changed.
        now_ms: Epoch, ms; the clock of time rules and impressions.
    """
    if name not in rules.decidable_mboxes or (visitor.is_unlocated and rules.geo_targeting_enabled):
        return None
    shared = visitor.request
    request = _MomentFacts(
        shared.context, shared.visitor, shared.client_code, now_ms, [], shared.allocations, shared=shared
    )
    facts: Facts
    if parameters is None:
        facts = _VisitorsMboxFacts(request, visitor.details, name, shared=visitor)
    else:
        facts = Facts(request, MboxRequest(index=0, parameters=parameters), name)
    location = rules.mboxes.get(name, EMPTY_LOCATION)
    token = visitor.property_token
    runs = location.unrestricted if token is None else location.runs(token)
    geo_tokens = personalize.geo_tokens(shared.context.geo, rules.geo_tokens) if rules.geo_tokens else {}
    if name == rules.global_mbox:
        return _all_of(rules, location, all_matches(runs, facts), facts, geo_tokens)
    rule = first_match(runs, facts)
    if rule is None:
        return MboxOutcome(location, None, [], [], None, [], request.failures)
    template = rule.template or rules.template(rule)
    tokens = template.event_tokens
    return MboxOutcome(
        location,
        rule,
        template.options(template.execute, facts, geo_tokens),
        template.execute_metrics() if template.metrics else [],
        None if template.analytics is None else template.analytics_response(),
        [Impression(template.name, tokens, now_ms, template.meta)] if tokens else [],
        request.failures,
    )


def _all_of(
    rules: RuleSet,
    location: Location,
    matches: Iterable[CompiledRule],
    facts: Facts,
    geo_tokens: dict[str, Any],
) -> MboxOutcome:
    """Return all matches on the global mbox as one outcome.

    It has the options, metrics and impressions of all of them.
    """
    outcome = MboxOutcome(location, None, [], [], None, [], facts.request.failures)
    reported: set[tuple[str | None, str]] = set()
    for rule in matches:
        template = rule.template or rules.template(rule)
        outcome.rule = outcome.rule or rule
        outcome.options += template.options(template.execute, facts, geo_tokens)
        outcome.metrics += template.execute_metrics()
        outcome.analytics = outcome.analytics or template.analytics_response()
        tokens = unreported_tokens(template, reported)
        if tokens:
            impression = Impression(template.name, tokens, facts.request.now_ms, template.meta)
            outcome.impressions.append(impression)
    return outcome


class _MomentFacts(RequestFacts, kw_only=True):
    """The facts of one decision: its time, and the visitor's facts."""

    shared: RequestFacts

    @Lazy
    def user(self) -> UserAgentInfo:
        return self.shared.user

    @Lazy
    def geo(self) -> dict[str, Any]:
        return self.shared.geo

    @Lazy
    def page(self) -> UrlParts:
        return self.shared.page

    @Lazy
    def referring(self) -> UrlParts:
        return self.shared.referring


class _VisitorsMboxFacts(Facts, kw_only=True):
    """The facts of an mbox that is decided with the visitor's own parameters."""

    shared: VisitorFacts

    @Lazy
    def mbox(self) -> dict[str, Any]:
        return self.shared.mbox
