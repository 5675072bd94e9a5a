"""The SDK-agnostic suites on device, through the client, or `decide` for fixed times."""

from __future__ import annotations

import json
from typing import Any

import pytest

from differential.suites import SUITES, SuiteCase, shortfall, suite_cases
from support.device import numbered_ids
from targetry import TargetClient
from targetry._client.decisions.call_settings import CallSettings
from targetry._runtime.logger import Log
from targetry.delivery.prepare import RequestDefaults, prepare
from targetry.device.decide import decide
from targetry.device.ruleset import compile_artifact
from targetry.models import DecisioningMethod, DeliveryRequest, snapshot
from targetry.testing import FakeTransport, HttpRequest, HttpResponse, answer

pytestmark = pytest.mark.skipif(
    not SUITES.is_dir(), reason="the conformance suites are not next to the checkout"
)

CASES = list(suite_cases()) if SUITES.is_dir() else []
ON_THE_CLOCK = [case for case in CASES if case.question["now"] is None]
AT_A_TIME = [case for case in CASES if case.question["now"] is not None]


def of(cases: list[SuiteCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


class Network:
    """A transport that responds to geo lookups as the case says, and accepts notifications."""

    def __init__(self, case: SuiteCase) -> None:
        self._geo = case.question["geo"]
        self.notified: list[dict[str, Any]] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/v1/geo"):
            return answer(self._geo or {})
        if "/rest/v1/delivery" in request.url:
            self.notified.append(json.loads(request.body or b""))
            return answer({"status": 200})
        return answer(status=404)


@of(ON_THE_CLOCK)
def test_client_responds_as_the_suite_expects(case: SuiteCase) -> None:
    question, network = case.question, Network(case)
    request = {name: part for name, part in question["request"].items() if name != "sessionId"}  # a stray key
    client = TargetClient.create(
        client=question["conf"]["client"],
        organization_id=question["conf"]["organizationId"],
        decisioning_method="on-device",
        polling_interval=question["conf"]["pollingInterval"],
        telemetry_enabled=question["conf"].get("telemetryEnabled", True),
        artifact_payload=question["artifact"],
        transport=FakeTransport(by=network),
    )
    with client:
        result = client.get_offers(request=request, session_id=question["sessionId"])
        assert client.flush()
    assert result["meta"]["decisioning_method"] == "on-device"
    assert case.response is None or shortfall(case.response, json.loads(result["response"].to_json())) is None
    if case.checks_notification:
        compare_notifications(case, network.notified)


@of(AT_A_TIME)
def test_decision_at_a_time_equals_the_suite(case: SuiteCase) -> None:
    question = case.question
    prepared = prepare(
        snapshot(question["request"], wire=False),
        CallSettings(DeliveryRequest(), DecisioningMethod.ON_DEVICE, question["sessionId"]),
        RequestDefaults(numbered_ids(), Log()),
        None,
        question["now"] / 1000,
        wire=False,
    )
    decision = decide(
        compile_artifact(question["artifact"]),
        prepared.request,
        client_code=question["conf"]["client"],
        now_ms=question["now"],
        new_id=numbered_ids(),
    )
    assert case.response is None or shortfall(case.response, json.loads(decision.response.to_json())) is None
    notifications = [impression.notification(numbered_ids()) for impression in decision.impressions]
    sent = DeliveryRequest(id=prepared.request.id, notifications=notifications or None)
    if case.checks_notification:
        compare_notifications(case, [json.loads(sent.to_json())] if notifications else [])


def compare_notifications(case: SuiteCase, sent: list[dict[str, Any]]) -> None:
    if case.notification is None:
        assert sent == []
    else:
        assert len(sent) == 1
        assert shortfall(case.notification, sent[0]) is None


def test_all_cases_of_the_suites_run() -> None:
    assert CASES
    assert {case.name for case in CASES} == {case.name for case in ON_THE_CLOCK + AT_A_TIME}
