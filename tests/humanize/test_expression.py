from __future__ import annotations

from typing import Any

import pytest

from targetry.device.explain.condition_tree import Node
from targetry.humanize.expression import expression


def literal(value: Any) -> Node:
    return Node(value=value)


def fact(name: str, value: Any) -> Node:
    return Node("var", name, value)


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (literal("a"), '"a"'),
        (fact("mbox.n", 3), "mbox.n (3)"),
        (fact("mbox.n", None), "mbox.n (not set)"),
        (Node("var", "item"), "item"),
        (Node("var", "", {"a": 1}), 'all data ({"a": 1})'),
        (Node("var", "mbox.n", 1, [literal(1)]), "mbox.n (1), else 1"),
        (Node("==", value=True, operands=[literal(1), fact("mbox.n", 1)]), "1 == mbox.n (1)"),
        (Node("<", value=True, operands=[literal(1), fact("mbox.n", 2), literal(3)]), "1 < mbox.n (2) < 3"),
        (Node("!", value=True, operands=[fact("mbox.n", 0)]), "! mbox.n (0)"),
        (Node("missing", value=[], operands=[literal("a"), literal("b")]), 'missing "a", "b"'),
        (Node(value=[1, 2], operands=[literal(1), fact("mbox.n", 2)]), "[1, mbox.n (2)]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_part_is_one_line(node: Node, text: str) -> None:
    assert expression(node) == text
