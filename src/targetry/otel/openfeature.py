"""Hook for OpenFeature: evaluation events with the same names, for any provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from targetry._runtime.lazy_import import importing_extra

with importing_extra("openfeature"):
    from openfeature.flag_evaluation import FlagEvaluationDetails
    from openfeature.hook import Hook, HookContext, HookHints

from targetry._client.decisions.evaluations import describe_error
from targetry.otel.evaluation_events import PROVIDER_NAME, REPORTED, EvaluationEvents
from targetry.otel.log_api import LoggerProvider
from targetry.otel.settings import (
    CONTEXT_IDS,
    EVENTS,
    ContextId,
    Events,
    check_boolean,
    check_choice,
    check_provider,
)

_METADATA = {
    "feature_flag.set.id": "flagSetId",
    "feature_flag.version": "version",
    "targetry.activity.id": "activity.id",
    "targetry.activity.name": "activity.name",
    "targetry.experience.id": "experience.id",
    "targetry.decisioning_method": "decisioningMethod",
}


class FeatureFlagHook(Hook):
    """Emits `feature_flag.evaluation` for each evaluation of OpenFeature.

        api.add_hooks([FeatureFlagHook()])

    An `OpenTelemetryHook` of the client emits no second event for the same evaluation.
    """

    def __init__(
        self,
        *,
        events: Events = "log",
        context_id: ContextId = "hash",
        include_value: bool = False,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Check the options, which mean the same as those of `OpenTelemetryHook`.

        Raises:
            OptionError: An option is wrong.
        """
        check_choice("events", events, EVENTS)
        check_choice("context_id", context_id, CONTEXT_IDS)
        check_boolean("include_value", include_value)
        check_provider("logger_provider", logger_provider, "get_logger")
        self._reports = events != "none"
        self._events = EvaluationEvents(
            events, context_id, include_value=include_value, logger_provider=logger_provider
        )

    def before(self, hook_context: HookContext, hints: HookHints) -> None:
        """Keep the client's hook from reporting the evaluation."""
        if self._reports:
            REPORTED.set(REPORTED.get() + 1)

    def finally_after(
        self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints
    ) -> None:
        """Emit the event."""
        if not self._reports:
            return
        REPORTED.set(max(0, REPORTED.get() - 1))
        if self._events.is_wanted():
            self._events.emit(dict(self._attributes(hook_context, details)))

    def _attributes(
        self, hook_context: HookContext, details: FlagEvaluationDetails[Any]
    ) -> Iterator[tuple[str, Any]]:
        provider = hook_context.provider_metadata
        name = "" if provider is None else provider.name
        yield "feature_flag.key", details.flag_key
        yield "feature_flag.provider.name", PROVIDER_NAME if name.startswith(PROVIDER_NAME) else name
        yield "feature_flag.result.reason", str(details.reason or "unknown").lower()
        if details.variant is not None:
            yield "feature_flag.result.variant", details.variant
        if details.error_code is not None:
            code: Any = details.error_code.value
            yield "error.type", code.lower()
            yield "feature_flag.error.message", describe_error(code)
        else:
            yield from self._events.value(details.value, is_named=details.variant is not None)
        yield from self._events.context_id(hook_context.evaluation_context.targeting_key)
        for attribute, key in _METADATA.items():
            if (value := details.flag_metadata.get(key)) is not None:
                yield attribute, str(value)
