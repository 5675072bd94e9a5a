"""Substitution of the parts of clients that a double takes over.

Clients know nothing of doubles. While one is in place, the attributes and methods below are
replaced on their classes, so that clients that exist already are covered too.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from targetry._client import pipeline as pipeline_module
from targetry._client.decisioning_engine import DecisioningEngine
from targetry._client.decisions import flag_evaluator as flag_module
from targetry._client.decisions import visitor_decisions as visitor_module
from targetry._client.decisions.call_settings import CallSettings
from targetry._client.decisions.flag_evaluator import FlagEvaluator
from targetry._client.decisions.reports import DecisionReport, ImpressionReport, NotificationReport, Report
from targetry._client.decisions.visitor_decisions import VisitorDecisions
from targetry._client.options import ClientSettings
from targetry._client.pipeline import DeliveryFlow, Engine, OfferPipeline, PreparedCall
from targetry._runtime.ids import new_id
from targetry.delivery.cookies import parse_target_cookie
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.delivery.prepare import ensure_visitor_id
from targetry.device.decide import Impression
from targetry.device.ruleset import RuleSet
from targetry.errors import TransportError
from targetry.flags.evaluation import FlagEvaluation
from targetry.flags.key import FlagKey
from targetry.flags.value import FlagType
from targetry.http.protocol import HttpRequest
from targetry.http.sync_transport import HttpTransport
from targetry.models import DecisioningMethod, DeliveryRequest, MboxRequest, MboxResponse, VisitorId
from targetry.notifications.notifier import Notifier
from targetry.testing.artifact_builder import artifact
from targetry.testing.double_state import DoubleState, Exposure
from targetry.testing.overrides import NO_RULES, Override, raise_failure
from targetry.visitor import resolve_visitor

_VISITOR_IDS: ContextVar[frozenset[str]] = ContextVar("targetry_visitor_ids", default=frozenset())
"""Ids of the visitor that is being decided for."""

# Threads of the application's own calls; other threads of the SDK work in the background.
_CALLING_THREADS: Final = ("targetry-callback", "targetry-http", "targetry-wait")


@contextmanager
def substituted(state: DoubleState) -> Iterator[None]:
    """Substitute the parts of all clients, for the length of a `with` block."""
    substitutes = _Substitutes(state)
    clock = _Clock(state)
    with ExitStack() as stack:
        for owner, name, part in (
            (OfferPipeline, "_engine", _Attribute("_engine", substitutes.engine)),
            (OfferPipeline, "_report", _Attribute("_report", substitutes.report)),
            (OfferPipeline, "prepare_call", _method(substitutes.prepare_call)),
            (OfferPipeline, "delivery_flow", _method(substitutes.delivery_flow)),
            (OfferPipeline, "decide", _method(substitutes.decide)),
            (VisitorDecisions, "_engine", _Attribute("_engine", substitutes.engine)),
            (VisitorDecisions, "_hand_over", _Attribute("_hand_over", substitutes.report)),
            (VisitorDecisions, "decide", _method(substitutes.decide_mbox)),
            (FlagEvaluator, "_evaluate_on_device", _method(substitutes.evaluate_flag)),
            (DecisioningEngine, "__init__", _method(substitutes.make_engine)),
            (Notifier, "submit", _method(substitutes.submit)),
            (HttpTransport, "send", _method(substitutes.send)),
            (pipeline_module, "time", clock),
            (visitor_module, "time", clock),
            (flag_module, "time", clock),
        ):
            stack.enter_context(_replaced(owner, name, part))
        with contextlib.suppress(ImportError):  # without the extra `async` it is not used
            from targetry.http.async_transport import AsyncHttpTransport

            send = _async_send(state, AsyncHttpTransport.send)
            stack.enter_context(_replaced(AsyncHttpTransport, "send", send))
        yield


class _AnsweredCall(PreparedCall, frozen=True):
    """Call of a server-side client whose `overridden` part is decided by overrides.

    `is_local` if nothing else is asked.
    """

    overridden: DeliveryRequest | None = None


class _Substitutes:
    """Substitutes for methods and attributes of the clients' parts, for one double.

    A method takes the part first, then the arguments of what it stands for.
    """

    def __init__(self, state: DoubleState) -> None:
        self._state = state
        self._overrides = state.overrides
        self._prepare_call = OfferPipeline.prepare_call
        self._delivery_flow = OfferPipeline.delivery_flow
        self._decide = OfferPipeline.decide
        self._decide_mbox = VisitorDecisions.decide
        self._evaluate_flag = FlagEvaluator._evaluate_on_device
        self._make_engine = DecisioningEngine.__init__
        self._submit = Notifier.submit
        self._send = HttpTransport.send

    def engine(self, owner: OfferPipeline | VisitorDecisions, own: Engine | None) -> Engine | None:
        return None if own is None else _Engine(self._state, own, _decisions_of(owner))

    def report(
        self, owner: OfferPipeline | VisitorDecisions, own: Callable[[Any], bool]
    ) -> Callable[[Any], bool]:
        def record(source: Report) -> bool:
            if isinstance(source, NotificationReport):
                self._state.notifications.extend(source.prepared.request.notifications or ())
                return own(source)
            if isinstance(source, DecisionReport):
                source = source.resolve()
            with _deciding_for(_ids(source.prepared.request.id)):
                for impression in source.impressions:
                    self._state.exposures.append(_exposure(self._state, owner, source, impression))
            return own(source)

        return record

    def prepare_call(
        self, pipeline: OfferPipeline, offer: CallSettings, submitted: float | None = None
    ) -> PreparedCall:
        ids = _call_ids(pipeline, offer)
        active = self._overrides.active(ids, pipeline.visitor_decisions)
        raise_failure(active, _mbox_names(offer.request))
        with _deciding_for(ids):
            call = self._prepare_call(pipeline, offer, submitted)
        request = call.prepared.request
        self._state.requests.append(DeliveryRequest.from_json(request.to_json()))
        if call.is_local:
            return call
        overridden, rest = _split(request, active)
        if request.notifications and not self._state.network:
            self._state.notifications.extend(request.notifications)
            rest.notifications = None
        if overridden is None and rest.notifications == request.notifications:
            return call
        return _answered(call, overridden, rest, self._overrides.laid_over(NO_RULES, active))

    def delivery_flow(self, pipeline: OfferPipeline, call: PreparedCall) -> DeliveryFlow:
        result = yield from self._delivery_flow(pipeline, call)
        executed = result.response.execute
        answers = [] if executed is None else executed.mboxes or []
        self._state.exposures += [_server_exposure(call, answer) for answer in answers if answer.options]
        if isinstance(call, _AnsweredCall) and call.overridden is not None:
            prepared = replace(call.prepared, request=call.overridden)
            _merge(result, self._decide(pipeline, replace(call, prepared=prepared)))
        return result

    def decide(self, pipeline: OfferPipeline, call: PreparedCall) -> TargetDeliveryResponse:
        result = self._decide(pipeline, call)
        if isinstance(call, _AnsweredCall):
            result["meta"]["decisioning_method"] = DecisioningMethod.SERVER_SIDE.value
        return result

    def decide_mbox(
        self, decisions: VisitorDecisions, name: str, visitor: Any, parameters: Any, shown: bool
    ) -> Any:
        decisions.check_visitor(visitor)
        ids = _ids(visitor.id)
        raise_failure(self._overrides.active(ids, decisions), [name])
        with _deciding_for(ids):
            return self._decide_mbox(decisions, name, visitor, parameters, shown)

    def evaluate_flag(
        self,
        evaluator: FlagEvaluator,
        key: str,
        parsed: FlagKey,
        wanted: FlagType | None,
        rules: RuleSet,
        is_stale: bool,
        visitor: Any,
        parameters: Any,
    ) -> FlagEvaluation | None:
        active = self._overrides.active(_ids(visitor.id), evaluator._decisions)
        raise_failure(active, [parsed.mbox])
        rules = self._overrides.laid_over(rules, active)
        return self._evaluate_flag(evaluator, key, parsed, wanted, rules, is_stale, visitor, parameters)

    def make_engine(self, engine: DecisioningEngine, options: ClientSettings, **parts: Any) -> None:
        is_remote = options.artifact_payload is None and not isinstance(options.artifact_location, Path)
        if is_remote and options.transport is None and not self._state.network:
            options = replace(options, artifact_payload=artifact(client=options.client), polling_interval=0)
        self._make_engine(engine, options, **parts)

    def submit(self, notifier: Notifier, source: Any) -> bool:
        if not self._state.network:
            return True
        if isinstance(source, DecisionReport):
            source = source.resolve()
        if isinstance(source, ImpressionReport):
            kept = [one for one in source.impressions if not self._overrides.has_token(one.tokens)]
            if source.impressions and not kept:
                return True
            source = replace(source, impressions=kept, count=len(kept))
        return self._submit(notifier, source)

    def send(self, transport: HttpTransport, request: HttpRequest, **options: Any) -> Any:
        _check_network(self._state, request)
        return self._send(transport, request, **options)


class _Engine:
    """Engine of a client, with the rules of the double."""

    def __init__(self, state: DoubleState, own: Engine, decisions: VisitorDecisions) -> None:
        self._state = state
        self._own = own
        self._decisions = decisions

    def in_use(self) -> tuple[RuleSet | None, bool]:
        """Return the rules for the visitor that is being decided for, and whether they are old."""
        rules, is_stale = self._own.in_use()
        if self._state.rules is not None:
            rules, is_stale = self._state.rules, False
        active = self._state.overrides.active(_VISITOR_IDS.get(), self._decisions)
        if rules is None and not active:
            return None, is_stale
        return self._state.overrides.laid_over(rules or NO_RULES, active), is_stale

    def trace(self) -> dict[str, Any]:
        """Return how the client's own artifact was retrieved."""
        return self._own.trace()


