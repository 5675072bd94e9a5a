"""A pytest fixture: `pytest_plugins = ["targetry.edge.fixtures"]` in a `conftest.py` makes it known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .local import LocalEdge, edge


@pytest.fixture
def target_edge() -> Iterator[LocalEdge]:
    """An edge of the test's own that serves the sample shop; `target_edge.serve(artifact)` for another."""
    with edge() as running:
        yield running
