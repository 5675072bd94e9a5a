"""Tree of a condition with the value of each of its parts.

Each part is compiled and evaluated by itself, as the engine does it, so the value shown is the
value that counts. Operands that the engine does not reach, behind an `and` that is already false,
are evaluated too. The tree is built level by level until the budget is exhausted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.truncation import truncate, truncate_text
from targetry.device.logic.compiler import compile_logic
from targetry.device.logic.facts import Facts
from targetry.device.logic.javascript import to_text

# operator → position of the operand that is evaluated for each item of a list
_LOOPS: Final = dict.fromkeys(("map", "filter", "reduce", "all", "none", "some"), 1)


class ConditionNode(msgspec.Struct, omit_defaults=True):
    """A part of a condition: an operation, a `var` (`name` is its path), a list or a literal.

    `value` is the result as JSON, truncated; absent for the logic of a loop, which has no single
    value, and for a part that cannot be evaluated, where `error` gives the cause. `more` counts the
    operands that are left out.
    """

    operator: str | None = None
    name: str | None = None
    value: Any | UnsetType = UNSET
    operands: list[ConditionNode] = []
    error: str | None = None
    more: int = 0


def condition_tree(
    tree: Any, new_facts: Callable[[], Facts], allocation: float | None, budget: ExplainBudget
) -> ConditionNode:
    """Evaluate every part of a condition. Never raises for the condition of a compiled rule.

    Args:
        tree: The condition as parsed JSON.
        new_facts: Returns the facts for one part, with the work that a decision is allowed.
        allocation: The visitor's allocation in percent, None if the condition does not use it.
        budget: Pays for the tree.
    """
    return _TreeBuilder(new_facts, allocation, budget).build(tree)


class _Part(NamedTuple):
    """A part whose operands are not in `node` yet. `in_loop`: it belongs to the logic of a loop."""

    node: ConditionNode
    tree: Any
    in_loop: bool


class _TreeBuilder:
    def __init__(
        self, new_facts: Callable[[], Facts], allocation: float | None, budget: ExplainBudget
    ) -> None:
        self._new_facts = new_facts
        self._allocation = allocation
        self._budget = budget
        self._pending: deque[_Part] = deque()

    def build(self, tree: Any) -> ConditionNode:
        root = _Part(ConditionNode(), tree, False)
        self._budget.take()
        if self._budget.is_exhausted:
            root.node.error = "the explanation has used up its time or size"
        else:
            self._evaluate(root)
        self._pending.append(root)
        while self._pending:
            self._add_operands(self._pending.popleft())
        return root.node

    def _add_operands(self, part: _Part) -> None:
        node = part.node
        operands = _split(part.tree, node)
        logic = _LOOPS.get(node.operator or "")
        for position, tree in enumerate(operands):
            if self._budget.is_exhausted:
                break
            self._budget.take()
            operand = _Part(ConditionNode(), tree, part.in_loop or position == logic)
            if not operand.in_loop:
                self._evaluate(operand)
            elif not _is_operation(tree) and not _has_parts(tree):
                operand.node.value = truncate(tree, self._budget)
            node.operands.append(operand.node)
            self._pending.append(operand)
        node.more = len(operands) - len(node.operands)

    def _evaluate(self, part: _Part) -> None:
        try:
            value = compile_logic(part.tree, as_truth=False).evaluate(self._new_facts(), self._allocation)
        except Exception as error:  # a fault of the artifact, shown as in a decision
            part.node.error = str(error) or type(error).__name__
        else:
            part.node.value = truncate(value, self._budget)


def _split(tree: Any, node: ConditionNode) -> list[Any]:
    """Set the operator and name of `node`, and return the operands of `tree`."""
    if isinstance(tree, list):
        return tree if _has_parts(tree) else []
    if not _is_operation(tree):
        return []
    ((node.operator, operands),) = tree.items()
    operands = operands if isinstance(operands, list) else [operands]
    if node.operator == "var" and (name := _path(operands)) is not None:
        node.name = truncate_text(name)
        return operands[1:2]
    return operands


def _is_operation(tree: Any) -> bool:
    return isinstance(tree, dict) and len(tree) == 1


def _has_parts(tree: Any) -> bool:
    """Return whether it is a list that holds more than literals."""
    return isinstance(tree, list) and any(_is_operation(item) or isinstance(item, list) for item in tree)


def _path(operands: list[Any]) -> str | None:
    """Return the path of a `var`, None if it is computed."""
    first = operands[0] if operands else None
    if first is None:
        return ""
    return to_text(first) if isinstance(first, str | int | float) else None
