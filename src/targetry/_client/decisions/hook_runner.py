"""Runner of a client's hooks: calls them in order, and keeps their faults from the application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from targetry._client.decisions import evaluations
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.delivery.offers import Activity, Experience
from targetry.delivery.prepare import PreparedRequest
from targetry.device.decide import Impression, Match
from targetry.device.logic.facts import bucketing_id
from targetry.device.ruleset import RuleSet
from targetry.events import (
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_DOWNLOAD_SUCCEEDED,
    ARTIFACT_FRESH,
    ARTIFACT_STALE,
    Event,
)
from targetry.flags.evaluation import FlagEvaluation
from targetry.hooks import (
    METHODS,
    AcceptedExposure,
    ArtifactChange,
    CallEnded,
    CallKind,
    ClientHandle,
    Evaluation,
    Hook,
    HttpExchange,
    Operation,
)
from targetry.http.protocol import HttpRequest
from targetry.models import DecisioningMethod, DeliveryRequest

_Method = Callable[[Any], Any]
_BACKGROUND: Final = frozenset({"artifact", "notifications"})


class ObservedCall(CallEnded, eq=False, kw_only=True):
    """A call that hooks observe: a context manager around it, which the pipeline fills in.

    Attributes:
        runner: Calls the hooks.
        began: Start of the call, on the runner's clock.
        flag_set: Property token of the client, else its client code.
        matches: Outcome of each location on device.
        prepared: The prepared request.
        rules: The rules that decide; None if the Delivery API does.
        is_stale: Whether they may be outdated.
        outcome: Outcome of a call without a result: `decide`, `flag`, `all_flags`.
    """

    runner: HookRunner
    began: float
    flag_set: str
    matches: list[Match] = msgspec.field(default_factory=list)
    prepared: PreparedRequest | None = None
    rules: RuleSet | None = None
    is_stale: bool = False
    outcome: FlagOutcome | None = None
    evaluated: list[Evaluation] | None = None

    def __enter__(self) -> ObservedCall:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.end(self, error)

    @property
    def decided_by(self) -> DecisioningMethod | None:
        """The method that decided."""
        if self.result is not None:
            return _METHODS[self.result.meta["decisioning_method"]]
        return None if self.outcome is None or self.error is not None else self.outcome.decided_by

    @property
    def visitor_id(self) -> str | None:
        """The id by which activities are split."""
        if self.result is not None:
            return bucketing_id(self.result.response.id) or None
        if self.prepared is not None:
            return bucketing_id(self.prepared.request.id) or None
        return None if self.outcome is None else self.outcome.visitor_id or None

    @property
    def evaluations(self) -> list[Evaluation]:
        """Outcome of each location."""
        if self.evaluated is None:
            self.evaluated = self._evaluate()
        return self.evaluated

    def _evaluate(self) -> list[Evaluation]:
        if self.error is not None:
            return evaluations.evaluate_failure(self.request, self.name, self.error, self.flag_set)
        if self.outcome is not None:
            return self.outcome.evaluate()
        result, prepared = self.result, self.prepared
        if result is None or prepared is None:
            return []
        named = prepared.request._property
        token = None if named is None else named.token
        flag_set = token or self.flag_set
        if self.rules is None:
            return evaluations.evaluate_delivery(result.response, flag_set)
        return evaluations.evaluate_matches(self.matches, self.rules, token, flag_set, is_stale=self.is_stale)


class FlagOutcome(msgspec.Struct, eq=False):
    """Outcome of `decide`, `flag` or `all_flags`, as far as hooks see it."""

    visitor_id: str = ""
    decided_by: DecisioningMethod | None = None
    evaluate: Callable[[], list[Evaluation]] = list

    def add_flags(self, flags: Sequence[FlagEvaluation], flag_set: str) -> None:
        """Add the evaluated flags; `flag_set` is that of failed ones."""
        methods = (one.metadata.get("decisioningMethod") for one in flags)
        if isinstance(method := next(methods, None), str):
            self.decided_by = DecisioningMethod(method)
        self.evaluate = partial(evaluations.evaluate_flags, flags, flag_set)


class HookRunner:
    """Runner of the hooks of one client.

    Args:
        hooks: The hooks, at least one.
        log: The log for their failures.
        flag_set: Property token of the client, else its client code.
        own_hosts: Hosts, perhaps with ports, to which the option names lead and which are not
            Adobe's.
        clock: Seconds.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        log: RateLimitedLog,
        *,
        flag_set: str = "",
        own_hosts: Iterable[str] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.failures = 0
        self._log = log
        self._flag_set = flag_set
        self._own_hosts = frozenset(own_hosts)
        self._clock = clock
        methods = {name: [getattr(hook, name) for hook in hooks if overrides(hook, name)] for name in METHODS}
        self._open: list[_Method] = methods["on_open"]
        self._before: list[_Method] = methods["before_request"]
        self._after: list[_Method] = methods["after_decision"][::-1]
        self._exposure: list[_Method] = methods["on_exposure"][::-1]
        self._artifact: list[_Method] = methods["on_artifact"][::-1]
        self._http: list[_Method] = methods["around_http"]

    # Observed subjects

    @property
    def observes_calls(self) -> bool:
        """Whether a hook observes calls."""
        return bool(self._before or self._after)

    @property
    def observes_exposures(self) -> bool:
        """Whether a hook observes impressions."""
        return bool(self._exposure)

    @property
    def observes_artifact(self) -> bool:
        """Whether a hook observes the artifact."""
        return bool(self._artifact)

    @property
    def observes_http(self) -> bool:
        """Whether a hook observes HTTP requests."""
        return bool(self._http)

    # Calls

    def open(self, client: ClientHandle) -> None:
        """Call `on_open`."""
        self._call(self._open, client)

    def begin(
        self,
        kind: CallKind,
        method: DecisioningMethod,
        name: str | None = None,
        request: DeliveryRequest | None = None,
        session_id: str | None = None,
    ) -> ObservedCall:
        """Call `before_request`, and return the context manager around the call."""
        call = ObservedCall(
            kind=kind,
            method=method,
            name=name,
            request=request,
            session_id=session_id,
            runner=self,
            began=self._clock(),
            flag_set=self._flag_set,
        )
        if self._before:
            self._call(self._before, call)
        return call

    def end(self, call: ObservedCall, error: BaseException | None) -> None:
        """Call `after_decision`."""
        if error is not None:
            call.error = error
        call.duration_s = self._clock() - call.began
        for method in self._after:
            try:
                method(call)
            except (Exception, SystemExit) as failure:
                self._failed(method, failure)

    # Impressions and artifact

    def exposed(self, prepared: PreparedRequest, impressions: Iterable[Impression]) -> None:
        """Call `on_exposure` for each impression."""
        request = prepared.request
        token = None if request._property is None else request._property.token
        for one in impressions:
            meta = one.meta
            exposure = AcceptedExposure(
                key=one.name,
                activity=Activity(
                    meta.get("activity.id"), meta.get("activity.name"), meta.get("activity.type")
                ),
                experience=Experience(meta.get("experience.id"), meta.get("experience.name")),
                visitor_id=request.id,
                session_id=prepared.session_id,
                property_token=token,
                timestamp_ms=one.timestamp,
            )
            self._call(self._exposure, exposure)

    def artifact_changed(self, change: ArtifactChange) -> None:
        """Call `on_artifact`."""
        self._call(self._artifact, change)

    # HTTP

    def exchange(self, operation: Operation, request: HttpRequest) -> ObservedExchange:
        """Return a context manager around one attempt of a request."""
        is_own_host = urlsplit(request.url).netloc.rpartition("@")[2] in self._own_hosts
        exchange = HttpExchange(
            operation=operation,
            request=request,
            is_own_host=is_own_host,
            is_background=operation in _BACKGROUND,
        )
        return ObservedExchange(self, exchange)

    def enter(self, exchange: HttpExchange) -> list[AbstractContextManager[object]]:
        """Enter the context managers of `around_http`, and return those that were entered."""
        entered = []
        for method in self._http:
            try:
                manager = method(exchange)
                manager.__enter__()
            except (Exception, SystemExit) as error:
                self._failed(method, error)
            else:
                entered.append(manager)
        if exchange.headers:
            exchange.request = replace(exchange.request, headers=self._headers(exchange))
        return entered

    def _headers(self, exchange: HttpExchange) -> dict[str, str]:
        """Return the header fields of a request, with those of hooks that can be sent."""
        added = exchange.headers
        for name, value in list(added.items()):
            if not all(isinstance(text, str) and text and text.isprintable() for text in (name, value)):
                self._failed(self._headers, TypeError())
                del added[name]
        return {**exchange.request.headers, **added}

    def leave(self, entered: list[AbstractContextManager[object]]) -> None:
        """Leave the context managers of `around_http`."""
        for manager in reversed(entered):
            try:
                manager.__exit__(None, None, None)
            except (Exception, SystemExit) as error:
                self._failed(manager.__exit__, error)

    # Failures

    def _call(self, methods: list[_Method], payload: object) -> None:
        for method in methods:
            try:
                method(payload)
            except (Exception, SystemExit) as error:
                self._failed(method, error)

    def _failed(self, method: Callable[..., Any], error: BaseException) -> None:
        self.failures += 1
        name = getattr(method, "__qualname__", None) or type(method).__name__
        self._log.error(
            f"hook {name}",
            "the hook %s failed: %s; the call goes on without it",
            name,
            type(error).__name__,
        )


