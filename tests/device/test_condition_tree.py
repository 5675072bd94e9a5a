from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from device_kit import facts
from targetry.device.condition_tree import Node, condition_tree
from targetry.device.facts import Facts
from targetry.device.javascript import truthy
from targetry.device.logic import compile_logic
from targetry.models import Geo

ALLOCATION = 63.41


def tree_of(condition: Any, **parameters: Any) -> Node:
    return condition_tree(condition, lambda: facts(parameters, geo=Geo(country_code="de")), ALLOCATION)


def var(path: str) -> dict[str, str]:
    return {"var": path}


def test_every_part_has_its_value() -> None:
    node = tree_of({"and": [{"<=": [0, var("allocation")]}, {"==": ["US", var("geo.country")]}]})

    assert node == Node(
        "and",
        value=False,
        operands=[
            Node("<=", value=True, operands=[Node(value=0), Node("var", "allocation", 63.41)]),
            Node("==", value=False, operands=[Node(value="US"), Node("var", "geo.country", "DE")]),
        ],
    )


def test_a_part_that_a_decision_would_not_get_to_has_its_value_too() -> None:
    node = tree_of({"and": [False, {"==": [1, 1]}]})

    assert [operand.value for operand in node.operands] == [False, True]


def test_a_value_is_what_the_operator_gives_and_not_only_whether_it_is_true() -> None:
    assert tree_of({"or": ["", var("mbox.plan"), "none"]}, plan="gold").value == "gold"


def test_a_fact_that_was_not_given_is_null() -> None:
    node = tree_of({"==": [var("mbox.plan"), "gold"]})

    assert node.operands[0] == Node("var", "mbox.plan", None)


def test_a_default_is_an_operand_of_its_var() -> None:
    assert tree_of({"var": ["mbox.plan", "none"]}) == Node(
        "var", "mbox.plan", "none", operands=[Node(value="none")]
    )


def test_a_path_that_is_computed_is_an_operand() -> None:
    node = tree_of({"var": {"cat": ["mbox.", "plan"]}}, plan="gold")

    assert (node.name, node.value, node.operands[0].value) == (None, "gold", "mbox.plan")


def test_the_logic_of_a_loop_has_no_value_of_its_own() -> None:
    node = tree_of({"some": [[1, 2, 3], {">": [{"var": ""}, 2]}]})

    numbers, logic = node.operands
    assert (node.value, numbers.value) == (True, [1, 2, 3])
    assert logic == Node(">", operands=[Node("var", ""), Node(value=2)])


def test_the_start_of_a_reduction_has_a_value() -> None:
    adding = {"+": [var("current"), var("accumulator")]}
    node = tree_of({"reduce": [[1, 2], adding, {"+": [1, 1]}]})

    assert (node.value, node.operands[2].value, node.operands[1].value) == (5, 2, UNSET)


def test_a_list_with_operations_in_it_shows_them() -> None:
    node = tree_of({"in": [var("geo.country"), ["AT", {"cat": ["D", "E"]}]]})

    assert node.operands[1] == Node(
        value=["AT", "DE"],
        operands=[
            Node(value="AT"),
            Node("cat", value="DE", operands=[Node(value="D"), Node(value="E")]),
        ],
    )


@pytest.mark.parametrize(
    "condition", [{"+": ["one"]}, {"and": []}, {"/": [1, 0]}], ids=["not a number", "undefined", "infinite"]
)
def test_what_json_cannot_say_is_null(condition: Any) -> None:
    assert tree_of(condition).value is None


def test_a_part_that_cannot_be_evaluated_says_why_and_the_others_stand() -> None:
    doubled: Any = "x" * 10_000
    for _ in range(8):
        doubled = {"cat": [doubled, doubled]}
    node = tree_of({"or": [{"==": [doubled, "x"]}, True]})

    assert node.error is not None
    assert node.value is UNSET
    assert node.operands[0].error is not None
    assert node.operands[1].value is True


def test_of_a_huge_condition_the_upper_parts_are_told() -> None:
    several = {"and": [{"or": [{"==": [var("mbox.n"), i]} for i in range(100)]} for _ in range(10)]}
    node = tree_of(several, n=7)

    assert node.value is True
    assert [len(operand.operands) for operand in node.operands] == [100] * 10
    assert {leaf.more for leaf in node.operands[0].operands} == {0}

    larger = {"and": [several]}
    node = tree_of(larger, n=7)
    assert {leaf.more for leaf in node.operands[0].operands[0].operands} == {2}


PATHS = st.sampled_from(
    ["mbox.plan", "mbox.n", "geo.country", "allocation", "current_day", "page.url", "mbox"]
)
LEAVES = st.one_of(
    PATHS.map(var),
    st.sampled_from(["gold", "DE", "", "4", 0, 4, 63.41, None, True, [1, "gold"], {"a": 1, "b": 2}]),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda operator, operands: {operator: operands},
        st.sampled_from(
            ["and", "or", "==", "!=", "<", "<=", ">", "in", "!", "!!", "if", "cat", "+", "merge", "missing"]
        ),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(condition=CONDITIONS)
def test_the_value_of_the_whole_is_true_where_the_compiled_condition_is(condition: Any) -> None:
    def here() -> Facts:
        return facts({"plan": "gold", "n": 4}, geo=Geo(country_code="DE"))

    node = condition_tree(condition, here, ALLOCATION)
    assert truthy(node.value) is bool(compile_logic(condition).evaluate(here(), ALLOCATION))
