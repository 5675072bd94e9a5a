"""Truncation of the values that an explanation shows.

A value is shown as JavaScript would write it as JSON. A long text is cut and followed by its
length; lists and objects that are cut end with `…` and the number of items left out.
"""

from __future__ import annotations

import math
from typing import Any, Final

from targetry.device.explain.budget import ExplainBudget
from targetry.device.logic.javascript import MAX_EXACT_INTEGER, UNDEFINED, to_number, well_formed

_MAX_TEXT: Final = 1_000  # characters
_MAX_DEPTH: Final = 10


def truncate(value: Any, budget: ExplainBudget) -> Any:
    """Return a copy of `value` of at most ten levels, as large as the budget allows.

    Args:
        value: JSON, or `UNDEFINED`, which becomes None. It is only read.
        budget: Pays for each item and text of the copy.
    """
    return _truncate(value, budget, 0)


def truncate_text(text: str) -> str:
    """Return the first 1,000 characters of a text, with its length if it is longer."""
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]}… ({len(text):,} characters)"
    return well_formed(text)


def _truncate(value: Any, budget: ExplainBudget, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, budget)
    if kind is list:
        return _truncate_list(value, budget, depth + 1)
    if kind is dict:
        return _truncate_object(value, budget, depth + 1)
    if kind is int or kind is float:
        return _number(value)
    return None if value is UNDEFINED else value


def _truncate_list(items: list[Any], budget: ExplainBudget, depth: int) -> list[Any]:
    shown: list[Any] = []
    for item in items:
        if budget.nodes_left <= 0 or depth > _MAX_DEPTH:
            return [*shown, f"… {len(items) - len(shown):,} more"]
        budget.take()
        shown.append(_truncate(item, budget, depth))
    return shown


def _truncate_object(members: dict[str, Any], budget: ExplainBudget, depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for count, (name, value) in enumerate(members.items()):
        if budget.nodes_left <= 0 or depth > _MAX_DEPTH:
            return {**shown, "…": f"{len(members) - count:,} more"}
        budget.take()
        shown[_text(name, budget)] = _truncate(value, budget, depth)
    return shown


def _text(text: str, budget: ExplainBudget) -> str:
    shown = truncate_text(text)
    budget.take_text(shown)
    return shown


def _number(value: float) -> float | None:
    if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
        return int(value) if value == int(value) else value
    number = to_number(value)
    return number if math.isfinite(number) else None
