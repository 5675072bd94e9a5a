"""Events `feature_flag.evaluation`, as log records or span events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec
from opentelemetry import trace

from targetry.hooks import CallEnded, Evaluation
from targetry.otel.log_api import Logger, LoggerProvider, SeverityNumber, get_logger
from targetry.otel.settings import SCHEMA_URL, SCOPE, SCOPE_VERSION, ContextId, Events

EVENT_NAME: Final = "feature_flag.evaluation"
PROVIDER_NAME: Final = "Adobe Target"
_LONGEST_VALUE: Final = 1000

REPORTED: Final = ContextVar("targetry_reported_evaluations", default=0)
"""How many hooks of OpenFeature report the evaluation under way; the client then reports none."""


class EvaluationEvents:
    """Emitter of evaluation events.

    Args:
        events: Where they go.
        context_id: How the visitor's id is exported.
        include_value: Whether values are exported.
        logger_provider: Provider of the logger, in place of the global one.
    """

    def __init__(
        self,
        events: Events,
        context_id: ContextId,
        *,
        include_value: bool,
        logger_provider: LoggerProvider | None,
    ) -> None:
        self._logger: Logger | None = None
        if events in ("log", "both"):
            self._logger = get_logger(
                SCOPE, SCOPE_VERSION, logger_provider=logger_provider, schema_url=SCHEMA_URL
            )
        # Added by version 1.45 of the API.
        self._is_enabled: Callable[..., bool] = getattr(self._logger, "enabled", _always)
        self._to_span = events in ("span", "both")
        self._context_id = context_id
        self._include_value = include_value

    def is_wanted(self) -> bool:
        """Return whether an event emitted now would be received."""
        if self._to_span and trace.get_current_span().is_recording():
            return True
        return self._logger is not None and self._is_enabled(event_name=EVENT_NAME)

    def emit(self, attributes: Mapping[str, Any]) -> None:
        """Emit an event."""
        if self._to_span:
            trace.get_current_span().add_event(EVENT_NAME, attributes)
        if self._logger is not None:
            self._logger.emit(
                event_name=EVENT_NAME, attributes=attributes, severity_number=SeverityNumber.INFO
            )

    def report(self, call: CallEnded) -> None:
        """Emit the evaluations of a call."""
        if (call.kind == "flag" and REPORTED.get()) or not self.is_wanted():
            return
        for evaluation in call.evaluations:
            self.emit(dict(self._attributes(call, evaluation)))

    def _attributes(self, call: CallEnded, one: Evaluation) -> Iterator[tuple[str, Any]]:
        yield "feature_flag.key", one.key
        yield "feature_flag.provider.name", PROVIDER_NAME
        yield "feature_flag.result.reason", one.reason.lower()
        yield "feature_flag.set.id", one.flag_set
        if one.variant is not None:
            yield "feature_flag.result.variant", one.variant
        if one.error_code is not None:
            yield "error.type", one.error_code.lower()
            yield "feature_flag.error.message", one.error_message or ""
        else:
            yield from self.value(one.value, is_named=one.variant is not None)
        yield from self.context_id(call.visitor_id)
        if one.version is not None:
            yield "feature_flag.version", one.version
        if one.activity is not None:
            yield from _given("targetry.activity.id", one.activity.id)
            yield from _given("targetry.activity.name", one.activity.name)
        if one.experience is not None:
            yield from _given("targetry.experience.id", one.experience.id)
        if call.decided_by is not None:
            yield "targetry.decisioning_method", str(call.decided_by)

    def value(self, value: object, *, is_named: bool) -> Iterator[tuple[str, str]]:
        """Yield the value as JSON text, if it is to be exported.

        That there is none is exported where no variant says it.
        """
        if self._include_value:
            yield "feature_flag.result.value", _json(value)[:_LONGEST_VALUE]
        elif value is None and not is_named:
            yield "feature_flag.result.value", "null"

    def context_id(self, visitor_id: str | None) -> Iterator[tuple[str, str]]:
        """Yield the visitor's id in the form that the option names."""
        if not visitor_id or self._context_id == "none":
            return
        if self._context_id == "hash":
            visitor_id = hashlib.blake2b(visitor_id.encode(errors="replace"), digest_size=8).hexdigest()
        yield "feature_flag.context.id", visitor_id


def _always(**_: object) -> bool:
    return True


def _given(name: str, value: object) -> Iterator[tuple[str, str]]:
    if value is not None:
        yield name, str(value)


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError):  # a value of a provider that is no JSON
        return type(value).__name__
