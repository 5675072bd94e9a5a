"""Pool of threads for calls with a callback."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.pool import AsyncResult
from typing import Any

import pytest

from support.background_fakes import Lines
from support.thread_limit import refusing_threads
from targetry._client.callbacks import MAX_CALLS, MAX_THREADS, MAX_WAITING, CallbackPool
from targetry._runtime.logger import Log
from targetry.errors import ClosedError, TargetError

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

LONG_S = 30.0  # for what is sure to come


class Outcomes:
    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[BaseException] = []

    def callback(self, result: Any) -> None:
        self.results.append(result)

    def err_callback(self, error: BaseException) -> None:
        self.errors.append(error)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def pool(lines: Lines) -> Iterator[CallbackPool]:
    pool = CallbackPool(Log(lines))
    yield pool
    pool.close()


def failing() -> None:
    raise ValueError("the call")


def broken(_: Any) -> None:
    raise KeyError("the callback")


def test_result_reaches_callback_and_the_waiting_thread(pool: CallbackPool) -> None:
    outcomes = Outcomes()
    pending = pool.submit(lambda: 7, outcomes.callback, outcomes.err_callback)
    assert isinstance(pending, AsyncResult)
    assert pending.get(LONG_S) == 7
    assert pending.ready()
    assert pending.successful()
    assert (outcomes.results, outcomes.errors) == ([7], [])


def test_exception_reaches_err_callback_and_the_waiting_thread(pool: CallbackPool) -> None:
    outcomes = Outcomes()
    pending = pool.submit(failing, outcomes.callback, outcomes.err_callback)
    with pytest.raises(ValueError, match="the call") as caught:
        pending.get(LONG_S)
    assert not pending.successful()
    assert outcomes.results == []
    assert outcomes.errors == [caught.value]


def test_exception_without_err_callback_is_raised_by_get(pool: CallbackPool, lines: Lines) -> None:
    outcomes = Outcomes()
    with pytest.raises(ValueError, match="the call"):
        pool.submit(failing, outcomes.callback, None).get(LONG_S)
    assert outcomes.results == []
    assert lines.errors == []


def test_callback_runs_before_the_result_is_ready(pool: CallbackPool) -> None:
    for _ in range(50):
        outcomes = Outcomes()
        pool.submit(lambda: 1, outcomes.callback, None).get(LONG_S)
        assert outcomes.results == [1]


@pytest.mark.parametrize(
    ("call", "callbacks", "result"),
    [(lambda: 7, (broken, None), 7), (failing, (Outcomes().callback, broken), None)],
    ids=["callback", "err_callback"],
)
def test_callback_that_raises_is_logged_by_name_and_changes_nothing(
    pool: CallbackPool, lines: Lines, call: Callable[[], Any], callbacks: Any, result: Any
) -> None:
    pending = pool.submit(call, *callbacks)
    if result is None:
        with pytest.raises(ValueError, match="the call"):
            pending.get(LONG_S)
    else:
        assert pending.get(LONG_S) == result
    (line,) = lines.errors
    assert "broken" in line
    assert "the callback" in line


def test_callback_without_a_name_of_its_own_can_be_logged(pool: CallbackPool, lines: Lines) -> None:
    class Broken:
        def __repr__(self) -> str:
            return "<mine>"

        def __call__(self, _: Any) -> None:
            raise KeyError

    assert pool.submit(lambda: 7, Broken(), None).get(LONG_S) == 7
    assert "<mine>" in lines.errors[0]


def test_calls_run_side_by_side_in_daemon_threads(pool: CallbackPool) -> None:
    together = threading.Barrier(4, timeout=LONG_S)
    daemons: list[bool] = []

    def call() -> int:
        daemons.append(threading.current_thread().daemon)
        return together.wait()

    pending = [pool.submit(call, lambda _: None, None) for _ in range(4)]
    assert sorted(one.get(LONG_S) for one in pending) == [0, 1, 2, 3]
    assert daemons == [True] * 4


def test_many_calls_use_a_bounded_number_of_threads(pool: CallbackPool) -> None:
    threads: set[threading.Thread] = set()
    before = threading.active_count()
    pending = [
        pool.submit(lambda: threads.add(threading.current_thread()), lambda _: None, None) for _ in range(500)
    ]
    for one in pending:
        one.get(LONG_S)
    assert len(threads) <= 16
    assert threading.active_count() <= before + 20


def test_blocking_callbacks_do_not_delay_other_calls(pool: CallbackPool) -> None:
    go_on, outcomes = threading.Event(), Outcomes()
    for _ in range(MAX_CALLS):
        pool.submit(lambda: 1, lambda _: go_on.wait(LONG_S), None)
    pending = pool.submit(lambda: 2, outcomes.callback, None)
    assert pending.get(LONG_S) == 2
    go_on.set()
    assert outcomes.results == [2]


def test_timed_out_calls_are_reported_while_callbacks_block(
    pool: CallbackPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once: as many threads as calls are late are started, up to the bound."""
    monkeypatch.setattr("targetry._client.callbacks._BLOCKED_S", 2 * LONG_S)  # one after the other
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def block(_: object) -> None:
        arrived.release()
        go_on.wait(LONG_S)

    deadline = time.perf_counter() + 0.05
    for _ in range(MAX_THREADS):
        pool.submit(failing, len, block, deadline)
    for _ in range(MAX_THREADS):
        assert arrived.acquire(timeout=LONG_S)
    go_on.set()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of threads")
