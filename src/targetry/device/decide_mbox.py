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
from targetry.device.logic.facts import (
    TOO_MUCH_WORK,
    Facts,
    Lazy,
    RequestFacts,
    RuleFailure,
    parameter_facts,
    rule_failure,
    time_of_day,
    weekday,
)
from targetry.device.logic.javascript import UNDEFINED, EvaluationError
from targetry.device.matching import all_matches, first_in_window, first_match
from targetry.device.personalize import ReportKey, Template
from targetry.device.ruleset import CompiledRule, Location, RuleSet
from targetry.models import AnalyticsResponse, Context, MboxRequest, Metric, Option
from targetry.models.response import merged_content

_NO_PARAMETERS = MboxRequest(index=0)


class VisitorFacts(RequestFacts, kw_only=True):
    """The facts that all decisions for one visitor share, each computed at the first access.

    `details` has the visitor's own parameters. `is_unlocated`: the place of its IP address was
    never looked up. Time and failures belong to each decision; those of this object are not used.
    """

    details: MboxRequest
    property_token: str | None = None
    is_unlocated: bool = False

    @Lazy
    def mbox(self) -> dict[str, Any]:
        return parameter_facts(self.details.parameters or {})


def visitor_facts(
    visitor: str,
    context: Context,
    client_code: str,
    parameters: dict[str, Any] | None = None,
    property_token: str | None = None,
    *,
    is_unlocated: bool = False,
) -> VisitorFacts:
    """Return the facts of a visitor, named by its id for bucketing.

    `context` and `parameters` must not change afterwards.
    """
    details = MboxRequest(index=0, parameters=parameters) if parameters else _NO_PARAMETERS
    return VisitorFacts(
        context,
        visitor,
        client_code,
        0,
        details=details,
        property_token=property_token,
        is_unlocated=is_unlocated,
    )


class MboxOutcome(msgspec.Struct, dict=True, eq=False):
    """The decision of one mbox; what is shown is computed at the first access.

    `rule` is the first rule that matched at `location`, None when none did. `templates` are those
    of all that matched, more than one on the global mbox only. `shared` is the content if it is
    immutable, else `UNDEFINED`. `has_impressions`: there is something to report if the content is
    shown. `moment_ms` is the time of the decision in epoch milliseconds, with fractions that are
    dropped at the first use.
    """

    rules: RuleSet
    name: str
    visitor: VisitorFacts
    parameters: dict[str, Any] | None
    moment_ms: float
    location: Location
    rule: CompiledRule | None = None
    templates: tuple[Template, ...] = ()
    shared: Any = UNDEFINED
    has_impressions: bool = False
    _facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """The facts of the mbox at the time of the decision."""
        facts = self._facts
        if facts is None:
            facts = self._facts = _mbox_facts(self.name, self.visitor, self.parameters, self.moment_ms)
        return facts

    @property
    def variant(self) -> str | None:
        """Name of the experience, else its id; None if no rule matched."""
        return self.templates[0].variant if self.templates else None

    @Lazy
    def content(self) -> Any:
        """Return the content of the options, merged; `UNDEFINED` if there are none."""
        return self.render_content()

    def render_content(self) -> Any:
        """Return the content as `content` does, new at each call."""
        if self.shared is not UNDEFINED:
            return self.shared
        templates = self.templates
        option = templates[0].only_option if len(templates) == 1 else None
        if option is not None and option.render is not None:
            return option.render(None if option.is_constant else self.facts)
        return merged_content(self.options, UNDEFINED)

    def read_content(self) -> Any:
        """Return the content, which must not be changed: it can be the one of the template."""
        option = self.templates[0].only_option if len(self.templates) == 1 else None
        return self.render_content() if option is None or option.original is None else option.original

    @Lazy
    def options(self) -> list[Option]:
        """Return the options, as `execute` has them."""
        names = self.rules.geo_tokens
        geo_tokens = personalize.geo_tokens(self.visitor.context.geo, names) if names else {}
        facts = self.facts if any(template.needs_facts for template in self.templates) else None
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

    @property
    def impressions(self) -> list[Impression]:
        """The impressions to report if the content is shown, made at each access."""
        return impressions_of(self.templates, self.moment_ms)

    @property
    def failures(self) -> Sequence[RuleFailure]:
        """Rules that could not be evaluated."""
        return () if self._facts is None else self._facts.failures


