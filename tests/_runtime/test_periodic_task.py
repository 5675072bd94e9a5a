"""Periodic task: steps, threads, forks and ends."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from support.thread_limit import refusing_threads
from targetry._runtime.periodic_task import PeriodicTask


class Owner:
    """Owner of a task whose step runs a function and records its time."""

    def __init__(self, step: Callable[[int], float | None]) -> None:
        self.steps = 0
        self.threads: set[threading.Thread] = set()
        self.stepped = threading.Semaphore(0)
        self._told = step
        self.repeating = PeriodicTask("repeating-test", self._step)

    def _step(self) -> float | None:
        self.steps += 1
        self.threads.add(threading.current_thread())
        try:
            return self._told(self.steps)
        finally:
            self.stepped.release()

    def wait(self, steps: int = 1) -> None:
        for _ in range(steps):
            assert self.stepped.acquire(timeout=10)

    def join(self) -> None:
        """Wait until no thread is left."""
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def test_step_is_repeated_after_the_time_that_it_returned() -> None:
    owner = Owner(lambda steps: 0.001 if steps < 5 else None)
    owner.repeating.schedule(0)
    owner.wait(5)
    owner.join()
    assert owner.steps == 5
    assert len(owner.threads) == 1


def test_step_that_returns_none_ends_the_thread_until_the_next_schedule() -> None:
    owner = Owner(lambda _: None)
    owner.repeating.schedule(0)
    owner.wait()
    owner.join()
    assert not owner.repeating.running
    owner.repeating.schedule(0)
    owner.wait()
    owner.join()
    assert len(owner.threads) == 2


def test_thread_is_a_daemon() -> None:
    owner = Owner(lambda _: None)
    owner.repeating.schedule(0)
    owner.wait()
    assert all(thread.daemon for thread in owner.threads)


def test_schedule_brings_a_step_forward_without_a_second_thread() -> None:
    owner = Owner(lambda _: 3600)
    for _ in range(3):
        owner.repeating.schedule(0)
        owner.wait()
    assert len(owner.threads) == 1
    assert owner.repeating.close(5)


def test_many_threads_that_schedule_get_one_worker() -> None:
    owner = Owner(lambda _: 3600)
    callers = [threading.Thread(target=owner.repeating.schedule, args=(0,)) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    owner.wait()
    assert owner.repeating.close(5)
    assert len(owner.threads) == 1


def test_step_scheduled_during_a_step_follows_it() -> None:
    owner = Owner(lambda steps: owner.repeating.schedule(0) and None if steps == 1 else None)
    owner.repeating.schedule(0)
    owner.wait(2)
    owner.join()
    assert owner.steps == 2


def test_cancel_cancels_the_next_step() -> None:
    owner = Owner(lambda _: 3600)
    owner.repeating.schedule(0)
    owner.wait()
    owner.repeating.cancel()
    owner.join()
    assert (owner.steps, owner.repeating.running) == (1, False)


def test_cancel_applies_to_the_result_of_a_step_in_progress() -> None:
    owner = Owner(lambda _: owner.repeating.cancel() or 0)
    owner.repeating.schedule(0)
    owner.wait()
    owner.join()
    assert owner.steps == 1


def test_close_ends_the_thread_for_good() -> None:
    owner = Owner(lambda _: 3600)
    owner.repeating.schedule(0)
    owner.wait()
    assert owner.repeating.close(5)
    assert owner.repeating.close(5)
    assert not owner.repeating.schedule(0)
    owner.join()


def test_close_waits_for_a_step_until_its_timeout() -> None:
    go_on = threading.Event()
    begun = threading.Event()
    owner = Owner(lambda _: begun.set() or (go_on.wait(10) and 0))
    owner.repeating.schedule(0)
    assert begun.wait(10)
    assert not owner.repeating.close(0.01)
    go_on.set()
    owner.join()
    assert owner.steps == 1


def test_close_can_be_called_in_a_step() -> None:
    owner = Owner(lambda _: 0 if owner.repeating.close(5) else None)
    owner.repeating.schedule(0)
    owner.wait()
    owner.join()
    assert owner.steps == 1


def test_unreferenced_owner_is_collected_and_its_thread_ends() -> None:
    owner = Owner(lambda _: 3600)
    owner.repeating.schedule(0)
    owner.wait()
    (thread,) = owner.threads
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert gone() is None


def test_after_a_fork_nothing_runs_until_it_is_scheduled_again() -> None:
    owner = Owner(lambda _: 3600)
    owner.repeating.schedule(0)
    owner.wait()
    (parents,) = owner.threads
    owner.repeating.after_fork()  # the parent's thread takes itself out, as it would not be there in a child
    assert not owner.repeating.running
    owner.repeating.schedule(0)
    owner.wait()
    assert parents in owner.threads
    assert len(owner.threads) == 2
    assert owner.repeating.close(5)


@pytest.mark.skipif(sys.platform == "win32", reason="needs interval timers")
def test_signal_handler_can_close_the_interrupted_object() -> None:
    owner = Owner(lambda _: None)
    handled: list[bool] = []

    def use() -> None:
        owner.repeating.schedule(0)
        owner.repeating.cancel()

    def handle(*_: object) -> None:
        use()
        handled.append(owner.repeating.close(0) or True)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        deadline = time.monotonic() + 10
        while len(handled) < 200 and time.monotonic() < deadline:
            owner.repeating = PeriodicTask("repeating-test", owner._step)
            use()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(handled) >= 200


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of threads")
def test_refused_thread_is_started_by_the_next_schedule() -> None:
    owner = Owner(lambda _: None)
    with refusing_threads():
        assert not owner.repeating.schedule(0)
        assert not owner.repeating.running
    assert owner.repeating.schedule(0)
    owner.wait()
    assert owner.steps == 1
