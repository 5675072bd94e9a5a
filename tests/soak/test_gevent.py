"""Clients of all kinds under gevent, patched at each possible moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.client.greenlets import CLIENTS, ORDERS, needs_gevent, run_greenlets
from e2e.client.target import Target

pytestmark = needs_gevent


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("order", ORDERS)
def test_greenlets_get_results_and_reports_are_sent(order: str, client: str, target: Target) -> None:
    run_greenlets(target, order, client)
