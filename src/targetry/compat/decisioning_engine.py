"""On-device engine without a client, as in the official `target_decisioning_engine`.

A `TargetClient` on device decides, so both decide alike. The engine has a config instead of
options, one function for all events, and a function for impressions, which are not sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from targetry._client.call_options import OfferOptions
from targetry._client.options import ClientOptions, shown_option
from targetry._client.runtime import CLOSE_TIMEOUT_S
from targetry._client.sync_client import TargetClient
from targetry.compat.impression_reports import Reports
from targetry.errors import NotReadyError, OptionError
from targetry.events import CLIENT_READY, EVENT_NAMES, Event
from targetry.messages import ARTIFACT_NOT_AVAILABLE
from targetry.models import CustomerId, DecisioningMethod, DeliveryRequest, DeliveryResponse
from targetry.visitor import VisitorLike

_OWN_FIELDS: Final = ("event_emitter", "send_notification_func")


def ignore_event(event_name: str, payload: Any = None) -> None:
    """Ignore an event: the `event_emitter` of a config without one."""


@dataclass(repr=False, eq=False)
class DecisioningConfig:
    """Config of an engine; fields are client options of their names, durations in milliseconds.

    `event_emitter` is called with each event's name and payload, `send_notification_func` with
    `{"request": DeliveryRequest, "visitor": …}` for the impressions of each decision; without one,
    impressions are dropped.
    """

    client: str
    organization_id: str
    polling_interval: float | None = None
    artifact_location: str | Path | None = None
    artifact_payload: Mapping[str, Any] | bytes | str | None = None
    environment: str | None = None
    cdn_environment: str | None = None
    cdn_base_path: str | None = None
    send_notification_func: Callable[[dict[str, Any]], Any] | None = None
    telemetry_enabled: bool | None = True
    event_emitter: Callable[[str, Any], Any] | None = None
    maximum_wait_ready: float | None = None
    property_token: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.event_emitter):
            self.event_emitter = ignore_event

    def __repr__(self) -> str:
        """Return the fields that were set, without passwords, queries of URLs, and payloads."""
        fields = (
            (name, shown_option(name, value)) for name, value in vars(self).items() if value is not None
        )
        return f"DecisioningConfig({', '.join(f'{name}={value!r}' for name, value in fields)})"


@dataclass(eq=False)
class TargetDeliveryRequest:
    """Request to an engine, with the options of `TargetClient.get_offers` that belong to it.

    `trace` is kept but not used; `request.trace` asks for a trace.
    """

    request: DeliveryRequest | Mapping[str, Any]
    target_cookie: str | None = None
    target_location_hint: str | None = None
    consumer_id: str | None = None
    customer_ids: Mapping[str, Any] | Sequence[CustomerId] | None = None
    session_id: str | None = None
    visitor: VisitorLike | None = None
    trace: Any = None


class DecisionProviderResponse(DeliveryResponse):
    """Decision: the `DeliveryResponse`, and the names of locations that are decided remotely."""

    remote_mboxes: list[str] | None = None
    remote_views: list[str] | None = None


class TargetDecisioningEngine:
    """Engine that decides on device.

    It is created with a config, started by `initialize`, closed by `close`, and can be shared
    between threads.
    """

    def __init__(self, config: DecisioningConfig) -> None:
        self.config = config
        self._client: TargetClient | None = None
        self._reports = Reports(config.send_notification_func)

    @property
    def artifact(self) -> dict[str, Any] | None:
        """Return the artifact in use; None when there is none."""
        return self.get_raw_artifact()

    def initialize(self) -> None:
        """Load the artifact, as long as `TargetClient.create` waits for it, and start to poll.

        Raises:
            OptionError: An option is wrong.
            ArtifactError: The artifact cannot be used.
            NotReadyError: There is no artifact yet; the engine continues to request it, and
                `is_ready` returns whether it has come.
        """
        if self._client is None:
            self._client = TargetClient.create(cast("ClientOptions", self._options()))
        if not self.is_ready():
            raise NotReadyError(ARTIFACT_NOT_AVAILABLE)

    def get_offers(self, target_options: TargetDeliveryRequest) -> DecisionProviderResponse:
        """Decide all locations of the request.

        Raises:
            NotReadyError: There is no artifact.
            OptionError: A field is wrong.
            ClosedError: The engine is closed.
        """
        result = self._ready_client().get_offers(cast("OfferOptions", _options_of(target_options)))
        response, meta = result["response"], result["meta"]
        fields = {name: getattr(response, name) for name in response.__struct_fields__}
        return DecisionProviderResponse(
            **fields, remote_mboxes=meta["remote_mboxes"], remote_views=meta["remote_views"]
        )

    def has_remote_dependency(self, request: DeliveryRequest) -> dict[str, Any]:
        """Return `remote_needed`, `remote_mboxes` and `remote_views` of a request.

        Raises:
            NotReadyError: There is no artifact.
        """
        engine = self._ready_client().decisioning_engine
        assert engine is not None
        return engine.has_remote_dependency(request)

    def is_ready(self) -> bool:
        """Return whether there is an artifact."""
        engine = self._client.decisioning_engine if self._client is not None else None
        return engine is not None and engine.is_ready()

    def get_raw_artifact(self) -> dict[str, Any] | None:
        """Return the artifact in use; None when there is none."""
        engine = self._client.decisioning_engine if self._client is not None else None
        return None if engine is None else engine.get_raw_artifact()

    def stop_polling(self) -> None:
        """Stop polling for a new artifact."""
        if self._client is not None and self._client.decisioning_engine is not None:
            self._client.decisioning_engine.stop_polling()

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Stop polling, and send the remaining impressions within `timeout` seconds.

        Can be called twice.
        """
        deadline = time.monotonic() + timeout
        if self._client is not None:
            self._client.close(timeout)
        self._reports.close(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ready_client(self) -> TargetClient:
        if self._client is None or not self.is_ready():
            raise NotReadyError(ARTIFACT_NOT_AVAILABLE)
        return self._client

    def _options(self) -> dict[str, Any]:
        options = {name: value for name, value in vars(self.config).items() if name not in _OWN_FIELDS}
        options["decisioning_method"] = DecisioningMethod.ON_DEVICE
        options["send_notification_func"] = self._reports
        if self.config.event_emitter is not ignore_event:
            options["events"] = {name: self._emit for name in EVENT_NAMES if name != CLIENT_READY}
        return options

    def _emit(self, event: Event) -> None:
        payload = dict(event)
        assert self.config.event_emitter is not None
        self.config.event_emitter(payload.pop("type"), payload)


def _options_of(request: object) -> dict[str, Any]:
    if not isinstance(request, TargetDeliveryRequest):
        reason = f"must be a TargetDeliveryRequest, not {type(request).__name__}"
        raise OptionError("target_options", reason)
    return {name: value for name, value in vars(request).items() if name != "trace"}
