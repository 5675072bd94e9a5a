"""A part of a condition on one line, with the values of the facts in it: `"DE" == geo.country ("FR")`."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from targetry.device.explain.condition_tree import ConditionNode
from targetry.humanize.figures import format_time
from targetry.humanize.text import compact_json

_BETWEEN: Final = frozenset(
    {"==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "and", "or"}
)
_CLOCK: Final = "current_timestamp"


def is_leaf(node: ConditionNode) -> bool:
    """Whether it is a literal or a fact."""
    return not node.operands and node.operator in (None, "var")


def expression(node: ConditionNode) -> str:
    """The part with its operands, which are leaves, or the leaf itself."""
    if is_leaf(node):
        return _leaf(node, by_the_clock=node.name == _CLOCK)
    by_the_clock = any(operand.name == _CLOCK for operand in node.operands)
    operands = [_leaf(operand, by_the_clock) for operand in node.operands]
    if node.name is not None:
        return f"{_leaf(node, by_the_clock)}, else {operands[0]}"
    if node.operator in _BETWEEN and len(operands) > 1:
        return f" {node.operator} ".join(operands)
    return f"{node.operator} {', '.join(operands)}" if node.operator else f"[{', '.join(operands)}]"


def value_text(node: ConditionNode) -> str:
    """`is 42`; nothing where there is no value."""
    return "" if node.value is UNSET else f"is {compact_json(node.value)}"


def _leaf(node: ConditionNode, by_the_clock: bool) -> str:
    if node.operator is None:
        return "" if node.value is UNSET else _shown(node.value, by_the_clock)
    name = node.name or "all data"
    if node.value is UNSET:
        return name
    return f"{name} (not set)" if node.value is None else f"{name} ({_shown(node.value, by_the_clock)})"


def _shown(value: Any, by_the_clock: bool) -> str:
    """A literal or a fact's value; beside the clock, milliseconds as a date."""
    is_number = type(value) in (int, float)
    return format_time(value) if by_the_clock and is_number else compact_json(value)
