"""`visitor` and `decide`: decisions of one mbox at a time for a visitor that is prepared once."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec.structs import replace

from targetry._client.decisions.call_settings import CallSettings, checked_copy
from targetry._client.decisions.evaluations import evaluate_outcome
from targetry._client.decisions.hook_runner import FlagOutcome, ObservedCall
from targetry._client.decisions.qa_mode import QaModes
from targetry._client.decisions.reports import DecisionReport
from targetry._client.decisions.skipped_rules import SkippedRules
from targetry._runtime import validators
from targetry._runtime.forks import ensure_after_fork
from targetry.delivery.cookies import Cookie, target_cookie
from targetry.delivery.offers import Activity, Experience
from targetry.delivery.prepare import PreparedRequest, RequestDefaults
from targetry.device.decide_mbox import MboxOutcome, VisitorFacts, decide_mbox, visitor_facts
from targetry.device.logic.facts import RuleFailure, bucketing_id
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.ruleset import RuleSet
from targetry.errors import NotReadyError, OptionError
from targetry.geo.lookup import needs_lookup
from targetry.messages import DECISIONING_ENGINE_NOT_READY
from targetry.models import (
    AnalyticsResponse,
    ConstraintError,
    Context,
    DecisioningMethod,
    DeliveryRequest,
    Geo,
    Metric,
    ModelProperty,
    Option,
    QAMode,
    VisitorId,
)
from targetry.models.constraint import MAX_ID_LENGTH, MAX_PARAMETERS
from targetry.models.scalars import shown as quoted
from targetry.models.snapshot import checked_context, checked_parameters
from targetry.visitor import CustomerIdsInput, parse_customer_ids

DecisionReason = Literal["static", "targeting_match", "split", "default", "remote"]

_ON_DEVICE: Final = DecisioningMethod.ON_DEVICE


class PreparedVisitor(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A visitor, prepared by `client.visitor` for any number of `client.decide`.

    Immutable: it can be kept for a request, a session or a process, and shared between threads. A
    new artifact is used at once, and each decision uses its own time.
    """

    _owner: VisitorDecisions
    _facts: VisitorFacts
    _ids: VisitorId | None
    _session_id: str | None = None
    _settings: CallSettings | None = None
    _shared: dict[str, PreparedRequest] = {}
    qa_mode: QAMode | None = None

    @property
    def _prepared(self) -> PreparedRequest:
        """The request of reports, prepared at the first access; threads get the same one."""
        prepared = self._shared.get("prepared")
        if prepared is None:
            settings = self._settings
            if settings is None:
                request = DeliveryRequest(id=self._ids, context=self._facts.context)
                settings = CallSettings(request, _ON_DEVICE, self._session_id)
            made = self._owner.prepare(settings.request, settings)
            prepared = self._shared.setdefault("prepared", made)
        return prepared

    @property
    def id(self) -> VisitorId:
        """Ids of the visitor, with a new `tnt_id` if none was given that activities split by."""
        return replace(self._prepared.request.id or VisitorId())

    @property
    def session_id(self) -> str:
        """The session that impressions are reported for."""
        return self._prepared.session_id

    @property
    def target_cookie(self) -> Cookie | None:
        """Cookie to set, which keeps the ids for the next request; None without a `tnt_id`."""
        return target_cookie(self.session_id, self.id.tnt_id, time.time())

    def __repr__(self) -> str:
        return "PreparedVisitor(…)"  # ids do not belong in logs


