"""Switch for the soak tests: `TARGETRY_SOAK=1 pytest tests/soak` collects them."""

import os

import pytest

collect_ignore_glob = [] if os.environ.get("TARGETRY_SOAK") else ["*"]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Lift the time limit of one test for the tests of this folder."""
    item.add_marker(pytest.mark.timeout(0))
