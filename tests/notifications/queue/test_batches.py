"""Batches: impressions of one visitor that are pending together go in one call."""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.background_fakes import answer
from support.cases import each_case
from support.notifier import (
    DOWN,
    LONG_S,
    OK,
    Replies,
    Reply,
    SenderHarness,
    counters_add_up,
    delivery,
    ids_in,
)
from targetry._runtime.sync_primitives import WakeupEvent
from targetry.http.protocol import HttpRequest
from targetry.notifications.queue.entry import MAX_BATCH
from targetry.notifications.queue.queue import NotificationQueue
from targetry.notifications.queue.retry_policy import RetryPolicy

REFUSED = answer(400, b"no such token", reason="Bad Request")
GOOD, WRONG = "good", "wrong"


def batched(*ids: str, visitor: object = "visitor", cluster: str | None = None) -> Any:
    return msgspec.structs.replace(delivery(*ids, cluster=cluster), batch=visitor)


def refusing(request: HttpRequest) -> Reply:
    """Answer as the Delivery API: one wrong notification, and the whole call is refused."""
    return REFUSED if any(one.startswith(WRONG) for one in ids_in(request.body)) else OK


def bodies(harness: SenderHarness) -> list[list[str]]:
    return [ids_in(request.body) for request in harness.api.requests]


def test_pending_impressions_of_one_visitor_are_one_call() -> None:
    harness = SenderHarness()
    harness.submit(*(batched(str(number)) for number in range(10)))
    assert (harness.stats.accepted, harness.stats.pending) == (10, 10)
    harness.work()
    assert bodies(harness) == [[str(number) for number in range(10)]]
    assert harness.stats.sent == 10


def test_visitors_and_clusters_are_not_mixed() -> None:
    harness = SenderHarness()
    harness.clusters.add("44")
    harness.submit(
        batched("a1", visitor="a"),
        batched("b1", visitor="b"),
        delivery("alone"),
        batched("a2", visitor="a"),
        batched("a3", visitor="a", cluster="44"),
        batched("b2", visitor="b"),
    )
    harness.work()
    assert sorted(bodies(harness)) == [["a1", "a2"], ["a3"], ["alone"], ["b1", "b2"]]


def test_full_batch_is_followed_by_another() -> None:
    harness = SenderHarness()
    harness.submit(*(batched(f"{number:03}") for number in range(2 * MAX_BATCH + 1)))
    harness.work()
    assert [len(one) for one in bodies(harness)] == [MAX_BATCH, MAX_BATCH, 1]
    assert len(harness.queue._batches) == 0


def test_batch_under_way_takes_no_more() -> None:
    harness = SenderHarness()
    harness.submit(batched("a"))
    under_way = harness.queue.dequeue(harness.clock()).entry
    assert under_way is not None
    harness.submit(batched("b"))
    harness.work()
    assert bodies(harness) == [["b"]]
    assert under_way.count == 1


def test_each_impression_of_a_batch_takes_its_room() -> None:
    harness = SenderHarness(limit=3)
    assert harness.submit(*(batched(str(number)) for number in range(4))) == [True, True, True, False]
    assert harness.stats.dropped == {"queue_full": 1}
    harness.work()
    assert harness.queue._memory.held == harness.queue._memory.size == 0
    assert harness.submit(*(batched(str(number)) for number in range(3))) == [True, True, True]


@pytest.fixture
def lingering() -> SenderHarness:
    """Return a harness whose batches wait ten milliseconds."""
    harness = SenderHarness()
    harness.queue._batches.linger_s = 0.01
    return harness


def test_batch_waits_a_moment_for_more(lingering: SenderHarness) -> None:
    lingering.submit(batched("a"))
    assert lingering.sender.step() == pytest.approx(0.01)
    lingering.submit(batched("b"))
    lingering.clock.advance(0.006)
    assert lingering.sender.step() == pytest.approx(0.004)
    lingering.clock.advance(0.005)
    lingering.submit(batched("c"))
    lingering.sender.step()
    assert bodies(lingering) == [["a", "b", "c"]]


def test_flush_ends_the_wait_for_more(lingering: SenderHarness) -> None:
    lingering.submit(batched("a"))
    lingering.queue.skip_backoff()
    assert lingering.sender.step() == 0.0
    assert bodies(lingering) == [["a"]]


def test_other_deliveries_do_not_wait(lingering: SenderHarness) -> None:
    lingering.submit(delivery("a"))
    assert lingering.sender.step() == 0.0
    assert bodies(lingering) == [["a"]]


# Refused calls


def test_notifications_of_a_refused_call_are_sent_one_by_one() -> None:
    harness = SenderHarness(refusing)
    harness.submit(*(batched(one) for one in ("a", "wrong 1", "b", "wrong 2")))
    harness.work()
    assert bodies(harness) == [["a", "wrong 1", "b", "wrong 2"], ["a"], ["wrong 1"], ["b"], ["wrong 2"]]
    assert (harness.stats.sent, harness.stats.dropped) == (2, {"rejected": 2})
    assert [event["notification_ids"] for event in harness.events("notification_failed")] == [
        ["wrong 1"],
        ["wrong 2"],
    ]
    requests = [msgspec.json.decode(request.body or b"")["requestId"] for request in harness.api.requests]
    assert len(set(requests)) == 5


