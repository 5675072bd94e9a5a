"""Pool of daemon threads."""

from __future__ import annotations

import os
import threading

import pytest

from support.fork_scripts import run_script
from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError


def test_work_is_done_in_order_by_a_daemon_thread() -> None:
    threads, done, finished = DaemonThreadPool("test", limit=1, queue_limit=10), [], threading.Event()
    for number in range(5):
        threads.submit(lambda number=number: done.append((number, threading.current_thread().daemon)))
    threads.submit(finished.set)
    assert finished.wait(10)
    assert done == [(number, True) for number in range(5)]


def test_never_more_threads_than_allowed_and_never_more_work_than_the_queue_holds() -> None:
    threads = DaemonThreadPool("targetry-test-bounded", limit=3, queue_limit=4)
    go, busy = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        busy.release()
        go.wait(10)

    for _ in range(3):
        threads.submit(work)
        assert busy.acquire(timeout=10)
    for _ in range(4):
        threads.submit(work)
    with pytest.raises(QueueFullError):
        threads.submit(work)
    running = [thread for thread in threading.enumerate() if thread.name == "targetry-test-bounded"]
    go.set()
    for thread in running:
        thread.join(10)
    assert len(running) == 3


def test_threads_end_when_nothing_is_left_and_come_back() -> None:
    threads = DaemonThreadPool("targetry-test-ending", limit=2, queue_limit=4)
    for _ in range(3):
        seen: list[threading.Thread] = []
        done = threading.Event()
        threads.submit(lambda seen=seen, done=done: (seen.append(threading.current_thread()), done.set()))
        assert done.wait(10)
        seen[0].join(10)
        assert not seen[0].is_alive()


class NoThread(threading.Thread):
    """A system that gives no threads."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_refused_thread_leaves_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = DaemonThreadPool("test", limit=2, queue_limit=1), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoThread)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="can't start"):
                threads.submit(done.set)
    threads.submit(done.set)
    assert done.wait(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_has_threads_of_its_own() -> None:
    run_script(
        "",
        """
        import os, threading
        from targetry._runtime.daemon_threads import DaemonThreadPool

        threads, go = DaemonThreadPool("test", limit=1, queue_limit=2), threading.Event()
        threads.submit(lambda: go.wait(10))
        threads.submit(int)
        child = os.fork()
        if child == 0:
            done = threading.Event()
            threads.submit(done.set)
            os._exit(0 if done.wait(10) else 1)
        go.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
    )
