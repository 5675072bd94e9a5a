"""On-device decision: rule set and request to response and impressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from targetry.device import personalize
from targetry.device.encoded_mboxes import EncodedMboxes, encode_without_index, with_index
from targetry.device.logic.facts import Facts, RequestFacts, RuleFailure, bucketing_id
from targetry.device.matching import all_matches, first_in_window, first_match
from targetry.device.personalize import ReportKey, Template
from targetry.device.remote import RemoteDependency, remote_dependency
from targetry.device.ruleset import EMPTY_LOCATION, CompiledRule, Location, RuleSet
from targetry.device.trace import Tracer, TraceSource
from targetry.models import (
    Context,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    ExecuteResponse,
    MboxRequest,
    MboxResponse,
    Metric,
    MetricType,
    Notification,
    NotificationMbox,
    Option,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchRequest,
    PrefetchResponse,
    RequestDetails,
    View,
    ViewRequest,
    VisitorId,
)

_NO_CONTEXT = Context()
_NO_TOKENS: dict[str, Any] = {}


class Impression(msgspec.Struct, gc=False):
    """Shown content of one rule: location name, event tokens, time in epoch milliseconds, meta."""

    name: str | None
    tokens: Sequence[str]
    timestamp: int
    meta: dict[str, Any]
    _notification: Notification | None = None

    def notification(self, new_id: Callable[[], str]) -> Notification:
        """Return the display notification; created once, so its ids do not change."""
        if self._notification is None:
            self._notification = Notification(
                id=new_id(),
                impression_id=new_id(),
                type=MetricType.DISPLAY,
                timestamp=self.timestamp,
                tokens=list(self.tokens),
                mbox=NotificationMbox(self.name),
            )
        return self._notification


class Match(msgspec.Struct, gc=False):
    """Outcome of one location by one rule; `rule` is None if none matched.

    `location` is the name in the rule set, None for all views, and `name` that in the response.
    """

    location_type: Literal["mbox", "view"]
    location: str | None
    name: str | None
    rule: CompiledRule | None
    options: list[Option]


class OnDeviceDecision(msgspec.Struct, gc=False):
    """Result of a decision on device.

    `impressions` have to be reported; `failures` are the rules that could not be evaluated.
    """

    response: DeliveryResponse
    impressions: list[Impression]
    remote_mboxes: list[str]
    remote_views: list[str]
    failures: list[RuleFailure]


def decide(
    rules: RuleSet,
    request: DeliveryRequest,
    client_code: str,
    now_ms: int,
    new_id: Callable[[], str],
    trace: TraceSource | None = None,
    matches: list[Match] | None = None,
    encoded: EncodedMboxes | None = None,
    remote: RemoteDependency | None = None,
    is_reported: bool = True,
) -> OnDeviceDecision:
    """Decide every location of a request that the rules have. Never raises for any artifact.

    Args:
        rules: The compiled artifact.
        request: A prepared request with a visitor id; it is only read.
        client_code: The client code, a part of the bucketing key.
        now_ms: Time of the decision, epoch milliseconds.
        new_id: Returns ids for the notifications in a trace.
        trace: Data for the trace, which the response has if `request.trace` is set too.
        matches: A list to which the outcome of each location is appended.
        encoded: Caches responses of mboxes as JSON: the response has `msgspec.Raw` for an mbox
            that all visitors get alike. Its response tokens are those of all options. Used
            without trace and `matches`.
        remote: The locations that the Delivery API has to decide; by default those that the rules
            do not decide.
        is_reported: Whether the decision has impressions; a trace has them in any case.
    """
    context = _NO_CONTEXT if request.context is None else request.context
    facts = RequestFacts(context, bucketing_id(request.id), client_code, now_ms)
    token = request._property.token if request._property is not None else None
    tokens = encoded.response_tokens if encoded is not None else _NO_TOKENS
    if (
        context.geo is not None
        and rules.geo_tokens
        and (geo_tokens := personalize.geo_tokens(context.geo, rules.geo_tokens))
    ):
        tokens, encoded = tokens | geo_tokens, None
    if request.trace is None:
        trace = None
    if trace is not None or matches is not None:
        encoded = None
    impressions: list[Impression] = []
    executed = prefetched = None
    if request.execute is not None:
        tracer = None if trace is None else Tracer(rules, request, "execute", trace)
        known = None if encoded is None else encoded.execute
        reported = impressions if is_reported or trace is not None else None
        execution = _Execute(rules, facts, token, tokens, known, tracer, new_id, matches, reported)
        executed = execution.respond(request.execute)
    if request.prefetch is not None:
        tracer = None if trace is None else Tracer(rules, request, "prefetch", trace)
        known = None if encoded is None else encoded.prefetch
        prefetch = _Prefetch(rules, facts, token, tokens, known, tracer, new_id, matches)
        prefetched = prefetch.respond(request.prefetch)
    if remote is None:
        remote = remote_dependency(rules, request)
    response = DeliveryResponse(
        206 if remote.mboxes or remote.views else 200,
        request.request_id,
        replace(request.id) if request.id is not None else VisitorId(),
        client_code,
        None,
        executed,
        prefetched,
    )
    return OnDeviceDecision(response, impressions, remote.mboxes, remote.views, facts.failures)


def unreported_tokens(template: Template, reported: set[ReportKey]) -> Sequence[str]:
    """Return the event tokens of a template that are not in `reported`, and add them to it."""
    keys = template.report_keys
    if reported.isdisjoint(keys):
        tokens = template.event_tokens
    else:
        tokens = tuple(key[1] for key in keys if key not in reported)
    reported.update(keys)
    return tokens


AnyMboxResponse = TypeVar("AnyMboxResponse", MboxResponse, PrefetchMboxResponse)


class _Mode(msgspec.Struct, Generic[AnyMboxResponse], eq=False, gc=False):
    """Common part of `execute` and `prefetch`: matching rules and the order of responses.

    `impressions` is a list to which the impressions are appended, None for none.
    """

    response_type: ClassVar[Any]

    rules: RuleSet
    request: RequestFacts
    property_token: str | None
    tokens: dict[str, Any]
    encoded: dict[Template, bytes] | None
    tracer: Tracer | None
    new_id: Callable[[], str]
    matches: list[Match] | None
    impressions: list[Impression] | None = None

    def _every(self, location: Location, facts: Facts) -> Iterable[CompiledRule]:
        if self.tracer is not None:
            return self.tracer.every(location, facts)
        return all_matches(location.runs(self.property_token), facts)

    def _record(self, rule: CompiledRule, template: Template, impressions: list[Impression]) -> None:
        raise NotImplementedError

    def _metrics(self, template: Template) -> list[Metric]:
        raise NotImplementedError

    def _options(self, template: Template, facts: Facts | None) -> list[Option]:
        raise NotImplementedError

    def _mboxes(self, requested: Iterable[MboxRequest]) -> list[AnyMboxResponse]:
        rules, token, tracer = self.rules, self.property_token, self.tracer
        responses: list[AnyMboxResponse] = []
        for details in requested:
            name = details.name
            location = rules.mboxes.get(name or "", EMPTY_LOCATION)
            runs = location.unrestricted if token is None else location.runs(token)
            if tracer is None and not location.has_conditions and name != rules.global_mbox:
                rule, facts = first_in_window(runs, self.request), None
            else:
                facts = Facts(self.request, details, name)
                if name == rules.global_mbox:
                    every = self._every(location, facts)
                    responses += [self._response(rule, facts, details) for rule in every]
                    continue
                rule = first_match(runs, facts) if tracer is None else tracer.first(location, facts)
            if rule is not None:
                responses.append(self._response(rule, facts, details))
            else:
                responses.append(
                    self.response_type(details.index, name, None, None, None, self._traced(facts, "mbox"))
                )
                if self.matches is not None:
                    self.matches.append(Match("mbox", name, name, None, []))
        return responses

    def _response(self, rule: CompiledRule, facts: Facts | None, details: MboxRequest) -> AnyMboxResponse:
        """Return the response of an mbox; `facts` is None if they were not needed before."""
        template = rule.template or self.rules.template(rule)
        if self.impressions is not None:
            self._record(rule, template, self.impressions)
        if self.encoded is None or not template.is_constant or details.index is None:
            return self._new_response(rule, template, facts, details, details.index)
        encoded = self.encoded.get(template)
        if encoded is None:
            encoded = encode_without_index(self._new_response(rule, template, facts, details, None))
            self.encoded[template] = encoded
        return with_index(encoded, details.index)  # type: ignore[return-value]

    def _new_response(
        self,
        rule: CompiledRule,
        template: Template,
        facts: Facts | None,
        details: MboxRequest,
        index: int | None,
    ) -> AnyMboxResponse:
        if facts is None and template.needs_facts:
            facts = Facts(self.request, details, details.name)
        options = self._options(template, facts)
        if self.matches is not None:
            self.matches.append(Match("mbox", details.name, template.name or details.name, rule, options))
        response: AnyMboxResponse = self.response_type(
            index,
            template.name or details.name,
            options,
            (self._metrics(template) or None) if template.metrics else None,
            None if template.analytics is None else template.analytics_response(),
            None if self.tracer is None else self._traced(facts, "mbox"),
        )
        return response

    def _page_load(self, details: RequestDetails) -> PageLoadResponse:
        """Return all matches on the global mbox as one response.

        Of metrics with the same event token, and of traces, the last one remains.
        """
        global_mbox = self.rules.global_mbox
        facts = Facts(self.request, details, global_mbox)
        options: list[Option] = []
        metrics: dict[str | None, Metric] = {}
        response = PageLoadResponse(options=options)
        for rule in self._every(self.rules.mbox(global_mbox), facts):
            template = rule.template or self.rules.template(rule)
            if self.impressions is not None:
                self._record(rule, template, self.impressions)
            added = self._options(template, facts)
            options += added
            if self.matches is not None:
                self.matches.append(Match("mbox", global_mbox, global_mbox, rule, added))
            if template.metrics:
                metrics |= {metric.event_token: metric for metric in self._metrics(template)}
            if self.tracer is not None:
                response.trace = self.tracer.document(facts, "mbox")
        response.metrics = list(metrics.values()) or None
        return response

    def _traced(self, facts: Facts | None, location_type: str) -> dict[str, Any] | None:
        return None if self.tracer is None or facts is None else self.tracer.document(facts, location_type)


class _Execute(_Mode[MboxResponse]):
    """Execute: content for now; each rule that matches is an impression."""

    response_type = MboxResponse

    notified: set[ReportKey] = set()

    def respond(self, requested: ExecuteRequest) -> ExecuteResponse:
        mboxes = self._mboxes(requested.mboxes) if requested.mboxes else None
        return ExecuteResponse(
            self._page_load(requested.page_load) if requested.page_load is not None else None, mboxes
        )

    def _options(self, template: Template, facts: Facts | None) -> list[Option]:
        return template.options(template.execute, facts, self.tokens)

    def _metrics(self, template: Template) -> list[Metric]:
        return template.execute_metrics()

    def _record(self, rule: CompiledRule, template: Template, impressions: list[Impression]) -> None:
        """Record an impression, once per location name and event token of the request."""
        tokens = unreported_tokens(template, self.notified)
        if not tokens:
            return
        impression = Impression(template.name, tokens, self.request.now_ms, template.meta)
        impressions.append(impression)
        if self.tracer is not None:
            self.tracer.record_impression(rule, impression.notification(self.new_id))


class _Prefetch(_Mode[PrefetchMboxResponse]):
    """Prefetch: content for later, with the event tokens for its notifications."""

    response_type = PrefetchMboxResponse

    def respond(self, requested: PrefetchRequest) -> PrefetchResponse:
        # In the order in which traces accumulate.
        mboxes = self._mboxes(requested.mboxes) if requested.mboxes else None
        views = (
            [view for details in requested.views for view in self._views(details)]
            if requested.views
            else None
        )
        page_load = self._page_load(requested.page_load) if requested.page_load is not None else None
        return PrefetchResponse(views, page_load, mboxes)

    def _options(self, template: Template, facts: Facts | None) -> list[Option]:
        return template.options(template.prefetch, facts, self.tokens)

    def _metrics(self, template: Template) -> list[Metric]:
        return []

    def _views(self, details: ViewRequest) -> list[View]:
        """Return the views that match, one per name.

        Options and metrics of several rules add up; analytics and trace are those of the first.
        """
        facts = Facts(self.request, details, details.name)
        views: dict[str | None, View] = {}
        for rule in self._every(self.rules.view(details.name), facts):
            template = rule.template or self.rules.template(rule)
            options, metrics = (
                template.options(template.prefetch, facts, self.tokens),
                template.all_metrics(),
            )
            if self.matches is not None:
                self.matches.append(Match("view", details.name, template.name, rule, [*options]))
            view = views.get(template.name)
            if view is None:
                analytics, trace = template.analytics_response(), self._traced(facts, "view")
                views[template.name] = View(template.name, None, options, metrics, analytics, None, trace)
                continue
            assert view.options is not None
            assert view.metrics is not None
            view.options += options
            view.metrics += metrics
        return list(views.values())
