"""Conformance cases of Adobe's SDKs, sent to the edge.

The cases are written for decisions on device, so the decisioning method differs.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from differential.suites import SUITES, SuiteCase, shortfall, suite_cases
from support.cases import each_case
from support.edge import NOW_MS, response_to
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.geo.location import GeoLocation, location_from_response
from targetry.testing import answer

reason = None if SUITES.is_dir() else "the suites are not next to the checkout"
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


def asked(case: SuiteCase) -> dict[str, Any]:
    """Return a request as a server-side SDK sends it."""
    request = {**case.question["request"]}
    request["context"] = {"channel": "web", **request.get("context", {})}
    token = case.question["conf"].get("propertyToken")
    return request if token is None else {"property": {"token": token}, **request}


def place(case: SuiteCase) -> GeoLocation | None:
    geo = case.question["geo"]
    return None if geo is None else location_from_response(answer(geo))


def as_if_on_device(document: dict[str, Any]) -> dict[str, Any]:
    text = msgspec.json.encode(document)
    given, wanted = (b'"activity.decisioningMethod":"%s"' % word for word in (b"server-side", b"on-device"))
    remade: dict[str, Any] = json.loads(text.replace(given, wanted))
    return remade


CASES = [case for case in suite_cases() if case.response is not None] if SUITES.is_dir() else []


@each_case("case", CASES, ids=lambda case: case.name)
def test_edge_passes_the_suites(case: SuiteCase) -> None:
    question = case.question
    source = json.dumps(question["artifact"]).encode()
    registry = ArtifactRegistry(
        [LoadedArtifact("suite", source, client=question["conf"].get("client", "acme"))]
    )
    response = response_to(
        asked(case),
        f"imsOrgId=X&sessionId={question['sessionId'] or 'dummy_session'}",
        registry=registry,
        now_ms=question["now"] or NOW_MS,
        locate=lambda address: place(case),
    )
    assert shortfall(case.response, as_if_on_device(response)) is None
