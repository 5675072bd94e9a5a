"""Base class of both clients, with all methods that do not wait."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import asdict, replace

from targetry._client.call_options import notification_settings
from targetry._client.decisioning_engine import DecisioningEngine
from targetry._client.decisions.flag_evaluator import FlagEvaluator
from targetry._client.decisions.visitor_decisions import Decision, PreparedVisitor
from targetry._client.options import ClientSettings
from targetry._client.runtime import ClientRuntime, ClientStats
from targetry._runtime import forks
from targetry._runtime.ids import new_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.artifacts.refresh import RefreshResult
from targetry.delivery.cookies import LOCATION_HINT_COOKIE, TARGET_COOKIE
from targetry.errors import OptionError
from targetry.events import EVENT_NAMES
from targetry.flags.settings import FlagSettings, flag_settings
from targetry.messages import MESSAGES
from targetry.models import DecisioningMethod
from targetry.models.scalars import shown
from targetry.notifications.held_reports import HELD, HeldReports
from targetry.visitor import AuthState, cookie_name
from targetry.web.client import Services

if TYPE_CHECKING:
    from targetry._client.decisions.call_settings import RequestInput
    from targetry._client.explanation import DecisionExplanation, RequestExplanation


class BaseClient:
    """Base of `TargetClient` and `AsyncTargetClient`; their `create` makes instances."""

    AuthState: ClassVar = AuthState
    TargetCookieName: ClassVar[str] = TARGET_COOKIE
    TargetLocationHintCookieName: ClassVar[str] = LOCATION_HINT_COOKIE

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """Refuse construction by callers: use `create`."""
        checked = options.get("internal") if isinstance(options, Mapping) else None
        if not isinstance(checked, ClientSettings):
            raise OptionError("options", "are for create", MESSAGES["PRIVATE_CONSTRUCTOR"])
        self._runtime = ClientRuntime(checked)
        self._check_open: Callable[[], None] = self._runtime.check_open
        self._pipeline = self._runtime.pipeline
        self._decisions = self._pipeline.visitor_decisions
        self._method = checked.decisioning_method
        self._hooks = self._runtime.call_hooks
        self._flags = self._flag_evaluator(flag_settings())
        self._services: Services | None = None

    @staticmethod
    def get_visitor_cookie_name(organization_id: str, encoded: bool = False) -> str:
        """Return the name of the AMCV cookie; `encoded` as most browsers send it."""
        return cookie_name(organization_id, encoded=encoded)

    @property
    def config(self) -> dict[str, Any]:
        """Options of this client, with defaults for those left out; a new dict each time."""
        return asdict(self._runtime.options)

    @property
    def logger(self) -> Any:
        """Logger of this client."""
        return self._runtime.log.logger

    @property
    def decisioning_engine(self) -> DecisioningEngine | None:
        """On-device engine; None for a server-side client."""
        return self._runtime.engine

    def decide(
        self,
        name: str,
        visitor: PreparedVisitor,
        *,
        parameters: Mapping[str, Any] | None = None,
        shown: bool = True,
    ) -> Decision:
        """Decide one mbox on device, as `get_offers` decides it in `execute`. Never waits.

        Args:
            name: The mbox.
            visitor: From this client's `visitor`.
            parameters: Additional mbox parameters, which override the visitor's.
            shown: False to report no impression now; `decision.shown()` reports it later.

        Returns:
            The decision. If only the Delivery API can decide, its `reason` is `remote`, and it has
            no content.

        Raises:
            OptionError: The path of what is wrong.
            NotReadyError: An on-device client has no rules yet.
            ClosedError: The client is closed.
        """
        if not forks.mark[0]:  # as in `_check_open`, without the call
            forks.ensure_after_fork()
        if self._runtime.needs_check:
            self._runtime.check()
        if self._hooks is None:
            return self._decisions.decide(name, visitor, parameters, shown)
        decisions = self._decisions
        named = name if isinstance(name, str) else None
        with self._hooks.begin("decide", self._method, named) as observed:
            decision = decisions.decide(name, visitor, parameters, shown)
            decisions.observe(observed, decision)
        return decision

    def explain(
        self, name: str, visitor: PreparedVisitor, *, parameters: Mapping[str, Any] | None = None
    ) -> DecisionExplanation:
        """Explain what `decide` decides for a visitor now: each rule, and why it matches or not.

        It reports nothing and takes at most two seconds of processor time; for tests, support and
        debugging. `print(client.explain("hero", visitor))` shows it as text.

        Args:
            name: The mbox.
            visitor: From this client's `visitor`.
            parameters: Additional mbox parameters, as for `decide`.

        Raises:
            OptionError: The path of what is wrong.
            NotReadyError: There are no rules yet.
            ClosedError: The client is closed.
        """
        from targetry._client.explanation import explain_decision

        self._check_open()
        return explain_decision(self._decisions, name, visitor, parameters)

    def explain_request(self, request: RequestInput) -> RequestExplanation:
        """Explain what `get_offers` decides on device for a request now: mboxes, page load, views.

        It reports nothing and takes at most two seconds of processor time. The request of a result
        has the ids and the geo location: `print(client.explain_request(offers.request))`.

        Args:
            request: A request with an id of the visitor. Nothing is looked up for it.

        Raises:
            OptionError: The path of what is wrong.
            NotReadyError: There are no rules yet.
            ClosedError: The client is closed.
        """
        from targetry._client.explanation import explain_request

        self._check_open()
        return explain_request(self._decisions, request)

    def enqueue_notifications(self, options: Mapping[str, Any] | None = None, **keywords: Any) -> bool:
        """Send displays and clicks in the background; they are bounded, retried and counted.

        Args:
            options: Those of `send_notifications` without callbacks, as a dict.
            **keywords: The same options as keywords.

        Returns:
            Whether they were accepted; `stats().notifications` and the event `notification_failed`
            report the rest.

        Raises:
            OptionError: The path of what is wrong.
            ClosedError: The client is closed.
        """
        self._check_open()
        offer = notification_settings(options, keywords)
        if offer.callback is not None or offer.err_callback is not None:
            name = "callback" if offer.callback is not None else "err_callback"
            raise OptionError(name, "is not supported here; use send_notifications")
        return self._pipeline.enqueue(offer)

    def _flag_evaluator(self, settings: FlagSettings) -> FlagEvaluator:
        """Return an evaluator of flags with the options of a flag provider."""
        return FlagEvaluator(
            self._pipeline.visitor_decisions,
            settings,
            gate=self._runtime,
            log=RateLimitedLog(self._runtime.log),
            hooks=self._hooks,
        )

    @property
    def _visit_services(self) -> Services:
        """Return what visits of web requests need besides the client's calls."""
        services = self._services
        if services is None:
            runtime, options = self._runtime, self._runtime.options
            services = self._services = Services(
                organization_id=options.organization_id,
                client_code=options.client,
                method=self._method,
                has_geo_database=options.geo_database is not None,
                clock=time.time,
                new_id=new_id,
                edge_cluster=lambda: self._pipeline.edge_cluster,
                held_reports=partial(HeldReports, runtime.submit_report, runtime.drop_report),
                holder=HELD,
                make_visitor=self._decisions.make_visitor,
                log=RateLimitedLog(runtime.log),
                track=partial(self._flags.track, self.enqueue_notifications),
            )
        return services

    def event_emitter(self, event_name: str, payload: Mapping[str, Any] | None = None) -> None:
        """Emit an event to its handlers."""
        self._runtime.events.emit(event_name, **(payload or {}))

    def subscribe(self, event_name: str, handler: Callable[..., Any]) -> str:
        """Call a handler at each event of a name, as those of the option `events`.

        Args:
            event_name: One of `targetry.events.EVENT_NAMES`.
            handler: Takes the event or nothing; can be a coroutine function. It runs in a thread
                of the client.

        Returns:
            The id for `unsubscribe`.

        Raises:
            OptionError: There is no such event, or the handler takes other arguments.
        """
        if event_name not in EVENT_NAMES:
            known = ", ".join(EVENT_NAMES)
            raise OptionError("event_name", f"must be one of {known}, not {shown(event_name)}")
        return self._runtime.events.subscribe(event_name, handler)

    def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription. An unknown id is ignored; an event in progress can still arrive."""
        self._runtime.events.unsubscribe(subscription_id)

    def stats(self) -> ClientStats:
        """Return counts of this client: notifications, artifact, geo lookups."""
        faults = {} if self._services is None else dict(self._services.faults)
        return replace(self._runtime.stats(), flags=self._flags.stats(), web_faults=faults)

    def _refresh(self, force: bool) -> Future[RefreshResult]:
        self._check_open()
        engine = self._runtime.engine
        if engine is None:
            raise OptionError("decisioning_method", "a server-side client has no artifact to refresh")
        return engine.refresh(force=force)

    def _close_idle(self) -> int:
        """Close the idle connections and return their number."""
        return self._runtime.close_idle()

    def __del__(self) -> None:
        runtime = vars(self).get("_runtime")  # absent if the options were rejected
        if runtime is None or runtime.is_closed:
            return
        idle = self._close_idle()
        if idle and self._method is not DecisioningMethod.ON_DEVICE and not sys.is_finalizing():
            client, kind = runtime.options.client, type(self).__name__
            text = f"unclosed {kind} of client {client!r}: use it in a with statement, or close it"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)


def is_overridden(method: Callable[..., Any], original: Callable[..., Any]) -> bool:
    """Return whether a method is overridden in a subclass, or patched."""
    return getattr(method, "__func__", None) is not original
