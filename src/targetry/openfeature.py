"""OpenFeature provider: mboxes of Adobe Target as feature flags (extra `openfeature`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry._runtime.sync_primitives import OneShotEvent
from targetry._runtime.validators import LONGEST_MS

with importing_extra("openfeature"):
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
    from openfeature.provider import AbstractProvider, Metadata
    from openfeature.track import TrackingEventDetails

from targetry._client.async_client import AsyncTargetClient
from targetry._client.decisions.flag_evaluator import (
    FlagEvaluator,
    FlagStats,
    Step,
)
from targetry._client.options import ClientOptions
from targetry._client.sync_client import TargetClient
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.ruleset import RuleSet, changed_mboxes
from targetry.errors import OptionError, TargetError
from targetry.events import ARTIFACT_DOWNLOAD_SUCCEEDED, ARTIFACT_FRESH, ARTIFACT_STALE
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import FlagEvaluation
from targetry.flags.flow import drive, drive_async
from targetry.flags.settings import Impressions, flag_settings
from targetry.flags.value import FlagType
from targetry.models.scalars import shown, type_name

T = TypeVar("T")

NAME: Final = "Adobe Target (Targetry)"
_CLOSE_TIMEOUT_S: Final = 2.0
_LONGEST_WAIT_S: Final = LONGEST_MS // 1000


__all__ = ["ProviderStats", "TargetProvider"]


class TargetProvider(AbstractProvider):
    """Evaluates OpenFeature flags by Adobe Target.

    A flag key is `mbox`, or `mbox:attribute.attribute` for one attribute of its JSON offer. The
    context's targeting key is the visitor's `thirdPartyId` unless `targeting_key` says another id;
    other attributes are named as in the Delivery API (`tntId`, `url`, `userAgent`, `geo` …), and
    names that it does not have are mbox parameters.

    The constructor does no I/O; `api.set_provider` connects it.
    """

    def __init__(
        self,
        target: TargetClient | AsyncTargetClient | Mapping[str, Any] | None = None,
        /,
        *,
        separator: str = ":",
        flags: Mapping[str, str] | None = None,
        targeting_key: str = "third_party_id",
        targeting_key_parameter: str | None = None,
        impressions: Impressions = "once",
        impression_window: float = 60.0,
        ready_timeout: float = 5.0,
        **client_options: Any,
    ) -> None:
        """Check the options.

        Args:
            target: A client, which the caller closes, or the options of one, unless
                `client_options` are given.
            separator: The character between mbox and attribute.
            flags: Aliases of flags with their keys.
            targeting_key: `third_party_id`, `tnt_id`, `marketing_cloud_visitor_id` or
                `customer:<integration code>`.
            targeting_key_parameter: An mbox parameter that also gets the targeting key.
            impressions: `once` for each visitor, mbox and experience within the window, `always`,
                or `never`.
            impression_window: Length of the window in seconds.
            ready_timeout: Seconds that `initialize` waits for the first rules.
            client_options: Options of `TargetClient.create`.

        Raises:
            OptionError: An option is wrong, or not exactly one of client and options is given.
        """
        super().__init__()
        if (target is None) == (not client_options):
            raise OptionError("target", "must be a client, or the options of one, and not both")
        if target is not None and not isinstance(target, TargetClient | AsyncTargetClient | Mapping):
            raise OptionError("target", f"must be a client, or the options of one, not {type_name(target)}")
        if (
            not isinstance(ready_timeout, int | float)
            or isinstance(ready_timeout, bool)
            or not 0 <= ready_timeout <= _LONGEST_WAIT_S
        ):
            raise OptionError("ready_timeout", f"must be a number of seconds, at most {_LONGEST_WAIT_S:,}")
        self._given = target if isinstance(target, TargetClient | AsyncTargetClient) else None
        self._options: Mapping[str, Any] = target if isinstance(target, Mapping) else client_options
        self._settings = flag_settings(
            separator=separator,
            flags=flags,
            targeting_key=targeting_key,
            targeting_key_parameter=targeting_key_parameter,
            impressions=impressions,
            impression_window=impression_window,
        )
        self._ready_timeout_s = float(ready_timeout)
        self._client: TargetClient | AsyncTargetClient | None = None
        self._evaluator: FlagEvaluator | None = None
        self._subscriptions: list[str] = []
        self._rules: RuleSet | None = None
        self._has_rules = OneShotEvent()
        self._is_waiting = False  # whether the first rules are to be announced
        self._dropped = 0

    @property
    def client(self) -> TargetClient | AsyncTargetClient | None:
        """The client that decides; None before `initialize` and after `shutdown`."""
        return self._client

    def stats(self) -> ProviderStats:
        """Return counts of this provider since it was last initialized."""
        flags = FlagStats({}, {}, 0) if self._evaluator is None else self._evaluator.stats()
        return ProviderStats(flags.reasons, flags.error_codes, flags.impressions_repeated, self._dropped)

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(NAME)

    # Life cycle

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Connect, and wait for the first rules, at most `ready_timeout` seconds.

        Raises:
            ProviderFatalError: An option is wrong, or the artifact that was given cannot be used.
            ProviderNotReadyError: There were no rules in time; READY is emitted when there are.
        """
        if self._client is not None:
            self.shutdown()
        self._has_rules = OneShotEvent()
        self._is_waiting = False
        try:
            client = self._given or self._create()
            client._check_open()
            self._evaluator = client._flag_evaluator(self._settings)
        except TargetError as error:
            raise ProviderFatalError(str(error)) from error
        self._client = client
        engine = client.decisioning_engine
        if engine is None:
            return
        handlers = (
            (ARTIFACT_DOWNLOAD_SUCCEEDED, self._on_rules),
            (ARTIFACT_STALE, self._on_stale),
            (ARTIFACT_FRESH, self._on_fresh),
        )
        self._subscriptions = [client.subscribe(name, handler) for name, handler in handlers]
        if not engine.is_ready():
            self._has_rules.wait(self._ready_timeout_s)
        self._rules = engine.rules
        if self._rules is None:
            self._is_waiting = True
            raise ProviderNotReadyError(engine.stats().last_error or "there are no rules yet")

    def shutdown(self) -> None:
        """Disconnect; can be called twice.

        A client that the provider created is closed within 2 s, one of the caller is not.
        """
        client, self._client = self._client, None
        if client is None:
            return
        for subscription in self._subscriptions:
            client.unsubscribe(subscription)
        self._subscriptions = []
        self._rules = None
        if client is not self._given and isinstance(client, TargetClient):
            client.close(_CLOSE_TIMEOUT_S)

    def _create(self) -> TargetClient:
        options = cast("ClientOptions", dict(self._options))
        options.setdefault("maximum_wait_ready", max(1, int(self._ready_timeout_s * 1000)))
        return TargetClient.create(options)

    def _on_rules(self, event: Any) -> None:
        client = self._client
        engine = None if client is None else client.decisioning_engine
        rules = None if engine is None else engine.rules
        self._has_rules.set()
        if rules is None or (not self._is_waiting and self._rules is None):
            return  # `initialize` is under way, and the SDK announces it
        old, self._rules = self._rules, rules
        if old is None:
            self._is_waiting = False
            self.emit_provider_ready(ProviderEventDetails())
            return
        changed = set(changed_mboxes(old, rules))
        if changed:
            changed |= {name for name, key in self._settings.keys.aliases.items() if key.mbox in changed}
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(changed)))

    def _on_stale(self, event: Any) -> None:
        age_s = event["age_s"]
        age = "of unknown age" if age_s is None else f"{age_s:.0f} s old"
        self.emit_provider_stale(ProviderEventDetails(message=f"the rules are {age}"))

    def _on_fresh(self, event: Any) -> None:
        self.emit_provider_ready(ProviderEventDetails())

    # Evaluation

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean; raises an `OpenFeatureError`."""
        return self._resolve(flag_key, "boolean", default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a text; raises an `OpenFeatureError`."""
        return self._resolve(flag_key, "string", default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer, or a whole number up to 2^53; raises an `OpenFeatureError`."""
        return self._resolve(flag_key, "integer", default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a number; raises an `OpenFeatureError`."""
        return self._resolve(flag_key, "float", default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Resolve a dict or a list; raises an `OpenFeatureError`."""
        return self._resolve(flag_key, "object", default_value, evaluation_context)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Resolve as `resolve_boolean_details`, and await the network."""
        return await self._resolve_async(flag_key, "boolean", default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve as `resolve_string_details`, and await the network."""
        return await self._resolve_async(flag_key, "string", default_value, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve as `resolve_integer_details`, and await the network."""
        return await self._resolve_async(flag_key, "integer", default_value, evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve as `resolve_float_details`, and await the network."""
        return await self._resolve_async(flag_key, "float", default_value, evaluation_context)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Resolve as `resolve_object_details`, and await the network."""
        return await self._resolve_async(flag_key, "object", default_value, evaluation_context)

    def _resolve(
        self, key: str, wanted: FlagType, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        client, evaluator = self._in_use()
        attributes, targeting_key = _parts(context)
        evaluation = evaluator.evaluate_now(key, wanted, None, attributes, targeting_key)
        if evaluation is None:
            wait = client._step if isinstance(client, TargetClient) else _refuse
            evaluation = drive(evaluator.evaluate(key, wanted, None, attributes, targeting_key), wait)
        return _details(evaluation, default)

    async def _resolve_async(
        self, key: str, wanted: FlagType, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        client, evaluator = self._in_use()
        attributes, targeting_key = _parts(context)
        evaluation = evaluator.evaluate_now(key, wanted, None, attributes, targeting_key)
        if evaluation is None:
            wait = client._step if isinstance(client, AsyncTargetClient) else _in_thread(client)
            flow = evaluator.evaluate(key, wanted, None, attributes, targeting_key)
            evaluation = await drive_async(flow, wait)
        return _details(evaluation, default)

    def _in_use(self) -> tuple[TargetClient | AsyncTargetClient, FlagEvaluator]:
        client, evaluator = self._client, self._evaluator
        if client is None or evaluator is None:
            raise ProviderNotReadyError("the provider is not initialized")
        return client, evaluator

    # Tracking

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Report a tracking event as a notification in the background. Never raises, never waits.

        The event is an mbox that was visited; `value` is an order total, and the attributes
        `orderId` and `purchasedProductIds` belong to the order. With the attribute `flagKey` it is
        a click on that flag's offer. Other attributes are parameters.
        """
        client, evaluator = self._client, self._evaluator
        if client is None or evaluator is None:
            self._dropped += 1
            return
        details = tracking_event_details
        try:
            attributes, targeting_key = _parts(evaluation_context)
            sent = evaluator.track(
                client.enqueue_notifications,
                tracking_event_name,
                attributes,
                None if details is None else details.value,
                {} if details is None else details.attributes,
                targeting_key,
            )
        except Exception as error:
            evaluator.log.warning(
                "tracking", "The tracking event %s is dropped: %s", shown(tracking_event_name), error
            )
            sent = False
        if not sent:
            self._dropped += 1


class ProviderStats(msgspec.Struct, frozen=True):
    """Counts of a provider.

    Attributes:
        reasons: Evaluations by reason.
        error_codes: Evaluations by error code.
        impressions_repeated: Impressions left out as repeated.
        tracking_dropped: Tracking events that were not accepted.
    """

    reasons: dict[str, int]
    error_codes: dict[str, int]
    impressions_repeated: int
    tracking_dropped: int


def _parts(context: EvaluationContext | None) -> tuple[Mapping[str, Any], str | None]:
    """Return the attributes and the targeting key of a context."""
    return ({}, None) if context is None else (context.attributes, context.targeting_key)


def _details(evaluation: FlagEvaluation, default: T) -> FlagResolutionDetails[T]:
    if evaluation.error_code is not None:
        raise ErrorCode.to_exception(ErrorCode(evaluation.error_code), evaluation.message or "")
    return FlagResolutionDetails(
        value=default if evaluation.value is UNDEFINED else evaluation.value,
        reason=evaluation.reason,
        variant=evaluation.variant,
        flag_metadata=evaluation.metadata,
    )


def _in_thread(client: TargetClient) -> Callable[[Step], Awaitable[object]]:
    return lambda step: asyncio.to_thread(client._step, step)


def _refuse(step: Step) -> object:
    raise FlagError("GENERAL", "this client is asynchronous: use get_…_async")
