"""Part of a condition on one line, with the values of its facts: `"DE" == geo.country ("FR")`."""

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
    """Return whether the part is a literal or a fact."""
    return not node.operands and node.operator in (None, "var")


def expression(node: ConditionNode) -> str:
    """Return a leaf, or an operation on leaves, as text."""
    if is_leaf(node):
        return _leaf(node, is_time=node.name == _CLOCK)
    is_time = any(operand.name == _CLOCK for operand in node.operands)
    operands = [_leaf(operand, is_time) for operand in node.operands]
    if node.name is not None:
        return f"{_leaf(node, is_time)}, else {operands[0]}"
    if node.operator in _BETWEEN and len(operands) > 1:
        return f" {node.operator} ".join(operands)
    return f"{node.operator} {', '.join(operands)}" if node.operator else f"[{', '.join(operands)}]"


def value_text(node: ConditionNode) -> str:
    """Return the value as `is 42`, empty without a value."""
    return "" if node.value is UNSET else f"is {compact_json(node.value)}"


def _leaf(node: ConditionNode, is_time: bool) -> str:
    if node.operator is None:
        return "" if node.value is UNSET else _format(node.value, is_time)
    name = node.name or "all data"
    if node.value is UNSET:
        return name
    return f"{name} (not set)" if node.value is None else f"{name} ({_format(node.value, is_time)})"


def _format(value: Any, is_time: bool) -> str:
    """Return a value as text; `is_time`: numbers are milliseconds, shown as a date."""
    is_number = type(value) in (int, float)
    return format_time(value) if is_time and is_number else compact_json(value)
