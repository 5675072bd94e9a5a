"""A shop to ask, and what closes clients and engines when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dropin.shop import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        yield shop


@pytest.fixture
def closing(shop: Shop) -> Iterator[Callable[[Any], Any]]:
    """Programs of 1.1.0's do not close their clients: `closing(TargetClient.create(...))` does it for them."""
    with ExitStack() as stack:
        yield stack.enter_context
