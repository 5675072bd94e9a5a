"""Targetry's answer to a question, in the shape in which the Node program answers (see `decide.cjs`).

The pure rooms are called as the client calls them: checked, prepared, decided, with the question's clock.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from targetry.delivery.prepare import prepare
from targetry.device.decide import decide
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.trace import TraceSource
from targetry.models import ConstraintError, DeliveryRequest, snapshot


class _NoLog:
    def debug(self, message: str, /, *args: object) -> None: ...
    def error(self, message: str, /, *args: object) -> None: ...


class Targetry:
    """Keeps the artifacts that it has compiled."""

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
            session_id=question.get("sessionId"),
            sticky_hint="28",
            wire=False,
            now=now_ms / 1000,
            new_id=_new_id,
            timezone_offset=0,
            log=_NoLog(),
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
            "problems": [f"{problem.activity_id}: {problem.error!r}" for problem in decision.problems],
            "quarantined": [str(rule) for rule in rules.quarantined],
        }

    def _rules(self, artifact: Mapping[str, Any]) -> RuleSet:
        known = self._compiled.get(id(artifact))
        if known is None:
            known = self._compiled[id(artifact)] = artifact, compile_artifact(artifact)
        return known[1]


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
