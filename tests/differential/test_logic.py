"""Rules have the results of json-logic-js, with intended exceptions."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from differential.compare import guarded
from differential.node import NodeProgram, missing
from differential.rules import data, rule
from support.slow import slow
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import Facts, RequestFacts
from targetry.device.logic.javascript import UNDEFINED
from targetry.models import Context, MboxRequest

reason = missing("logic.cjs")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProgram]:
    with NodeProgram("logic.cjs") as program:
        yield program


@pytest.mark.parametrize(("seed", "rules"), [(1, 300), *slow((1, 1000), (2, 1000), (3, 1000))])
def test_rules_equal_json_logic_js(node: NodeProgram, seed: int, rules: int) -> None:
    rng = random.Random(seed)
    for _ in range(rules):
        tree, given = rule(rng), data(rng)
        facts = _facts(given)
        theirs = node.ask({"rule": guarded(tree), "data": facts.as_dict(1.0)})
        assert "error" not in theirs
        shown = f"seed {seed}: {json.dumps(tree)} of {json.dumps(given)}"
        value = compile_logic(tree, as_truth=False).evaluate(facts, 1.0)
        assert _comparable(_portable(value)) == _comparable(theirs.get("result")), shown
        assert bool(compile_logic(tree).evaluate(facts, 1.0)) == theirs["truthy"], shown


def _facts(parameters: dict[str, Any]) -> Facts:
    details = MboxRequest(name="hero", parameters=parameters)
    return Facts(RequestFacts(Context(), "visitor", "acme", 0), details, "hero")


def _portable(value: Any) -> Any:
    """Return a value as `logic.cjs` writes it if JSON cannot hold it."""
    if value is UNDEFINED:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}
    return [_portable(item) for item in value] if isinstance(value, list) else value


def _comparable(value: Any) -> Any:
    """Return values with their JSON types, which `==` of Python does not distinguish."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    return (type(value) is bool, value)
