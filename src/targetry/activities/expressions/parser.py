"""Parser of audience expressions: text to JSON Logic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def parse_expression(text: str, audiences: Mapping[str, Any]) -> Any:
    """Parse an audience expression.

    Args:
        text: The expression.
        audiences: JSON Logic of the audiences that the expression can name.

    Returns:
        The condition as JSON Logic. Conditions of audiences are parts of it, not copies.

    Raises:
        ExpressionError: The text is not an audience expression.
    """
    raise NotImplementedError


def referenced_names(text: str) -> list[str]:
    """Return the bare names of an expression that are no facts: the audiences that it refers to.

    Args:
        text: The expression.

    Returns:
        Each name once, in the order of the text; no names if the text cannot be parsed.
    """
    raise NotImplementedError
