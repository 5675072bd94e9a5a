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


class ReportsHarness:
    """Telemetry reports with recorded submissions."""

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
        """Add entries as decisions on device do."""
        for _ in range(number):
            self.store.add(TelemetryEntry())
            if len(self.store) >= self.reports.due_at:
                self.reports.note(PREPARED)

    @property
    def sizes(self) -> list[int]:
        return [len(entries) for _, entries in self.submitted]


def test_entries_are_submitted_when_the_interval_is_over() -> None:
    harness = ReportsHarness(interval_s=0.01)
    harness.add()
    assert harness.arrived.wait(10)
    assert [prepared for prepared, _ in harness.submitted] == [PREPARED]
    harness.arrived.clear()
    harness.add()
    assert harness.arrived.wait(10)
    assert sum(harness.sizes) == 2


def test_interval_is_a_minute_and_a_hundred_entries_do_not_wait_for_it() -> None:
    harness = ReportsHarness()
    assert (INTERVAL_S, MAX_WAITING) == (60, 100)
    harness.add(99)
    assert harness.sizes == []
    harness.add(101)
    assert harness.sizes == [100, 100]
    harness.reports.close(1)


@pytest.mark.parametrize("end", [lambda reports: reports.flush(), lambda reports: reports.close(1)])
def test_flush_and_close_submit_waiting_entries_once(end: Any) -> None:
    harness = ReportsHarness()
    harness.add(3)
    end(harness.reports)
    end(harness.reports)
    assert harness.sizes == [3]
    harness.reports.close(0)


def test_nothing_is_submitted_if_another_call_sent_the_entries() -> None:
    harness = ReportsHarness()
    harness.add(3)
    harness.store.attach(DeliveryRequest())
    harness.reports.close(1)
    assert harness.sizes == []


def test_telemetry_without_on_device_decision_waits_for_the_next_call() -> None:
    harness = ReportsHarness()
    harness.store.add(TelemetryEntry())
    harness.reports.close(1)
    assert harness.sizes == []


def test_entries_stay_in_the_bounded_store_while_reports_wait() -> None:
    harness = ReportsHarness()
    harness.backlog = True
    harness.add(MAX_ENTRIES + 5)
    harness.reports.flush()
    assert (harness.sizes, len(harness.store), harness.store.dropped) == ([], MAX_ENTRIES, 5)
    harness.backlog = False
    harness.add()
    assert harness.sizes == [MAX_ENTRIES]
    harness.reports.close(0)


def test_folder_is_checked_again_after_a_minute_of_backlog() -> None:
    harness = ReportsHarness(interval_s=0.01)
    looks = threading.Semaphore(0)

    def has_backlog() -> bool:
        looks.release()
        return harness.backlog

    harness.backlog = True
    harness.reports._has_backlog = has_backlog
    harness.add()
    assert all(looks.acquire(timeout=10) for _ in range(3))
    harness.backlog = False
    assert harness.arrived.wait(10)


def test_forked_child_has_nothing_to_submit() -> None:
    harness = ReportsHarness()
    harness.add(3)
    harness.reports.after_fork()
    harness.reports.close(1)
    assert (harness.sizes, len(harness.store), harness.reports.due_at) == ([], 0, 1)


def test_waiting_entries_keep_no_process_alive() -> None:
    harness, before = ReportsHarness(), threading.enumerate()
    harness.add()
    (thread,) = [one for one in threading.enumerate() if one not in before]
    assert thread.daemon
    harness.reports.close(10)
    thread.join(10)
    assert not thread.is_alive()
