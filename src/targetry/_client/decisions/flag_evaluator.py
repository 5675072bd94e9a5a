"""Flags of a client: evaluated on device if the rules decide the mbox, else by the Delivery API.

The evaluator does not wait: its flows yield the steps that a client has to wait for (a geo lookup,
a call of `get_offers`) and receive the results.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from targetry._client.decisions.call_settings import CallSettings, checked_copy
from targetry._client.decisions.evaluations import error_code
from targetry._client.decisions.hook_runner import FlagOutcome, HookRunner
from targetry._client.decisions.visitor_decisions import (
    PreparedVisitor,
    VisitorDecisions,
    checked_name,
    merge_parameters,
)
from targetry._runtime import forks
from targetry._runtime.ids import new_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.delivery.offers import Reason
from targetry.device.decide_mbox import decide_mbox
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.ruleset import RuleSet
from targetry.errors import ApiException, ClosedError, ErrorCode, NotReadyError, OptionError
from targetry.flags.context import TARGETING_KEY, FlagSubject, read_context, read_parameters
from targetry.flags.device_flags import evaluate_all, subject_facts
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import (
    FlagEvaluation,
    Metadata,
    evaluate_on_device,
    evaluate_response,
    failed,
    flag_set_id,
    not_decided,
)
from targetry.flags.key import FlagKey
from targetry.flags.settings import FlagSettings
from targetry.flags.value import FlagType, type_of
from targetry.flags.window import ImpressionWindow
from targetry.geo.lookup import needs_lookup
from targetry.messages import DECISIONING_ENGINE_NOT_READY
from targetry.models import (
    DecisioningMethod,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MetricType,
    ModelProperty,
    Notification,
    NotificationMbox,
    Order,
    PrefetchRequest,
)
from targetry.models.scalars import type_name

T = TypeVar("T")

_ON_DEVICE: Final = DecisioningMethod.ON_DEVICE
_SERVER_SIDE: Final = DecisioningMethod.SERVER_SIDE

Step = Geo | CallSettings
"""Step of a flow: an address to look up (it receives a `Geo`), or a call (a response)."""

Flow = Generator[Step, Any, T]


class FlagDetails(msgspec.Struct, Generic[T], frozen=True):
    """The evaluation of a flag.

    Attributes:
        key: As it was given.
        value: Value of the default's type; the default itself if nothing else applies.
        variant: Name of the experience, else its id.
        reason: `STATIC`, `TARGETING_MATCH`, `SPLIT`, `DEFAULT`, `STALE`, `UNKNOWN` (decided by the
            Delivery API), or `ERROR`.
        error_code: OpenFeature's code, with the reason `ERROR`.
        error_message: Description of the error.
        metadata: Ids and names of activity, experience and offer, `decisioningMethod`, `flagSetId`,
            `version`.
    """

    key: str
    value: T
    variant: str | None
    reason: Reason
    error_code: ErrorCode | None
    error_message: str | None
    metadata: Metadata


class FlagStats(msgspec.Struct, frozen=True):
    """Counts of evaluations by reason and error code, and of repeated impressions left out."""

    reasons: dict[str, int]
    error_codes: dict[str, int]
    impressions_repeated: int


class CallGate(Protocol):
    """Check before each call of a client; it raises `ClosedError`."""

    @property
    def needs_check(self) -> bool:
        """Whether `check` has something to do before a call."""
        ...

    def check(self) -> None:
        """Raise `ClosedError` after `close`."""

    def check_open(self) -> None:
        """Do the same, and detect a fork."""


class FlagEvaluator:
    """Evaluator of flags for one client."""

    def __init__(
        self,
        decisions: VisitorDecisions,
        settings: FlagSettings,
        *,
        gate: CallGate,
        log: RateLimitedLog,
        hooks: HookRunner | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._decisions = decisions
        self._gate = gate
        self.log = log
        self._hooks = hooks
        self._keys = settings.keys
        self._parse = settings.keys.parse
        self._targeting = settings.targeting
        self._impressions = settings.impressions
        self._window = ImpressionWindow(settings.window_s)
        self._clock = clock
        self._reasons = dict.fromkeys(get_args(Reason), 0)  # counts faster than a `Counter`
        self._error_codes: Counter[str] = Counter()
        self._repeated = 0

    def stats(self) -> FlagStats:
        """Return the counts as they are now."""
        reasons = {reason: count for reason, count in self._reasons.items() if count}
        return FlagStats(reasons, dict(self._error_codes), self._repeated)

    def evaluate_now(
        self,
        key: str,
        wanted: FlagType | None,
        visitor: PreparedVisitor | None,
        context: Mapping[str, Any] | None,
        targeting_key: str | None = None,
    ) -> FlagEvaluation | None:
        """Evaluate one flag as `evaluate` does if nothing has to wait and no hook observes it."""
        if self._hooks is not None:
            return None
        decisions = self._decisions
        if type(key) is not str or (context is not None and type(context) is not dict):
            self._check_arguments(key, visitor, context)
        elif visitor is not None and (
            type(visitor) is not PreparedVisitor or visitor._owner is not decisions
        ):
            decisions.check_visitor(visitor)
        try:
            if not forks.mark[0]:  # as in `check_open`, without the call
                forks.ensure_after_fork()
            if self._gate.needs_check:
                self._gate.check()
            parse, parameters = self._parse, None  # attributes that are functions: faster by a local name
            parsed = parse(key)
            if (engine := decisions._engine) is None:
                return None
            in_use = engine.in_use
            rules, is_stale = in_use()
            if rules is None:
                return None
            if visitor is None or context:
                subject = self._subject(visitor, context or {}, targeting_key)
                read = subject.read
                if read is not None and read.context.geo is not None and self._place(rules, parsed, subject):
                    return None
                visitor, parameters = subject.visitor, subject.parameters
            return self._evaluate_on_device(key, parsed, wanted, rules, is_stale, visitor, parameters)
        except Exception as error:
            return self._failed(key, error)

    def evaluate(
        self,
        key: str,
        wanted: FlagType | None,
        visitor: PreparedVisitor | None,
        context: Mapping[str, Any] | None,
        targeting_key: str | None = None,
    ) -> Flow[FlagEvaluation]:
        """Evaluate one flag; any failure is a result.

        Args:
            key: The flag key.
            wanted: The type that the caller requests; None for any.
            visitor: A prepared visitor of the client; a context then adds mbox parameters.
            context: The evaluation context.
            targeting_key: The targeting key, by default that of the context.

        Raises:
            OptionError: An argument is of the wrong type.
        """
        self._check_arguments(key, visitor, context)
        if self._hooks is None:
            flow = self._evaluate(key, wanted, visitor, context or {}, targeting_key)
            return (yield from self._catch_failures(key, flow))
        decisions = self._decisions
        with self._hooks.begin("flag", decisions.method, key) as observed:
            outcome = observed.outcome = FlagOutcome()
            flow = self._evaluate(key, wanted, visitor, context or {}, targeting_key, outcome)
            evaluation = yield from self._catch_failures(key, flow)
            outcome.add_flags([evaluation], decisions.property_token or decisions.client_code)
        return evaluation

    def evaluate_all(
        self, visitor: PreparedVisitor | None, context: Mapping[str, Any] | None
    ) -> Flow[list[FlagEvaluation]]:
        """Evaluate all flags that the rules decide, in the order of keys, without impressions."""
        self._gate.check_open()
        self._check_arguments("", visitor, context)
        if self._decisions.method is _SERVER_SIDE:
            raise OptionError("decisioning_method", "is server-side, so no flags are known here")
        try:
            subject = self._subject(visitor, context or {})
        except FlagError as error:
            path, _, reason = str(error).partition(": ")
            raise OptionError(path, reason) from None
        if self._hooks is None:
            return (yield from self._evaluate_all(subject))
        decisions = self._decisions
        with self._hooks.begin("all_flags", decisions.method) as observed:
            outcome = observed.outcome = FlagOutcome(subject.visitor._facts.visitor)
            evaluations = yield from self._evaluate_all(subject)
            outcome.add_flags(evaluations, decisions.property_token or decisions.client_code)
        return evaluations

    def _evaluate_all(self, subject: _Subject) -> Flow[list[FlagEvaluation]]:
        rules, is_stale = self._decisions.rules_in_use()
        if rules is None:
            raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
        if (place := self._place(rules, None, subject)) is not None and subject.read is not None:
            subject.read.context.geo = yield place
        rules = self._decisions.rules_for(rules, subject.visitor, rules.mboxes)
        evaluations = []
        for flags in evaluate_all(
            rules,
            subject.visitor._facts,
            subject.parameters,
            int(time.time() * 1000),
            separator=self._keys.separator,
            is_stale=is_stale,
            note_failures=self._decisions.note_failures,
        ):
            whole = flags[0]
            self._reasons[whole.reason] += 1
            if whole.error_code is not None:
                self._error_codes[whole.error_code] += 1
            evaluations += flags
        return evaluations

    def track(
        self,
        enqueue: Callable[..., bool],
        name: str,
        context: Mapping[str, Any],
        value: float | None,
        attributes: Mapping[str, Any],
        targeting_key: str | None = None,
    ) -> bool:
        """Enqueue the notification of a tracking event, and return whether it was accepted.

        Args:
            enqueue: The client's `enqueue_notifications`.
            name: The mbox that was visited, not empty.
            context: Context of the visitor.
            value: The total of an order.
            attributes: `orderId` and `purchasedProductIds` of the order; `flagKey` of the flag that
                was clicked; others are mbox parameters.
            targeting_key: The targeting key, by default that of the context.

        Raises:
            FlagError: `INVALID_CONTEXT` with the path of the wrong attribute.
            OptionError: The name is empty, or the API would reject the notification.
        """
        subject = self._subject(None, context, targeting_key)
        read = subject.read
        assert read is not None
        given = dict(attributes)
        flag_key = given.pop("flagKey", None)
        if flag_key is not None and not isinstance(flag_key, str):
            raise OptionError("flagKey", f"must be a str, not {type_name(flag_key)}")
        order = _order(given.pop("orderId", None), given.pop("purchasedProductIds", None), value)
        notification = Notification(
            id=new_id(),
            type=MetricType.DISPLAY,
            timestamp=int(time.time() * 1000),
            mbox=NotificationMbox(checked_name(name)),
            order=order,
            parameters=read_parameters(given) or None,
        )
        if flag_key is not None and (clicked := self._click_tokens(flag_key, subject)) is not None:
            notification.type, notification.mbox, notification.tokens = MetricType.CLICK, *clicked
        request = _request(read)
        request.notifications = [notification]
        return enqueue(request=request, session_id=read.session_id)

    def _click_tokens(self, flag_key: str, subject: _Subject) -> tuple[NotificationMbox, list[str]] | None:
        """Return the mbox of a flag, and the click tokens of its visitor's current experience."""
        decisions = self._decisions
        if decisions.rules_in_use()[0] is None:
            return None
        mbox = self._keys.parse(flag_key).mbox
        decision = decisions.decide(mbox, subject.visitor, subject.parameters, shown=False)
        tokens = [one.event_token for one in decision.metrics if one.event_token]
        return (NotificationMbox(mbox), tokens) if tokens else None

    def _check_arguments(self, key: object, visitor: object, context: object) -> None:
        if not isinstance(key, str):
            raise OptionError("key", f"must be a str, not {type_name(key)}")
        if visitor is not None:
            self._decisions.check_visitor(visitor)
        if context is not None and type(context) is not dict and not isinstance(context, Mapping):
            raise OptionError("context", f"must be a mapping, not {type_name(context)}")

    def _catch_failures(self, key: str, flow: Flow[FlagEvaluation]) -> Flow[FlagEvaluation]:
        try:
            return (yield from flow)
        except Exception as error:
            return self._failed(key, error)

    def _failed(self, key: str, error: Exception) -> FlagEvaluation:
        """Count a failure, and return its result: the application gets its default."""
        match error:
            case FlagError():
                fault = error
            case ClosedError() | NotReadyError() | OptionError():
                fault = FlagError(error_code(error), str(error))
            case ApiException():
                message = f"the Delivery API failed: {error.reason or error.status}"
                fault = FlagError(error_code(error), message)
            case _:
                self.log.error("flag", "A flag could not be evaluated: %s", type(error).__name__)
                fault = FlagError("GENERAL", f"unexpected {type(error).__name__}")
        self._reasons["ERROR"] += 1
        self._error_codes[fault.code] += 1
        return failed(key, fault)

    def _evaluate(
        self,
        key: str,
        wanted: FlagType | None,
        visitor: PreparedVisitor | None,
        context: Mapping[str, Any],
        targeting_key: str | None,
        observed: FlagOutcome | None = None,
    ) -> Flow[FlagEvaluation]:
        self._gate.check_open()
        parsed = self._keys.parse(key)
        decisions = self._decisions
        subject = self._subject(visitor, context, targeting_key)
        if observed is not None:
            observed.visitor_id = subject.visitor._facts.visitor
        rules, is_stale = decisions.rules_in_use()
        if rules is None and decisions.method is _ON_DEVICE:
            raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
        if rules is not None:
            if (place := self._place(rules, parsed, subject)) is not None and subject.read is not None:
                subject.read.context.geo = yield place
            evaluation = self._evaluate_on_device(
                key, parsed, wanted, rules, is_stale, subject.visitor, subject.parameters
            )
            if evaluation is not None:
                return evaluation
        return (yield from self._evaluate_server_side(key, parsed, wanted, subject))

    def _subject(
        self, visitor: PreparedVisitor | None, context: Mapping[str, Any], targeting_key: str | None = None
    ) -> _Subject:
        """Return the visitor of a flag. With a visitor, the context adds mbox parameters only."""
        decisions = self._decisions
        if visitor is not None:
            given = merge_parameters(visitor, read_parameters(context)) if context else None
            return _Subject(visitor, given, None)
        if targeting_key is None:
            targeting_key = context.get(TARGETING_KEY)
        read = read_context(targeting_key, context, self._targeting)
        facts = subject_facts(read, decisions.client_code, decisions.property_token)
        settings = None
        if read.property_token is not None:
            settings = CallSettings(_request(read), _ON_DEVICE, read.session_id)
        return _Subject(PreparedVisitor(decisions, facts, read.id, read.session_id, settings), None, read)

    def _place(self, rules: RuleSet, parsed: FlagKey | None, subject: _Subject) -> Geo | None:
        """Return the place to look up before a flag is decided, or all if `parsed` is None."""
        read = subject.read
        if read is None or not rules.geo_targeting_enabled:
            return None
        geo = read.context.geo
        if geo is None or (parsed is not None and parsed.mbox not in rules.decidable_mboxes):
            return None
        return geo if needs_lookup(geo, True) is not None else None

    def _evaluate_on_device(
        self,
        key: str,
        parsed: FlagKey,
        wanted: FlagType | None,
        rules: RuleSet,
        is_stale: bool,
        visitor: PreparedVisitor,
        parameters: dict[str, Any] | None,
    ) -> FlagEvaluation | None:
        """Evaluate a flag by the rules, and report it; None if the Delivery API is to decide."""
        decisions, mbox, facts = self._decisions, parsed.mbox, visitor._facts
        if visitor.qa_mode is not None:
            rules = decisions.rules_for(rules, visitor, (mbox,))
        outcome = decide_mbox(rules, mbox, facts, parameters, time.time() * 1000.0)
        if outcome is None:
            if decisions.method is _ON_DEVICE:
                raise not_decided(mbox)
            return None
        if outcome._facts is not None and outcome._facts.failures:
            decisions.note_failures(outcome._facts.failures)
        evaluation = evaluate_on_device(key, parsed, wanted, outcome, is_stale)
        if outcome.has_impressions and visitor.qa_mode is None:
            identity = facts.visitor
            if self._impressions == "once" and identity:  # without an id each visitor is another
                entry, clock = (identity, mbox, outcome.templates[0].experience), self._clock
                if self._window.admit(entry, clock()):
                    decisions.report(visitor, outcome)
                else:
                    self._repeated += 1
            elif self._impressions != "never":
                decisions.report(visitor, outcome)
        self._reasons[evaluation.reason] += 1
        return evaluation

    def _evaluate_server_side(
        self, key: str, parsed: FlagKey, wanted: FlagType | None, subject: _Subject
    ) -> Flow[FlagEvaluation]:
        offer, entry = self._offer(parsed, subject)
        result: TargetDeliveryResponse = yield offer
        if offer.request.execute is not None and entry is not None:
            self._window.note(entry, self._clock())
        options = result.mbox(parsed.mbox).options
        method = result.meta["decisioning_method"]
        evaluation = evaluate_response(
            key, parsed, wanted, options, flag_set=flag_set_id(subject.visitor._facts), method=method
        )
        self._reasons[evaluation.reason] += 1
        return evaluation

    def _offer(self, parsed: FlagKey, subject: _Subject) -> tuple[CallSettings, tuple[object, ...] | None]:
        """Return the call of `get_offers`, and the entry of the window that it opens, if any."""
        read, visitor = subject.read, subject.visitor
        facts = visitor._facts
        parameters = facts.details.parameters if subject.parameters is None else subject.parameters
        mbox = MboxRequest(index=0, name=parsed.mbox, parameters=parameters or None)
        if read is not None:
            mbox.profile_parameters = read.profile_parameters or None
            mbox.order, mbox.product = read.order, read.product
            request = _request(read)
            session_id = read.session_id
        else:
            request = replace(visitor._prepared.request, request_id=None)
            session_id = visitor.session_id
        entry = None
        is_execute = self._impressions == "always"
        if self._impressions == "once":
            identity = facts.visitor
            entry = (identity, parsed.mbox, tuple(sorted((parameters or {}).items()))) if identity else None
            is_execute = entry is None or self._window.is_open(entry, self._clock())
            if not is_execute:
                self._repeated += 1
        if is_execute:
            request.execute = ExecuteRequest(mboxes=[mbox])
        else:
            request.prefetch = PrefetchRequest(mboxes=[mbox])
        method = self._decisions.method
        request = checked_copy(request, wire=method is _SERVER_SIDE)
        return CallSettings(request, method, session_id, kind="flag"), entry


