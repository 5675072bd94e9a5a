from __future__ import annotations

from support.background_fakes import Clock
from targetry.geo.circuit_breaker import CircuitBreaker


def open_breaker(clock: Clock, random: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(probe_s=1, clock=clock, random=lambda: random)
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    return breaker


def test_three_failures_in_a_row_begin_a_pause() -> None:
    breaker = open_breaker(Clock())
    assert breaker.is_open
    assert not breaker.allows()


def test_success_resets_the_count_of_failures() -> None:
    breaker = CircuitBreaker(probe_s=1, clock=Clock(), random=lambda: 0.0)
    for report in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        report()
    assert breaker.allows()


def test_one_attempt_is_allowed_after_the_pause() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.advance(1)
    assert [breaker.allows(), breaker.allows()] == [True, False]


def test_attempt_without_result_is_followed_by_another() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.advance(1)
    assert breaker.allows()
    clock.advance(1)
    assert breaker.allows()


def test_success_closes_the_circuit_breaker() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.advance(1)
    assert breaker.allows()
    breaker.succeeded()
    assert not breaker.is_open
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_pauses_double_up_to_a_minute() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    pauses = []
    for _ in range(9):
        began = clock.time
        while not breaker.allows():
            clock.advance(0.5)
        pauses.append(clock.time - began)
        assert breaker.failed()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_attempts_in_progress_at_the_pause_do_not_lengthen_it() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    assert [breaker.failed() for _ in range(20)] == [False] * 20
    clock.advance(1)
    assert breaker.allows()


def test_pause_is_shortened_by_up_to_half_at_random() -> None:
    clock = Clock()
    breaker = open_breaker(clock, random=1.0)
    clock.advance(0.5)
    assert breaker.allows()


def test_retry_after_lengthens_the_pause_to_at_most_an_hour() -> None:
    for asked, pause in ((90.0, 90.0), (1e9, 3600.0), (0.0, 1.0)):
        clock = Clock()
        breaker = CircuitBreaker(probe_s=1, clock=clock, random=lambda: 0.0)
        for _ in range(3):
            breaker.failed(asked)
        clock.advance(pause - 0.1)
        assert not breaker.allows()
        clock.advance(0.1)
        assert breaker.allows()
