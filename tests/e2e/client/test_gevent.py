"""Clients under gevent, patched before or after their creation; `tests/soak` has all cases."""

from __future__ import annotations

import pytest

from e2e.client.greenlets import needs_gevent, run_greenlets
from e2e.client.target import Target
from support.slow import slow

pytestmark = needs_gevent


@pytest.mark.parametrize(
    ("order", "client"),
    [
        ("patched before", "hybrid"),
        *slow(("patched after", "on device"), ("patched after the first use", "hybrid")),
        *slow(("patched in a child of a client in use", "spool")),
    ],
)
def test_greenlets_get_results_and_reports_are_sent(order: str, client: str, target: Target) -> None:
    run_greenlets(target, order, client)
