"""Synchronization primitives: outcomes, signal handlers, and many threads at once."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from targetry._runtime.sync_primitives import Mutex, OneShotEvent, WakeupEvent

LONG_S = 30.0  # for what is sure to come
PRIMITIVES = {
    "wakeup event": (WakeupEvent, lambda one: (one.set(), one.wait(0))),
    "one-shot event": (OneShotEvent, lambda one: (one.set(), one.wait(0))),
    "mutex": (Mutex, lambda one: (one.acquire(0), one.release())),
}


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_wakeup_event_set_before_the_wait_is_consumed_by_one_wait() -> None:
    event = WakeupEvent()
    event.set()
    event.set()
    assert event.wait(0)
    assert not event.wait(0)


def test_wakeup_event_releases_a_waiting_thread() -> None:
    event, woken = WakeupEvent(), []
    thread = in_thread(lambda: woken.append(event.wait(LONG_S)))
    event.set()
    thread.join(LONG_S)
    assert woken == [True]


def test_wakeup_event_wait_ends_at_its_time() -> None:
    began = time.monotonic()
    assert not WakeupEvent().wait(0.02)
    assert time.monotonic() - began >= 0.02


def test_one_shot_event_releases_all_threads_and_stays_set() -> None:
    event = OneShotEvent()
    woken: list[bool] = []
    threads = [in_thread(lambda: woken.append(event.wait())) for _ in range(5)]
    event.set()
    for thread in threads:
        thread.join(LONG_S)
    assert woken == [True] * 5
    assert event.is_set()
    assert event.wait(0)


def test_one_shot_event_wait_ends_at_its_time() -> None:
    assert not OneShotEvent().wait(0.01)


def test_mutex_is_held_once_until_it_is_released() -> None:
    mutex = Mutex()
    assert [mutex.acquire(0) for _ in range(2)] == [True, False]
    mutex.release()
    assert mutex.acquire(0)


def test_released_mutex_goes_to_a_waiting_thread() -> None:
    mutex = Mutex()
    mutex.acquire(0)
    got: list[bool] = []
    thread = in_thread(lambda: got.append(mutex.acquire(LONG_S)))
    mutex.release()
    thread.join(LONG_S)
    assert got == [True]


def test_mutex_never_has_two_holders() -> None:
    mutex, holders, most, done = Mutex(), [0], [0], []

    def hold() -> None:
        for _ in range(200):
            with mutex:
                holders[0] += 1
                most[0] = max(most[0], holders[0])
                holders[0] -= 1
        done.append(True)

    threads = [in_thread(hold) for _ in range(8)]
    for thread in threads:
        thread.join(LONG_S)
    assert (len(done), most[0]) == (8, 1)


def test_no_wakeup_is_lost_between_two_threads() -> None:
    ping, pong = WakeupEvent(), WakeupEvent()
    rounds: list[int] = []

    def answer() -> None:
        for number in range(2000):
            assert ping.wait(LONG_S)
            rounds.append(number)
            pong.set()

    thread = in_thread(answer)
    for _ in range(2000):
        ping.set()
        assert pong.wait(LONG_S)
    thread.join(LONG_S)
    assert len(rounds) == 2000


@pytest.fixture
def interrupting() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Have a function called by a signal handler again and again."""
    before = signal.getsignal(signal.SIGALRM)

    def start(function: Callable[[], object]) -> None:
        signal.signal(signal.SIGALRM, lambda *_: function())
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")
@pytest.mark.parametrize(("make", "use"), PRIMITIVES.values(), ids=PRIMITIVES)
def test_signal_handler_can_use_the_interrupted_object(
    make: Callable[[], object],
    use: Callable[[object], object],
    interrupting: Callable[[Callable[[], object]], None],
) -> None:
    primitive, handled = make(), [0]

    def handle() -> None:
        handled[0] += 1
        use(primitive)

    interrupting(handle)
    deadline = time.monotonic() + LONG_S
    while handled[0] < 300 and time.monotonic() < deadline:
        use(primitive)
    assert handled[0] >= 300


@pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")
def test_interrupted_wait_leaves_the_wakeup_to_the_next_thread() -> None:
    event = WakeupEvent()

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        event.set()  # its thread is in the middle of the wait, and will not use it
        raise StoppedError

    def interrupted_wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        event.wait(LONG_S)

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(StoppedError):
            interrupted_wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert event.wait(0)