class Decision(msgspec.Struct, eq=False, gc=False):
    """Decision of `client.decide` for one mbox.

    Attributes:
        name: The mbox.
        is_stale: Whether the rules can be outdated.
    """

    name: str
    is_stale: bool
    _outcome: MboxOutcome | None
    _visitor: PreparedVisitor
    _is_shown: bool = False

    @property
    def reason(self) -> DecisionReason:
        """Reason of the decision.

        `static` (no condition), `targeting_match` (an audience), `split` (the visitor's
        allocation), `default` (no rule matched, or one without a condition after others that did
        not), or `remote`: only the Delivery API can decide this mbox, so call `get_offers`.
        """
        outcome = self._outcome
        if outcome is None:
            return "remote"
        if outcome.rule is None:
            return "default"
        return outcome.location.reason(outcome.rule, self._visitor._facts.property_token)

    @property
    def content(self) -> Any:
        """The content of the offer, which the caller can change; None for default content.

        The objects of several JSON offers are merged, and later keys win; of several other offers
        the first one counts.
        """
        outcome = self._outcome
        if outcome is None or outcome.content is UNDEFINED:
            return None
        return outcome.content

    @property
    def type(self) -> str | None:
        """The type of the first option: `html`, `json`, `redirect`, `dynamic` or `actions`."""
        options = self.options
        return options[0].type if options else None

    @property
    def options(self) -> list[Option]:
        """The options, as `get_offers` gives them for this mbox in `execute`."""
        return [] if self._outcome is None else self._outcome.options

    @property
    def metrics(self) -> list[Metric]:
        """The click metrics, each with the event token to notify with."""
        return [] if self._outcome is None else self._outcome.metrics

    @property
    def analytics(self) -> AnalyticsResponse | None:
        """Payload to forward to Adobe Analytics."""
        return None if self._outcome is None else self._outcome.analytics

    @property
    def response_tokens(self) -> dict[str, Any]:
        """The response tokens of the first option."""
        options = self.options
        return (options[0].response_tokens or {}) if options else {}

    @property
    def activity(self) -> Activity | None:
        """The activity that decided; None if no rule matched."""
        meta = self._meta()
        if meta is None:
            return None
        return Activity(meta.get("activity.id"), meta.get("activity.name"), meta.get("activity.type"))

    @property
    def experience(self) -> Experience | None:
        """The experience that the visitor gets; None if no rule matched."""
        meta = self._meta()
        return None if meta is None else Experience(meta.get("experience.id"), meta.get("experience.name"))

    @property
    def is_shown(self) -> bool:
        """Whether an impression was submitted."""
        return self._is_shown

    def shown(self) -> bool:
        """Report the impression of a decision made with `shown=False`. Never waits.

        Returns whether it was accepted by this call: False for a second call, and if there is
        nothing to report.
        """
        ensure_after_fork()
        if self._is_shown or self._outcome is None or self._visitor.qa_mode is not None:
            return False
        if not self._outcome.has_impressions:
            return False
        self._is_shown = True
        return self._visitor._owner.report(self._visitor, self._outcome)

    def _meta(self) -> dict[str, Any] | None:
        outcome = self._outcome
        return outcome.templates[0].meta if outcome is not None and outcome.templates else None

    def __repr__(self) -> str:
        return f"Decision({self.name!r}, reason={self.reason!r}, experience={self.experience!r})"


class RuleSource(Protocol):
    """The keeper of a client's rules."""

    def in_use(self) -> tuple[RuleSet | None, bool]:
        """Return the rules, None until there are some, and whether they may be outdated."""
        ...


