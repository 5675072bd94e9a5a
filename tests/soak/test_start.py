"""Start of a client with default options while the artifact's host does not respond."""

from __future__ import annotations

import time

import pytest

from e2e.client.any_client import Blocking, Looped
from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, Target
from servers.faulty import HANG, Behaviour, answer, drip


@pytest.mark.parametrize("make", [Blocking, Looped], ids=["sync", "async"])
@pytest.mark.parametrize(
    "behaviour", [HANG, drip(answer(200, b" " * 1000), every=0.3)], ids=["silent", "dripping"]
)
def test_create_returns_within_ten_seconds_by_default(
    behaviour: Behaviour, make: type[Blocking] | type[Looped]
) -> None:
    with Target() as target:
        target.on(ARTIFACT, behaviour)
        started = time.monotonic()
        client = make(**reach(target), decisioning_method="on-device", cdn_base_path=target.url)
        took_s = time.monotonic() - started
        client.finish()
    assert 9 < took_s < 10.5
