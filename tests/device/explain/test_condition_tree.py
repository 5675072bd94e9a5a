from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from support.cases import each_case
from support.device import facts
from support.examples import examples
from support.slow import slow
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode, condition_tree
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import Facts, RequestFacts
from targetry.device.logic.javascript import truthy
from targetry.models import Context, Geo, RequestDetails

ALLOCATION = 63.41


def tree_of(condition: Any, **parameters: Any) -> ConditionNode:
    return tree_within(ExplainBudget(stopped), condition, **parameters)


def tree_within(budget: ExplainBudget, condition: Any, **parameters: Any) -> ConditionNode:
    return condition_tree(
        condition, lambda: facts(parameters, geo=Geo(country_code="de")), ALLOCATION, budget
    )


def stopped() -> float:
    """Return the time of a clock that does not advance."""
    return 0.0


def var(path: str) -> dict[str, str]:
    return {"var": path}


def test_every_part_has_its_value() -> None:
    node = tree_of({"and": [{"<=": [0, var("allocation")]}, {"==": ["US", var("geo.country")]}]})

    assert node == ConditionNode(
        "and",
        value=False,
        operands=[
            ConditionNode(
                "<=", value=True, operands=[ConditionNode(value=0), ConditionNode("var", "allocation", 63.41)]
            ),
            ConditionNode(
                "==",
                value=False,
                operands=[ConditionNode(value="US"), ConditionNode("var", "geo.country", "DE")],
            ),
        ],
    )


def test_part_that_a_decision_does_not_reach_has_a_value() -> None:
    node = tree_of({"and": [False, {"==": [1, 1]}]})

    assert [operand.value for operand in node.operands] == [False, True]


def test_value_is_the_result_of_the_operator() -> None:
    assert tree_of({"or": ["", var("mbox.plan"), "none"]}, plan="gold").value == "gold"


def test_fact_that_was_not_given_is_null() -> None:
    node = tree_of({"==": [var("mbox.plan"), "gold"]})

    assert node.operands[0] == ConditionNode("var", "mbox.plan", None)


def test_default_is_an_operand_of_its_var() -> None:
    assert tree_of({"var": ["mbox.plan", "none"]}) == ConditionNode(
        "var", "mbox.plan", "none", operands=[ConditionNode(value="none")]
    )


def test_path_that_is_computed_is_an_operand() -> None:
    node = tree_of({"var": {"cat": ["mbox.", "plan"]}}, plan="gold")

    assert (node.name, node.value, node.operands[0].value) == (None, "gold", "mbox.plan")


def test_logic_of_a_loop_has_no_value_of_its_own() -> None:
    node = tree_of({"some": [[1, 2, 3], {">": [{"var": ""}, 2]}]})

    numbers, logic = node.operands
    assert (node.value, numbers.value) == (True, [1, 2, 3])
    assert logic == ConditionNode(">", operands=[ConditionNode("var", ""), ConditionNode(value=2)])


def test_start_of_a_reduction_has_a_value() -> None:
    adding = {"+": [var("current"), var("accumulator")]}
    node = tree_of({"reduce": [[1, 2], adding, {"+": [1, 1]}]})

    assert (node.value, node.operands[2].value, node.operands[1].value) == (5, 2, UNSET)


def test_list_with_operations_in_it_shows_them() -> None:
    node = tree_of({"in": [var("geo.country"), ["AT", {"cat": ["D", "E"]}]]})

    assert node.operands[1] == ConditionNode(
        value=["AT", "DE"],
        operands=[
            ConditionNode(value="AT"),
            ConditionNode("cat", value="DE", operands=[ConditionNode(value="D"), ConditionNode(value="E")]),
        ],
    )


@pytest.mark.parametrize(
    "condition", [{"+": ["one"]}, {"and": []}, {"/": [1, 0]}], ids=["not a number", "undefined", "infinite"]
)
def test_value_outside_of_json_is_null(condition: Any) -> None:
    assert tree_of(condition).value is None


def test_part_that_cannot_be_evaluated_has_an_error() -> None:
    doubled: Any = "x" * 10_000
    for _ in range(8):
        doubled = {"cat": [doubled, doubled]}
    node = tree_of({"or": [{"==": [doubled, "x"]}, True]})

    assert node.error is not None
    assert node.value is UNSET
    assert node.operands[0].error is not None
    assert node.operands[1].value is True


# ── limits ───


def wide(operands: int) -> dict[str, Any]:
    return {"or": [{"==": [var("mbox.n"), i]} for i in range(operands)]}


def count_nodes(node: ConditionNode) -> int:
    return 1 + sum(map(count_nodes, node.operands))


def count_omitted(node: ConditionNode) -> int:
    return node.more + sum(map(count_omitted, node.operands))


@pytest.mark.parametrize(
    ("condition", "nodes"),
    [
        (wide(1500), 4501),
        *slow(({"and": [wide(200)] * 20}, 12_021)),
        ({"or": [{"!": [wide(300)]}, wide(300)]}, 1804),
    ],
    ids=["1,500 values", "20 × 200 values", "300 values in a negation"],
)
def test_large_condition_is_shown_to_its_last_part(condition: Any, nodes: int) -> None:
    tree = tree_of(condition, n=7)
    assert (count_nodes(tree), count_omitted(tree)) == (nodes, 0)