class ObservedExchange:
    """Context manager around one attempt of an HTTP request."""

    __slots__ = ("_entered", "_runner", "exchange")

    def __init__(self, runner: HookRunner, exchange: HttpExchange) -> None:
        self._runner = runner
        self.exchange = exchange
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> HttpExchange:
        self._entered = self._runner.enter(self.exchange)
        return self.exchange

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.exchange.error = error
        self._runner.leave(self._entered)


ARTIFACT_CHANGES: Final = (
    ARTIFACT_DOWNLOAD_SUCCEEDED,
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_STALE,
    ARTIFACT_FRESH,
)
"""Names of the events that `artifact_change` takes."""


def artifact_change(event: Event) -> ArtifactChange:
    """Return what hooks see of an event about the artifact."""
    location = event["artifact_location"]
    name = event["type"]
    if name == ARTIFACT_DOWNLOAD_SUCCEEDED:
        return ArtifactChange(kind="new", location=location)
    if name == ARTIFACT_DOWNLOAD_FAILED:
        reason = event["reason"]
        is_received = reason not in ("timeout", "connection") and not reason.startswith("status_")
        kind: Literal["refused", "failed"] = "refused" if is_received else "failed"
        return ArtifactChange(kind=kind, location=location, reason=reason, error=event["error"])
    kind_of_age: Literal["stale", "fresh"] = "stale" if name == ARTIFACT_STALE else "fresh"
    return ArtifactChange(kind=kind_of_age, location=location, age_s=event["age_s"])


_METHODS: Final = {str(method): method for method in DecisioningMethod}


def overrides(hook: object, name: str) -> bool:
    """Return whether a hook has a method of its own, and not that of `Hook`."""
    if not callable(getattr(hook, name, None)):
        return False
    return getattr(type(hook), name, None) is not getattr(Hook, name)
