"""Data of OpenFeature's provider TCK, and the state of one of its scenarios."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import AbstractProvider, ProviderStatus

from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, Target, artifact_answer
from openfeature import api
from targetry.openfeature import TargetProvider

TCK = Path(__file__).parents[3] / "shared" / "conformance" / "openfeature-tck"
EVENTS = {
    "ready": ProviderEvent.PROVIDER_READY,
    "stale": ProviderEvent.PROVIDER_STALE,
    "error": ProviderEvent.PROVIDER_ERROR,
    "change": ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
}
EVENT_TIMEOUT_S = 12.0


def rules_of(flags: dict[str, Any]) -> dict[str, Any]:
    """Return an artifact that gives each flag's default variant.

    A flag with targeting gives its targeted variant to the key that it names.
    """
    mboxes: dict[str, list[Any]] = {}
    for number, (name, flag) in enumerate(flags.items(), 1):
        if flag["state"] != "ENABLED":
            continue
        default = flag["defaultVariant"]
        mboxes[name] = [rule_of(number, name, flag, default, True)]
        if "targeting" in flag:
            condition, variant, _ = flag["targeting"]["if"]
            (operands,) = condition.values()
            targeted = {"==": [{"var": "mbox.targetingKey"}, operands[1]]}
            mboxes[name].insert(0, rule_of(1000 + number, name, flag, variant, targeted))
    return {
        "version": "1.0.0",
        "meta": {"clientCode": "acme", "environment": "production"},
        "globalMbox": "target-global-mbox",
        "geoTargetingEnabled": False,
        "responseTokens": [],
        "remoteMboxes": [],
        "localMboxes": list(mboxes),
        "remoteViews": [],
        "localViews": [],
        "rules": {"mboxes": mboxes, "views": {}},
    }


def rule_of(activity: int, name: str, flag: dict[str, Any], variant: str, condition: Any) -> dict[str, Any]:
    content = flag["variants"][variant]
    return {
        "ruleKey": str(activity),
        "activityId": activity,
        "meta": {"activity.id": activity, "experience.id": 0, "experience.name": variant},
        "condition": condition,
        "consequence": {
            "name": name,
            "options": [{"type": "json", "content": content, "eventToken": f"t{activity}"}],
        },
    }


def canonical_flags() -> dict[str, Any]:
    flags: dict[str, Any] = json.loads((TCK / "flags" / "canonical-flags.json").read_text())["flags"]
    return flags


class World:
    """One scenario: the server, the provider, and what was evaluated."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.flags = canonical_flags()
        self.target = Target()
        self.target.on(ARTIFACT, artifact_answer(rules_of(self.flags)))
        self.provider: AbstractProvider | None = None
        self.client: OpenFeatureClient | None = None
        self.context: EvaluationContext | None = None
        self.flag: tuple[str, str, Any] = ("", "", None)
        self.details: FlagEvaluationDetails[Any] | None = None
        self.remembered: Any = None
        self.shutdown_s = 0.0
        self.received: dict[str, list[EventDetails]] = {name: [] for name in EVENTS}
        self.counted = dict.fromkeys(EVENTS, 0)
        self.changed = threading.Condition()

    def make_provider(self, ready_timeout: float) -> AbstractProvider:
        return TargetProvider(
            **reach(self.target),
            cdn_base_path=self.target.url,
            decisioning_method="on-device",
            polling_interval=1000,
            targeting_key_parameter="targetingKey",
            ready_timeout=ready_timeout,
        )

    def start(self, wait: bool, ready_timeout: float = 20.0) -> None:
        self.provider = self.make_provider(ready_timeout)
        self.client = api.get_client("tck")
        (api.set_provider_and_wait if wait else api.set_provider)(self.provider, "tck")

    def listen(self, name: str) -> None:
        assert self.client is not None

        def hear(details: EventDetails) -> None:
            with self.changed:
                self.received[name].append(details)
                self.changed.notify_all()

        self.client.add_handler(EVENTS[name], hear)

    def wait_for(self, name: str) -> EventDetails:
        """Return the next event of a name that was not waited for."""
        count = self.counted[name] = self.counted[name] + 1
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received[name]) >= count, EVENT_TIMEOUT_S), (
                self.received
            )
        return self.received[name][count - 1]

    def wait_for_status(self, status: ProviderStatus) -> None:
        assert self.client is not None
        deadline = time.monotonic() + EVENT_TIMEOUT_S
        while self.client.get_provider_status() is not status and time.monotonic() < deadline:
            time.sleep(0.01)  # the SDK sets it before it calls handlers, but emits no event
        assert self.client.get_provider_status() is status

    def evaluate(self) -> None:
        assert self.client is not None
        kind, key, default = self.flag
        name = f"get_{kind.lower()}_details"
        if self.is_async:
            self.details = asyncio.run(getattr(self.client, f"{name}_async")(key, default, self.context))
        else:
            self.details = getattr(self.client, name)(key, default, self.context)

    def stop(self) -> None:
        api.clear_providers()
        self.target.stop()
