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
    """Close the clients of programs of 1.1.0, which do not close them."""
    with ExitStack() as stack:
        yield stack.enter_context
