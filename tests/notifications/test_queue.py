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
    desk = SenderHarness(limit=2)
    assert desk.submit(delivery("a"), delivery("b"), delivery("c", "d")) == [True, True, False]
    assert desk.stats.dropped == {"queue_full": 2}
    desk.work()
    assert desk.api.received == {"a": 1, "b": 1}


def large(size: int) -> Delivery:
    """Return a delivery whose request has about `size` bytes."""
    notification = Notification(id="x", tokens=["t" * (size // 2)], parameters={"p": "v" * (size // 2)})
    return Delivery("s", None, DeliveryRequest(notifications=[notification]), 1)


def test_encoded_requests_count_for_their_bytes() -> None:
    desk = SenderHarness(DOWN, max_bytes=250_000)
    desk.submit(large(100_000))
    desk.work(0.1)  # fails and waits for a retry
    assert 100_000 < desk.queue._bytes < 101_000
    assert desk.submit(large(100_000), large(100_000)) == [True, False]
    assert desk.stats.dropped == {"queue_full": 1}


def test_waiting_requests_are_encoded_and_the_newest_dropped_beyond_the_limit() -> None:
    desk = SenderHarness(DOWN, max_bytes=450_000)
    desk.submit(*(large(100_000) for _ in range(10)))  # as large as the first estimate, so far
    assert desk.stats.pending == 10
    desk.work(0.1)
    assert desk.queue._bytes <= 450_000
    assert (desk.stats.pending, desk.stats.dropped) == (4, {"queue_full": 6})


def test_small_requests_count_for_less_than_the_first_estimate() -> None:
    desk = SenderHarness(Replies(OK, DOWN), max_bytes=4096)
    desk.submit(delivery())
    desk.work()
    size = desk.queue._estimate
    assert size < 400
    assert sum(desk.submit(*(delivery() for _ in range(100)))) == 4096 // size


def test_request_is_built_once_although_it_waits_encoded() -> None:
    desk = SenderHarness(Replies(DOWN, OK), limit=10)
    desk.submit(*(delivery() for _ in range(5)))
    waiting = [entry for queue in desk.queue._queues.values() for entry in queue.not_encoded()]
    desk.work()
    assert desk.stats.sent == len(waiting) == 5
    assert all(entry.is_encoded for entry in waiting)


def test_room_is_made_when_a_delivery_is_settled() -> None:
    desk = SenderHarness(limit=1, max_bytes=4096)
    for _ in range(5):
        assert desk.submit(delivery()) == [True]
        desk.work()


def test_a_delivery_under_way_still_takes_its_room() -> None:
    desk = SenderHarness(limit=1)
    desk.submit(delivery())
    assert desk.queue.dequeue(0.0).entry is not None
    assert desk.submit(delivery()) == [False]


def test_submission_does_not_wait_for_the_lock_and_is_not_lost() -> None:
    desk = SenderHarness()
    with (
        desk.queue._holding
    ):  # a signal handler that interrupts an offer finds it like this, in its own thread
        assert desk.submit(delivery("a")) == [True]
        assert (desk.stats.accepted, desk.stats.pending) == (1, 1)
    assert (desk.stats.accepted, desk.stats.pending) == (1, 1)
    desk.work()
    assert desk.api.received == {"a": 1}


def test_submissions_without_the_lock_are_bounded() -> None:
    desk = SenderHarness(limit=2)
    with desk.queue._holding:
        desk.submit(*(delivery() for _ in range(5)))
    assert (desk.stats.pending, desk.stats.dropped) == (2, {"queue_full": 3})


def test_handed_over_deliveries_are_counted_and_bounded_at_every_moment() -> None:
    desk = SenderHarness(limit=1000)
    with desk.queue._holding:
        accepted = 0
        for number in range(1, 301):
            accepted += desk.queue.submit(delivery())
            assert counters_add_up(desk.stats)
            assert desk.stats.accepted == number
        assert accepted == len(desk.queue._handed_over) == 256
        assert (desk.stats.pending, desk.stats.dropped) == (256, {"queue_full": 44})
    assert (desk.stats.accepted, desk.stats.pending, desk.stats.dropped) == (300, 256, {"queue_full": 44})
    desk.work()
    assert desk.stats.sent == 256
    [event] = desk.events("notification_failed")
    assert (event["count"], event["notification_ids"]) == (44, [])  # they were never built


def test_handed_over_deliveries_count_towards_the_limit() -> None:
    desk = SenderHarness(limit=10)
    desk.submit(*(delivery() for _ in range(6)))
    with desk.queue._holding:
        desk.submit(*(delivery() for _ in range(10)))
        assert (desk.stats.pending, desk.stats.dropped) == (10, {"queue_full": 6})


def test_submission_takes_over_few_deliveries_of_others() -> None:
    desk = SenderHarness()
    with desk.queue._lock:
        desk.submit(*(delivery() for _ in range(100)))
    desk.submit(delivery())
    assert len(desk.queue._handed_over) == 100 - 4
    assert desk.queue.has_work
    assert desk.queue.wakeup.wait(0)
    desk.work()
    assert desk.stats.sent == 101


def test_delivery_handed_over_before_the_close_is_sent() -> None:
    desk = SenderHarness()
    with desk.queue._lock:
        desk.submit(delivery("before"))
        desk.queue.closed = True
        desk.submit(delivery("after"))
    desk.work()
    assert dict(desk.api.received) == {"before": 1}
    assert desk.stats.dropped == {"closed": 1}


def test_end_in_a_signal_handler_that_interrupted_a_submission_returns() -> None:
    desk = SenderHarness()
    desk.submit(delivery())
    with desk.queue._holding:
        assert not desk.queue.is_empty()
        desk.queue.end()
    assert desk.stats.pending == 1  # for a sender, who is the next to get the lock
    desk.queue.drop_pending()
    assert desk.stats.dropped == {"closed": 1}


def test_submissions_of_many_threads_are_all_counted() -> None:
    desk = SenderHarness(limit=500)
    start = threading.Barrier(4)

    def offer() -> None:
        start.wait(LONG_S)
        desk.submit(*(delivery() for _ in range(300)))

    threads = [threading.Thread(target=offer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert (desk.stats.accepted, desk.stats.pending, desk.stats.dropped) == (1200, 500, {"queue_full": 700})


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
    desk = SenderHarness(limit=1)
    odd = Delivery("s", None, DeliveryRequest(notifications=[notification]), 1)
    assert desk.submit(odd, odd) == [True, False]
    desk.work()
    assert counters_add_up(desk.stats)
    assert desk.stats.pending == 0
    assert {"reason": "queue_full", "count": 1} in [
        {"reason": emitted["reason"], "count": emitted["count"]}
        for emitted in desk.events("notification_failed")
    ]


def test_nothing_is_accepted_after_the_end() -> None:
    desk = SenderHarness()
    desk.queue.end()
    assert desk.submit(delivery()) == [False]
    assert desk.stats.dropped == {"closed": 1}


def test_end_drops_pending_deliveries_in_every_state() -> None:
    desk = SenderHarness()
    desk.submit(*(delivery() for _ in range(3)))
    under_way = desk.queue.dequeue(0.0).entry
    failed = desk.queue.dequeue(0.0).entry
    assert under_way is not None
    assert failed is not None
    desk.queue.mark_failed(failed, "no")
    desk.queue.end()
    assert (desk.stats.pending, desk.stats.dropped) == (0, {"closed": 3})
    desk.queue.mark_sent(under_way, 0.0)  # too late: it is in the books as dropped
    assert (desk.stats.sent, desk.stats.dropped) == (0, {"closed": 3})


def test_lost_telemetry_is_counted_and_emits_no_event() -> None:
    desk = SenderHarness(limit=1)
    desk.submit(delivery(), telemetry_only())
    desk.work()
    assert desk.stats.telemetry_dropped == 1
    assert desk.stats.dropped == {}
    assert desk.emitted.events == []


def test_waiting_ends_when_the_last_one_is_settled() -> None:
    desk = SenderHarness()
    desk.submit(delivery(), delivery())
    done: list[bool] = []
    waiter = threading.Thread(target=lambda: done.append(desk.queue.wait_until(desk.queue.is_empty, LONG_S)))
    waiter.start()
    desk.work()
    waiter.join(LONG_S)
    assert done == [True]


def test_wait_ends_at_its_timeout() -> None:
    desk = SenderHarness()
    desk.submit(delivery())
    assert not desk.queue.wait_until(desk.queue.is_empty, 0.01)
