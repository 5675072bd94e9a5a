"""Tests that measure a thread, without the garbage collections of a large test process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collections() -> Iterator[None]:
    """Disable garbage collections, each of which can take longer than what is measured."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