class VisitorDecisions:
    """Prepares visitors and decides mboxes for them.

    Args:
        prepare: Prepares a request for an on-device decision.
        engine: None for a server-side client.
        client_code: Part of the bucketing key.
        property_token: The client's property.
        method: The client's decisioning method.
        defaults: Has the edge cluster that impressions are sent to.
        report: Submits impressions; must not block.
        skipped_rules: Counts rules that could not be evaluated.
        qa_modes: Changes rules for visitors in QA mode.
    """

    def __init__(
        self,
        prepare: Callable[[DeliveryRequest, CallSettings], PreparedRequest],
        *,
        engine: RuleSource | None,
        client_code: str,
        property_token: str | None,
        method: DecisioningMethod,
        defaults: RequestDefaults,
        report: Callable[[DecisionReport], bool],
        skipped_rules: SkippedRules,
        qa_modes: QaModes,
    ) -> None:
        self.prepare = prepare
        self.client_code = client_code
        self.property_token = property_token
        self.method = method
        self._engine = engine
        self._defaults = defaults
        self._hand_over = report
        self._skipped_rules = skipped_rules
        self._qa_modes = qa_modes

    def read_visitor(
        self,
        tnt_id: str | None,
        third_party_id: str | None,
        marketing_cloud_visitor_id: str | None,
        customer_ids: CustomerIdsInput | None,
        context: Context | Mapping[str, Any] | None,
        parameters: Mapping[str, Any] | None,
        session_id: str | None,
        target_cookie: str | None,
        property_token: str | None,
        qa_mode: QAMode | Mapping[str, Any] | None,
    ) -> PreparedVisitor | CallSettings:
        """Return the visitor, or its checked request for `prepare_now` and `visitor`.

        It is the visitor if nothing has to be looked up or created, and nothing seems wrong. Raises
        `OptionError`.
        """
        if self._engine is None:
            self.check_method()
        ids = VisitorId(tnt_id, third_party_id, marketing_cloud_visitor_id)
        if (
            target_cookie is None
            and customer_ids is None
            and property_token is None
            and qa_mode is None
            and (session_id is None or type(session_id) is str)
            and (tnt_id is None or _is_plain_id(tnt_id))
            and (third_party_id is None or _is_plain_id(third_party_id))
            and (marketing_cloud_visitor_id is None or _is_plain_id(marketing_cloud_visitor_id))
            and (context is None or (type(context) is Context and context.geo is None))
            and (identity := bucketing_id(ids))
            and (known := Context() if context is None else checked_context(context)) is not None
        ):
            checked = None if parameters is None else checked_mbox_parameters(parameters)
            facts = visitor_facts(identity, known, self.client_code, checked, self.property_token)
            return PreparedVisitor(self, facts, ids, session_id)
        property_ = None if property_token is None else ModelProperty(property_token)
        request: DeliveryRequest | dict[str, Any]
        if (context is None or isinstance(context, Context)) and (
            qa_mode is None or isinstance(qa_mode, QAMode)
        ):
            request = DeliveryRequest(id=ids, context=context, _property=property_, qa_mode=qa_mode)
        else:
            given = {"id": ids, "context": context, "property": property_, "qaMode": qa_mode}
            request = {name: value for name, value in given.items() if value is not None}
        return CallSettings(
            _checked_visitor(request),
            _ON_DEVICE,
            session_id=None if session_id is None else validators.any_id("session_id", session_id),
            target_cookie=None
            if target_cookie is None
            else validators.any_text("target_cookie", target_cookie),
            customer_ids=None if customer_ids is None else parse_customer_ids(customer_ids),
        )

    def make_visitor(
        self, ids: VisitorId, session_id: str, context: Context, parameters: dict[str, Any] | None
    ) -> PreparedVisitor | None:
        """Return the visitor of a context and parameters that Targetry has made or checked.

        They must not be changed afterwards. Returns None if something has to be looked up or
        created first, or if an id needs a check: `read_visitor` does that.
        """
        ecid, tnt_id = ids.marketing_cloud_visitor_id, ids.tnt_id
        if (
            context.geo is None
            and (tnt_id is None or _is_plain_id(tnt_id))
            and (ecid is None or _is_plain_id(ecid))
            and (identity := bucketing_id(ids))
        ):
            own = replace(context)  # a report fills in the client's time zone
            facts = visitor_facts(identity, own, self.client_code, parameters, self.property_token)
            return PreparedVisitor(self, facts, ids, session_id)
        return None

    def prepare_now(self, settings: CallSettings) -> PreparedRequest | None:
        """Prepare the request of a visitor; None if that can wait until something is reported.

        It cannot if a decision depends on it: on the ids of a cookie, on a new id, or on the geo
        location.
        """
        ids, context = settings.request.id, settings.request.context
        if (
            settings.target_cookie is None
            and settings.customer_ids is None
            and ids is not None
            and bucketing_id(ids)
            and (context is None or context.geo is None)
        ):
            return None
        return self.prepare(settings.request, settings)

    def check_method(self) -> None:
        """Raise `OptionError` if the client decides nothing on device."""
        if self._engine is None:
            raise OptionError(
                "decisioning_method", "is server-side, so nothing is decided on device; use get_offers"
            )

    def check_visitor(self, visitor: object) -> None:
        """Raise `OptionError` unless it is a visitor of this client."""
        if type(visitor) is not PreparedVisitor or visitor._owner is not self:
            raise OptionError("visitor", "must be from client.visitor of this client")

    def rules_for(self, rules: RuleSet, visitor: PreparedVisitor, mboxes: Container[str | None]) -> RuleSet:
        """Return the rules that decide mboxes for a visitor, which may be in QA mode."""
        mode = visitor.qa_mode
        return rules if mode is None else self._qa_modes.for_mboxes(rules, mode, mboxes)

    def rules_for_request(self, rules: RuleSet, request: DeliveryRequest) -> RuleSet:
        """Return the rules that decide a request, which may be in QA mode."""
        return self._qa_modes.for_request(rules, request)

    def rules_in_use(self) -> tuple[RuleSet | None, bool]:
        """Return the rules, None for none, and whether they can be outdated."""
        return (None, False) if self._engine is None else self._engine.in_use()

    def geo_to_resolve(self, prepared: PreparedRequest | None) -> Geo | None:
        """Return the geo to resolve first, if rules use geo locations."""
        if prepared is None:
            return None
        rules, _ = self.rules_in_use()
        return prepared.geo_to_resolve if rules is not None and rules.geo_targeting_enabled else None

    def visitor(
        self,
        settings: CallSettings,
        prepared: PreparedRequest | None,
        parameters: Mapping[str, Any] | None,
        *,
        is_located: bool,
    ) -> PreparedVisitor:
        """Return the visitor of a checked request; `is_located` after a geo lookup."""
        request = settings.request
        context = request.context
        if context is None:
            context = request.context = Context()
        property_ = request._property
        facts = visitor_facts(
            bucketing_id(request.id),
            context,
            self.client_code,
            None if parameters is None else checked_mbox_parameters(parameters),
            self.property_token if property_ is None or not property_.token else property_.token,
            is_unlocated=not is_located and needs_lookup(context.geo, True) is not None,
        )
        shared = {} if prepared is None else {"prepared": prepared}
        return PreparedVisitor(
            self, facts, request.id, settings.session_id, settings, shared, request.qa_mode
        )

    def decide(
        self, name: str, visitor: PreparedVisitor, parameters: Mapping[str, Any] | None, shown: bool
    ) -> Decision:
        """Decide one mbox. Raises `OptionError`, or `NotReadyError` on device without rules."""
        if type(visitor) is not PreparedVisitor or visitor._owner is not self:
            self.check_visitor(visitor)
        if type(name) is not str or not name:
            name = checked_name(name)
        in_use = self._engine.in_use  # type: ignore[union-attr]  # else there is no visitor
        rules, is_stale = in_use()
        if rules is None:
            if self.method is _ON_DEVICE:
                raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
            return Decision(name, False, None, visitor)
        if visitor.qa_mode is not None:
            rules, shown = self.rules_for(rules, visitor, (name,)), False
        merged = merge_parameters(visitor, checked_mbox_parameters(parameters)) if parameters else None
        outcome = decide_mbox(rules, name, visitor._facts, merged, time.time() * 1000.0)
        if outcome is None:
            return Decision(name, is_stale, None, visitor)
        if outcome._facts is not None and outcome._facts.failures:
            self.note_failures(outcome._facts.failures)
        if shown and (shown := outcome.has_impressions):
            cluster, hand_over = self._defaults.sticky_cluster, self._hand_over
            hand_over(DecisionReport(outcome.templates, outcome.moment_ms, cluster, visitor))
        return Decision(name, is_stale, outcome, visitor, shown)

    def observe(self, observed: ObservedCall, decision: Decision) -> None:
        """Fill in what hooks see of a decision."""
        facts = decision._visitor._facts
        outcome = observed.outcome = FlagOutcome(facts.visitor)
        if decision._outcome is None:
            return
        outcome.decided_by = _ON_DEVICE
        outcome.evaluate = partial(
            evaluate_outcome,
            decision.name,
            decision._outcome,
            decision._outcome.rules,
            facts.property_token,
            facts.property_token or self.client_code,
            is_stale=decision.is_stale,
        )

    def note_failures(self, failures: Iterable[RuleFailure]) -> None:
        """Count and log rules that could not be evaluated."""
        self._skipped_rules.note(failures)

    def report(self, visitor: PreparedVisitor, outcome: MboxOutcome) -> bool:
        """Submit the impressions of a decision, and return whether they were accepted."""
        cluster = self._defaults.sticky_cluster
        return self._hand_over(DecisionReport(outcome.templates, outcome.moment_ms, cluster, visitor))


def merge_parameters(visitor: PreparedVisitor, added: dict[str, Any]) -> dict[str, Any]:
    """Return the visitor's mbox parameters with those of one decision.

    Raises:
        OptionError: They are too many together.
    """
    merged = (visitor._facts.details.parameters or {}) | added
    if len(merged) > MAX_PARAMETERS:
        raise OptionError("parameters", f"must not be more than {MAX_PARAMETERS} with the visitor's")
    return merged


def checked_mbox_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of mbox parameters. Raises `OptionError`."""
    try:
        return checked_parameters(parameters, "parameters")
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from error


def _is_plain_id(value: object) -> bool:
    """Return whether an id needs no further check."""
    return type(value) is str and len(value) <= MAX_ID_LENGTH and value.isascii()


def _checked_visitor(request: DeliveryRequest | dict[str, Any]) -> DeliveryRequest:
    try:
        return checked_copy(request, wire=False)
    except OptionError as error:
        raise OptionError(error.path.removeprefix("request.").removeprefix("id."), error.reason) from error


def checked_name(name: object) -> str:
    """Return the name of an mbox. Raises `OptionError`."""
    if isinstance(name, str) and name:
        return str(name)
    raise OptionError("name", f"must be the name of an mbox, not {quoted(name)}")
