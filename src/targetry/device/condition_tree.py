"""A condition with the value of each of its parts, to show why it holds or does not.

Every part is compiled and evaluated by itself, in the way the engine does it (`logic.py`), so what is shown is what
counts. Operands that the engine would not get to, behind an `and` that is already false, are evaluated all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from .facts import Facts
from .javascript import UNDEFINED, to_text
from .logic import compile_logic

_MOST_NODES: Final = 2_000  # of larger conditions, which no real artifact has, only the upper parts are told
_UPPER_LEVELS: Final = 3
_ALL_LEVELS: Final = 1_000

# operator → the position of the operand that is logic about an item of a list, and has no value of its own
_LOOPS: Final = dict.fromkeys(("map", "filter", "reduce", "all", "none", "some"), 1)


class Node(msgspec.Struct, omit_defaults=True):
    """A part of a condition: an operation, a `var` (with its path as `name`), a list of parts, or a literal.

    `value` is what it comes to, as JSON: absent where it cannot be told, because the part is about the items of a
    list, or cannot be evaluated, which `error` explains. `more` counts the operands that are not told of a huge condition.
    """

    operator: str | None = None
    name: str | None = None
    value: Any | UnsetType = UNSET
    operands: list[Node] = []
    error: str | None = None
    more: int = 0


def condition_tree(tree: Any, facts: Callable[[], Facts], allocation: float | None) -> Node:
    """Evaluate every part of `tree`, each with `facts()` of its own: they hold the work that a decision may cost.

    Never raises for the condition of a compiled rule.
    """
    levels = _ALL_LEVELS if _fits(tree) else _UPPER_LEVELS
    return _Teller(facts, allocation).tell(tree, levels)


class _Teller:
    def __init__(self, facts: Callable[[], Facts], allocation: float | None) -> None:
        self._facts = facts
        self._allocation = allocation

    def tell(self, tree: Any, levels: int) -> Node:
        """The part as a node, with the operands of the next `levels` levels."""
        node = self._shaped(tree, levels, self.tell)
        self._evaluate(tree, node)
        return node

    def _untold(self, tree: Any, levels: int) -> Node:
        """As `tell`, for what has no value by itself."""
        node = self._shaped(tree, levels, self._untold)
        if not node.operator and not node.operands:
            node.value = tree
        return node

    def _shaped(self, tree: Any, levels: int, inner: Callable[[Any, int], Node]) -> Node:
        if isinstance(tree, list):
            parts = tree if any(_is_operation(item) or isinstance(item, list) for item in tree) else []
            return self._with_operands(Node(), parts, levels, inner)
        if not _is_operation(tree):
            return Node()
        ((operator, operands),) = tree.items()
        operands = operands if isinstance(operands, list) else [operands]
        if operator == "var" and (name := _path(operands)) is not None:
            return self._with_operands(Node(operator, name), operands[1:2], levels, inner)
        return self._with_operands(Node(operator), operands, levels, inner)

    def _with_operands(
        self, node: Node, operands: list[Any], levels: int, inner: Callable[[Any, int], Node]
    ) -> Node:
        if levels <= 0:
            node.more = len(operands)
            return node
        logic = _LOOPS.get(node.operator or "")
        node.operands = [
            (self._untold if position == logic else inner)(operand, levels - 1)
            for position, operand in enumerate(operands)
        ]
        return node

    def _evaluate(self, tree: Any, node: Node) -> None:
        try:
            compiled = compile_logic(tree, as_truth=False)
            node.value = _plain(compiled.evaluate(self._facts(), self._allocation))
        except Exception as error:  # as in a decision: the artifact's fault, to be told and not raised
            node.error = str(error) or type(error).__name__


def _is_operation(tree: Any) -> bool:
    return isinstance(tree, dict) and len(tree) == 1


def _path(operands: list[Any]) -> str | None:
    """The path of a `var`; None where it is computed."""
    first = operands[0] if operands else None
    if first is None:
        return ""
    return to_text(first) if isinstance(first, str | int | float) else None


def _fits(tree: Any) -> bool:
    """Whether the tree is small enough to evaluate each of its parts."""
    pending, seen = [tree], 0
    while pending:
        part = pending.pop()
        seen += 1
        if seen > _MOST_NODES:
            return False
        if _is_operation(part):
            part = next(iter(part.values()))
        if isinstance(part, list):
            pending.extend(part)
        elif _is_operation(part):
            pending.append(part)
    return True


def _plain(value: Any) -> Any:
    """The value as JavaScript writes it as JSON."""
    if value is UNDEFINED:
        return None
    if type(value) is float:
        return (int(value) if value.is_integer() else value) if math.isfinite(value) else None
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value
