"""Statements of a syntax tree, without a search of its expressions, which are most of its nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the module, its statements, and the handlers and cases in them, at any depth."""
    pending = list[ast.AST]([tree])
    while pending:
        node = pending.pop()
        yield node
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            below = getattr(node, part, ())
            pending += below if isinstance(below, list) else ()