class _Clock:
    """Module `time` of the modules that decide, at the moment of the double."""

    def __init__(self, state: DoubleState) -> None:
        self._state = state

    def time(self) -> float:
        """Return the epoch seconds of the double, else the true ones."""
        return time.time() if self._state.now is None else self._state.now.timestamp()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Attribute:
    """Substitute of an instance attribute, made from the instance's own value."""

    def __init__(self, name: str, substitute: Callable[[Any, Any], Any]) -> None:
        self._name = name
        self._substitute = substitute

    def __get__(self, owner: Any, kind: type) -> Any:
        return self._substitute(owner, vars(owner)[self._name])

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self._name] = value


def _method(substitute: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that passes its instance on; a bound method on a class would not."""

    def call(owner: Any, *arguments: Any, **options: Any) -> Any:
        return substitute(owner, *arguments, **options)

    return call


@contextmanager
def _replaced(owner: Any, name: str, part: Any) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, part)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextmanager
def _deciding_for(ids: frozenset[str]) -> Iterator[None]:
    token = _VISITOR_IDS.set(ids)
    try:
        yield
    finally:
        _VISITOR_IDS.reset(token)


def _decisions_of(owner: OfferPipeline | VisitorDecisions) -> VisitorDecisions:
    return owner if isinstance(owner, VisitorDecisions) else owner.visitor_decisions


def _ids(visitor: VisitorId | None) -> frozenset[str]:
    if visitor is None:
        return frozenset()
    ids = (visitor.tnt_id, visitor.third_party_id, visitor.marketing_cloud_visitor_id)
    whole = {one for one in ids if one}
    return frozenset(whole | {one.partition(".")[0] for one in whole if one == visitor.tnt_id})


def _call_ids(pipeline: OfferPipeline, offer: CallSettings) -> frozenset[str]:
    """Return the visitor's ids of a call, before its request is prepared."""
    ids = set(_ids(offer.request.id))
    if offer.target_cookie:
        ids |= _ids(VisitorId(parse_target_cookie(offer.target_cookie, time.time()).device_id))
    visitor = offer.visitor
    if visitor is None and offer.visitor_cookie:
        visitor = resolve_visitor(pipeline._options.organization_id, visitor_cookie=offer.visitor_cookie)
    if visitor is not None and (ecid := (visitor.get_visitor_values() or {}).get("MCMID")):
        ids.add(ecid)
    return frozenset(ids)


def _mbox_names(request: DeliveryRequest) -> Iterator[str | None]:
    for part in (request.execute, request.prefetch):
        if part is not None:
            yield from (mbox.name for mbox in part.mboxes or ())
            if part.page_load is not None:
                yield NO_RULES.global_mbox


def _split(
    request: DeliveryRequest, active: Mapping[str, Override]
) -> tuple[DeliveryRequest | None, DeliveryRequest]:
    """Return the part of a request that is overridden, None for none, and the rest of it."""
    overridden = replace(request, execute=None, prefetch=None, notifications=None, telemetry=None)
    rest = replace(request)
    for name in ("execute", "prefetch"):
        part = getattr(request, name)
        if part is None:
            continue
        mboxes: list[MboxRequest] = part.mboxes or []
        is_page = part.page_load is not None and NO_RULES.global_mbox in active
        own = [mbox for mbox in mboxes if mbox.name in active]
        if not own and not is_page:
            continue
        page_load = part.page_load if is_page else None
        setattr(overridden, name, type(part)(mboxes=own or None, page_load=page_load))
        left = [mbox for mbox in mboxes if mbox.name not in active]
        part = replace(part, mboxes=left or None, page_load=None if is_page else part.page_load)
        is_empty = part == type(part)()
        setattr(rest, name, None if is_empty else part)
    if overridden.execute is None and overridden.prefetch is None:
        return None, rest
    return overridden, rest


def _answered(
    call: PreparedCall, overridden: DeliveryRequest | None, rest: DeliveryRequest, rules: RuleSet
) -> _AnsweredCall:
    """Return the call of a server-side client: local if only overridden mboxes are asked."""
    is_local = rest.execute is None and rest.prefetch is None and rest.notifications is None
    request = rest
    if overridden is not None:
        ensure_visitor_id(overridden, call.prepared.cluster, new_id)
        request = overridden if is_local else rest
    values = {name: getattr(call, name) for name in call.__struct_fields__}
    prepared = replace(call.prepared, request=request)
    values |= {"prepared": prepared, "is_local": is_local, "rules": rules}
    return _AnsweredCall(**values, overridden=None if is_local else overridden)


def _merge(result: TargetDeliveryResponse, added: TargetDeliveryResponse) -> None:
    """Add the locations of one result to another, mboxes in the order of their indexes."""
    for name in ("execute", "prefetch"):
        part = getattr(added.response, name)
        own = getattr(result.response, name)
        if part is None or own is None:
            setattr(result.response, name, part or own)
            continue
        mboxes = [*(own.mboxes or ()), *(part.mboxes or ())]
        own.mboxes = sorted(mboxes, key=lambda mbox: mbox.index or 0) or None
        own.page_load = part.page_load or own.page_load


def _exposure(
    state: DoubleState,
    owner: OfferPipeline | VisitorDecisions,
    source: ImpressionReport,
    impression: Impression,
) -> Exposure:
    engine = owner._engine
    rules = None if engine is None else engine.in_use()[0]
    if rules is None:  # of a server-side client, whose impressions on device are those of overrides
        active = state.overrides.active(_VISITOR_IDS.get(), _decisions_of(owner))
        rules = state.overrides.laid_over(NO_RULES, active)
    meta = _meta(rules, impression)
    return Exposure(
        impression.name,
        meta.get("activity.name"),
        meta.get("experience.name"),
        source.prepared.request.id or VisitorId(),
        source.prepared.session_id,
        state.overrides.has_token(impression.tokens),
    )


def _meta(rules: RuleSet, impression: Impression) -> dict[str, Any]:
    """Return the meta of the rule that an impression is of."""
    for rule in rules.mbox(impression.name or "").rules:
        template = rules.template(rule)
        if not set(impression.tokens).isdisjoint(template.event_tokens):
            return template.meta
    return {}


def _server_exposure(call: PreparedCall, answer: MboxResponse) -> Exposure:
    tokens = (answer.options or [])[0].response_tokens or {}
    return Exposure(
        answer.name,
        tokens.get("activity.name"),
        tokens.get("experience.name"),
        call.prepared.request.id or VisitorId(),
        call.prepared.session_id,
        False,
    )


def _async_send(state: DoubleState, send: Callable[..., Any]) -> Callable[..., Any]:
    async def send_of(transport: Any, request: HttpRequest, **options: Any) -> Any:
        _check_network(state, request)
        return await send(transport, request, **options)

    return send_of


def _check_network(state: DoubleState, request: HttpRequest) -> None:
    """Raise `TransportError` if the double allows no network; record the calls of the test."""
    if state.network:
        return
    url = request.url.partition("?")[0]
    thread = threading.current_thread().name
    if not thread.startswith("targetry-") or thread.startswith(_CALLING_THREADS):
        state.refused.append(url)
    raise TransportError(reason=f"the double of Target allows no network: {url}; set target.network = True")
