"""The oracle: Adobe's Node SDK passes its own suites in this setup."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from differential.node import NodeProgram, missing
from differential.suites import SUITES, SuiteCase, shortfall, suite_cases

reason = missing("decide.cjs") or (None if SUITES.is_dir() else "the suites are not next to the checkout")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProgram]:
    with NodeProgram("decide.cjs") as program:
        yield program


@pytest.mark.parametrize("case", list(suite_cases()), ids=lambda case: case.name)
def test_node_passes_the_suites(node: NodeProgram, case: SuiteCase) -> None:
    answer = node.ask(case.question)
    if case.response is not None:
        assert shortfall(case.response, answer["response"]) is None
    if case.checks_notification:
        sent = answer["sent"][0]["body"] if answer["sent"] else None
        assert shortfall(case.notification, sent) is None
