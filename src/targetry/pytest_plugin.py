"""Pytest fixture of a local edge.

To use it, put `pytest_plugins = ["targetry.pytest_plugin"]` into a `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from targetry._runtime.lazy_import import importing_extra

if TYPE_CHECKING:
    from targetry.edge.in_process import LocalEdge


@pytest.fixture
def target_edge() -> Iterator[LocalEdge]:
    """Run an edge with the sample shop for one test; `target_edge.serve(artifact)` changes that."""
    with importing_extra("edge"):
        from targetry.edge.in_process import edge

    with edge() as running:
        yield running