def test_deep_condition_is_shown_to_its_last_level() -> None:
    condition: Any = True
    for _ in range(90):
        condition = {"!": [condition]}
    node, levels = tree_of(condition), 0
    while node.operands:
        (node,), levels = node.operands, levels + 1

    assert (levels, node.value, node.more) == (90, True, 0)


def test_upper_parts_are_shown_and_others_counted_when_nodes_are_used_up() -> None:
    node = tree_within(ExplainBudget(stopped, nodes=400), {"and": [wide(100)] * 7}, n=7)

    assert [operand.value for operand in node.operands] == [True] * 7
    assert [len(operand.operands) for operand in node.operands] == [100, 100, 100, 92, 0, 0, 0]
    assert [operand.more for operand in node.operands] == [0, 0, 0, 8, 100, 100, 100]


@each_case("nodes", [-1, 0, 1, 2, 50, 1_000])
def test_condition_has_no_more_nodes_than_the_budget(nodes: int) -> None:
    budget = ExplainBudget(stopped, nodes=nodes)
    node = tree_within(budget, wide(200), n=7)

    assert count_nodes(node) <= max(1, nodes)
    assert node.more + len(node.operands) == 200
    assert budget.nodes_left >= min(nodes - 1, -1)


@each_case("readings", [1, 2, 5, 50])
def test_condition_is_cut_when_the_time_is_used_up(readings: int) -> None:
    budget = ExplainBudget(itertools.count().__next__, seconds=readings)
    node = tree_within(budget, wide(200), n=7)

    assert count_nodes(node) <= readings
    assert node.more + len(node.operands) == 200


def test_condition_has_an_error_when_the_budget_is_exhausted_before() -> None:
    node = tree_within(ExplainBudget(stopped, nodes=0), wide(2))

    assert (node.value, node.error) == (UNSET, "the explanation has used up its time or size")
    assert (node.operands, node.more) == ([], 2)


def test_loop_ends_with_an_error_when_the_time_is_used_up() -> None:
    class Late(Facts):
        def spend(self, steps: int) -> None:
            ExplainBudget(stopped, seconds=0).check_time()

    loop = {"map": [[1, 2], var("")]}
    node = condition_tree(
        loop,
        lambda: Late(RequestFacts(Context(), "", "", 0), RequestDetails(), None),
        None,
        ExplainBudget(stopped),
    )
    assert node.error == "the explanation has used up its time"


LONG_VALUES: dict[str, tuple[Any, Any]] = {
    "a text": ("x" * 1000, "x" * 1000),
    "a long text": ("x" * 1001, "x" * 1000 + "… (1,001 characters)"),
    "a list": ([0] * 1000, [0] * 1000),
    "a long list": ([0] * 5000, [0] * 5000),
    "an object": ({"a": 1, "b": [True, None]}, {"a": 1, "b": [True, None]}),
    "a long name": ({"x" * 1001: 1, "b": 2}, {"x" * 1000 + "… (1,001 characters)": 1, "b": 2}),
    "half of a surrogate pair": (["a\ud83d"], ["a\ufffd"]),
    "half of a surrogate pair in a name": ({"a\ud83d": 1, "b": 2}, {"a\ufffd": 1, "b": 2}),
    "a large number": ([1e300, 2**53, 2**53 + 2], [1e300, 2**53, float(2**53 + 2)]),
    "a number that is too large": (10**400, None),
    "a fraction": ([0.5, -1.0], [0.5, -1]),
}


@pytest.mark.parametrize(("value", "shown"), LONG_VALUES.values(), ids=LONG_VALUES.keys())
def test_value_is_shown_as_json_with_long_texts_cut(value: Any, shown: Any) -> None:
    for node in (tree_of(var("mbox.long"), long=value), tree_of({"if": [False, value]}).operands[1]):
        assert node.value == shown
        assert msgspec.json.encode(node)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([0] * 500, [*[0] * 99, "… 401 more"]),
        ([[0] * 60, [1] * 60], [[0] * 60, [*[1] * 37, "… 23 more"]]),
        ({str(i): i for i in range(500)}, {**{str(i): i for i in range(99)}, "…": "401 more"}),
    ],
    ids=["a list", "lists in a list", "an object"],
)
def test_long_value_is_cut_when_nodes_are_used_up(value: Any, shown: Any) -> None:
    assert tree_within(ExplainBudget(stopped, nodes=100), var("mbox.long"), long=value).value == shown


def test_long_texts_use_up_nodes_by_their_length() -> None:
    budget = ExplainBudget(stopped, nodes=100)
    shown = tree_within(budget, var("mbox.long"), long=["x" * 5_000] * 50).value

    assert [len(text) for text in shown[:-1]] == [1020] * 9
    assert shown[-1] == "… 41 more"


def test_deep_value_is_cut_below_ten_levels() -> None:
    value: Any = "deepest"
    for _ in range(50):
        value = [value]
    shown = tree_of(var("mbox.deep"), deep=value).value
    for _ in range(10):
        (shown,) = shown

    assert shown == ["… 1 more"]


def test_long_path_is_cut() -> None:
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


@settings(max_examples=examples(150))
@given(condition=CONDITIONS)
def test_value_of_the_whole_is_true_where_the_compiled_condition_is(condition: Any) -> None:
    def here() -> Facts:
        return facts({"plan": "gold", "n": 4}, geo=Geo(country_code="DE"))

    node = condition_tree(condition, here, ALLOCATION, ExplainBudget(stopped))
    assert truthy(node.value) is bool(compile_logic(condition).evaluate(here(), ALLOCATION))
