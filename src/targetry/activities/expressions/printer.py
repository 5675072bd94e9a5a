"""Printer of conditions: JSON Logic to the text of an audience expression."""

from __future__ import annotations

from typing import Any


def print_expression(logic: Any) -> str:
    """Return a condition as the text of an audience expression.

    `parse_expression` of the text gives the same JSON, unless the text is beyond its limits. A part
    that has no form in the language is printed as `raw('<JSON>')`.

    Args:
        logic: The condition as parsed JSON.
    """
    raise NotImplementedError
