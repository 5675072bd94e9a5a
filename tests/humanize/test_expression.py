from __future__ import annotations

from typing import Any

from support.cases import each_case
from targetry.device.explain.condition_tree import ConditionNode
from targetry.humanize.expression import expression


def literal(value: Any) -> ConditionNode:
    return ConditionNode(value=value)


def fact(name: str, value: Any) -> ConditionNode:
    return ConditionNode("var", name, value)


@each_case(
    "node, text",
    [
        (literal("a"), '"a"'),
        (fact("mbox.n", 3), "mbox.n (3)"),
        (fact("mbox.n", None), "mbox.n (not set)"),
        (ConditionNode("var", "item"), "item"),
        (ConditionNode("var", "", {"a": 1}), 'all data ({"a": 1})'),
        (ConditionNode("var", "mbox.n", 1, [literal(1)]), "mbox.n (1), else 1"),
        (ConditionNode("==", value=True, operands=[literal(1), fact("mbox.n", 1)]), "1 == mbox.n (1)"),
        (
            ConditionNode("<", value=True, operands=[literal(1), fact("mbox.n", 2), literal(3)]),
            "1 < mbox.n (2) < 3",
        ),
        (ConditionNode("!", value=True, operands=[fact("mbox.n", 0)]), "! mbox.n (0)"),
        (ConditionNode("missing", value=[], operands=[literal("a"), literal("b")]), 'missing "a", "b"'),
        (ConditionNode(value=[1, 2], operands=[literal(1), fact("mbox.n", 2)]), "[1, mbox.n (2)]"),
    ],
)
def test_part_is_written_on_one_line(node: ConditionNode, text: str) -> None:
    assert expression(node) == text
