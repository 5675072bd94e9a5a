"""Decisions equal those of Adobe's Node SDK.

Seeded cases; `python -m differential.run` compares as many as wanted and makes what
it finds small.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from differential.activity_sets import compiled_set
from differential.builds import built_artifact
from differential.cases import cases
from differential.cases import question as random_question
from differential.compare import differences, for_node, for_targetry
from differential.engine import Targetry, TargetryClient
from differential.node import NodeProgram, missing
from support.slow import slow

reason = missing("decide.cjs")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProgram]:
    with NodeProgram("decide.cjs") as program:
        yield program


@pytest.mark.parametrize(
    ("seed", "number"), [(1, 20), *slow((1, 100), (2, 100), (3, 100), (4, 100), (5, 100))]
)
def test_decisions_equal_those_of_the_node_sdk(node: NodeProgram, seed: int, number: int) -> None:
    targetry = Targetry()
    for question in cases(seed, number, requests_per_artifact=number // 10):
        answer = node.ask(for_node(question))
        ours = targetry.ask(for_targetry(question, answer))
        found = differences(question, answer, ours)
        assert not found, f"seed {seed}: {found[:3]}\n{json.dumps(question, ensure_ascii=False)[:4000]}"


@pytest.mark.parametrize("artifacts", [2, *slow(20)])
def test_artifacts_of_the_builder_are_decided_as_by_the_node_sdk(node: NodeProgram, artifacts: int) -> None:
    rng, targetry = random.Random(4), Targetry()
    for _ in range(artifacts):
        document = built_artifact(rng)
        for _ in range(8):
            question = random_question(rng, document)
            answer = node.ask(for_node(question))
            found = differences(question, answer, targetry.ask(for_targetry(question, answer)))
            assert not found, f"{found[:3]}\n{json.dumps(question, ensure_ascii=False)[:4000]}"


@pytest.mark.parametrize("artifacts", [2, *slow(40)])
def test_compiled_activities_are_decided_as_by_the_node_sdk(node: NodeProgram, artifacts: int) -> None:
    rng, targetry = random.Random(7), Targetry()
    for _ in range(artifacts):
        document = compiled_set(rng)
        for _ in range(8):
            question = random_question(rng, document)
            question["conf"]["client"] = "acme"
            answer = node.ask(for_node(question))
            found = differences(question, answer, targetry.ask(for_targetry(question, answer)))
            assert not found, f"{found[:3]}\n{json.dumps(question, ensure_ascii=False)[:4000]}"


@pytest.mark.parametrize("number", [20, *slow(100)])
def test_client_decides_as_the_node_sdk(node: NodeProgram, number: int) -> None:
    for question in itertools.islice(
        filter(_is_timeless, cases(12, 10_000, requests_per_artifact=3)), number
    ):
        question["now"] = int(time.time() * 1000)
        answer = node.ask(for_node(question))
        ours = TargetryClient().ask(for_targetry(question, answer))
        for notification in _notifications(ours):
            assert 0 <= notification["timestamp"] - question["now"] < 60_000
            notification["timestamp"] = question["now"]
        found = differences(question, answer, ours)
        assert not found, f"{found[:3]}\n{json.dumps(question, ensure_ascii=False)[:4000]}"


def _is_timeless(question: dict[str, Any]) -> bool:
    """Return whether the answer does not depend on the clock, which is the real one of a client."""
    return "current_" not in json.dumps(question["artifact"]) and "trace" not in question["request"]


def _notifications(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [notification for sent in answer["sent"] for notification in sent["body"]["notifications"]]
