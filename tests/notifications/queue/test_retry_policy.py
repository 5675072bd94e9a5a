"""Retry state of a host. `random` gives 1, the longest wait, unless stated otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.notifications.queue.retry_policy import RetryPolicy, RetryState


def retry_state(random: float = 1.0, **policy: float) -> RetryState:
    """One that doubts at the first failure, unless said."""
    return RetryState(RetryPolicy(**{"suspect_after": 1} | policy), lambda: random)  # type: ignore[arg-type]


def fail(one: RetryState, times: int) -> list[float]:
    """Fail again and again, each time when one may; the waits."""
    now, waits = 0.0, []
    for _ in range(times):
        one.failed(now, now)
        waits.append(one.wait(now))
        now += waits[-1]
    return waits


def test_waits_double_up_to_the_longest() -> None:
    assert fail(retry_state(), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_one_failure_delays_only_its_own_retry() -> None:
    one = retry_state(suspect_after=3)
    one.failed(0.0, 0.0)
    assert not one.is_suspect
    assert one.wait(0.0) == 0
    assert one.wait_for_retry(0.0) == 0.5


def test_failures_between_successes_do_not_make_the_host_suspect() -> None:
    one = retry_state(suspect_after=3)
    for second in range(1000):
        one.failed(second, second)
        one.failed(second + 0.1, second + 0.1)
        one.succeeded(second + 0.2)
        assert one.wait(second + 0.2) == 0


def test_failures_in_a_row_delay_all_calls() -> None:
    one = retry_state(suspect_after=3)
    assert fail(one, 4) == [0, 0, 2, 4]
    assert one.is_suspect


def test_jitter_reaches_down_to_nothing() -> None:
    assert fail(retry_state(random=0.0), 3) == [0, 0, 0]


def test_thousand_failures_cause_no_overflow() -> None:
    assert fail(retry_state(), 1000)[-1] == 30


def test_success_ends_the_wait_and_resets_the_count() -> None:
    one = retry_state()
    fail(one, 5)
    one.succeeded(started=100.0)
    assert not one.is_suspect
    assert one.wait(100.0) == 0
    one.failed(100.0, 100.0)
    assert one.wait(100.0) == 0.5


def test_success_older_than_the_failure_is_ignored() -> None:
    one = retry_state()
    one.failed(started=2.0, now=3.0)
    one.succeeded(started=1.0)
    assert one.is_suspect
    assert one.wait(3.0) == 0.5


def test_calls_that_fail_together_are_one_failure() -> None:
    one = retry_state()
    for _ in range(8):
        one.failed(started=1.0, now=4.0)
    assert one.wait(4.0) == 0.5


@each_case(
    "asked, waited",
    [(0.0, 0.5), (0.2, 0.5), (20.0, 20.0), (600.0, 600.0), (86_400.0, 600.0)],
    ids=["at once", "shorter than ours", "longer than ours", "longest", "too long"],
)
def test_retry_after_is_honored_up_to_a_limit(asked: float, waited: float) -> None:
    one = RetryState(
        RetryPolicy(suspect_after=1), iter([1.0, 0.0]).__next__
    )  # the second is for the server's number
    one.failed(0.0, 0.0, retry_after_s=asked)
    assert one.wait(0.0) == waited


def test_retry_after_gets_jitter_so_that_a_fleet_does_not_return_at_once() -> None:
    one = retry_state(random=1.0)
    one.failed(0.0, 0.0, retry_after_s=100.0)
    assert one.wait(0.0) == pytest.approx(110)


def test_denials_slow_down_to_an_hour_and_never_stop() -> None:
    one, now, waits = retry_state(random=0.0), 0.0, []
    for _ in range(9):
        one.denied(now, now)
        waits.append(one.wait(now))
        now += waits[-1]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_skip_backoff_ends_a_backoff() -> None:
    one = retry_state()
    fail(one, 5)
    one.skip_backoff()
    assert one.wait(0.0) == 0


@pytest.mark.parametrize("kind", ["asked", "denied"])
def test_skip_backoff_keeps_a_wait_of_retry_after(kind: str) -> None:
    one = retry_state(random=0.0)
    if kind == "asked":
        one.failed(0.0, 0.0, retry_after_s=60.0)
    else:
        one.denied(0.0, 0.0)
    one.skip_backoff()
    assert one.wait(0.0) == 60


def test_skip_backoff_ends_a_backoff_after_a_wait_of_the_server() -> None:
    one = retry_state()
    one.failed(0.0, 0.0, retry_after_s=5.0)
    one.failed(100.0, 100.0)
    one.skip_backoff()
    assert one.wait(100.0) == 0


@pytest.mark.parametrize("asked", [0.0, 2.0])
def test_skip_backoff_shortens_a_backoff_to_the_wait_of_the_server(asked: float) -> None:
    one = RetryState(RetryPolicy(suspect_after=1, first_wait_s=30.0), iter([1.0, 0.0]).__next__)
    one.failed(0.0, 0.0, retry_after_s=asked)
    one.skip_backoff()
    assert one.wait(0.0) == asked


def test_ten_retries_are_paid_for_and_the_next_waits_for_a_second() -> None:
    one = retry_state()
    for _ in range(10):
        assert one.wait_for_retry(0.0) == 0
        one.spend_retry(0.0)
    assert one.wait_for_retry(0.0) == 1.0
    assert one.wait_for_retry(1.0) == 0


def test_ten_successes_pay_for_one_retry() -> None:
    one = retry_state()
    for _ in range(10):
        one.spend_retry(0.0)
    for _ in range(10):
        one.succeeded(0.0)
    assert one.wait_for_retry(0.0) == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.05)), max_size=300))
def test_retries_are_a_tenth_of_successes_and_one_a_second_at_most(calls: list[tuple[bool, float]]) -> None:
    one, now, successes, retries = retry_state(), 0.0, 0, 0
    for succeeds, pause in calls:
        now += pause
        if succeeds:
            one.succeeded(now)
            successes += 1
        elif one.wait_for_retry(now) == 0:
            one.spend_retry(now)
            retries += 1
    assert retries <= 10 + 0.1 * successes + now + 1e-6
