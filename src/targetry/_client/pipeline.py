"""Pipeline of every call: options → prepare → decide → result.

`TargetClient` and `AsyncTargetClient` share it. They differ in how they wait for the network, as
`delivery_flow` yields attempts, and for a geo lookup. The clock and random ids are read here and
passed down.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

import msgspec

from targetry._client.decisions.call_settings import CallSettings, checked_copy
from targetry._client.decisions.qa_mode import QaModes
from targetry._client.decisions.reports import (
    ImpressionReport,
    NotificationReport,
    Report,
    TelemetryReports,
)
from targetry._client.decisions.skipped_rules import SkippedRules
from targetry._client.decisions.visitor_decisions import VisitorDecisions
from targetry._client.options import ClientSettings
from targetry._runtime.ids import new_id, uniform
from targetry._runtime.logger import Log
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.envelope import TargetDeliveryResponse, envelope, learned_cluster
from targetry.delivery.hosts import DeliveryAddress, configured_cluster
from targetry.delivery.prepare import IgnoredInput, PreparedRequest, RequestDefaults, prepare
from targetry.delivery.response import body_text, parse_response, rejection_message
from targetry.delivery.retry import pause_s, retry_budget
from targetry.delivery.telemetry import Entries, TelemetryStore, measure_call
from targetry.device.decide import Match, decide
from targetry.device.remote import NOTHING_REMOTE, RemoteDependency, remote_dependency
from targetry.device.ruleset import RuleSet
from targetry.device.trace import TraceSource
from targetry.errors import (
    ApiException,
    ClosedError,
    DeadlineError,
    NotReadyError,
    OptionError,
    TransportError,
)
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.messages import DECISIONING_ENGINE_NOT_READY, MESSAGES
from targetry.models import DecisioningMethod, DeliveryRequest, DeliveryResponse, Geo, VisitorId
from targetry.models.writing import json_bytes
from targetry.version import __version__
from targetry.visitor import resolve_visitor

_SERVER_SIDE: Final = DecisioningMethod.SERVER_SIDE
_ON_DEVICE: Final = DecisioningMethod.ON_DEVICE
_SERVER_SIDE_NAME: Final = _SERVER_SIDE.value
_ON_DEVICE_NAME: Final = _ON_DEVICE.value
SDK_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "X-EXC-SDK": "AdobeTargetPython",
    "X-EXC-SDK-Version": __version__,
}
_QUARTER_S: Final = 900.0
_USER_INFO: Final = re.compile(r"(?<=://)[^\s'\"<>]*@")
_LONGEST_QUOTE: Final = 1000


class Engine(Protocol):
    """On-device engine, as the pipeline uses it."""

    def in_use(self) -> tuple[RuleSet | None, bool]:
        """Return the rules, None until there are some, and whether they can be outdated."""
        ...

    def trace(self) -> dict[str, Any]:
        """Return how the artifact was retrieved, for traces."""
        ...


class Attempt(msgspec.Struct, frozen=True):
    """Step of a delivery flow: after `pause_s` seconds send `request`, within `timeout_s` seconds.

    `deadline` is when the whole call ends, decoding included, on the clock of `time.perf_counter`.
    """

    request: HttpRequest
    timeout_s: float
    deadline: float
    pause_s: float = 0.0


AttemptOutcome = HttpResponse | DeliveryResponse | ApiException
DeliveryFlow = Generator[Attempt, AttemptOutcome, TargetDeliveryResponse]


class PreparedCall(msgspec.Struct, frozen=True):
    """Prepared call, with the rules that it keeps to its end.

    `geo_to_resolve` has the visitor's IP address, if rules on device use its geo location.
    `started` is of `time.perf_counter`; the call had waited `waited_s` seconds by then.
    `matches` gets the decisions on device, if hooks observe the call.
    """

    prepared: PreparedRequest
    rules: RuleSet | None
    is_local: bool
    is_stale: bool
    remote: RemoteDependency
    geo_to_resolve: Geo | None
    now: float
    started: float
    waited_s: float = 0.0
    matches: list[Match] | None = None


class OfferPipeline:
    """Pipeline of one client.

    Args:
        options: The options of the client.
        engine: Its on-device engine; None for a server-side client.
        log: Its log.
        telemetry: Its store of telemetry.
        report: Submits reports to the notifier. It must not block.
        clusters: Edge clusters and their health.
        has_backlog: Returns whether reports wait for the Delivery API. It must not block.
    """

    def __init__(
        self,
        options: ClientSettings,
        *,
        engine: Engine | None,
        log: Log,
        telemetry: TelemetryStore,
        report: Callable[[Report], bool],
        clusters: ClusterDirectory,
        has_backlog: Callable[[], bool] = lambda: False,
    ) -> None:
        self.telemetry = telemetry
        self.telemetry_reports = TelemetryReports(self.telemetry, self._report_telemetry, has_backlog)
        self.skipped_rules = SkippedRules(log)
        self.qa_modes = QaModes()
        self._options = options
        self._engine = engine
        self._log = log
        self._limited_log = RateLimitedLog(log)
        self._report = report
        self._budget = retry_budget()
        self._timeout_s = options.timeout / 1000
        self._clusters = clusters
        self._address = delivery_address(options)
        hint = configured_cluster(options.target_location_hint)
        if hint is not None:
            clusters.add(hint)
        self._defaults = RequestDefaults(
            new_id,
            log,
            options.environment_id,
            options.property_token,
            hint,
            routes_by_cookie=self._address.allows_cookie_clusters,
            rate_limited_log=RateLimitedLog(log),
        )
        self._offset_until = 0.0
        self.visitor_decisions = VisitorDecisions(
            self._prepare_visitor,
            engine=engine,
            client_code=options.client,
            property_token=options.property_token,
            method=options.decisioning_method,
            defaults=self._defaults,
            report=report,
            skipped_rules=self.skipped_rules,
            qa_modes=self.qa_modes,
        )

    @property
    def ignored(self) -> IgnoredInput:
        """Counts of input that calls ignored."""
        return self._defaults.ignored

    @property
    def edge_cluster(self) -> str | None:
        """Edge cluster of visitors that have none of their own, configured or learned."""
        return self._defaults.sticky_cluster

    # Preparation

    def prepare_call(self, offer: CallSettings, submitted: float | None = None) -> PreparedCall:
        """Choose the decisioning method, and prepare the request.

        Args:
            offer: The options of the call.
            submitted: Start of the call (`time.perf_counter`) if it is earlier than now; the
                timeout counts from it.

        Raises:
            OptionError: A field is wrong.
            NotReadyError: The call is to be decided on device, and there are no rules.
        """
        started = time.perf_counter()
        method = offer.decisioning_method
        request = offer.request
        remote = NOTHING_REMOTE
        rules, is_stale = None, False
        if self._engine is not None:
            in_use = self._engine.in_use  # an attribute that is a function: faster by a local name
            rules, is_stale = in_use()
        is_local = rules is not None and method is not _SERVER_SIDE
        if rules is None:
            if method is _ON_DEVICE:
                raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
        elif method is not _ON_DEVICE:
            remote = remote_dependency(rules, request)
            is_local = is_local and not (remote.mboxes or remote.views)
        if not is_local and method is not _SERVER_SIDE:
            request = checked_copy(request, wire=True)  # limits of the Delivery API alone
        now = time.time()
        if now >= self._offset_until:
            self._look_up_offset(now)
        visitor = offer.visitor
        wants_sdid = visitor is not None
        if visitor is None and (offer.visitor_cookie is not None or offer.customer_ids is not None):
            wants_sdid = offer.visitor_cookie is not None
            visitor = resolve_visitor(
                self._options.organization_id,
                visitor_cookie=offer.visitor_cookie,
                customer_ids=offer.customer_ids,
            )
        prepared = prepare(
            request, offer, self._defaults, visitor, now, wire=not is_local, wants_sdid=wants_sdid
        )
        address = None
        if is_local and rules is not None and rules.geo_targeting_enabled:
            address = prepared.geo_to_resolve
        waited_s = 0.0 if submitted is None else started - submitted
        matches = None
        if (observed := offer.observed) is not None:
            observed.prepared = prepared
            if is_local:
                observed.rules, observed.is_stale, matches = rules, is_stale, observed.matches
        return PreparedCall(
            prepared, rules, is_local, is_stale, remote, address, now, started, waited_s, matches
        )

    def _prepare_visitor(self, request: DeliveryRequest, offer: CallSettings) -> PreparedRequest:
        """Prepare a request for on-device decisions that are made later."""
        now = time.time()
        if now >= self._offset_until:
            self._look_up_offset(now)
        return prepare(request, offer, self._defaults, None, now, wire=False, wants_sdid=False)

    def enqueue(self, offer: CallSettings) -> bool:
        """Enqueue the notifications of a call, and return whether they were accepted."""
        return self._report(NotificationReport(self.prepare_call(offer).prepared))

    def deadline(self, call: PreparedCall) -> float:
        """Return the deadline of a call (`time.perf_counter`)."""
        return call.started - call.waited_s + self._timeout_s

    def _look_up_offset(self, now: float) -> None:
        """Look up the server's offset from UTC, which changes at quarters of an hour only."""
        self._defaults.timezone_offset = time.localtime(now).tm_gmtoff // 60
        self._offset_until = now - now % _QUARTER_S + _QUARTER_S

    # Decisions on device

    def decide(self, call: PreparedCall) -> TargetDeliveryResponse:
        """Decide on device, and report the impressions."""
        prepared, rules = call.prepared, call.rules
        assert rules is not None
        request, now = prepared.request, call.now
        trace = None
        if request.trace is not None and self._engine is not None:
            trace = TraceSource(prepared.session_id, self._options.client, self._engine.trace())
        if request.qa_mode is not None:
            rules = self.qa_modes.for_request(rules, request)
        now_ms = int(now * 1000)
        decision = decide(rules, request, self._options.client, now_ms, new_id, trace, call.matches)
        if decision.failures:
            self.skipped_rules.note(decision.failures)
        response = decision.response
        if self.telemetry.enabled:
            self._measure(call, response, now_ms)
        if request.qa_mode is None and (impressions := decision.impressions):
            report = self._report
            report(ImpressionReport(prepared, impressions, len(impressions), prepared.cluster))
        elif len(self.telemetry) >= self.telemetry_reports.due_at:
            self.telemetry_reports.note(prepared)
        return envelope(
            prepared,
            response,
            _ON_DEVICE_NAME,
            now,
            decision.remote_mboxes,
            decision.remote_views,
            stale=call.is_stale,
        )

    def _report_telemetry(self, prepared: PreparedRequest, entries: Entries) -> None:
        self._report(ImpressionReport(prepared, [], 0, prepared.cluster, entries))

    # Calls of the Delivery API

    def delivery_flow(self, call: PreparedCall) -> DeliveryFlow:
        """Call the Delivery API: yield attempts, receive the outcome of each, return the result.

        Raises:
            ApiException: The call failed; `TransportError` without a response, `DeadlineError`
                without one in time.
        """
        deadline = self.deadline(call)
        if time.perf_counter() >= deadline:
            raise DeadlineError(reason=f"not sent within {self._timeout_s:g} s: other calls used all threads")
        telemetry = self.telemetry.attach(call.prepared.request)
        cluster = self._clusters.choose(call.prepared.cluster)
        pause, tries = 0.0, 0
        try:
            request = self._http_request(call, cluster)
            while True:
                left = deadline - time.perf_counter() - pause
                if cluster is not None and not self._clusters.is_known(cluster):
                    left /= 2  # the other half is for the client's own host
                outcome = yield Attempt(request, max(left, 0.001), deadline, pause)
                read = outcome if isinstance(outcome, DeliveryResponse) else self.read(outcome, deadline)
                if isinstance(read, DeliveryResponse):
                    telemetry = []
                    if cluster is None:
                        self._budget.earn()
                    else:
                        self._clusters.record_response(cluster)
                    return self._build_result(call, read, cluster)
                if cluster is not None and self._clusters.record_error(cluster, read):
                    # Does not use the retry budget, which a forged cookie could exhaust for all
                    # visitors.
                    cluster, pause = None, 0.0
                    url = self._address.url(call.prepared.session_id)
                    request = msgspec.structs.replace(request, url=url, resend_count=request.resend_count + 1)
                    if time.perf_counter() < deadline:
                        continue
                tries += 1
                again = pause_s(read, tries, deadline - time.perf_counter(), uniform())
                if again is None or not self._budget.spend():
                    raise read
                pause = again
                request = msgspec.structs.replace(request, resend_count=request.resend_count + 1)
        except ApiException as error:
            if 400 <= error.status < 500:
                self.telemetry.count_dropped(telemetry)
                telemetry = []
            raise
        finally:  # also if the caller is cancelled
            if telemetry:
                self.telemetry.put_back(telemetry)

    def _http_request(self, call: PreparedCall, cluster: str | None) -> HttpRequest:
        prepared = call.prepared
        try:
            body = json_bytes(prepared.request)
        except ValueError as error:
            raise OptionError("request", f"cannot be written as JSON: {error}") from error
        url = self._address.url(prepared.session_id, cluster)
        if self._log.wants_debug:
            self._log.debug(
                "%s POST %s %s", MESSAGES["REQUEST_SENT"], url.partition("/rest/")[0], body.decode()
            )
        return HttpRequest("POST", url, {**SDK_HEADERS, "X-Request-Id": new_id()}, body)

    def read(self, answer: object, deadline: float) -> DeliveryResponse | ApiException:
        """Decode the outcome of an attempt, before `deadline` (`time.perf_counter`)."""
        if isinstance(answer, ApiException):
            return answer
        if not isinstance(answer, HttpResponse):  # from a transport of the caller
            return TransportError(reason=f"the transport gave {type(answer).__name__}, not an HttpResponse")
        if self._log.wants_debug and 200 <= answer.status < 300:
            self._log.debug("%s %s", MESSAGES["RESPONSE_RECEIVED"], body_text(answer))

        def check() -> None:
            if time.perf_counter() > deadline:
                raise TimeoutError

        try:
            response = parse_response(answer, check)
            check()
        except TimeoutError:
            return self.late_error()
        except ApiException as error:
            return error
        message = rejection_message(answer, response)
        if message is not None:
            self._limited_log.warning(
                f"refused {response.status}",
                "the Delivery API rejected a request: status %s in a response of HTTP status %s: %.200r",
                response.status,
                answer.status,
                message,
            )
        return response

    def late_error(self) -> DeadlineError:
        """Return the error of a call whose response was too large to be decoded in time."""
        return DeadlineError(reason=f"no result within {self._timeout_s:g} s (while decoding the response)")

    def _build_result(
        self, call: PreparedCall, response: DeliveryResponse, cluster: str | None
    ) -> TargetDeliveryResponse:
        """Return the result of a response from `cluster`, None for the client's own host."""
        now = time.time()
        prepared = call.prepared
        hint = learned_cluster(prepared, response, self._options.server_domain)
        if hint is not None:
            self._defaults.sticky_cluster = hint
            self._clusters.add(hint)
        if prepared.cluster != cluster:
            prepared = msgspec.structs.replace(prepared, cluster=cluster)
        if self.telemetry.enabled:
            self._measure(call, response, int(now * 1000))
        request = call.prepared.request
        if request.id is None:  # not sent, but callers read `result["request"].id.tnt_id`
            request.id = VisitorId()
        remote = call.remote
        return envelope(prepared, response, _SERVER_SIDE_NAME, now, [*remote.mboxes], [*remote.views])

    def _measure(self, call: PreparedCall, response: DeliveryResponse, now_ms: int) -> None:
        took = (time.perf_counter() - call.started) * 1000
        method = _ON_DEVICE if call.is_local else _SERVER_SIDE
        self.telemetry.add(measure_call(call.prepared.request, response, method, now_ms, took))


def delivery_address(options: ClientSettings) -> DeliveryAddress:
    """Return the address that a client with these options posts its requests to."""
    return DeliveryAddress(
        client=options.client,
        organization_id=options.organization_id,
        server_domain=options.server_domain,
        secure=options.secure,
        version=options.version,
    )


def as_transport_error(error: Exception, url: str) -> ApiException:
    """Return the failure of a transport as an `ApiException`.

    A transport of the caller can raise anything. The message quotes the error without the query of
    `url`, which contains ids of a visitor, and without user and password of any URL, such as that
    of a proxy.

    Raises:
        ClosedError: The client was closed.
    """
    if isinstance(error, ApiException):
        return error
    if isinstance(error, ClosedError):
        raise error
    failure = TransportError(reason=f"the transport failed: {_quoted(error, url)}")
    failure.__cause__ = error
    return failure


def _quoted(error: Exception, url: str) -> str:
    try:
        text = repr(error)
    except Exception:
        return type(error).__name__
    query = url.partition("?")[2]
    text = text.replace(query, "***") if query else text
    return _USER_INFO.sub("***@", text)[:_LONGEST_QUOTE]
