"""Telemetry without a call is submitted after a minute, at 100 entries, and at the end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from targetry._client.decisions.reports import INTERVAL_S, MAX_WAITING, TelemetryReports
from targetry.delivery.prepare import PreparedRequest
from targetry.delivery.telemetry import MAX_ENTRIES, Entries, TelemetryStore
from targetry.models import DeliveryRequest, TelemetryEntry

PREPARED = PreparedRequest(DeliveryRequest(request_id="r"), "s")


class Desk:
    """Reports whose submissions are kept."""

    def __init__(self, **options: Any) -> None:
        self.store = TelemetryStore(enabled=True)
        self.submitted: list[tuple[PreparedRequest, Entries]] = []
        self.backlog = False
        self.arrived = threading.Event()
        self.reports = TelemetryReports(self.store, self._submit, lambda: self.backlog, **options)

    def _submit(self, prepared: PreparedRequest, entries: Entries) -> None:
        self.submitted.append((prepared, entries))
        self.arrived.set()

    def add(self, number: int = 1) -> None:
        """As after decisions on device."""
        for _ in range(number):
            self.store.add(TelemetryEntry())
            if len(self.store) >= self.reports.due_at:
                self.reports.note(PREPARED)

    @property
    def sizes(self) -> list[int]:
        return [len(entries) for _, entries in self.submitted]


def test_entries_are_submitted_when_the_interval_is_over() -> None:
    desk = Desk(interval_s=0.01)
    desk.add()
    assert desk.arrived.wait(10)
    assert [prepared for prepared, _ in desk.submitted] == [PREPARED]
    desk.arrived.clear()
    desk.add()
    assert desk.arrived.wait(10)
    assert sum(desk.sizes) == 2


def test_the_interval_is_a_minute_and_a_hundred_entries_do_not_wait_for_it() -> None:
    desk = Desk()
    assert (INTERVAL_S, MAX_WAITING) == (60, 100)
    desk.add(99)
    assert desk.sizes == []
    desk.add(101)
    assert desk.sizes == [100, 100]
    desk.reports.close(1)


@pytest.mark.parametrize("end", [lambda reports: reports.flush(), lambda reports: reports.close(1)])
def test_a_flush_and_the_end_submit_what_waits_once(end: Any) -> None:
    desk = Desk()
    desk.add(3)
    end(desk.reports)
    end(desk.reports)
    assert desk.sizes == [3]
    desk.reports.close(0)


def test_nothing_is_submitted_where_another_call_took_the_entries_along() -> None:
    desk = Desk()
    desk.add(3)
    desk.store.attach(DeliveryRequest())
    desk.reports.close(1)
    assert desk.sizes == []


def test_what_no_decision_on_device_has_measured_waits_for_the_next_call() -> None:
    desk = Desk()
    desk.store.add(TelemetryEntry())
    desk.reports.close(1)
    assert desk.sizes == []


def test_entries_stay_in_the_bounded_store_while_reports_wait() -> None:
    desk = Desk()
    desk.backlog = True
    desk.add(MAX_ENTRIES + 5)
    desk.reports.flush()
    assert (desk.sizes, len(desk.store), desk.store.dropped) == ([], MAX_ENTRIES, 5)
    desk.backlog = False
    desk.add()
    assert desk.sizes == [MAX_ENTRIES]
    desk.reports.close(0)


def test_a_minute_of_backlog_is_followed_by_another_look() -> None:
    desk = Desk(interval_s=0.01)
    looks = threading.Semaphore(0)

    def has_backlog() -> bool:
        looks.release()
        return desk.backlog

    desk.backlog = True
    desk.reports._has_backlog = has_backlog
    desk.add()
    assert all(looks.acquire(timeout=10) for _ in range(3))
    desk.backlog = False
    assert desk.arrived.wait(10)


def test_a_forked_child_has_nothing_to_submit() -> None:
    desk = Desk()
    desk.add(3)
    desk.reports.after_fork()
    desk.reports.close(1)
    assert (desk.sizes, len(desk.store), desk.reports.due_at) == ([], 0, 1)


def test_waiting_entries_keep_no_process_alive() -> None:
    desk, before = Desk(), threading.enumerate()
    desk.add()
    (thread,) = [one for one in threading.enumerate() if one not in before]
    assert thread.daemon
    desk.reports.close(1)
    assert not thread.is_alive()
