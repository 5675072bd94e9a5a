"""Tables get what the Node SDK gives to each row; `python -m differential.tables` compares more."""

from __future__ import annotations

import pytest

from differential.node import NodeProgram, missing
from differential.tables import compared
from support.slow import slow

reason = missing("decide.cjs")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))


@pytest.mark.parametrize("tables", [1, *slow(25)])
def test_rows_of_a_table_get_what_the_node_sdk_gives(tables: int) -> None:
    with NodeProgram("decide.cjs") as node:
        found = [one for seed in range(tables) for one in compared(node, seed)]
    assert [one for one in found if one] == []
    assert len(found) > 10 * tables