def test_refused_thread_is_a_target_error_and_the_next_call_works(pool: CallbackPool) -> None:
    outcomes = Outcomes()
    pool.submit(lambda: 0, outcomes.callback, None).get(LONG_S)  # loads modules
    fresh = CallbackPool(Log(Lines()))
    with refusing_threads(), pytest.raises(TargetError, match="the system refuses a thread"):
        fresh.submit(lambda: 1, outcomes.callback, outcomes.err_callback)
    assert fresh.submit(lambda: 2, outcomes.callback, outcomes.err_callback).get(LONG_S) == 2
    assert (outcomes.results, outcomes.errors) == ([0, 2], [])
    fresh.close()


def test_more_calls_than_may_wait_are_refused(pool: CallbackPool) -> None:
    go_on = threading.Event()
    blocked = [pool.submit(lambda: go_on.wait(LONG_S), lambda _: None, None) for _ in range(MAX_CALLS)]
    while len(pool._queue) < MAX_WAITING:
        pool.submit(int, int, None)
    with pytest.raises(TargetError, match="are waiting"):
        pool.submit(int, int, None)
    go_on.set()
    assert all(one.get(LONG_S) for one in blocked)


def test_submission_after_close_is_rejected(pool: CallbackPool) -> None:
    pool.close()
    with pytest.raises(ClosedError):
        pool.submit(int, int, None)


def test_waiting_for_a_result_ends_at_its_time(pool: CallbackPool) -> None:
    go_on = threading.Event()
    pending = pool.submit(lambda: go_on.wait(LONG_S), lambda _: None, None)
    pending.wait(0.01)
    with pytest.raises(multiprocessing.TimeoutError):
        pending.get(0.01)
    with pytest.raises(ValueError, match="not ready"):
        pending.successful()
    go_on.set()
    assert pending.get(LONG_S)


def test_no_thread_is_there_before_the_first_call(lines: Lines) -> None:
    before = set(threading.enumerate())
    pool = CallbackPool(Log(lines))
    pool.close()
    assert set(threading.enumerate()) <= before  # one of an earlier test can end


def test_close_lets_calls_complete_and_can_be_called_twice(lines: Lines) -> None:
    pool = CallbackPool(Log(lines))
    go_on = threading.Event()
    pending = pool.submit(lambda: go_on.wait(LONG_S), lambda _: None, None)
    pool.close()
    pool.close()
    go_on.set()
    assert pending.get(LONG_S) is True


def test_threads_end_after_closing(lines: Lines) -> None:
    before = set(threading.enumerate())
    pool = CallbackPool(Log(lines))
    pool.submit(lambda: 1, lambda _: None, None).get(LONG_S)
    own = [thread for thread in threading.enumerate() if thread not in before]
    assert own
    pool.close()
    for thread in own:
        thread.join(LONG_S)
    assert not [thread for thread in own if thread.is_alive()]


@needs_fork
def test_pool_of_before_a_fork_works_in_the_child(pool: CallbackPool) -> None:
    assert pool.submit(lambda: 1, lambda _: None, None).get(LONG_S) == 1
    pool._starting.acquire()  # as another thread might hold it at that moment
    child = os.fork()
    if child == 0:
        try:
            outcomes = Outcomes()
            done = pool.submit(lambda: 2, outcomes.callback, None).get(LONG_S) == 2 and outcomes.results == [
                2
            ]
            pool.close()
            os._exit(0 if done else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    pool._starting.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.submit(lambda: 3, lambda _: None, None).get(LONG_S) == 3


@needs_fork
@pytest.mark.parametrize(
    "use", [lambda pool: pool.submit(int, str, None), CallbackPool.close], ids=["go on", "close"]
)
def test_child_discards_threads_of_its_parent_silently(
    pool: CallbackPool, use: Callable[[CallbackPool], object]
) -> None:
    pool.submit(int, str, None).get(LONG_S)
    child = os.fork()
    if child == 0:
        complaints: list[object] = []
        sys.unraisablehook = complaints.append
        try:
            use(pool)
            gc.collect()
        except BaseException as error:
            complaints.append(error)
        os._exit(len(complaints))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
