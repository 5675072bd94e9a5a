"""Conformance of responses to the OpenAPI document; `tests/soak/test_edge.py` has a longer run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup

from support.examples import examples
from support.openapi import DESCRIPTION, Prober, cases, check, mutant
from support.slow import slow
from targetry.edge.in_process import edge
from targetry.ledger.ledger import Ledger
from targetry.samples import shop

if not DESCRIPTION.is_file():
    pytest.skip("the API's description is not next to the checkout", allow_module_level=True)

MBOXES = sorted(shop()["rules"]["mboxes"])


@pytest.fixture(scope="module")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    folder = tmp_path_factory.mktemp("ledger")
    with Ledger.open(folder) as ledger, edge(ledger=ledger) as here, Prober(here.url) as prober:
        yield prober


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, {"status": "200"}),
        (200, {"id": {"tntId": "x" * 129}}),
        (200, {"execute": {"mboxes": [{"options": [{"responseTokens": 5}]}]}}),
        (200, {"prefetch": {"views": [{"options": [{"type": "unheard of"}]}]}}),
        (400, {"message": "no status"}),
        (500, {"status": 500, "message": "an internal error"}),
    ],
)
def test_schema_check_detects_a_wrong_response(status: int, document: dict[str, Any]) -> None:
    answer = httpx2.Response(status, json=document, request=httpx2.Request("POST", "http://127.0.0.1/"))
    answer.elapsed = timedelta()
    with pytest.raises(FailureGroup):
        check(answer)


@pytest.mark.slow
@settings(max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(st.deferred(lambda: cases(MBOXES)))
def test_each_response_conforms_to_the_openapi_document(prober: Prober, case: Any) -> None:
    prober.case(case)


@pytest.mark.parametrize("first", [0, *slow(100, 200, 300)])
def test_response_to_an_almost_valid_request_conforms_too(prober: Prober, first: int) -> None:
    for seed in range(first, first + 100):
        prober.mutant(mutant(seed, MBOXES))
