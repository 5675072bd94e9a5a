"""The sender without threads: outcome of each delivery, and its events."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.background_fakes import answer
from support.cases import each_case
from support.examples import examples
from support.notifier import (
    DOWN,
    OK,
    URL,
    Delivery,
    Replies,
    Reply,
    SenderHarness,
    counters_add_up,
    delivery,
    ids_in,
    telemetry_only,
)
from targetry.errors import ApiException, DeadlineError, TransportError
from targetry.http.protocol import HttpRequest
from targetry.models import DeliveryRequest, Notification
from targetry.notifications.queue.entry import Dequeued, QueueEntry
from targetry.notifications.queue.retry_policy import RetryPolicy

REFUSED = TransportError(reason="connection refused")


def test_delivery_is_posted_as_it_is() -> None:
    harness = SenderHarness()
    one = delivery("a", "b")
    harness.submit(one)
    harness.work()
    [request] = harness.api.requests
    assert (request.method, request.url) == ("POST", URL)
    assert DeliveryRequest.from_json(request.body or b"") == one.request
    assert request.headers["X-EXC-SDK"] == "Targetry"
    assert len(request.headers["X-Request-Id"]) == 36
    assert harness.api.timeouts == [3.0]
    assert harness.stats.sent == 2
    assert harness.emitted.events == []
    assert harness.lines.errors == []


def test_status_204_is_a_success() -> None:
    harness = SenderHarness(answer(204))
    harness.submit(delivery())
    harness.work()
    assert harness.stats.sent == 1


def test_deliveries_keep_their_order() -> None:
    harness = SenderHarness()
    harness.submit(delivery("a"), delivery("b"), delivery("c"))
    harness.work()
    assert list(harness.api.received) == ["a", "b", "c"]


@each_case(
    "failure",
    [
        REFUSED,
        DeadlineError(reason="timed out"),
        RuntimeError("a transport of the user's"),
        answer(200, b"<html>"),
        *[answer(status) for status in (408, 429, 500, 502, 503, 504)],
    ],
    ids=repr,
)
def test_passing_failure_is_retried_with_the_same_ids(failure: Reply) -> None:
    harness = SenderHarness(Replies(failure, failure, OK))
    harness.submit(delivery())
    assert harness.work() == 1.5  # half a second and one
    first, *others = harness.api.requests
    assert others == [msgspec.structs.replace(first, resend_count=number) for number in (1, 2)]
    assert (harness.stats.sent, harness.stats.retries) == (1, 2)
    assert harness.emitted.events == []
    assert len(harness.lines.errors) == 1


@each_case("status", [301, 400, 401, 403, 404, 405, 413, 422, 501])
def test_rejected_delivery_is_not_retried(status: int) -> None:
    harness = SenderHarness(answer(status, b"no such token", reason="RefusedDeliveries"))
    harness.submit(delivery("a"))
    harness.work()
    assert len(harness.api.requests) == 1
    assert harness.stats.dropped == {"rejected": 1}
    assert harness.stats.last_error == f"{status} RefusedDeliveries"


def test_dropped_delivery_is_reported_with_its_error() -> None:
    harness = SenderHarness(answer(400, b"no such token", reason="Bad Request"))
    one = delivery("a")
    harness.submit(one)
    harness.work()
    [failed] = harness.events("notification_failed")
    [error] = harness.events("send_notification_error")
    assert (failed["reason"], failed["count"], failed["notification_ids"]) == ("rejected", 1, ["a"])
    assert failed["error"] is error["error"]
    assert isinstance(error["error"], ApiException)
    assert (error["error"].status, error["error"].body) == (400, "no such token")
    assert error["notification"].value() == one.request
    assert harness.lines.errors == [
        "notifications were dropped, so far 1 rejected: last error 400 Bad Request"
    ]


def test_dropped_telemetry_emits_no_event() -> None:
    harness = SenderHarness(answer(400))
    harness.submit(telemetry_only())
    harness.work()
    assert harness.stats.telemetry_dropped == 1
    assert harness.emitted.events == []


def test_many_drops_of_a_kind_are_one_line_a_minute_and_all_counted() -> None:
    harness = SenderHarness(answer(400))
    for _ in range(130):
        harness.submit(delivery())
        harness.work()
        harness.clock.advance(1.0)
    assert len(harness.events("notification_failed")) == harness.stats.dropped["rejected"] == 130
    assert len(harness.lines.errors) == 3


@each_case(
    "headers, waited",
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.5),
        ({"retry_after": "100000"}, 600.0),
        ({"retry_after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry_after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": "Tue, 14 Nov 2023 22:13:38 GMT"}, 12.0),
        ({"retry_after": "Mon, 13 Nov 2023 22:13:50 GMT"}, 0.5),
        ({"retry_after": "soon"}, 0.5),
    ],
    ids=["seconds", "now", "too long", "date", "date by the server's clock", "past date", "nonsense"],
)
def test_retry_after_is_obeyed(headers: dict[str, str], waited: float) -> None:
    numbers = iter([1.0, 0.0, 1.0])
    harness = SenderHarness(Replies(answer(503, b"", "", **headers), OK), random=lambda: next(numbers))
    harness.submit(delivery())
    assert harness.work() == pytest.approx(waited)


def test_request_after_a_denial_waits_for_a_minute() -> None:
    harness = SenderHarness(Replies(answer(403), OK), random=lambda: 0.0)
    harness.submit(delivery("a"), delivery("b"))
    assert harness.work() == 60.0
    assert harness.api.received == {"b": 1}
    assert harness.stats.dropped == {"rejected": 1}


def test_suspect_host_gets_one_call_at_a_time() -> None:
    harness = SenderHarness(DOWN, policy=RetryPolicy(suspect_after=1))
    harness.submit(*(delivery() for _ in range(3)))
    harness.sender.step()
    harness.clock.advance(0.5)
    assert harness.queue.dequeue(harness.clock()).entry is not None
    assert harness.queue.dequeue(harness.clock()) == Dequeued(None, math.inf)


def test_long_outage_loses_no_delivery() -> None:
    harness = SenderHarness(DOWN)
    harness.submit(delivery("a"), delivery("b"))
    harness.work(seconds=10 * 3600)
    assert harness.stats.pending == 2
    harness.api.reply = OK
    harness.work()
    assert harness.api.received == {"a": 1, "b": 1}


def test_delivery_that_fails_while_others_succeed_is_dropped() -> None:
    def reply(request: HttpRequest) -> Reply:
        return answer(500) if ids_in(request.body) == ["poison"] else OK

    harness = SenderHarness(reply)
    harness.submit(delivery("poison"))
    for _ in range(100):
        harness.submit(delivery())
        harness.work(seconds=1.0)
    assert harness.stats.dropped == {"expired": 1}
    assert harness.stats.sent == 100
    assert sum(ids_in(request.body) == ["poison"] for request in harness.api.requests) <= 20


def test_expired_delivery_is_dropped_without_an_attempt() -> None:
    harness = SenderHarness()
    harness.submit(delivery("old"))
    harness.clock.advance(86_401)
    harness.submit(delivery("new"))
    harness.work()
    assert harness.stats.dropped == {"expired": 1}
    assert harness.api.received == {"new": 1}
    assert "86400 s" in str(harness.events("send_notification_error")[0]["error"])


def test_only_unprocessed_notifications_are_sent_again() -> None:
    harness = SenderHarness(Replies(answer(200, b'{"notifications":[{"id":"b"}]}'), OK))
    harness.submit(delivery("a", "b", "c"))
    harness.work()
    assert [ids_in(request.body) for request in harness.api.requests] == [["a", "b", "c"], ["a", "c"]]
    assert (harness.stats.sent, harness.stats.retries) == (3, 1)


def test_notification_that_is_never_processed_is_dropped_and_reported() -> None:
    harness = SenderHarness(
        answer(200, b'{"notifications":[{"id":"b"}]}'), policy=RetryPolicy(max_isolated_failures=3)
    )
    harness.submit(delivery("a", "b"))
    harness.work()
    assert (harness.stats.sent, harness.stats.dropped) == (1, {"unprocessed": 1})
    assert len(harness.api.requests) == 3
    assert harness.events("notification_failed")[0]["notification_ids"] == ["a"]
    [emitted] = harness.events("send_notification_error")
    assert [one.id for one in emitted["notification"].value().notifications] == ["a"]


def test_invalid_request_is_dropped_and_delays_no_other() -> None:
    harness = SenderHarness()
    harness.submit(
        Delivery("s1", None, DeliveryRequest(notifications=[Notification(id="a", tokens=[object()])]), 1)
    )  # type: ignore[list-item]
    harness.submit(delivery("b"))
    harness.work()
    assert (harness.stats.dropped, harness.api.received) == ({"invalid": 1}, {"b": 1})


def test_event_lists_ids_of_a_hundred_encoded_deliveries_that_are_dropped_at_the_end() -> None:
    harness = SenderHarness(DOWN)
    harness.submit(*(delivery(f"n{n}") for n in range(150)))
    harness.work(0.1)  # the first one fails, and the others are encoded meanwhile
    harness.queue.end()
    harness.sender.emit_pending_events()
    [event] = harness.events("notification_failed")
    assert (event["reason"], event["count"], event["error"]) == ("closed", 150, None)
    assert len(set(event["notification_ids"])) == 100


def test_refused_deliveries_are_reported_together_once_a_second() -> None:
    harness = SenderHarness(limit=1)
    harness.submit(delivery("in"), *(delivery(f"out{n}") for n in range(150)))
    harness.work()
    [emitted] = harness.events("notification_failed")
    assert (emitted["reason"], emitted["count"], emitted["error"]) == ("queue_full", 150, None)
    assert emitted["notification_ids"] == []  # they were never built

    harness.submit(delivery(), delivery("late"))
    assert harness.work() == 1.0
    assert [one["count"] for one in harness.events("notification_failed")] == [150, 1]


def test_handler_that_raises_does_not_stop_the_sender() -> None:
    def emit(name: str, **payload: Any) -> None:
        raise ValueError("the handler's")

    harness = SenderHarness(Replies(answer(400), OK), emit=emit)
    harness.submit(delivery(), delivery())
    harness.work()
    assert (harness.stats.sent, harness.stats.dropped) == (1, {"rejected": 1})
    assert any("the handler's" in line for line in harness.lines.errors)


def test_handler_can_submit_a_dropped_request_again() -> None:
    def emit(name: str, **payload: Any) -> None:
        if name == "send_notification_error":
            harness.submit(Delivery("s1", None, payload["notification"].value(), 1))

    harness = SenderHarness(Replies(answer(400), OK), emit=emit)
    harness.submit(delivery("a"))
    harness.work()
    assert harness.api.received == {"a": 1}
    assert (harness.stats.accepted, harness.stats.sent, harness.stats.dropped) == (2, 1, {"rejected": 1})


def test_queue_fills_while_the_endpoint_is_down_and_empties_when_it_is_back() -> None:
    harness = SenderHarness(REFUSED, limit=300)
    offered = []
    for n in range(600):
        offered.append(f"n{n}")
        harness.submit(delivery(offered[-1]))
        harness.work(seconds=1.0)
        assert counters_add_up(harness.stats)
    assert (harness.stats.pending, harness.stats.dropped) == (300, {"queue_full": 300})
    assert len(harness.api.requests) < 60  # in ten minutes
    harness.api.reply = OK
    recovery = harness.work()
    assert dict(harness.api.received) == dict.fromkeys(offered[:300], 1)
    assert harness.stats.sent == 300
    assert recovery <= 30.0 + harness.stats.retries
    assert sum(emitted["count"] for emitted in harness.events("notification_failed")) == 300


@settings(max_examples=20)
@given(st.floats(0.05, 0.6), st.integers())
def test_retries_stay_within_their_budget_when_some_calls_fail(share: float, seed: int) -> None:
    numbers = random.Random(seed)
    harness = SenderHarness(lambda _: DOWN if numbers.random() < share else OK, random=numbers.random)
    harness.submit(*(delivery() for _ in range(200)))
    seconds = harness.work()
    assert harness.stats.retries <= 10 + 0.1 * harness.stats.sent + seconds + 1
    assert harness.stats.sent + sum(harness.stats.dropped.values()) == 200


class AnyOrderOfThings(RuleBasedStateMachine):
    """Submissions, steps, failures, time and the end in any order keep the counters right."""

    replies = st.sampled_from(
        [OK, DOWN, REFUSED, answer(400), answer(403), answer(500), answer(200, b'{"notifications":[]}')]
    )

    def __init__(self) -> None:
        super().__init__()
        self.harness = SenderHarness(
            limit=4, max_bytes=20_000, policy=RetryPolicy(max_isolated_failures=3, max_age_s=5000)
        )
        self.offered = 0
        self.in_flight: list[QueueEntry] = []

    @rule(ids=st.integers(0, 3))
    def offer(self, ids: int) -> None:
        self.offered += ids
        self.harness.submit(
            delivery(*(f"x{self.offered}.{n}" for n in range(ids))) if ids else telemetry_only()
        )

    @rule(ids=st.integers(1, 3))
    def offer_while_the_lock_is_held(self, ids: int) -> None:
        with self.harness.queue._holding:
            self.offer(ids)

    @rule(reply=replies)
    def step(self, reply: Reply) -> None:
        self.harness.api.reply = reply
        self.harness.sender.step()

    @rule()
    def begin_a_call(self) -> None:
        if (taken := self.harness.queue.dequeue(self.harness.clock()).entry) is not None:
            self.in_flight.append(taken)

    @rule(succeeds=st.booleans())
    def end_a_call(self, succeeds: bool) -> None:
        if self.in_flight and succeeds:
            self.harness.queue.mark_sent(self.in_flight.pop(), self.harness.clock())
        elif self.in_flight:
            entry = self.in_flight.pop()
            if not self.harness.queue.mark_failed(entry, "no"):
                self.harness.queue.mark_dropped(entry, "expired", "no")

    @rule(seconds=st.sampled_from([0.1, 1.0, 60.0, 1000.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.harness.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, 5.0]))
    def flush(self, seconds: float) -> None:
        self.harness.queue.skip_backoff()
        self.harness.work(seconds)

    @rule()
    def end(self) -> None:
        self.harness.queue.end()
        assert self.harness.stats.pending == 0

    @invariant()
    def the_books_are_right(self) -> None:
        assert counters_add_up(self.harness.stats)
        assert self.harness.stats.accepted == self.offered
        assert self.harness.queue._memory.held <= 4
        assert self.harness.queue._memory.size <= 20_000

    def teardown(self) -> None:
        self.harness.queue.end()
        for entry in self.in_flight:
            self.harness.queue.mark_sent(entry, 0.0)
        assert counters_add_up(self.harness.stats)
        assert self.harness.stats.pending == 0
        assert self.harness.queue.size == 0


TestAnyOrderOfThings = AnyOrderOfThings.TestCase
TestAnyOrderOfThings.settings = settings(max_examples=examples(60), stateful_step_count=40)


def test_response_is_read_up_to_a_limit() -> None:
    limits: list[int | None] = []

    class Curious:
        def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> Any:
            limits.append(max_bytes)
            return OK

        def close(self) -> None: ...

    harness = SenderHarness()
    harness.sender._transport = Curious()
    harness.submit(delivery())
    harness.work()
    assert limits == [1024 * 1024]


def test_body_is_json_of_the_wire() -> None:
    harness = SenderHarness()
    harness.submit(delivery("a"))
    harness.work()
    body = msgspec.json.decode(harness.api.requests[0].body or b"")
    assert body["requestId"] == "r-a"
    assert body["notifications"][0]["impressionId"] == "i-a"


class Lazy:
    """A report of a decision: what is sent is made when it is first asked for."""

    count = 1

    def __init__(self, fails: bool = False) -> None:
        self.made = 0
        self._fails = fails

    cluster = batch = None
    session_id = "s1"

    def merge(self, _: object) -> Lazy:
        return self

    def build_request(self, new_id: object) -> DeliveryRequest:
        self.made += 1
        if self._fails:
            raise ValueError("cannot be made")
        return delivery(f"lazy {self.made}").request


def test_request_is_built_once_and_not_by_the_submission() -> None:
    harness, lazy = SenderHarness(Replies(DOWN, OK)), Lazy()
    harness.queue.submit(lazy)
    assert lazy.made == 0
    harness.work()
    assert [ids_in(request.body) for request in harness.api.requests] == [["lazy 1"], ["lazy 1"]]


def test_request_that_cannot_be_built_is_dropped() -> None:
    harness = SenderHarness()
    harness.queue.submit(Lazy(fails=True))
    harness.work()
    assert harness.stats.dropped == {"invalid": 1}
    assert harness.events("notification_failed")[0]["notification_ids"] == []


def test_request_that_is_never_tried_is_not_built_for_its_ids() -> None:
    harness, lazies = SenderHarness(limit=1), [Lazy(), Lazy()]
    for lazy in lazies:
        harness.queue.submit(lazy)
    harness.queue.end()
    harness.sender.emit_pending_events()
    assert harness.stats.dropped == {"queue_full": 1, "closed": 1}
    assert [lazy.made for lazy in lazies] == [0, 0]


def test_delivery_without_a_body_is_dropped_instead_of_sent_empty() -> None:
    harness = SenderHarness()
    harness.queue.submit(delivery("a"))
    entry = harness.queue.dequeue(harness.clock()).entry
    assert entry is not None
    entry.source, entry.body = None, b""  # as from a damaged file
    harness.queue.mark_failed(entry, "once more")
    harness.work()
    assert (harness.stats.dropped, harness.api.requests) == ({"invalid": 1}, [])
