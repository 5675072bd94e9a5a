"""A condition with the value of each of its parts, to show why it holds or does not.

Every part is compiled and evaluated by itself, in the way the engine does it (`logic.py`), so what is shown is what
counts. Operands that the engine would not get to, behind an `and` that is already false, are evaluated all the same.

To tell a part costs as much as there are parts in it, so a condition is told level by level until it has cost enough. What
is left out is counted where it would stand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from targetry.device.explain.budget import PART, Allowance
from targetry.device.explain.truncation import excerpt, excerpt_of_text
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import Facts
from targetry.device.logic.javascript import to_text

_PARTS: Final = 20_000  # that one condition may cost
_OPERANDS: Final = 1_000  # of one part
_LEVELS: Final = 30

# operator → the position of the operand that is logic about an item of a list, and has no value of its own
_LOOPS: Final = dict.fromkeys(("map", "filter", "reduce", "all", "none", "some"), 1)


class Node(msgspec.Struct, omit_defaults=True):
    """A part of a condition: an operation, a `var` (with its path as `name`), a list of parts, or a literal.

    `value` is what it comes to, as JSON: absent where it cannot be told, because the part is about the items of a
    list, or cannot be evaluated, which `error` explains; cut where it is long (`excerpt.py`). `more` counts the operands that are left out of a huge condition.
    """

    operator: str | None = None
    name: str | None = None
    value: Any | UnsetType = UNSET
    operands: list[Node] = []
    error: str | None = None
    more: int = 0


def condition_tree(
    tree: Any, facts: Callable[[], Facts], allocation: float | None, allowance: Allowance | None = None
) -> Node:
    """Evaluate every part of `tree`, each with `facts()` of its own: they hold the work that a decision may cost.

    It is paid for from `allowance`. Never raises for the condition of a compiled rule.
    """
    return _Teller(facts, allocation, allowance or Allowance()).told(tree)


class _Part(NamedTuple):
    """A part whose operands and value are still to be told, in `node`; within the logic of a loop it has no value."""

    node: Node
    tree: Any
    level: int
    in_loop: bool


class _Teller:
    def __init__(self, facts: Callable[[], Facts], allocation: float | None, allowance: Allowance) -> None:
        self._facts = facts
        self._allocation = allocation
        self._allowance = allowance
        self._parts_left = _PARTS
        self._pending: deque[_Part] = deque()

    def told(self, tree: Any) -> Node:
        root = _Part(Node(), tree, 0, False)
        if parts := self._paid(tree):
            self._evaluate(root, parts)
        else:
            root.node.error = "it would cost too much here"
        self._pending.append(root)
        while self._pending:
            self._tell_operands(self._pending.popleft())
        return root.node

    def _tell_operands(self, part: _Part) -> None:
        node = part.node
        operands = _take_apart(part.tree, node)
        logic = _LOOPS.get(node.operator or "")
        for position, tree in enumerate(operands[:_OPERANDS] if part.level < _LEVELS else ()):
            parts = self._paid(tree)
            if not parts:
                break
            operand = _Part(Node(), tree, part.level + 1, part.in_loop or position == logic)
            if not operand.in_loop:
                self._evaluate(operand, parts)
            elif not _is_operation(tree) and not _has_parts(tree):
                operand.node.value = excerpt(tree, self._allowance)
            node.operands.append(operand.node)
            self._pending.append(operand)
        node.more = len(operands) - len(node.operands)

    def _paid(self, tree: Any) -> int:
        """How many parts have been paid for, to tell this one; 0 when there is not enough left."""
        most = min(self._parts_left, self._allowance.left // PART)
        parts = _size(tree, most)
        if parts > most:
            return 0
        self._parts_left -= parts
        self._allowance.spend(parts * PART)
        return parts

    def _evaluate(self, part: _Part, parts: int) -> None:
        try:
            compiled = compile_logic(part.tree, as_truth=False)
            self._allowance.give_back_for(compiled.code, parts)
            value = compiled.evaluate(self._facts(), self._allocation)
        except Exception as error:  # as in a decision: the artifact's fault, to be told and not raised
            part.node.error = str(error) or type(error).__name__
        else:
            part.node.value = excerpt(value, self._allowance)


def _take_apart(tree: Any, node: Node) -> list[Any]:
    """Note in `node` what `tree` is; what is left are its operands."""
    if isinstance(tree, list):
        return tree if _has_parts(tree) else []
    if not _is_operation(tree):
        return []
    ((node.operator, operands),) = tree.items()
    operands = operands if isinstance(operands, list) else [operands]
    if node.operator == "var" and (name := _path(operands)) is not None:
        node.name = excerpt_of_text(name)
        return operands[1:2]
    return operands


def _is_operation(tree: Any) -> bool:
    return isinstance(tree, dict) and len(tree) == 1


def _has_parts(tree: Any) -> bool:
    """Whether it is a list of more than literals."""
    return isinstance(tree, list) and any(_is_operation(item) or isinstance(item, list) for item in tree)


def _path(operands: list[Any]) -> str | None:
    """The path of a `var`; None where it is computed."""
    first = operands[0] if operands else None
    if first is None:
        return ""
    return to_text(first) if isinstance(first, str | int | float) else None


def _size(tree: Any, most: int) -> int:
    """How many parts there are; not counted further than to one more than `most`."""
    pending: list[Iterable[Any]] = [(tree,)]
    seen = 0
    while pending and seen <= most:
        parts = list(islice(pending.pop(), most + 1))
        seen += len(parts)
        for part in parts:
            if _is_operation(part):
                (operands,) = part.values()
                pending.append(operands if isinstance(operands, list) else (operands,))
            elif isinstance(part, list):
                pending.append(part)
    return seen
