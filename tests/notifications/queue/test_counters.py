"""Counters of notifications: each transition keeps the sum."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from support.notifier import counters_add_up
from targetry.notifications.queue.counters import DeliveryCounters, NotifierStats, Reason

REASONS: list[Reason] = [
    "queue_full",
    "rejected",
    "expired",
    "unprocessed",
    "invalid",
    "closed",
    "spool_lost",
]
counts = st.integers(0, 5)
reasons = st.sampled_from(REASONS)
steps = st.one_of(
    st.tuples(st.just("accept"), counts),
    st.tuples(st.just("recover"), counts),
    st.tuples(st.just("refuse"), reasons, counts),
    st.tuples(st.just("send"), counts),
    st.tuples(st.just("drop"), reasons, counts),
    st.tuples(st.just("retry")),
    st.tuples(st.just("fail"), st.just("no")),
)


@given(st.lists(steps))
def test_sum_holds_after_every_step(taken: list[tuple[object, ...]]) -> None:
    counters = DeliveryCounters()
    for name, *arguments in taken:
        if name in ("send", "drop") and arguments[-1] > counters.state.pending:  # type: ignore[operator]
            continue  # what is not there cannot go
        getattr(counters, str(name))(*arguments)
        assert counters_add_up(counters.state)


def test_state_that_was_read_does_not_change() -> None:
    counters = DeliveryCounters()
    counters.refuse("queue_full", 2)
    before = counters.state
    copy = msgspec.structs.replace(before, dropped=dict(before.dropped))
    counters.refuse("queue_full", 3)
    counters.accept(1)
    counters.drop("queue_full", 1)
    assert before == copy
    assert counters.state.dropped == {"queue_full": 6}


def test_each_transition_changes_its_counters() -> None:
    counters = DeliveryCounters()
    counters.accept(5)
    counters.recover(2)
    counters.send(3)
    counters.drop("rejected", 1, "400 Bad Request")
    counters.refuse("queue_full", 4)
    counters.retry()
    assert counters.state == NotifierStats(
        accepted=11,
        sent=3,
        pending=3,
        dropped={"rejected": 1, "queue_full": 4},
        recovered=2,
        retries=1,
        last_error="400 Bad Request",
    )


def test_lost_telemetry_is_counted_apart_from_notifications() -> None:
    counters = DeliveryCounters()
    counters.accept(0)
    counters.drop("expired", 0, "timed out")
    counters.refuse("queue_full", 0)
    assert counters.state == NotifierStats(telemetry_dropped=2, last_error="timed out")


def test_failure_that_is_retried_changes_no_count() -> None:
    counters = DeliveryCounters()
    counters.accept(1)
    counters.fail("503 Service Unavailable")
    assert counters.state == NotifierStats(accepted=1, pending=1, last_error="503 Service Unavailable")
