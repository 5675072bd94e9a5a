from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from support.device import facts
from targetry.device.explain.budget import KNOWN_PART, PART, Allowance
from targetry.device.explain.condition_tree import Node, condition_tree
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import Facts
from targetry.device.logic.javascript import truthy
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


# ── how much is told ───────────────────────────────────────────────────────────────────────────────────────────


def wide(operands: int) -> dict[str, Any]:
    return {"or": [{"==": [var("mbox.n"), i]} for i in range(operands)]}


def told(node: Node) -> int:
    return 1 + sum(map(told, node.operands))


@pytest.mark.parametrize(
    ("condition", "parts"),
    [(wide(800), 2401), ({"and": [wide(100)] * 7}, 2108), ({"or": [{"!": [wide(300)]}, wide(300)]}, 1804)],
    ids=["800 values", "7 × 100 values", "300 values in a negation"],
)
def test_a_large_condition_is_told_to_its_last_part(condition: Any, parts: int) -> None:
    assert told(tree_of(condition, n=7)) == parts


def test_of_a_huge_condition_the_upper_parts_are_told_and_the_others_counted() -> None:
    node = tree_of({"and": [wide(200) for _ in range(20)]}, n=7)

    assert node.value is True
    assert [operand.value for operand in node.operands] == [True] * 4
    assert node.more == 16


def test_of_thousands_of_operands_the_first_are_told_and_the_others_counted() -> None:
    node = tree_of(wide(1500), n=7)

    assert (node.value, len(node.operands), node.more) == (True, 1000, 500)
    assert [operand.value for operand in node.operands[6:9]] == [False, True, False]
    assert {(len(operand.operands), operand.more) for operand in node.operands} == {(2, 0)}


def test_of_a_condition_that_is_too_large_to_have_its_value_shown_the_operands_are_told() -> None:
    node = tree_of(wide(7000), n=7)

    assert (node.value, node.error) == (UNSET, "it would cost too much here")
    assert node.operands[7].value is True
    assert len(node.operands) + node.more == 7000


def test_of_a_deep_condition_the_upper_levels_are_told() -> None:
    condition: Any = True
    for _ in range(90):
        condition = {"!": [condition]}
    node, levels = tree_of(condition), 0
    assert node.value is True
    while node.operands:
        (node,), levels = node.operands, levels + 1

    assert (levels, node.value, node.more) == (30, True, 1)


@pytest.mark.parametrize("left", [0, 50, 1_000, 30_000])
def test_a_condition_costs_no_more_than_it_is_allowed(left: int) -> None:
    allowance = Allowance(left)
    node = condition_tree(wide(200), facts, ALLOCATION, allowance)

    assert (told(node) - 1) * KNOWN_PART <= left
    assert node.more + len(node.operands) == 200
    assert allowance.left > left - 30_000 - 601 * PART


LONG_VALUES: dict[str, tuple[Any, Any]] = {
    "a text": ("x" * 1000, "x" * 1000),
    "a long text": ("x" * 1001, "x" * 1000 + "… (1,001 characters)"),
    "a list": ([0] * 1000, [0] * 1000),
    "a long list": ([0] * 5000, [*[0] * 1000, "… 4,000 more"]),
    "long lists in a list": ([[0] * 600, [1] * 600], [[0] * 600, [*[1] * 398, "… 202 more"]]),
    "an object": ({"a": 1, "b": [True, None]}, {"a": 1, "b": [True, None]}),
    "a long object": (
        {str(i): i for i in range(1002)},
        {**{str(i): i for i in range(1000)}, "…": "2 more"},
    ),
    "a long name": ({"x" * 1001: 1, "b": 2}, {"x" * 1000 + "… (1,001 characters)": 1, "b": 2}),
    "half of a surrogate pair": (["a\ud83d"], ["a\ufffd"]),
    "half of a surrogate pair in a name": ({"a\ud83d": 1, "b": 2}, {"a\ufffd": 1, "b": 2}),
    "a large number": ([1e300, 2**53, 2**53 + 2], [1e300, 2**53, float(2**53 + 2)]),
    "a number that is too large": (10**400, None),
    "a fraction": ([0.5, -1.0], [0.5, -1]),
}


@pytest.mark.parametrize(("value", "shown"), LONG_VALUES.values(), ids=LONG_VALUES.keys())
def test_of_a_long_value_the_beginning_is_told(value: Any, shown: Any) -> None:
    for node in (tree_of(var("mbox.long"), long=value), tree_of({"if": [False, value]}).operands[1]):
        assert node.value == shown
        assert msgspec.json.encode(node)


def test_of_a_deep_value_the_upper_levels_are_told() -> None:
    value: Any = "deepest"
    for _ in range(50):
        value = [value]
    shown = tree_of(var("mbox.deep"), deep=value).value
    for _ in range(10):
        (shown,) = shown

    assert shown == ["… 1 more"]


def test_of_a_long_path_the_beginning_is_told() -> None:
    assert tree_of(var("mbox." + "x" * 2000)).name == "mbox." + "x" * 995 + "… (2,005 characters)"


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
