"""Decision of one mbox for a visitor whose facts are reused, without request and response models.

Matching, allocation and personalization are those of `decide`; a property test holds both to the
same options, metrics, impressions and failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from targetry.device import personalize
from targetry.device.decide import Impression, unreported_tokens
from targetry.device.logic.facts import Facts, Lazy, RequestFacts, RuleFailure, bucketing_id, parameter_facts
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.logic.url import UrlParts
from targetry.device.logic.user_agent import UserAgentInfo
from targetry.device.matching import all_matches, first_in_window, first_match
from targetry.device.personalize import Template
from targetry.device.ruleset import EMPTY_LOCATION, CompiledRule, Location, RuleSet
from targetry.models import AnalyticsResponse, Context, MboxRequest, Metric, Option, VisitorId
from targetry.models.response import merged_content


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


class MboxOutcome(msgspec.Struct, dict=True, eq=False):
    """The decision of one mbox; what is shown is computed at the first access.

    `rule` is the first rule that matched at `location`, None when none did. `templates` are those
    of all that matched, more than one on the global mbox only.
    """

    rules: RuleSet
    name: str
    visitor: VisitorFacts
    parameters: dict[str, Any] | None
    now_ms: int
    location: Location
    rule: CompiledRule | None = None
    templates: tuple[Template, ...] = ()

    @Lazy
    def facts(self) -> Facts:
        """Return the facts of the mbox at the time of the decision."""
        shared, parameters = self.visitor.request, self.parameters
        request = _MomentFacts(
            shared.context,
            shared.visitor,
            shared.client_code,
            self.now_ms,
            [],
            shared.allocations,
            shared=shared,
        )
        if parameters is None:
            return _VisitorsMboxFacts(request, self.visitor.details, self.name, shared=self.visitor)
        return Facts(request, MboxRequest(index=0, parameters=parameters), self.name)

    @property
    def has_impressions(self) -> bool:
        """Whether there is something to report if the content is shown."""
        templates = self.templates
        if len(templates) == 1:
            return bool(templates[0].event_tokens)
        return any(template.event_tokens for template in templates)

    @Lazy
    def content(self) -> Any:
        """Return the content of the options, merged; `UNDEFINED` if there are none."""
        if len(self.templates) == 1 and len(execute := self.templates[0].execute) == 1:
            option = execute[0]
            return option.shared if option.render is None else option.render(self.facts)
        return merged_content(self.options, UNDEFINED)

    @Lazy
    def options(self) -> list[Option]:
        """Return the options, as `execute` has them."""
        facts, names = self.facts, self.rules.geo_tokens
        geo_tokens = personalize.geo_tokens(facts.request.context.geo, names) if names else {}
        if len(self.templates) == 1:
            template = self.templates[0]
            return template.options(template.execute, facts, geo_tokens)
        return [one for each in self.templates for one in each.options(each.execute, facts, geo_tokens)]

    @Lazy
    def metrics(self) -> list[Metric]:
        """Return the click metrics."""
        return [metric for template in self.templates for metric in template.execute_metrics()]

    @Lazy
    def analytics(self) -> AnalyticsResponse | None:
        """Return the Analytics payload of the first rule that has one."""
        responses = (template.analytics_response() for template in self.templates)
        return next((one for one in responses if one is not None), None)

    @Lazy
    def impressions(self) -> list[Impression]:
        """Return the impressions to report if the content is shown."""
        if len(self.templates) == 1:
            template = self.templates[0]
            tokens: Sequence[str] = template.event_tokens
            return [Impression(template.name, tokens, self.now_ms, template.meta)] if tokens else []
        reported: set[tuple[str | None, str]] = set()
        return [
            Impression(template.name, tokens, self.now_ms, template.meta)
            for template in self.templates
            if (tokens := unreported_tokens(template, reported))
        ]

    @property
    def failures(self) -> list[RuleFailure]:
        """Rules that could not be evaluated."""
        return self.facts.request.failures if self.location.has_conditions else []


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
    location = rules.mboxes.get(name, EMPTY_LOCATION)
    token = visitor.property_token
    runs = location.unrestricted if token is None else location.runs(token)
    outcome = MboxOutcome(rules, name, visitor, parameters, now_ms, location)
    if name == rules.global_mbox:
        matches = tuple(all_matches(runs, outcome.facts))
        outcome.rule = matches[0] if matches else None
        outcome.templates = tuple(rules.template(rule) for rule in matches)
        return outcome
    if location.has_conditions:
        rule = first_match(runs, outcome.facts)
    else:
        rule = first_in_window(runs, visitor.request)
    if rule is not None:
        outcome.rule = rule
        outcome.templates = (rule.template or rules.template(rule),)
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
