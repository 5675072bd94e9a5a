"""End of a process: pending reports are sent, and it takes at most two seconds."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from e2e.client.ends import BUSY_ENDS, END_S, seconds_to_end, session_of
from e2e.client.scripts import Run
from e2e.client.target import DELIVERY, Target
from servers.faulty import HANG

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_billiard = pytest.mark.skipif(
    importlib.util.find_spec("billiard") is None, reason="billiard is not installed"
)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["one client", "a spool", "five clients"])
def test_process_ends_in_time_while_daemon_threads_decide(case: str, target: Target, tmp_path: Path) -> None:
    assert seconds_to_end(target, BUSY_ENDS[case], tmp_path) < END_S


def test_clients_share_the_time_limit_at_exit(target: Target, tmp_path: Path) -> None:
    target.on(DELIVERY, HANG)
    script = """
clients = [TargetClient.create(on_device) for _ in range(8)]
for client in clients:
    client.get_offers(hero("s"))
"""
    assert seconds_to_end(target, script, tmp_path) < END_S


RECYCLED = """
client = TargetClient.create(on_device)
def task(number):
    client.get_offers(hero(f"s{number}"))
"""


@pytest.mark.slow
@needs_fork
@needs_billiard
def test_worker_of_a_billiard_pool_that_is_recycled_sends_its_reports(run: Run, target: Target) -> None:
    run(
        RECYCLED
        + """
from billiard.pool import Pool
# A worker that ends a task before the pool has registered it waits half a minute for the pool.
registered = threading.Semaphore(0)
pool = Pool(1, maxtasksperchild=1, on_process_up=lambda worker: registered.release())
for number in range(3):
    registered.acquire()
    pool.apply(task, (number,))
registered.acquire()  # the third worker has been replaced
pool.close()
pool.join()
"""
    )
    assert sorted(session_of(one.target) for one in target.requests_to(DELIVERY)) == ["s0", "s1", "s2"]


@pytest.mark.slow
@needs_fork
@needs_billiard
def test_process_of_billiard_sends_its_reports(run: Run, target: Target) -> None:
    run(
        RECYCLED
        + """
import billiard
process = billiard.Process(target=task, args=(1,))
process.start()
process.join()
assert process.exitcode == 0
"""
    )
    assert [session_of(one.target) for one in target.requests_to(DELIVERY)] == ["s1"]


@needs_fork
def test_worker_of_a_process_pool_executor_sends_its_reports(run: Run, target: Target) -> None:
    run(
        RECYCLED
        + """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
    pool.submit(task, 1).result()
"""
    )
    assert [session_of(one.target) for one in target.requests_to(DELIVERY)] == ["s1"]
