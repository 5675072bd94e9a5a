"""What `tests/edge` does to an edge in little, at the scale of RELIABILITY B4.

TARGETRY_SOAK=1 pytest tests/soak/test_edge.py -s        # some 56,000 requests, some minutes
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from differential.suites import SUITES
from openapi_kit import DESCRIPTION, Prober, cases, mutant
from spoilt_http import check_answers
from targetry.edge.ledger import Ledger
from targetry.edge.local import edge
from targetry.samples import shop

SCALE = int(os.environ.get("TARGETRY_SOAK") or 1)


def artifact(name: str) -> dict[str, Any]:
    """The sample shop, or an artifact of the suites that Adobe's SDKs share."""
    if name == "shop":
        return shop()
    path = SUITES / "artifacts" / f"{name}.json"
    if not path.is_file():
        pytest.skip("the suites are not beside the checkout")
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


@pytest.mark.skipif(not DESCRIPTION.is_file(), reason="the API's description is not beside the checkout")
@pytest.mark.parametrize("name", ["shop", "TEST_ARTIFACT_PARAMS"])
def test_every_answer_is_one_that_the_description_allows(name: str, tmp_path: Path) -> None:
    document = artifact(name)
    mboxes = sorted(document["rules"]["mboxes"])
    with Ledger.open(tmp_path) as ledger, edge(document, ledger=ledger) as here, Prober(here.url) as prober:

        @settings(max_examples=3_000 * SCALE, suppress_health_check=list(HealthCheck))
        @given(cases(mboxes))
        def run(case: Any) -> None:
            prober.case(case)

        run()
        sys.stdout.write(f"\n{name}, cases: {prober}\n")
        for seed in range(25_000 * SCALE):
            prober.mutant(mutant(seed, mboxes))
        sys.stdout.write(f"{name}, and mutants: {prober}; {sum(1 for _ in ledger.events()):,} events\n")


def test_bytes_that_are_hardly_http_are_answered_or_shown_out() -> None:
    with edge() as here:
        good = check_answers(here.host, range(10_000 * SCALE))
    sys.stdout.write(f"\n{good:,} good requests among the spoilt\n")
