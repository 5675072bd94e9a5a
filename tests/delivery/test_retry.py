"""Retries of a Delivery API call (docs/migrating.md#d-29)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.delivery.retry import MAX_RETRIES, pause_s, retry_budget
from targetry.errors import ApiException, DeadlineError, TransportError

UNSENT = TransportError(reason="refused")
UNSENT.unsent = True
SENT = TransportError(reason="reset")
LATE = DeadlineError(reason="too late")
LATE.unsent = True

REPEATABLE = [ApiException(502), ApiException(503), ApiException(504), UNSENT]
FINAL = [*map(ApiException, (0, 200, 301, 400, 401, 403, 404, 408, 413, 429, 500, 501, 505, 507)), SENT, LATE]


def name_of(error: ApiException) -> str:
    return f"{type(error).__name__}-{error.status}-{error.reason}"


@each_case("error", REPEATABLE, ids=name_of)
def test_unprocessed_call_is_repeated_at_most_twice(error: ApiException) -> None:
    assert [pause_s(error, tries, 3.0, 0.5) is not None for tries in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]
    assert MAX_RETRIES == 2


@each_case("error", FINAL, ids=name_of)
def test_other_errors_are_not_repeated(error: ApiException) -> None:
    assert pause_s(error, 1, 3.0, 0.0) is None


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 2))
def test_pause_is_short_random_and_grows(random: float, tries: int) -> None:
    pause = pause_s(ApiException(503), tries, 3.0, random)
    assert pause is not None
    assert pause == pytest.approx(random * 0.05 * 2**tries)
    assert 0 <= pause < 0.2


@each_case(
    "left_s, again",
    [(3.0, True), (0.101, True), (0.099, False), (0.01, False), (0.0, False), (-1.0, False)],
)
def test_no_retry_without_enough_time(left_s: float, again: bool) -> None:
    assert (pause_s(ApiException(503), 1, left_s, 0.5) is not None) is again


RETRY_AFTER: dict[str, float | None] = {
    "0": 0.0,
    "1": 1.0,
    " 2 ": 2.0,
    "4": None,  # longer than the call lasts
    "99999999": None,
    "999999999": None,
    "-1": 0.05,
    "1.5": 0.05,
    "": 0.05,
    "x": 0.05,
    "٢": 0.05,
    "Wed, 21 Oct 2026 07:28:00 GMT": 0.05,
}


@each_case("header, pause", RETRY_AFTER.items())
def test_retry_after_is_obeyed_or_the_call_ends(header: str, pause: float | None) -> None:
    assert pause_s(ApiException(503, headers={"retry-after": header}), 1, 3.0, 0.5) == pause


def test_response_without_headers_uses_the_backoff() -> None:
    assert pause_s(ApiException(503, headers={}), 1, 3.0, 0.5) == 0.05
    assert pause_s(ApiException(503), 1, 3.0, 0.5) == 0.05


def test_ten_consecutive_retries_are_allowed() -> None:
    budget = retry_budget()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


def test_ten_successes_earn_a_retry() -> None:
    budget = retry_budget()
    while budget.spend():
        pass
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    budget.earn()
    assert budget.spend()
    assert not budget.spend()


def test_successes_earn_no_more_than_the_budget_began_with() -> None:
    budget = retry_budget()
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10


@given(st.lists(st.booleans(), max_size=300))
def test_retries_are_at_most_ten_and_a_tenth_of_the_calls_that_went_well(calls: list[bool]) -> None:
    budget, spent = retry_budget(), 0
    for is_well in calls:
        if is_well:
            budget.earn()
        else:
            spent += budget.spend()
    assert spent <= 10 + 0.1 * sum(calls) + 1e-6
