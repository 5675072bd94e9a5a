"""The same artifact, visitor and clock give the same answer as Adobe's Node SDK.

A few hundred seeded cases; `python tests/differential/run.py` compares as many as wanted and makes what it finds small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from differential.cases import cases
from differential.compare import differences, for_node, for_targetry
from differential.engine import Targetry
from differential.node import NodeProgram, missing

reason = missing("decide.cjs")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProgram]:
    with NodeProgram("decide.cjs") as program:
        yield program


@pytest.mark.parametrize("seed", range(1, 6))
def test_decides_as_the_node_sdk_does(node: NodeProgram, seed: int) -> None:
    targetry = Targetry()
    for question in cases(seed, 100):
        answer = node.ask(for_node(question))
        ours = targetry.ask(for_targetry(question, answer))
        found = differences(question, answer, ours)
        assert not found, f"seed {seed}: {found[:3]}\n{json.dumps(question, ensure_ascii=False)[:4000]}"
