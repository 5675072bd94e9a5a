"""A pytest fixture: `pytest_plugins = ["targetry.edge.fixtures"]` in a `conftest.py` makes it known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from targetry.lazy_import import importing_extra

if TYPE_CHECKING:
    from .local import LocalEdge


@pytest.fixture
def target_edge() -> Iterator[LocalEdge]:
    """An edge of the test's own that serves the sample shop; `target_edge.serve(artifact)` for another."""
    with importing_extra("edge"):
        from .local import edge

    with edge() as running:
        yield running
