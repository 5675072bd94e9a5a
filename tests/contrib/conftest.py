"""Client of the sample shop that keeps what it reports, for the tests of all frameworks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.web import Reports, blocking_client
from targetry import TargetClient


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def client(reports: Reports) -> Iterator[TargetClient]:
    with blocking_client(send_notification_func=reports) as client:
        yield client
