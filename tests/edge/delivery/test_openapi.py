"""RELIABILITY B4, a small piece of it; `tests/soak/test_edge.py` has the whole."""

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
from targetry.edge.in_process import edge
from targetry.ledger.ledger import Ledger
from targetry.samples import shop

if not DESCRIPTION.is_file():
    pytest.skip("the API's description is not beside the checkout", allow_module_level=True)

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
def test_a_wrong_answer_would_be_noticed(status: int, document: dict[str, Any]) -> None:
    answer = httpx2.Response(status, json=document, request=httpx2.Request("POST", "http://127.0.0.1/"))
    answer.elapsed = timedelta()
    with pytest.raises(FailureGroup):
        check(answer)


@settings(max_examples=examples(40), suppress_health_check=list(HealthCheck))
@given(st.deferred(lambda: cases(MBOXES)))
def test_every_answer_is_one_that_the_description_allows(prober: Prober, case: Any) -> None:
    prober.case(case)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_request_that_is_almost_right_has_such_an_answer_too(prober: Prober, first: int) -> None:
    for seed in range(first, first + 100):
        prober.mutant(mutant(seed, MBOXES))
