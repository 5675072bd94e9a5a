"""Targetry's answer to a question, in the form of the Node program `decide.cjs`.

The pure rooms are called as the client calls them: checked, prepared, decided, with the question's
clock.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from targetry import TargetClient
from targetry._client.decisions.call_settings import CallSettings
from targetry.delivery.prepare import RequestDefaults, prepare
from targetry.device.decide import decide
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.trace import TraceSource
from targetry.models import ConstraintError, DecisioningMethod, DeliveryRequest, snapshot
from targetry.testing import FakeTransport


class _NoLog:
    def debug(self, message: str, /, *args: object) -> None: ...
    def error(self, message: str, /, *args: object) -> None: ...
    def warning(self, message: str, /, *args: object) -> None: ...


class Targetry:
    """An engine with a cache of compiled artifacts."""

    def __init__(self) -> None:
        self._compiled: dict[int, tuple[Mapping[str, Any], RuleSet]] = {}

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        rules = self._rules(question["artifact"])
        try:
            request = snapshot(question["request"], wire=False)
        except ConstraintError as error:
            return {"error": f"{error.path}: {error.reason}"}
        now_ms = question["now"]
        prepared = prepare(
            request,
            CallSettings(request, DecisioningMethod.ON_DEVICE, question.get("sessionId")),
            RequestDefaults(_new_id, _NoLog(), sticky_cluster="28"),
            None,
            now_ms / 1000,
            wire=False,
        )
        client = question["conf"]["client"]
        decision = decide(
            rules,
            prepared.request,
            client_code=client,
            now_ms=now_ms,
            new_id=_new_id,
            trace=TraceSource(prepared.session_id, client, _artifact_trace(rules)),
        )
        notifications = [impression.notification(_new_id) for impression in decision.impressions]
        report = DeliveryRequest(id=prepared.request.id, notifications=notifications)
        return {
            "response": json.loads(decision.response.to_json()),
            "meta": {"remoteMboxes": decision.remote_mboxes, "remoteViews": decision.remote_views},
            "sent": [{"body": json.loads(report.to_json())}] if notifications else [],
            "problems": [f"{problem.activity_id}: {problem.error!r}" for problem in decision.failures],
            "quarantined": [str(rule) for rule in rules.unusable],
        }

    def _rules(self, artifact: Mapping[str, Any]) -> RuleSet:
        known = self._compiled.get(id(artifact))
        if known is None:
            known = self._compiled[id(artifact)] = artifact, compile_artifact(artifact)
        return known[1]


class TargetryClient:
    """An engine on the public client, which decides by the real clock."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        sent: list[DeliveryRequest] = []
        client = TargetClient.create(
            client=question["conf"]["client"],
            organization_id="ABC@AdobeOrg",
            decisioning_method="on-device",
            artifact_payload=question["artifact"],
            polling_interval=0,
            telemetry_enabled=False,
            target_location_hint="28",
            transport=FakeTransport(),
            send_notification_func=lambda options: sent.append(options["request"]),
        )
        with client:
            result = client.get_offers(request=question["request"], session_id=question["sessionId"])
        meta = result["meta"]
        return {
            "response": json.loads(result["response"].to_json()),
            "meta": {"remoteMboxes": meta["remote_mboxes"], "remoteViews": meta["remote_views"]},
            "sent": [{"body": json.loads(report.to_json())} for report in sent],
        }


def _artifact_trace(rules: RuleSet) -> dict[str, Any]:
    return {
        "artifactLocation": "Not Applicable",
        "pollingInterval": 0,
        "pollingHalted": False,
        "artifactVersion": rules.version,
        "artifactRetrievalCount": 1,
    }


def _new_id() -> str:
    return str(uuid.uuid4())
