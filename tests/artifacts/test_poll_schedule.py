from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry._runtime.retry import retry_after_s
from targetry.artifacts.poll_schedule import Pace, PollSchedule, pace_of_status

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
randoms = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("pace", "statuses"),
    [
        (Pace.RETRY, [100, 204, 304, 408, 425, 429, 500, 502, 503, 504, 599]),
        (Pace.SLOW, [301, 302, 400, 401, 403, 404, 410, 413]),
    ],
    ids=["passing", "refusals"],
)
def test_status_determines_the_pace(pace: Pace, statuses: list[int]) -> None:
    assert {status: pace_of_status(status) for status in statuses} == dict.fromkeys(statuses, pace)


@each_case(
    "value, seconds",
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, 999_999_999.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 24 Nov 99999999999 12:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_header_gives_a_failure(value: str) -> None:
    seconds = retry_after_s(value, NOW)
    assert seconds is None or seconds >= 0


@given(randoms)
def test_poll_is_up_to_a_tenth_of_the_interval_early(random: float) -> None:
    delay = PollSchedule(300, lambda: random).after_success()
    assert delay is not None
    assert 270 <= delay <= 300


@given(randoms)
def test_first_poll_is_at_a_random_time_of_the_interval(random: float) -> None:
    assert PollSchedule(300, lambda: random).after_success(first=True) == 300 * random


def test_success_without_interval_ends_polling() -> None:
    schedule = PollSchedule(0, lambda: 0.5)
    assert schedule.after_success(first=True) is None
    assert schedule.after_success() is None


def test_retries_double_with_full_jitter_until_the_interval_is_reached() -> None:
    schedule = PollSchedule(300, lambda: 0.5)
    delays = [schedule.after_failure(Pace.RETRY, has_rules=True) for _ in range(12)]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 285, 285]


def test_outage_costs_ten_retries_in_addition_to_polls() -> None:
    schedule = PollSchedule(300, lambda: 0.999)
    moments = accumulate(schedule.after_failure(Pace.RETRY, has_rules=True) for _ in range(1000))
    in_a_day = sum(moment < 86_400 for moment in moments)
    assert in_a_day <= 86_400 / 270 + 10


@given(randoms, st.integers(1, 40))
def test_delay_without_rules_is_at_most_a_minute(random: float, failures: int) -> None:
    schedule = PollSchedule(300, lambda: random)
    assert all(schedule.after_failure(Pace.RETRY, has_rules=False) <= 60 for _ in range(failures))


@given(randoms, st.sampled_from([1.0, 5.0, 300.0]), st.integers(1, 30))
def test_recovered_source_is_used_within_one_interval(random: float, interval: float, failures: int) -> None:
    schedule = PollSchedule(interval, lambda: random)
    assert all(schedule.after_failure(Pace.RETRY, has_rules=True) <= interval for _ in range(failures))


def test_short_interval_is_kept_when_requests_fail() -> None:
    schedule = PollSchedule(1, lambda: 0.0)
    assert [schedule.after_failure(Pace.RETRY, has_rules=True) for _ in range(3)] == [0, 1, 1]


def test_refusals_slow_requests_down_to_one_per_hour() -> None:
    schedule = PollSchedule(300, lambda: 0.0)
    delays = [schedule.after_failure(Pace.SLOW, has_rules=True) for _ in range(6)]
    assert delays == [300, 600, 1200, 2400, 3600, 3600]


def test_refused_first_request_is_repeated_after_a_minute() -> None:
    assert PollSchedule(300, lambda: 0.0).after_failure(Pace.SLOW, has_rules=False) == 60


def test_interval_longer_than_an_hour_is_used_after_a_rejection() -> None:
    assert PollSchedule(7200, lambda: 0.0).after_failure(Pace.SLOW, has_rules=True) == 7200


def test_unusable_artifact_is_requested_again_at_the_next_poll() -> None:
    schedule = PollSchedule(300, lambda: 0.5)
    assert [schedule.after_failure(Pace.POLL, has_rules=True) for _ in range(3)] == [285, 285, 285]


def test_success_resets_the_backoff() -> None:
    schedule = PollSchedule(300, lambda: 0.5)
    for pace in (Pace.RETRY, Pace.RETRY, Pace.SLOW):
        schedule.after_failure(pace, has_rules=True)
    schedule.after_success()
    assert schedule.after_failure(Pace.RETRY, has_rules=True) == 0.25
    assert schedule.after_failure(Pace.SLOW, has_rules=True) == 285


@given(randoms, st.floats(0, 1e9))
def test_retry_after_is_obeyed_up_to_an_hour(random: float, asked: float) -> None:
    delay = PollSchedule(1, lambda: random).after_failure(Pace.RETRY, has_rules=True, retry_after=asked)
    assert min(asked, 3600) <= delay <= 3961


def test_thousands_of_failures_do_not_overflow() -> None:
    schedule = PollSchedule(300, lambda: 0.0)
    for _ in range(5000):
        schedule.after_failure(Pace.RETRY, has_rules=True)
        schedule.after_failure(Pace.SLOW, has_rules=True)
    assert schedule.after_failure(Pace.SLOW, has_rules=True) == 3600


@pytest.mark.parametrize("fleet", [500])
def test_first_polls_of_many_processes_are_spread(fleet: int) -> None:
    """Count polls: at most twice the mean in any twentieth of the interval."""
    import random

    draw = random.Random(6).random
    firsts = [PollSchedule(300, draw).after_success(first=True) or 0.0 for _ in range(fleet)]
    bins = [sum(start <= first < start + 15 for first in firsts) for start in range(0, 300, 15)]
    assert sum(bins) == fleet
    assert max(bins) <= 2 * fleet / len(bins)
