"""Function helpers of the official `target_tools.utils`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any


def noop(*args: object, **kwargs: object) -> None:
    """Accept any arguments and do nothing."""


def compose_functions(outer: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function that applies `inner` and then `outer`."""

    def composed(value: Any) -> Any:
        return outer(inner(value))

    return composed


def memoize(
    func: Callable[..., Any], args_resolver: Callable[[Any, Any], Hashable] | None = None
) -> Callable[..., Any]:
    """Return `func` with an unbounded cache of its results.

    Args:
        func: The function to call once for each key.
        args_resolver: Maps the tuple of arguments and the dict of keyword arguments to the cache
            key; by default the key is made of all of them.
    """
    results: dict[Hashable, Any] = {}

    @wraps(func)
    def cached(*args: Any, **kwargs: Any) -> Any:
        key = args_resolver(args, kwargs) if args_resolver else (args, frozenset(kwargs.items()))
        if key not in results:
            results[key] = func(*args, **kwargs)
        return results[key]

    return cached
