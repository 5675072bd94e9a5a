"""Client spans of HTTP requests, their durations, and the trace context that they send."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from socket import gaierror
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from targetry._runtime.lazy_import import importing
from targetry.errors import DeadlineError
from targetry.hooks import HttpExchange
from targetry.http.protocol import shown_url

_PROPAGATOR: Final = TraceContextTextMapPropagator()  # without baggage, which is the application's own
_SUPPRESSED: Final = "suppress_instrumentation"
_PORTS: Final = {"http": 80, "https": 443}
_FAULTS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (DeadlineError, "timeout"),
    (TimeoutError, "timeout"),
    (asyncio.CancelledError, "cancelled"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionResetError, "connection_reset"),
    (gaierror, "name_resolution"),
    (ssl.SSLError, "tls"),
)


class HttpSpans:
    """Observer of HTTP requests.

    Args:
        tracer: Makes a span for each attempt; None for no spans.
        durations: Histogram of durations; None for no metrics.
        propagate: Whether the trace context is sent; None for hosts that options name.
    """

    def __init__(
        self, tracer: trace.Tracer | None, durations: Histogram | None, propagate: bool | None
    ) -> None:
        self._tracer = tracer
        self._durations = durations
        self._propagate = propagate
        self._without_others = _suppress_other_http()

    @contextmanager
    def around(self, exchange: HttpExchange) -> Iterator[None]:
        """Observe one attempt; nothing where instrumentation is suppressed."""
        if contexts.get_value(_SUPPRESSED):
            yield
            return
        # No request of a caller causes the background's.
        parent = Context() if exchange.is_background else contexts.get_current()
        url = urlsplit(exchange.request.url)
        attributes: dict[str, Any] = dict(_attributes(exchange, url))
        span = self._start(exchange, attributes, parent)
        propagates = exchange.is_own_host if self._propagate is None else self._propagate
        if propagates:
            _PROPAGATOR.inject(exchange.headers, trace.set_span_in_context(span, parent))
        began = time.perf_counter()
        current = trace.use_span(span, record_exception=False, set_status_on_exception=False)
        with current, self._without_others():
            yield
        attributes |= _outcome(exchange)
        if self._durations is not None:
            self._durations.record(time.perf_counter() - began, attributes, trace.set_span_in_context(span))
        self._end(span, exchange, attributes)

    def _start(self, exchange: HttpExchange, attributes: dict[str, Any], parent: Context) -> trace.Span:
        if self._tracer is None:
            return trace.get_current_span(parent)
        request = exchange.request
        known = {
            **attributes,
            "url.full": shown_url(request.url),
            "targetry.operation": exchange.operation,
        }
        if request.resend_count:
            known["http.request.resend_count"] = request.resend_count
        return self._tracer.start_span(request.method, parent, trace.SpanKind.CLIENT, known)

    def _end(self, span: trace.Span, exchange: HttpExchange, attributes: dict[str, Any]) -> None:
        if self._tracer is None:
            return
        span.set_attributes(_outcome(exchange))
        if "error.type" in attributes:
            span.set_status(trace.StatusCode.ERROR)
        span.end()


def _attributes(exchange: HttpExchange, url: SplitResult) -> Iterator[tuple[str, Any]]:
    yield "http.request.method", exchange.request.method
    yield "server.address", url.hostname or ""
    yield "server.port", url.port or _PORTS.get(url.scheme, 443)


def _outcome(exchange: HttpExchange) -> dict[str, Any]:
    response = exchange.response
    if response is None:
        return {"error.type": fault_of(exchange.error)}
    found: dict[str, Any] = {"http.response.status_code": response.status}
    if response.status >= 400:
        found["error.type"] = str(response.status)
    return found


def fault_of(error: BaseException | None) -> str:
    """Return the kind of a failure: of the exception, or of one that caused it."""
    seen: list[BaseException] = []
    link = error
    while link is not None and link not in seen:
        for kind, name in _FAULTS:
            if isinstance(link, kind):
                return name
        seen.append(link)
        link = link.__cause__ or link.__context__
    return "_OTHER" if error is None else type(error).__qualname__


def _suppress_other_http() -> Callable[[], AbstractContextManager[object]]:
    """Return a context manager in which HTTP libraries make no spans and add no headers.

    The switch belongs to the package of instrumentations: without it nothing instruments them.
    """
    try:
        with importing():
            from opentelemetry.instrumentation.utils import suppress_http_instrumentation
    except ImportError:
        return nullcontext
    suppress: Callable[[], AbstractContextManager[object]] = suppress_http_instrumentation
    return suppress