class _Subject(msgspec.Struct, eq=False, gc=False):
    """Visitor of an evaluation: the caller's, or one of the context that was `read`.

    `parameters` are the mbox parameters of this evaluation, None for those of the visitor.
    """

    visitor: PreparedVisitor
    parameters: dict[str, Any] | None
    read: FlagSubject | None


def details_of(evaluation: FlagEvaluation, default: T) -> FlagDetails[T]:
    """Return the details of an evaluation: its value, or the default if it has none."""
    value = default if evaluation.value is UNDEFINED else evaluation.value
    return FlagDetails(
        evaluation.key,
        value,
        evaluation.variant,
        evaluation.reason,
        evaluation.error_code,
        evaluation.message,
        evaluation.metadata,
    )


def wanted_type(default: object) -> FlagType | None:
    """Return the type of a default; None for the default None, which accepts any value.

    Raises:
        OptionError: No flag can have a value of the default's type.
    """
    wanted = type_of(default)
    if wanted is None and default is not None:
        raise OptionError(
            "default", f"must be a bool, int, float, str, list, dict or None, not {type_name(default)}"
        )
    return wanted


def _order(order_id: Any, product_ids: Any, value: float | None) -> Order | None:
    if order_id is None and product_ids is None and value is None:
        return None
    return Order(
        id=new_id() if order_id is None else order_id,
        total=value,
        purchased_product_ids=product_ids,
    )


def _request(read: FlagSubject) -> DeliveryRequest:
    """Return the request of a context, without locations."""
    property_ = None if read.property_token is None else ModelProperty(read.property_token)
    return DeliveryRequest(id=read.id, context=read.context, _property=property_)
