from __future__ import annotations

import logging

import pytest

from targetry.edge.delivery.lost_events import LostEventLog
from targetry.ledger.errors import LedgerError

LOG = logging.getLogger("targetry.edge")
FULL = LedgerError("full", "the ledger x: no space is left for it")


def test_losses_are_logged_at_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lost = LostEventLog(LOG, lambda: now)
    for now in (0.0, 1.0, 59.0, 60.0, 61.0):  # noqa: B007  the clock reads it
        lost.add(2, FULL)
    assert caplog.messages == [
        "2 events could not be recorded: the ledger x: no space is left for it",
        "6 events could not be recorded: the ledger x: no space is left for it",
    ]
    lost.recovered()
    assert caplog.messages[2:] == ["events are recorded again; 10 were not"]


def test_first_loss_after_a_recovery_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    lost = LostEventLog(LOG, lambda: 0.0)
    lost.recovered()
    assert caplog.messages == []
    for _ in range(2):
        lost.add(1, FULL)
        lost.recovered()
    assert len(caplog.messages) == 4


def test_only_errors_from_outside_the_ledger_have_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    LostEventLog(LOG).add(1, FULL)
    assert caplog.records[0].exc_info is None
    LostEventLog(LOG).add(1, ZeroDivisionError("ours"))
    assert "InternalError: ZeroDivisionError" in caplog.text
