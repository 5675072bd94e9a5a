"""Reduction of a failing question to what the failure needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]


def shrunk(
    question: dict[str, Any], fails: Callable[[dict[str, Any]], bool], *, tries: int = 2000
) -> dict[str, Any]:
    """Return a minimal question that fails, found by removing one key or item after another."""
    best = question
    progress = True
    while progress and tries > 0:
        progress = False
        for path in list(_removable(best)):
            tries -= 1
            candidate = _without(best, path)
            if candidate is not None and fails(candidate):
                best, progress = candidate, True
            if tries <= 0:
                break
    return best


# Parts of every question; without them there are differences that no real question has.
_ALWAYS = frozenset(
    {
        *(
            "artifact",
            "version",
            "rules",
            "mboxes",
            "views",
            "request",
            "requestId",
            "context",
            "channel",
            "sessionId",
        ),
        *("now", "conf", "client", "ruleKey", "condition", "consequence", "name", "options", "metrics"),
    }
)


def _removable(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the parts, large ones first, except `meta`, which is always complete."""
    if isinstance(tree, dict):
        for key in tree:
            if key not in _ALWAYS and key != "meta" and path[-1:] != ("meta",):
                yield (*path, key)
        for key, value in tree.items():
            yield from _removable(value, (*path, key))
    elif isinstance(tree, list):
        for i in range(len(tree)):
            yield (*path, i)
        for i, value in enumerate(tree):
            yield from _removable(value, (*path, i))


def _without(tree: dict[str, Any], path: Path) -> dict[str, Any] | None:
    candidate = copy.deepcopy(tree)
    place: Any = candidate
    try:
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    return candidate
