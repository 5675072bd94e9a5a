"""`OpenTelemetryHook`: evaluations, metrics and HTTP spans of the clients that have it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, get_meter_provider

from targetry.hooks import CallEnded, CallStarted, ClientHandle, Hook, HttpExchange
from targetry.otel.client_metrics import ClientMetrics
from targetry.otel.evaluation_events import EvaluationEvents
from targetry.otel.http_spans import HttpSpans
from targetry.otel.log_api import LoggerProvider, get_logger_provider
from targetry.otel.sdk import SdkWatch
from targetry.otel.settings import (
    CONTEXT_IDS,
    EVENTS,
    SCHEMA_URL,
    SCOPE,
    SCOPE_VERSION,
    SPANS,
    ContextId,
    Events,
    Spans,
    check_boolean,
    check_choice,
    check_provider,
)


class OpenTelemetryHook(Hook):
    """Hook that exports by OpenTelemetry; without an SDK, nothing.

        TargetClient.create(client="acme", organization_id="…", hooks=[OpenTelemetryHook()])

    One hook can serve several clients. No visitor's id, query of a URL and content is exported
    unless an option says so.
    """

    def __init__(
        self,
        *,
        events: Events = "log",
        metrics: bool = True,
        spans: Spans = "http",
        context_id: ContextId = "hash",
        include_value: bool = False,
        propagate: bool | None = None,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Check the options.

        Args:
            events: Where `feature_flag.evaluation` goes: `log`, `span` (the current one), `both`,
                or `none`.
            metrics: Whether metrics are recorded.
            spans: `http` for a span for each attempt of an HTTP request, `all` for one for each
                call too, or `none`.
            context_id: How `feature_flag.context.id` shows the visitor's id: `hash`, `plain`, or
                `none`.
            include_value: Whether `feature_flag.result.value` has the content.
            propagate: Whether requests carry the trace context, never baggage. None: only to hosts
                that `server_domain` and `cdn_base_path` name and that are not Adobe's.
            tracer_provider: In place of the global one.
            meter_provider: In place of the global one.
            logger_provider: In place of the global one.

        Raises:
            OptionError: An option is wrong.
        """
        check_choice("events", events, EVENTS)
        check_boolean("metrics", metrics)
        check_choice("spans", spans, SPANS)
        check_choice("context_id", context_id, CONTEXT_IDS)
        check_boolean("include_value", include_value)
        if propagate is not None:
            check_boolean("propagate", propagate)
        check_provider("tracer_provider", tracer_provider, "get_tracer")
        check_provider("meter_provider", meter_provider, "get_meter")
        check_provider("logger_provider", logger_provider, "get_logger")
        providers: list[Callable[[], object]] = []
        if events in ("log", "both"):
            providers.append(lambda: logger_provider or get_logger_provider())
        if metrics:
            providers.append(lambda: meter_provider or get_meter_provider())
        if spans == "all" or events in ("span", "both"):
            providers.append(lambda: tracer_provider or trace.get_tracer_provider())
        self._sdk: Final = SdkWatch(providers)
        tracer = trace.get_tracer(SCOPE, SCOPE_VERSION, tracer_provider, SCHEMA_URL)
        self._call_tracer: Final = tracer if spans == "all" else None
        if self._call_tracer is None:  # so that a call does not pay for it
            self.before_request = None  # type: ignore[method-assign, assignment]
        self._metrics: Final = ClientMetrics(meter_provider) if metrics else None
        self._events: Final = EvaluationEvents(
            events, context_id, include_value=include_value, logger_provider=logger_provider
        )
        durations = None if self._metrics is None else self._metrics.http
        self._http: Final = HttpSpans(None if spans == "none" else tracer, durations, propagate)

    def on_open(self, client: ClientHandle) -> None:
        """Observe the counts of a client."""
        if self._metrics is not None:
            self._metrics.observe(client)

    def before_request(self, call: CallStarted) -> None:
        """Start the span of a call."""
        if self._call_tracer is not None and self._sdk.is_present():
            span = self._call_tracer.start_span(f"targetry {call.kind}")
            call.data[self] = span, contexts.attach(trace.set_span_in_context(span))

    def after_decision(self, call: CallEnded) -> None:
        """Emit the evaluations of a call, record its metrics, and end its span."""
        if not self._sdk.is_present():
            return
        try:
            self._events.report(call)
            if self._metrics is not None:
                self._metrics.record(call)
        finally:
            if self._call_tracer is not None:
                self._end_span(call)

    def around_http(self, exchange: HttpExchange) -> AbstractContextManager[None]:
        """Observe an attempt of an HTTP request."""
        return self._http.around(exchange)

    def _end_span(self, call: CallEnded) -> None:
        started: tuple[trace.Span, Any] | None = call.data.pop(self, None)
        if started is None:
            return
        span, token = started
        if call.decided_by is not None:
            span.set_attribute("targetry.decisioning_method", str(call.decided_by))
        if call.error is not None:
            span.set_attribute("error.type", type(call.error).__qualname__)
            span.set_status(trace.StatusCode.ERROR)
        contexts.detach(token)
        span.end()
