"""Audience expressions: a subset of Python's expressions that reads and writes as JSON Logic.

    geo.country == "US" and not contains(page.url_lc, "/checkout")

An expression is parsed, never evaluated. Every operation has one form, so that a condition which is
printed and parsed again is the same condition.
"""

from __future__ import annotations

from targetry.activities.expressions.errors import ExpressionError
from targetry.activities.expressions.parser import parse_expression, referenced_names
from targetry.activities.expressions.printer import print_expression

__all__ = ["ExpressionError", "parse_expression", "print_expression", "referenced_names"]
