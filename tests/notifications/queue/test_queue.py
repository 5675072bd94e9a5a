"""Submission to the queue: bounded, counted, and without waiting."""

from __future__ import annotations

import threading

import pytest

from support.notifier import (
    DOWN,
    LONG_S,
    OK,
    Delivery,
    Replies,
    SenderHarness,
    counters_add_up,
    delivery,
    telemetry_only,
)
from targetry.models import DeliveryRequest, Notification


def test_newest_deliveries_are_refused_beyond_the_limit() -> None:
    harness = SenderHarness(limit=2)
    assert harness.submit(delivery("a"), delivery("b"), delivery("c", "d")) == [True, True, False]
    assert harness.stats.dropped == {"queue_full": 2}
    harness.work()
    assert harness.api.received == {"a": 1, "b": 1}


def large(size: int) -> Delivery:
    """Return a delivery whose request has about `size` bytes."""
    notification = Notification(id="x", tokens=["t" * (size // 2)], parameters={"p": "v" * (size // 2)})
    return Delivery("s", None, DeliveryRequest(notifications=[notification]), 1)


def test_encoded_requests_count_for_their_bytes() -> None:
    harness = SenderHarness(DOWN, max_bytes=250_000)
    harness.submit(large(100_000))
    harness.work(0.1)  # fails and waits for a retry
    assert 100_000 < harness.queue._memory.size < 101_000
    assert harness.submit(large(100_000), large(100_000)) == [True, False]
    assert harness.stats.dropped == {"queue_full": 1}


def test_waiting_requests_are_encoded_and_the_newest_dropped_beyond_the_limit() -> None:
    harness = SenderHarness(DOWN, max_bytes=450_000)
    harness.submit(*(large(100_000) for _ in range(10)))  # as large as the first estimate, so far
    assert harness.stats.pending == 10
    harness.work(0.1)
    assert harness.queue._memory.size <= 450_000
    assert (harness.stats.pending, harness.stats.dropped) == (4, {"queue_full": 6})


def test_small_requests_count_for_less_than_the_first_estimate() -> None:
    harness = SenderHarness(Replies(OK, DOWN), max_bytes=4096)
    harness.submit(delivery())
    harness.work()
    size = harness.queue._memory.estimate
    assert size < 400
    assert sum(harness.submit(*(delivery() for _ in range(100)))) == 4096 // size


def test_request_is_built_once_although_it_waits_encoded() -> None:
    harness = SenderHarness(Replies(DOWN, OK), limit=10)
    harness.submit(*(delivery() for _ in range(5)))
    harness.queue.is_reachable()  # enqueues them
    waiting = [entry for queue in harness.queue._queues.values() for entry in queue.not_encoded()]
    harness.work()
    assert harness.stats.sent == len(waiting) == 5
    assert all(entry.is_encoded for entry in waiting)


def test_settled_delivery_frees_its_space() -> None:
    harness = SenderHarness(limit=1, max_bytes=4096)
    for _ in range(5):
        assert harness.submit(delivery()) == [True]
        harness.work()


def test_delivery_in_progress_counts_for_the_limit() -> None:
    harness = SenderHarness(limit=1)
    harness.submit(delivery())
    assert harness.queue.dequeue(0.0).entry is not None
    assert harness.submit(delivery()) == [False]


def test_submission_does_not_wait_for_the_lock_and_is_not_lost() -> None:
    harness = SenderHarness()
    with (
        harness.queue._holding
    ):  # a signal handler that interrupts an offer finds it like this, in its own thread
        assert harness.submit(delivery("a")) == [True]
        assert (harness.stats.accepted, harness.stats.pending) == (1, 1)
    assert (harness.stats.accepted, harness.stats.pending) == (1, 1)
    harness.work()
    assert harness.api.received == {"a": 1}


def test_submissions_without_the_lock_are_bounded() -> None:
    harness = SenderHarness(limit=2)
    with harness.queue._holding:
        harness.submit(*(delivery() for _ in range(5)))
    assert (harness.stats.pending, harness.stats.dropped) == (2, {"queue_full": 3})


def test_handed_over_deliveries_are_counted_and_bounded_at_every_moment() -> None:
    harness = SenderHarness(limit=256)
    with harness.queue._holding:
        accepted = 0
        for number in range(1, 301):
            accepted += harness.queue.submit(delivery())
            assert counters_add_up(harness.stats)
            assert harness.stats.accepted == number
        assert accepted == len(harness.queue._handed_over) == 256
        assert (harness.stats.pending, harness.stats.dropped) == (256, {"queue_full": 44})
    assert (harness.stats.accepted, harness.stats.pending, harness.stats.dropped) == (
        300,
        256,
        {"queue_full": 44},
    )
    harness.work()
    assert harness.stats.sent == 256
    [event] = harness.events("notification_failed")
    assert (event["count"], event["notification_ids"]) == (44, [])  # they were never built


def test_delivery_is_handed_over_while_all_senders_are_on_calls() -> None:
    harness = SenderHarness()
    with harness.queue._holding:
        harness.queue._all_busy = True
        assert harness.submit(delivery("busy")) == [True]
    harness.work()
    assert dict(harness.api.received) == {"busy": 1}


def test_handed_over_deliveries_count_towards_the_limit() -> None:
    harness = SenderHarness(limit=10)
    harness.submit(*(delivery() for _ in range(6)))
    with harness.queue._holding:
        harness.submit(*(delivery() for _ in range(10)))
        assert (harness.stats.pending, harness.stats.dropped) == (10, {"queue_full": 6})


def test_submission_to_a_full_queue_takes_over_few_deliveries_of_others() -> None:
    harness = SenderHarness(limit=100)
    harness.submit(*(delivery() for _ in range(100)))
    assert harness.submit(delivery()) == [False]
    assert len(harness.queue._handed_over) == 100 - 4
    assert harness.queue.has_work
    assert harness.queue.wakeup.wait(0)
    harness.work()
    assert harness.stats.sent == 100


def test_delivery_handed_over_before_the_close_is_sent() -> None:
    harness = SenderHarness()
    with harness.queue._lock:
        harness.submit(delivery("before"))
        harness.queue.closed = True
        harness.submit(delivery("after"))
    harness.work()
    assert dict(harness.api.received) == {"before": 1}
    assert harness.stats.dropped == {"closed": 1}


def test_end_in_a_signal_handler_that_interrupted_a_submission_returns() -> None:
    harness = SenderHarness()
    harness.submit(delivery())
    assert harness.queue.is_reachable()
    with harness.queue._holding:
        assert not harness.queue.is_empty()
        harness.queue.end()
    assert harness.stats.pending == 1  # for a sender, who is the next to get the lock
    harness.queue.drop_pending()
    assert harness.stats.dropped == {"closed": 1}


def test_submissions_of_many_threads_are_all_counted() -> None:
    harness = SenderHarness(limit=500)
    start = threading.Barrier(4)

    def offer() -> None:
        start.wait(LONG_S)
        harness.submit(*(delivery() for _ in range(300)))

    threads = [threading.Thread(target=offer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert (harness.stats.accepted, harness.stats.pending, harness.stats.dropped) == (
        1200,
        500,
        {"queue_full": 700},
    )


@pytest.mark.parametrize(
    "notification",
    [
        Notification(id="a", tokens=[None]),  # type: ignore[list-item]
        Notification(id="a", parameters={"p": 1}),
        Notification(id="a", tokens=7),  # type: ignore[arg-type]
        None,
    ],
    ids=["token", "parameter", "tokens", "notification"],
)
def test_submission_of_an_invalid_request_does_not_raise(notification: Notification) -> None:
    harness = SenderHarness(limit=1)
    odd = Delivery("s", None, DeliveryRequest(notifications=[notification]), 1)
    assert harness.submit(odd, odd) == [True, False]
    harness.work()
    assert counters_add_up(harness.stats)
    assert harness.stats.pending == 0
    assert {"reason": "queue_full", "count": 1} in [
        {"reason": emitted["reason"], "count": emitted["count"]}
        for emitted in harness.events("notification_failed")
    ]


def test_nothing_is_accepted_after_the_end() -> None:
    harness = SenderHarness()
    harness.queue.end()
    assert harness.submit(delivery()) == [False]
    assert harness.stats.dropped == {"closed": 1}


def test_end_drops_pending_deliveries_in_every_state() -> None:
    harness = SenderHarness()
    harness.submit(*(delivery() for _ in range(3)))
    under_way = harness.queue.dequeue(0.0).entry
    failed = harness.queue.dequeue(0.0).entry
    assert under_way is not None
    assert failed is not None
    harness.queue.mark_failed(failed, "no")
    harness.queue.end()
    assert (harness.stats.pending, harness.stats.dropped) == (0, {"closed": 3})
    harness.queue.mark_sent(under_way, 0.0)  # too late, as it is counted as dropped
    assert (harness.stats.sent, harness.stats.dropped) == (0, {"closed": 3})


def test_lost_telemetry_is_counted_and_emits_no_event() -> None:
    harness = SenderHarness(limit=1)
    harness.submit(delivery(), telemetry_only())
    harness.work()
    assert harness.stats.telemetry_dropped == 1
    assert harness.stats.dropped == {}
    assert harness.emitted.events == []


def test_waiting_ends_when_the_last_one_is_settled() -> None:
    harness = SenderHarness()
    harness.submit(delivery(), delivery())
    done: list[bool] = []
    waiter = threading.Thread(
        target=lambda: done.append(harness.queue.wait_until(harness.queue.is_empty, LONG_S))
    )
    waiter.start()
    harness.work()
    waiter.join(LONG_S)
    assert done == [True]


def test_wait_ends_at_its_timeout() -> None:
    harness = SenderHarness()
    harness.submit(delivery())
    assert not harness.queue.wait_until(harness.queue.is_empty, 0.01)
