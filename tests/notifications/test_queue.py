"""Offering: bounded, counted, and never waiting for anybody."""

from __future__ import annotations

import threading

import pytest

from support.notifier import LONG_S, Desk, balanced, delivery, telemetry_only
from targetry.models import DeliveryRequest, Notification
from targetry.notifications.queue_entry import Delivery, QueueEntry


def test_the_newest_are_refused_when_there_are_too_many() -> None:
    desk = Desk(limit=2)
    assert desk.offer(delivery("a"), delivery("b"), delivery("c", "d")) == [True, True, False]
    assert desk.stats.dropped == {"queue_full": 2}
    desk.work()
    assert desk.api.received == {"a": 1, "b": 1}


def test_the_newest_are_refused_when_they_are_too_large() -> None:
    desk = Desk(max_bytes=200_000)
    large = Notification(id="x", tokens=["t" * 50_000], parameters={"p": "v" * 50_000})
    too_much = [Delivery("s", None, DeliveryRequest(notifications=[large]), 1) for _ in range(2)]
    assert desk.offer(*too_much, delivery()) == [True, False, True]


def test_room_is_made_when_a_delivery_is_settled() -> None:
    desk = Desk(limit=1, max_bytes=4096)
    for _ in range(5):
        assert desk.offer(delivery()) == [True]
        desk.work()


def test_a_delivery_under_way_still_takes_its_room() -> None:
    desk = Desk(limit=1)
    desk.offer(delivery())
    assert isinstance(desk.queue.take(0.0), QueueEntry)
    assert desk.offer(delivery()) == [False]


def test_an_offer_does_not_wait_for_who_holds_the_lock_and_is_not_forgotten() -> None:
    desk = Desk()
    with (
        desk.queue._holding
    ):  # a signal handler that interrupts an offer finds it like this, in its own thread
        assert desk.offer(delivery("a")) == [True]
        assert (desk.stats.accepted, desk.stats.pending) == (1, 1)
    assert (desk.stats.accepted, desk.stats.pending) == (1, 1)
    desk.work()
    assert desk.api.received == {"a": 1}


def test_an_offer_made_beside_the_lock_is_bounded_too() -> None:
    desk = Desk(limit=2)
    with desk.queue._holding:
        desk.offer(*(delivery() for _ in range(5)))
    assert (desk.stats.pending, desk.stats.dropped) == (2, {"queue_full": 3})


def test_what_is_handed_over_is_counted_and_bounded_at_every_moment() -> None:
    desk = Desk(limit=1000)
    with desk.queue._holding:
        accepted = 0
        for number in range(1, 301):
            accepted += desk.queue.offer(delivery())
            assert balanced(desk.stats)
            assert desk.stats.accepted == number
        assert accepted == len(desk.queue._handed_over) == 256
        assert (desk.stats.pending, desk.stats.dropped) == (256, {"queue_full": 44})
    assert (desk.stats.accepted, desk.stats.pending, desk.stats.dropped) == (300, 256, {"queue_full": 44})
    desk.work()
    assert desk.stats.sent == 256
    [event] = desk.events("notification_failed")
    assert (event["count"], len(event["notification_ids"])) == (44, 44)


def test_what_is_handed_over_counts_towards_the_limit() -> None:
    desk = Desk(limit=10)
    desk.offer(*(delivery() for _ in range(6)))
    with desk.queue._holding:
        desk.offer(*(delivery() for _ in range(10)))
        assert (desk.stats.pending, desk.stats.dropped) == (10, {"queue_full": 6})


def test_an_offer_takes_in_little_of_what_others_handed_over() -> None:
    desk = Desk()
    with desk.queue._lock:
        desk.offer(*(delivery() for _ in range(100)))
    desk.offer(delivery())
    assert len(desk.queue._handed_over) == 100 - 4
    assert desk.queue.has_work
    assert desk.queue.wakeup.wait(0)
    desk.work()
    assert desk.stats.sent == 101


def test_what_was_handed_over_before_the_close_is_sent() -> None:
    desk = Desk()
    with desk.queue._lock:
        desk.offer(delivery("before"))
        desk.queue.closed = True
        desk.offer(delivery("after"))
    desk.work()
    assert dict(desk.api.received) == {"before": 1}
    assert desk.stats.dropped == {"closed": 1}


def test_closing_in_a_signal_handler_that_interrupted_an_offer_comes_back() -> None:
    desk = Desk()
    desk.offer(delivery())
    with desk.queue._holding:
        assert not desk.queue.is_empty()
        desk.queue.end()
    assert desk.stats.pending == 1  # for a sender, who is the next to get the lock
    desk.queue.drop_pending()
    assert desk.stats.dropped == {"closed": 1}


def test_offers_from_many_threads_are_all_in_the_books() -> None:
    desk = Desk(limit=500)
    start = threading.Barrier(4)

    def offer() -> None:
        start.wait(LONG_S)
        desk.offer(*(delivery() for _ in range(300)))

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
def test_an_offer_of_something_odd_does_not_raise(notification: Notification) -> None:
    desk = Desk(limit=1)
    odd = Delivery("s", None, DeliveryRequest(notifications=[notification]), 1)
    assert desk.offer(odd, odd) == [True, False]
    desk.work()
    assert balanced(desk.stats)
    assert desk.stats.pending == 0
    assert {"reason": "queue_full", "count": 1} in [
        {"reason": told["reason"], "count": told["count"]} for told in desk.events("notification_failed")
    ]


def test_nothing_is_accepted_after_the_end() -> None:
    desk = Desk()
    desk.queue.end()
    assert desk.offer(delivery()) == [False]
    assert desk.stats.dropped == {"closed": 1}


def test_what_is_pending_at_the_end_is_dropped_wherever_it_is() -> None:
    desk = Desk()
    desk.offer(*(delivery() for _ in range(3)))
    under_way = desk.queue.take(0.0)
    failed = desk.queue.take(0.0)
    assert isinstance(under_way, QueueEntry)
    assert isinstance(failed, QueueEntry)
    desk.queue.mark_failed(failed, "no")
    desk.queue.end()
    assert (desk.stats.pending, desk.stats.dropped) == (0, {"closed": 3})
    desk.queue.mark_sent(under_way, 0.0)  # too late: it is in the books as dropped
    assert (desk.stats.sent, desk.stats.dropped) == (0, {"closed": 3})


def test_lost_telemetry_is_counted_and_not_told() -> None:
    desk = Desk(limit=1)
    desk.offer(delivery(), telemetry_only())
    desk.work()
    assert desk.stats.telemetry_dropped == 1
    assert desk.stats.dropped == {}
    assert desk.told.events == []


def test_waiting_ends_when_the_last_one_is_settled() -> None:
    desk = Desk()
    desk.offer(delivery(), delivery())
    done: list[bool] = []
    waiter = threading.Thread(target=lambda: done.append(desk.queue.wait_until(desk.queue.is_empty, LONG_S)))
    waiter.start()
    desk.work()
    waiter.join(LONG_S)
    assert done == [True]


def test_waiting_for_what_does_not_come_ends_too() -> None:
    desk = Desk()
    desk.offer(delivery())
    assert not desk.queue.wait_until(desk.queue.is_empty, 0.01)
