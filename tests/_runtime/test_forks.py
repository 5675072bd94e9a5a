"""Fork handlers and locks that a fork waits for; each script forks in a process of its own."""

from __future__ import annotations

import os

import pytest

from support.fork_scripts import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PRELUDE = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads
from targetry._runtime.forks import ForkLock, ensure_after_fork

def fork_and_see(look):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if look() else 1)
    assert os.waitpid(pid, 0)[1] == 0

def is_open():
    \"\"\"For another thread, which could not get in where this one may.\"\"\"
    def get_in():
        with gate.hold():
            came.append(1)
    came = []
    thread = threading.Thread(target=get_in, daemon=True)
    thread.start()
    thread.join(5)
    return came == [1]
"""


def run(script: str) -> None:
    run_script(PRELUDE, script)


def test_fork_waits_until_the_work_is_done() -> None:
    run("""
        gate, at_work, done = ForkLock(30), threading.Event(), []

        def work():
            with gate.hold(), gate.hold():
                at_work.set()
                time.sleep(0.2)
                done.append(1)

        threading.Thread(target=work).start()
        at_work.wait(30)
        fork_and_see(lambda: done == [1] and is_open())
        assert is_open()
    """)


def test_fork_waits_no_longer_than_its_limit() -> None:
    run("""
        gate, at_work, over = ForkLock(0.01), threading.Event(), threading.Event()

        def work():
            with gate.hold():
                at_work.set()
                over.wait(30)

        threading.Thread(target=work).start()
        at_work.wait(30)
        fork_and_see(is_open)
        over.set()
        assert is_open()
    """)


def test_thread_that_holds_the_lock_can_fork() -> None:
    run("""
        gate = ForkLock(30)
        with gate.hold():
            fork_and_see(is_open)
        assert is_open()
    """)


def test_threads_that_fork_at_once_let_each_other_through() -> None:
    run("""
        gate = ForkLock(30)

        def fork_often():
            for _ in range(20):
                fork_and_see(lambda: True)

        threads = [threading.Thread(target=fork_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert is_open()
    """)


def test_fork_without_handlers_is_detected_by_the_next_call() -> None:
    run("""
        import ctypes
        from targetry._runtime import forks
        os.fork = ctypes.PyDLL(None).fork  # without Python's handlers
        gate, at_work, over, notified = ForkLock(30), threading.Event(), threading.Event(), []

        def work():
            with gate.hold():
                at_work.set()
                over.wait(30)

        class Owner:
            def after_fork(self):
                notified.append(1)

        def look():
            for _ in range(2):
                ensure_after_fork()
            return notified == [1] and is_open()

        owner = Owner()
        forks.register_fork_handler(owner)
        threading.Thread(target=work).start()
        at_work.wait(30)
        ensure_after_fork()
        fork_and_see(look)
        assert notified == []
        over.set()
        assert is_open()
    """)


@pytest.mark.parametrize("platform", ["linux", "other"])
def test_mark_is_unset_in_a_child_until_it_is_set_there(platform: str) -> None:
    run(f"""
        from targetry._runtime import forks
        sys.platform = {platform!r}
        mark = forks.new_mark()

        def look():
            was_set = mark[0]
            mark[0] = 1
            return mark[0] and not was_set

        def look_and_fork():
            is_right = look()
            fork_and_see(look)
            return is_right and mark[0]

        fork_and_see(look_and_fork)
        assert mark[0]
    """)
