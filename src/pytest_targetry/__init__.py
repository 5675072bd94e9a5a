"""Pytest plugin: fixtures `target` and `target_edge`, marker `target`, files `*.test.yaml`.

It is a package of its own because every pytest run of an environment with Targetry loads it: it
imports nothing but pytest until a test uses a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from targetry.edge.in_process import LocalEdge
    from targetry.testing import TargetDouble


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "target(**content): give mboxes content for one test, by the fixture target"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a test with the marker use the fixture."""
    is_marked = item.get_closest_marker("target") is not None
    if is_marked and isinstance(item, pytest.Function) and "target" not in item.fixturenames:
        item.fixturenames.insert(0, "target")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the table tests of a folder of activities."""
    if not file_path.name.endswith(".test.yaml"):
        return None
    if not any((folder / "targetry.yaml").is_file() for folder in file_path.parents):
        return None
    from targetry.testing.pytest_activities import ActivityTestFile

    return ActivityTestFile.from_parent(parent, path=file_path)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[TargetDouble]:
    """Put a double in place of Adobe Target for one test, with the content of its markers."""
    from targetry.testing import double

    with double() as made:
        for marker in reversed(list(request.node.iter_markers("target"))):
            if marker.args:
                raise TypeError("the marker target takes keywords: @pytest.mark.target(hero='<b>a</b>')")
            for mbox, content in marker.kwargs.items():
                made.set(mbox, content)
        yield made


@pytest.fixture
def target_edge() -> Iterator[LocalEdge]:
    """Run an edge with the sample shop for one test; `target_edge.serve(artifact)` changes that."""
    from targetry.testing import edge

    with edge() as running:
        yield running