def test_event_of_a_refused_notification_has_only_that_one() -> None:
    harness = SenderHarness(refusing)
    harness.submit(delivery("a", "wrong"))
    harness.work()
    [event] = harness.events("send_notification_error")
    assert [one.id for one in event["notification"].value().notifications] == ["wrong"]


@each_case("status", [401, 403, 404, 301, 501])
def test_call_refused_for_another_cause_is_not_split(status: int) -> None:
    harness = SenderHarness(answer(status))
    harness.submit(delivery("a", "b"))
    harness.work()
    assert (len(harness.api.requests), harness.stats.dropped) == (1, {"rejected": 2})


def test_part_of_a_refused_call_is_retried_with_its_ids() -> None:
    harness = SenderHarness(Replies(REFUSED, DOWN, OK))
    harness.submit(delivery("a", "b"))
    harness.work()
    _, failed, again, last = harness.api.requests
    assert again == msgspec.structs.replace(failed, resend_count=1)
    assert failed.resend_count == last.resend_count == 0
    assert ids_in(last.body) == ["b"]
    assert (harness.stats.sent, harness.stats.retries) == (2, 1)


def test_part_that_is_never_processed_costs_no_other() -> None:
    def reply(request: HttpRequest) -> Reply:
        ids = ids_in(request.body)
        if len(ids) > 1:
            return REFUSED
        return answer(200, msgspec.json.encode({"notifications": [{"id": one} for one in ids if one != "b"]}))

    harness = SenderHarness(reply, policy=RetryPolicy(max_isolated_failures=2))
    harness.submit(delivery("a", "b", "c"))
    harness.work()
    assert harness.api.received.keys() == {"a", "b", "c"}
    assert (harness.stats.sent, harness.stats.dropped) == (2, {"unprocessed": 1})


def test_close_counts_the_rest_of_a_refused_call() -> None:
    harness = SenderHarness(Replies(REFUSED, OK))
    harness.submit(delivery("a", "b", "c"))
    harness.sender.step()
    harness.sender.step()
    harness.queue.end()
    assert (harness.stats.sent, harness.stats.dropped, harness.stats.pending) == (1, {"closed": 2}, 0)


VISITORS = st.sampled_from(["v1", "v2", None])
STEPS = st.one_of(
    st.tuples(st.just("submit"), VISITORS, st.sampled_from([GOOD, WRONG])),
    st.tuples(st.just("work"), st.sampled_from(["up", "down", "lost"]), st.just("")),
    st.tuples(st.just("encode"), st.none(), st.just("")),
    st.tuples(st.just("flush"), st.none(), st.just("")),
)


@given(steps=st.lists(STEPS, max_size=40), limit=st.integers(1, 12), end=st.booleans())
def test_each_impression_counts_once_whatever_happens(steps: Any, limit: int, end: bool) -> None:
    """Check counters and API: each impression at most once, and sent or dropped for a reason."""
    mood = "up"

    def reply(request: HttpRequest) -> Reply:
        return refusing(request) if mood == "up" else DOWN if mood == "down" else ConnectionError("lost")

    harness = SenderHarness(reply, limit=limit)
    harness.queue._batches.linger_s = 0.01
    submitted = 0
    for step, subject, kind in steps:
        if step == "submit":
            submitted += 1
            one = (
                delivery(f"{kind} {submitted}")
                if subject is None
                else batched(f"{kind} {submitted}", visitor=subject)
            )
            harness.submit(one)
        elif step == "work":
            mood = subject
            harness.work(0.2)
        elif step == "encode":
            harness.queue.encode_waiting(harness.sender._build_request)
        else:
            harness.queue.skip_backoff()
        assert counters_add_up(harness.stats)
        assert harness.stats.accepted == submitted
    mood = "up"
    if not end:
        harness.work()
    harness.queue.end()
    stats = harness.stats
    assert stats.pending == 0
    assert stats.accepted == submitted == stats.sent + sum(stats.dropped.values())
    assert harness.api.received == Counter(dict.fromkeys(harness.api.received, 1))
    assert stats.sent == len(harness.api.received)
    assert not any(one.startswith(WRONG) for one in harness.api.received)
    if not end:
        assert stats.dropped.keys() <= {"queue_full", "rejected"}
    assert harness.queue._memory.held == harness.queue._memory.size == len(harness.queue._batches) == 0


# Threads


def test_sleeping_sender_wakes_for_what_is_handed_over() -> None:
    queue = SenderHarness().queue
    slept: list[bool] = []
    asleep = threading.Event()

    def wait(wakeup: WakeupEvent, seconds: float) -> bool:
        asleep.set()
        return wakeup.wait(seconds)

    sender = threading.Thread(target=lambda: slept.append(queue.sleep(LONG_S, wait)))
    sender.start()
    assert asleep.wait(LONG_S)
    queue.submit(delivery())
    sender.join(LONG_S)
    assert slept == [True]


def test_no_sender_sleeps_over_what_was_handed_over_before() -> None:
    queue = SenderHarness().queue
    queue.submit(delivery())
    assert queue.sleep(math.inf, lambda *_: pytest.fail("it must not wait"))


def test_submission_does_not_wake_a_sender_that_looks_again_soon(lingering: SenderHarness) -> None:
    queue: NotificationQueue = lingering.queue

    def wait(wakeup: WakeupEvent, seconds: float) -> bool:
        queue.submit(batched("b"))
        return wakeup.wait(0)

    assert not queue.sleep(0.01, wait)
