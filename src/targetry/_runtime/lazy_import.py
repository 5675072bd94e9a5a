"""Lazy imports that a fork waits for.

A module that one thread imports while another thread forks stays half imported in the child, and
its import lock stays locked: an import of it there hangs. So lazy imports are done inside
`importing()`, and a fork waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from targetry._runtime.forks import ForkLock
from targetry.errors import MissingExtraError

_gate: Final = ForkLock(longest_wait_s=30.0)  # an import gets a small share of a busy interpreter


def importing() -> AbstractContextManager[object]:
    """Return a context for imports, in which no other thread forks. It can nest."""
    return _gate.hold()


@contextmanager
def importing_extra(extra: str) -> Iterator[None]:
    """Import packages of an optional extra; raise `MissingExtraError` if one is not installed."""
    with importing():
        try:
            yield
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "targetry"):  # a fault of this package
                raise
            raise MissingExtraError(package, extra) from error