def decide_mbox(
    rules: RuleSet, name: str, visitor: VisitorFacts, parameters: dict[str, Any] | None, now_ms: float
) -> MboxOutcome | None:
    """Decide one mbox by its name; None if only the Delivery API can.

    Args:
        rules: The compiled artifact.
        name: The mbox, which is decided as one in `execute`.
        visitor: From `visitor_facts`.
        parameters: All mbox parameters if they are not the visitor's own; None for those. Not
            changed.
        now_ms: Epoch, ms; the clock of time rules and impressions. Fractions are dropped.
    """
    location = rules.decidable_mboxes.get(name)
    if location is None or (visitor.is_unlocated and rules.geo_targeting_enabled):
        return None
    token = visitor.property_token
    runs = location.unrestricted if token is None else location.runs(token)
    facts = None
    if name == rules.global_mbox:
        facts = _mbox_facts(name, visitor, parameters, now_ms)
        matches = list(all_matches(runs, facts))
        rule = matches[0] if matches else None
        templates = tuple(map(rules.template, matches))
        has_impressions = any(template.has_impressions for template in templates)
        return MboxOutcome(
            rules,
            name,
            visitor,
            parameters,
            now_ms,
            location,
            rule,
            templates,
            UNDEFINED,
            has_impressions,
            facts,
        )
    if location.has_conditions:
        facts = _mbox_facts(name, visitor, parameters, now_ms)
        rule = first_match(runs, facts)
    else:
        rule = first_in_window(runs, visitor)
    if rule is None:
        return MboxOutcome(rules, name, visitor, parameters, now_ms, location, _facts=facts)
    template = rule.template or rules.template(rule)
    return MboxOutcome(
        rules,
        name,
        visitor,
        parameters,
        now_ms,
        location,
        rule,
        (template,),
        template.shared,
        template.has_impressions,
        facts,
    )


def _mbox_facts(name: str, visitor: VisitorFacts, parameters: dict[str, Any] | None, now_ms: float) -> Facts:
    """Return the facts of an mbox for one decision."""
    if parameters is None:
        return _VisitorsMboxFacts(visitor, visitor.details, name, moment_ms=now_ms)
    return _MboxFacts(visitor, MboxRequest(index=0, parameters=parameters), name, moment_ms=now_ms)


def impressions_of(templates: Sequence[Template], moment_ms: float) -> list[Impression]:
    """Return the impressions of templates that were shown at a time (epoch milliseconds).

    Pairs of location name and event token are reported once.
    """
    timestamp = int(moment_ms)
    reported: set[ReportKey] = set()
    return [
        Impression(template.name, tokens, timestamp, template.meta)
        for template in templates
        if (tokens := unreported_tokens(template, reported))
    ]


class _MboxFacts(Facts, kw_only=True):
    """The facts of an mbox for one decision, with the time and the failures of that decision."""

    moment_ms: float
    failures: tuple[RuleFailure, ...] = ()

    def record_failure(self, activity_id: str, error: Exception) -> None:
        self.failures = (*self.failures, rule_failure(activity_id, error))

    def spend(self, steps: int) -> None:
        self.work_left -= steps
        if self.work_left < 0:
            raise EvaluationError(TOO_MUCH_WORK)

    @Lazy
    def now_ms(self) -> int:
        return int(self.moment_ms)

    @Lazy
    def current_time(self) -> str:
        return time_of_day(self.now_ms)

    @Lazy
    def current_day(self) -> int:
        return weekday(self.now_ms)


class _VisitorsMboxFacts(_MboxFacts, kw_only=True):
    """The facts of an mbox that is decided with the parameters of `request`, a `VisitorFacts`."""

    @property
    def mbox(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self.request.mbox  # type: ignore[attr-defined]
        return parameters
