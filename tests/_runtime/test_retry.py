"""Retry timing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry._runtime.retry import (
    TokenBucket,
    exponential_s,
    full_jitter_s,
    http_date,
    jitter_down_s,
    jitter_up_s,
    retry_after_s,
)

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def test_exponential_wait_doubles_up_to_the_longest() -> None:
    assert [exponential_s(0.5, 30, attempt) for attempt in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_exponential_wait_of_a_huge_attempt_is_the_longest() -> None:
    assert exponential_s(0.5, 30, 10**9) == 30


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_share(wait: float, share: float, random: float) -> None:
    assert 0 <= full_jitter_s(wait, random) <= wait
    assert wait * (1 - share) <= jitter_down_s(wait, share, random) <= wait
    assert wait <= jitter_up_s(wait, share, random) <= wait * (1 + share)


def test_bucket_has_its_capacity_and_then_earned_tokens() -> None:
    bucket = TokenBucket(2.0, per_success=0.5)
    assert [bucket.spend() for _ in range(3)] == [True, True, False]
    bucket.earn()
    assert not bucket.spend()
    bucket.earn()
    assert bucket.spend()


def test_bucket_holds_no_more_than_its_capacity() -> None:
    bucket = TokenBucket(1.0, per_success=0.5, per_s=1.0)
    bucket.earn()
    bucket.refill(0.0)
    bucket.refill(1000.0)
    assert [bucket.spend() for _ in range(2)] == [True, False]


def test_bucket_refills_with_time() -> None:
    bucket = TokenBucket(1.0, per_success=0.0, per_s=0.5)
    assert bucket.wait_s(0.0) == 0
    bucket.spend()
    assert bucket.wait_s(0.0) == 2
    assert bucket.wait_s(1.0) == 1
    assert bucket.wait_s(2.0) == 0


@each_case(
    "value, seconds",
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 400, 999_999_999),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30),
        ("Tue, 14 Nov 2023 22:12:00 GMT", 0),
        ("Tue, 99 Nov 2023 22:12:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


def test_retry_after_date_needs_the_time() -> None:
    assert retry_after_s("Tue, 14 Nov 2023 22:13:50 GMT") is None


def test_http_date_is_epoch_seconds() -> None:
    assert http_date("Tue, 14 Nov 2023 22:13:20 GMT") == NOW
    assert http_date("yesterday") is None
    assert http_date(None) is None
