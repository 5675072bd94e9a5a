"""A pytest fixture: `pytest_plugins = ["targetry.pytest_plugin"]` in a `conftest.py` makes it known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from targetry._runtime.lazy_import import importing_extra

if TYPE_CHECKING:
    from targetry.edge.in_process import LocalEdge


@pytest.fixture
def target_edge() -> Iterator[LocalEdge]:
    """An edge of the test's own that serves the sample shop; `target_edge.serve(artifact)` for another."""
    with importing_extra("edge"):
        from targetry.edge.in_process import edge

    with edge() as running:
        yield running
