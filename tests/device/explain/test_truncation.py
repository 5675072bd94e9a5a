"""Values as an explanation shows them, within a budget."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import each_case
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.truncation import truncate, truncate_text
from targetry.device.logic.javascript import UNDEFINED, EvaluationError


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def budget(nodes: int = 1000) -> ExplainBudget:
    return ExplainBudget(Clock(), seconds=2.0, nodes=nodes)


def nested(levels: int, is_list: bool) -> Any:
    tree: Any = 1
    for _ in range(levels):
        tree = [tree] if is_list else {"a": tree}
    return tree


@each_case(
    "value, shown",
    [
        (UNDEFINED, None),
        (None, None),
        (True, True),
        (2.0, 2),
        (2.5, 2.5),
        (2**53 - 1, 2**53 - 1),
        (-(2**53) + 1, -(2**53) + 1),
        (2**53 + 1, 2.0**53),
        (10**400, None),
        (float("-inf"), None),
        (float("nan"), None),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 1000 + "… (1,001 characters)"),
        ("\ud800", "\ufffd"),
        ({"\ud800": [UNDEFINED, 1.0]}, {"\ufffd": [None, 1]}),
    ],
)
def test_value_is_shown_as_json_of_javascript(value: Any, shown: Any) -> None:
    found = truncate(value, budget())
    assert found == shown
    assert type(found) is type(shown)


@each_case("is_list", [True, False])
def test_ten_levels_are_shown(is_list: bool) -> None:
    assert truncate(nested(10, is_list), budget()) == nested(10, is_list)
    deepest = ["… 1 more"] if is_list else {"…": "1 more"}
    for _ in range(10):
        deepest = [deepest] if is_list else {"a": deepest}
    assert truncate(nested(12, is_list), budget()) == deepest


def test_items_beyond_the_budget_are_counted() -> None:
    assert truncate([1, 2, 3, 4], budget(4)) == [1, 2, 3, 4]
    assert truncate([1, 2, 3, 4], budget(2)) == [1, 2, "… 2 more"]
    assert truncate({"a": 1, "b": [2], "c": 3, "d": 4}, budget(3)) == {"a": 1, "b": [2], "…": "2 more"}
    assert truncate({"a": 1, "b": 2, "c": 3}, budget(2)) == {"a": 1, "b": 2, "…": "1 more"}
    assert truncate(list(range(2000)), budget(1)) == [0, "… 1,999 more"]


def test_hundred_characters_are_a_node() -> None:
    one = budget(10)
    truncate({"x" * 199: "x" * 200}, one)
    assert one.nodes_left == 10 - 1 - 1 - 2
    assert truncate_text("x" * 1_001).endswith("… (1,001 characters)")


def test_budget_ends_with_its_time_or_its_nodes() -> None:
    clock = Clock()
    one = ExplainBudget(clock, seconds=2.0, nodes=1)
    assert not one.is_exhausted
    clock.now_s = 101.9
    one.check_time()
    one.take()
    assert one.is_exhausted
    other = ExplainBudget(clock, seconds=2.0)
    clock.now_s = 103.9
    assert other.is_exhausted
    with pytest.raises(EvaluationError, match="used up its time"):
        other.check_time()
