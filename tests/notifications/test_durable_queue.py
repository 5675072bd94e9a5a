"""Interleavings of the thread that owns the spool file with threads that offer and send.

No threads run here: a schedule decides what the others do between two accesses to the file.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.background_fakes import Clock
from support.examples import examples
from support.notifier import ADDRESS, build_request, counters_add_up, delivery, ids_in
from targetry.delivery.clusters import ClusterDirectory
from targetry.notifications.durable_queue import DurableQueue
from targetry.notifications.queue.counters import REJECTED
from targetry.notifications.queue.entry import QueueEntry
from targetry.notifications.queue.retry_policy import RetryPolicy
from targetry.notifications.response import filter_notifications
from targetry.notifications.spool import Spool, SpooledDelivery, SpoolError
from targetry.notifications.spool_writer import SpoolWriter

CLUSTER = "44"
LIMIT = 8
MANY_ROUNDS = 500


class Schedule:
    """A `DurableQueue` with its file; `steps` are names of methods, `proceed` ends a turn."""

    def __init__(self, folder: Path, steps: Sequence[str] = (), *, limit: int = LIMIT) -> None:
        self.clock = Clock()
        self.steps = iter(steps)
        self.received: Counter[str] = Counter()
        self.offered: set[str] = set()
        self.rejected: set[str] = set()
        self.calls: list[QueueEntry] = []
        self.is_disk_full = False
        clusters = ClusterDirectory(self.clock)
        clusters.add(CLUSTER)
        self.queue = DurableQueue(
            limit=limit,
            max_bytes=1 << 30,
            policy=RetryPolicy(max_isolated_failures=1 << 30),
            random=lambda: 0.0,
            clusters=clusters,
            clock=self.clock,
        )
        self.writer = SpoolWriter(
            self.queue,
            folder,
            address=ADDRESS,
            build_request=build_request,
            max_bytes=1 << 30,
            idle_s=1.0,
            reported=set(),
            clock=self.clock,
        )
        spool = self.writer._open_and_adopt(None)
        assert spool is not None
        self.spool = spool
        self.file: Any = ScheduledSpool(spool, self)

    def run(self) -> None:
        for step in self.steps:
            self.perform(step)

    def perform_all(self, steps: str) -> None:
        for step in steps.split():
            self.perform(step)

    def yield_to_others(self) -> None:
        for step in self.steps:
            if step == "proceed":
                return
            if step != "turn":
                self.perform(step)

    def perform(self, step: str) -> None:
        getattr(self, step)()
        assert counters_add_up(self.queue.stats())
        for queue in self.queue._queues.values():
            assert min(queue.on_disk, queue.notifications_on_disk, queue.held, queue.size) >= 0

    def proceed(self) -> None: ...

    def turn(self) -> None:
        """Let the `SpoolWriter` write, delete and read once."""
        assert self.writer._write_and_fetch(self.file) is self.file

    def offer_own(self) -> None:
        self._offer(None)

    def offer_cluster(self) -> None:
        self._offer(CLUSTER)

    def offer_pair(self) -> None:
        self._offer(None, count=2)

    def _offer(self, cluster: str | None, count: int = 1) -> None:
        ids = [f"n{len(self.offered) + number}" for number in range(count)]
        self.offered.update(ids)
        self.queue.submit(delivery(*ids, cluster=cluster))

    def take(self) -> None:
        entry = self.queue.dequeue(self.clock()).entry
        if isinstance(entry, QueueEntry):
            assert entry.encode(build_request) is None
            self.calls.append(entry)

    def send_oldest(self) -> None:
        self._send(0)

    def send_newest(self) -> None:
        self._send(-1)

    def _send(self, index: int) -> None:
        if self.calls:
            entry = self.calls.pop(index)
            self.received.update(ids_in(entry.body))
            self.queue.mark_sent(entry, self.clock())

    def send_half(self) -> None:
        if self.calls and len(ids := ids_in(self.calls[0].body)) == 2:
            entry = self.calls.pop(0)
            self.received[ids[0]] += 1
            assert self.queue.mark_partly_sent(
                entry, self.clock(), 1, filter_notifications(entry.body or b"", frozenset(ids[1:]))
            )

    def fail_oldest(self) -> None:
        self._fail(0)

    def fail_newest(self) -> None:
        self._fail(-1)

    def _fail(self, index: int) -> None:
        if self.calls:
            entry = self.calls.pop(index)
            self.queue.host_failed(entry, self.clock(), self.clock(), denied=False)
            assert self.queue.mark_failed(entry, "no")

    def reject(self) -> None:
        if self.calls:
            entry = self.calls.pop()
            self.rejected.update(ids_in(entry.body))
            assert self.queue.mark_dropped(entry, REJECTED, None)

    def fill_disk(self) -> None:
        self.is_disk_full = True

    def clear_disk(self) -> None:
        self.is_disk_full = False

    def drain(self) -> None:
        """Send everything that is pending, with the disk in order."""
        self.clear_disk()
        for _ in range(MANY_ROUNDS):
            self.turn()
            self.clock.advance(100.0)
            self.take()
            self.send_oldest()
            if self.queue.is_empty():
                break
        self.turn()

    @property
    def rows_on_disk(self) -> int:
        return sum(backlog.deliveries for backlog in self.spool.backlogs())


class ScheduledSpool:
    """A `Spool` that lets the schedule run before and after each access."""

    def __init__(self, spool: Spool, schedule: Schedule) -> None:
        self._spool = spool
        self._schedule = schedule

    def add(self, deliveries: Sequence[SpooledDelivery]) -> list[int]:
        with self._access(writes=True):
            return self._spool.add(deliveries)

    def remove(self, rows: Sequence[int]) -> None:
        with self._access(writes=True):
            self._spool.remove(rows)

    def page(self, cluster: str | None, after: int, limit: int, max_bytes: int) -> list[SpooledDelivery]:
        with self._access():
            return self._spool.page(cluster, after, limit, max_bytes)

    def save_clock(self) -> None:
        with self._access(writes=True):
            self._spool.save_clock()

    def set_aside(self) -> None:
        raise AssertionError("a file in order was set aside")

    @contextlib.contextmanager
    def _access(self, *, writes: bool = False) -> Iterator[None]:
        self._schedule.yield_to_others()
        if writes and self._schedule.is_disk_full:
            raise SpoolError("disk full")
        yield
        self._schedule.yield_to_others()


@contextlib.contextmanager
def scheduled(steps: Sequence[str] = (), *, limit: int = LIMIT) -> Iterator[Schedule]:
    with tempfile.TemporaryDirectory() as folder:
        schedule = Schedule(Path(folder), steps, limit=limit)
        try:
            yield schedule
        finally:
            schedule.spool.close()


def check(schedule: Schedule) -> None:
    """Check that everything was sent once, except what the counters say was dropped."""
    stats = schedule.queue.stats()
    assert (stats.pending, schedule.rows_on_disk) == (0, 0)
    assert set(stats.dropped) <= {"queue_full", "rejected"}
    assert set(schedule.received.values()) <= {1}
    assert not schedule.rejected & set(schedule.received)
    unsent = schedule.offered - schedule.rejected - set(schedule.received)
    assert len(unsent) == stats.dropped.get("queue_full", 0)


def names_in(text: str) -> list[str]:
    return text.split()


FREQUENT = ["proceed", "turn", "offer_own", "offer_cluster", "take"]
RARE = names_in(
    "offer_pair send_oldest send_newest send_half fail_oldest fail_newest reject fill_disk clear_disk"
)
EACH_STEP = FREQUENT + RARE
STEPS = st.sampled_from(FREQUENT * 3 + RARE)


LEFT_TO_DISK_DURING_PAGE = names_in(
    "offer_cluster offer_own offer_cluster turn proceed proceed proceed proceed take turn offer_own "
    "fail_oldest offer_own offer_own proceed proceed offer_own"
)
LEFT_TO_DISK_BEFORE_SETTLED_ROW = names_in(
    "offer_cluster offer_pair offer_own offer_cluster turn proceed proceed proceed offer_own proceed turn "
    "take take take offer_own offer_own offer_cluster send_newest fail_oldest offer_own offer_cluster"
)


@settings(max_examples=examples(200))
@given(st.lists(STEPS, max_size=120), st.sampled_from([4, 8, 20]))
@example(LEFT_TO_DISK_DURING_PAGE, 4)
@example(LEFT_TO_DISK_BEFORE_SETTLED_ROW, 8)
def test_no_interleaving_loses_or_repeats_a_delivery(steps: list[str], limit: int) -> None:
    with scheduled(steps, limit=limit) as schedule:
        schedule.run()
        schedule.drain()
        check(schedule)


@pytest.mark.parametrize("seed", range(20))
def test_no_long_interleaving_loses_or_repeats_a_delivery(seed: int) -> None:
    random = Random(seed)
    weights = [random.randint(1, 6) for _ in range(5)] + [random.randint(0, 3) for _ in range(9)]
    steps = random.choices(EACH_STEP, weights, k=250)
    with scheduled(steps, limit=random.choice([4, 8, 20])) as schedule:
        schedule.run()
        schedule.drain()
        check(schedule)


def test_full_disk_does_not_repeat_rows_that_cannot_be_deleted() -> None:
    with scheduled() as schedule:
        schedule.perform_all("offer_own offer_own offer_own turn take take take")
        schedule.perform_all("fill_disk send_newest send_newest fail_oldest")
        schedule.queue._unload(schedule.queue._own, 0)
        schedule.perform("turn")
        assert schedule.rows_on_disk == 3
        schedule.drain()
        check(schedule)


def test_rows_that_a_readable_file_lacks_are_lost_and_the_others_sent() -> None:
    with scheduled() as schedule:
        for _ in range(6):
            schedule.perform_all("offer_own turn")
        schedule.perform_all("offer_cluster offer_pair turn")
        assert schedule.queue._own.on_disk == 3
        schedule.spool._connection.execute("DELETE FROM delivery WHERE id IN (5, 8)")
        schedule.drain()
        stats = schedule.queue.stats()
        assert (stats.sent, stats.pending, stats.dropped) == (6, 0, {"spool_lost": 3})
        assert counters_add_up(stats)
        assert schedule.rows_on_disk == 0
        [message] = schedule.queue.problems
        assert message.startswith("rows are missing in the notification spool")
        schedule.perform("offer_own")
        schedule.drain()
        assert schedule.queue.stats().sent == 7


def test_cluster_whose_rows_are_all_missing_does_not_delay_a_flush() -> None:
    with scheduled() as schedule:
        for _ in range(6):
            schedule.perform_all("offer_cluster turn")
        schedule.perform_all("take send_oldest " * 4)
        schedule.spool._connection.execute("DELETE FROM delivery")
        schedule.perform("turn")
        assert schedule.queue.is_empty()
        assert list(schedule.queue._queues) == [None]
        assert schedule.queue.stats().dropped == {"spool_lost": 2}


def test_page_that_arrives_after_the_end_stays_on_disk() -> None:
    with scheduled() as schedule:
        for _ in range(6):
            schedule.perform_all("offer_own turn")
        schedule.perform_all("take send_oldest " * 4)
        page = schedule.queue.next_page()
        assert page is not None
        schedule.queue.end()
        row = schedule.spool.page(None, page.after, page.limit, page.max_bytes)[0]
        schedule.queue.add_page(page, [QueueEntry(None, row.count, 1, 0.0, body=row.body, row=row.id)])
        assert (schedule.queue._memory.held, schedule.queue.stats().pending) == (0, 2)


def test_lost_file_without_rows_counts_nothing_as_lost() -> None:
    with scheduled() as schedule:
        schedule.perform_all("offer_own turn")
        schedule.queue.file_lost()
        assert (schedule.queue.stats().dropped, schedule.queue.stats().telemetry_dropped) == ({}, 0)
