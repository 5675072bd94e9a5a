from __future__ import annotations

import logging

import pytest

from targetry.edge.delivery.lost_events import LostEvents
from targetry.ledger.errors import LedgerError

LOG = logging.getLogger("targetry.edge")
FULL = LedgerError("full", "the ledger x: no space is left for it")


def test_losses_are_told_at_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    lost = LostEvents(LOG, lambda: now)
    for now in (0.0, 1.0, 59.0, 60.0, 61.0):  # noqa: B007  the clock reads it
        lost.note(2, FULL)
    assert caplog.messages == [
        "2 events could not be recorded: the ledger x: no space is left for it",
        "6 events could not be recorded: the ledger x: no space is left for it",
    ]
    lost.end()
    assert caplog.messages[2:] == ["events are recorded again; 10 were not"]


def test_after_the_end_of_an_outage_the_next_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    lost = LostEvents(LOG, lambda: 0.0)
    lost.end()
    assert caplog.messages == []
    for _ in range(2):
        lost.note(1, FULL)
        lost.end()
    assert len(caplog.messages) == 4


def test_only_what_is_not_the_ledgers_own_to_say_has_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    LostEvents(LOG).note(1, FULL)
    assert caplog.records[0].exc_info is None
    LostEvents(LOG).note(1, ZeroDivisionError("ours"))
    assert "InternalError: ZeroDivisionError" in caplog.text
