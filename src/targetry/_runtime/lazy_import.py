"""Imports that wait until they are needed, and a fork that waits for them.

A module that one thread is importing while another forks stays half imported in the child, with its lock taken for ever: whoever
imports it there hangs. So late imports are done inside `importing()`, and a fork first lets them finish.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from targetry._runtime.forks import ForkLock
from targetry.errors import MissingExtraError

_gate: Final = ForkLock(longest_wait_s=30.0)  # a busy interpreter gives an import a small share of its time


def importing() -> AbstractContextManager[object]:
    """No other thread forks inside this block. For nothing but imports, which may nest."""
    return _gate.hold()


@contextmanager
def importing_extra(extra: str) -> Iterator[None]:
    """As `importing`, for packages of an optional extra: raise `MissingExtraError` if one is not installed."""
    with importing():
        try:
            yield
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "targetry"):  # a fault of our own
                raise
            raise MissingExtraError(package, extra) from error
