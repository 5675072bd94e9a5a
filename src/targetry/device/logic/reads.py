"""Facts that a condition reads, for engines that evaluate it once per distinct value."""

from __future__ import annotations

from typing import Any

from targetry.device.logic.compiler import KNOWN_FACTS, LOOPS, NAMED_FACTS, is_constant_path, path_text

Paths = frozenset[str]
_NOTHING: Paths = frozenset()


def paths_read(condition: Any) -> Paths | None:
    """Return the paths of all facts that a condition can read; None if it can read any fact.

    A condition with a computed path, with `missing` or with a path that no fact has reads the whole
    context. Paths inside the logic of a loop belong to its items.

    Args:
        condition: A condition that `compile_logic` accepts, as parsed JSON.
    """
    return _read(condition)


def _read(node: Any) -> Paths | None:
    if isinstance(node, list):
        return _union(node)
    if not isinstance(node, dict) or len(node) != 1:
        return _NOTHING
    ((operator, operands),) = node.items()
    if not isinstance(operands, list):
        operands = [operands]
    if operator in LOOPS:
        return _union([*operands[:1], *operands[2:]])
    found = _union(operands)
    if found is None or operator in ("missing", "missing_some"):
        return None
    if operator != "var":
        return found
    path = path_text(operands) if is_constant_path(operands) else ""
    return found | {path} if _is_fact(path) else None


def _union(nodes: list[Any]) -> Paths | None:
    paths = _NOTHING
    for node in nodes:
        found = _read(node)
        if found is None:
            return None
        paths |= found
    return paths


def _is_fact(path: str) -> bool:
    head, _, rest = path.partition(".")
    return path == "allocation" or path in KNOWN_FACTS or (head in NAMED_FACTS and bool(rest))
