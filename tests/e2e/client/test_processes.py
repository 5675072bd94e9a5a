"""Forks, and the end of a process, with open clients (F8, F9); each scenario is a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from e2e.client.scripts import Run, started
from e2e.client.target import ARTIFACT, DELIVERY, Target
from servers.faulty import HANG, answer
from support.late import LATE_S
from support.slow import slow

START_METHODS = multiprocessing.get_all_start_methods()
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def sessions(target: Target) -> list[str]:
    return [received.target.rpartition("=")[2] for received in target.requests_to()]


def connections(target: Target) -> dict[str, set[int]]:
    """Return for each session the connections that its requests used."""
    found: dict[str, set[int]] = {}
    for received in target.requests_to():
        found.setdefault(received.target.rpartition("=")[2], set()).add(received.connection)
    return found


@needs_fork
def test_client_works_in_children_forked_before_and_after_its_first_use(run: Run, target: Target) -> None:
    run(
        """
client = TargetClient.create(options)
wait_for(in_child(lambda: client.get_offers(hero("before"))))
client.get_offers(hero("parent"))
def child():
    client.get_offers(hero("child"))
    wait_for(in_child(lambda: client.get_offers(hero("grandchild"))))
    client.get_offers(hero("child"))
    client.close()
wait_for(in_child(child))
client.get_offers(hero("parent"))
client.close()
"""
    )
    assert sorted(sessions(target)) == ["before", "child", "child", "grandchild", "parent", "parent"]
    used = connections(target)
    assert all(len(numbers) == 1 for numbers in used.values())
    assert len(set.union(*used.values())) == 4


@pytest.mark.slow
@needs_fork
def test_close_in_a_child_does_not_affect_the_parent(run: Run, target: Target) -> None:
    run(
        """
client = TargetClient.create(on_device, polling_interval=1000)
client.get_offers(hero("parent"))
wait_for(in_child(client.close))
client.get_offers(hero("parent"))
assert client.flush(10)
client.get_offers(hero("parent"), decisioning_method="server-side")
client.close()
"""
    )
    assert sessions(target) == ["parent"] * 3


@needs_fork
def test_each_process_reports_its_decisions_once(run: Run, target: Target) -> None:
    """Check gunicorn's preload: at the fork, the parent can have reports in flight."""
    run(
        """
client = TargetClient.create(on_device)
for _ in range(10):
    client.get_offers(hero("parent"))

def work(name):
    for _ in range(5):
        client.get_offers(hero(name))
    stats = client.stats().notifications
    assert stats.accepted == 5, stats
    client.close(10)
    stats = client.stats().notifications
    assert (stats.sent, stats.pending, stats.dropped) == (5, 0, {}), stats

wait_for(*[in_child(lambda: work(f"child{n}")) for n in range(4)])
client.close(10)
assert client.stats().notifications.sent == 10
"""
    )
    ids = [one["id"] for one in target.notifications]
    assert len(ids) == len(set(ids)) == 30
    assert sorted(set(sessions(target))) == ["child0", "child1", "child2", "child3", "parent"]


@pytest.mark.slow
@needs_fork
def test_pending_telemetry_is_sent_by_the_parent_only(run: Run, target: Target) -> None:
    run(
        """
client = TargetClient.create(options)
client.get_offers(hero("parent"))
wait_for(in_child(lambda: client.get_offers(hero("child"))))
client.get_offers(hero("parent"))
client.close()
"""
    )
    first, child, second = target.bodies
    assert "telemetry" not in first
    assert "telemetry" not in child
    assert [entry["requestId"] for entry in second["telemetry"]["entries"]] == [first["requestId"]]


@pytest.mark.slow
@needs_fork
def test_child_polls_the_artifact_itself(run: Run, target: Target) -> None:
    run(
        """
client = TargetClient.create(on_device, polling_interval=1000)
def child():
    before = client.stats().artifact.attempts
    deadline = time.monotonic() + 60
    while client.stats().artifact.attempts == before and time.monotonic() < deadline:
        client.get_offers(hero("child"))
        time.sleep(0.01)
    assert client.stats().artifact.attempts > before
    client.close()
wait_for(in_child(child))
client.close()
"""
    )
    assert len(target.requests_to(ARTIFACT)) >= 2


@needs_fork
@pytest.mark.parametrize("children", [2, *slow(8)])
def test_fork_during_calls_and_reports_blocks_no_process(children: int, run: Run, target: Target) -> None:
    """Check with threads that hold each lock while others use the client in all ways and fork."""
    run(
        f"children = {children}"
        """
client = TargetClient.create(on_device, polling_interval=1000)
over = threading.Event()
def decide():
    while not over.is_set():
        client.get_offers(hero("parent"))
def ask():
    while not over.is_set():
        client.get_offers(hero("parent"), decisioning_method="server-side")
def call_back():
    while not over.is_set():
        client.get_offers(hero("parent"), callback=lambda _: None).get(10)
threads = [threading.Thread(target=work) for work in (decide, ask, call_back)]
for thread in threads:
    thread.start()
def child():
    client.get_offers(hero("child"))
    client.get_offers(hero("child"), decisioning_method="server-side")
    client.get_offers(hero("child"), callback=lambda _: None).get(10)
    client.stats()
    client.close(10)
    assert client.stats().notifications.sent == 2, client.stats()
wait_for(*[in_child(child) for _ in range(children)])
over.set()
for thread in threads:
    thread.join()
client.close(10)
"""
    )
    ids = [one["id"] for one in target.notifications]
    assert len(ids) == len(set(ids))
    assert sessions(target).count("child") == children * 3


@needs_fork
def test_fork_that_bypasses_fork_handlers_is_detected_by_the_first_call(run: Run, target: Target) -> None:
    """Check forks in C, as uWSGI's, which call no Python handler; ids must stay unique."""
    run(
        """
import ctypes
client = TargetClient.create(options)
client.get_offers(hero("parent"))
os.fork = ctypes.PyDLL(None).fork
def child():
    client.get_offers(hero("child"))
    client.get_offers(hero("child"))
    client.close(10)
wait_for(in_child(child), in_child(child), in_child(client.close))
client.get_offers(hero("parent"))
client.close()
"""
    )
    ids = [body["requestId"] for body in target.bodies]
    assert len(ids) == len(set(ids)) == 6
    emitted = [
        entry["requestId"] for body in target.bodies for entry in body.get("telemetry", {}).get("entries", ())
    ]
    assert len(emitted) == len(set(emitted)) == 3


@needs_fork
def test_asyncio_client_works_in_a_forked_child(run: Run, target: Target) -> None:
    run(
        """
async def use(name):
    await client.get_offers(hero(name))
    await client.get_offers(hero(name), decisioning_method="server-side")
    assert await client.flush(10)

with asyncio.Runner() as runner:
    client = runner.run(AsyncTargetClient.create(on_device))
    runner.run(use("parent"))
    def child():
        async def all_of_it():
            await use("child")
            await client.aclose()
        asyncio.run(all_of_it())
    wait_for(in_child(child))
    runner.run(use("parent"))
    runner.run(client.aclose())
"""
    )
    used = connections(target)
    assert not used["child"] & used["parent"]
    assert len(sessions(target)) == 6


@pytest.mark.slow
@needs_fork
def test_multiprocessing_can_fork_and_spawn_with_an_open_client(run: Run, target: Target) -> None:
    run(
        """
import multiprocessing
client = TargetClient.create(options)
client.get_offers(hero("parent"))

def child(connection):
    connection.send(client.get_offers(hero("child"))["response"].status)

ours, theirs = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=child, args=[theirs])
process.start()
assert ours.recv() == 200
process.join()
assert process.exitcode == 0
# What a spawned process is given must be pickled: results and errors can be, a client says that it cannot.
context = multiprocessing.get_context("spawn")
result = client.get_offers(hero("parent"))
process = context.Process(target=len, args=[result])
process.start()
process.join()
assert process.exitcode == 0
try:
    context.Process(target=print, args=[client]).start()
except TypeError:
    pass
else:
    sys.exit("a client was pickled")
client.close()
"""
    )
    assert sessions(target) == ["parent", "child", "parent"]


# The end of a process


def test_process_without_close_sends_its_reports(run: Run, target: Target) -> None:
    took = run(
        """
client = TargetClient.create(on_device, polling_interval=1000)
for n in range(20):
    client.get_offers(hero(f"s{n}"))
""",
    )
    assert len(target.notifications) == 20
    assert took < LATE_S


@pytest.mark.slow
@pytest.mark.parametrize("method", [START_METHODS[0], *slow(*START_METHODS[1:])])
@pytest.mark.parametrize("first", ["worker", *slow("parent")])
def test_unclosed_worker_of_multiprocessing_sends_its_reports(
    first: str, method: str, run: Run, target: Target
) -> None:
    """Check a worker that starts before or after its parent has used Targetry."""
    parent = """
from e2e.client.worker import decide
decide(sys.argv[1], "parent")
"""
    worker = f"""
import multiprocessing, sys
from e2e.client.worker import decide
process = multiprocessing.get_context("{method}").Process(target=decide, args=[sys.argv[1], "worker"])
process.start()
process.join()
assert process.exitcode == 0, process.exitcode
"""
    run(
        "import sys" + parent + worker if first == "parent" else worker + parent,
        prelude="",
    )
    assert sorted(sessions(target)) == ["parent"] * 3 + ["worker"] * 3


# So long that a process that waits for an answer does not end in time.
NO_TIMEOUT = """
options["timeout"] = on_device["timeout"] = 60_000
"""
HANGING = {
    "threads": """
client = TargetClient.create(options)
def ask():
    try:
        client.get_offers(hero("s"))
    except TargetError:
        pass
for _ in range(8):
    threading.Thread(target=ask, daemon=True).start()
""",
    "callbacks": """
client = TargetClient.create(options)
for _ in range(40):
    client.get_offers(hero("s"), callback=print, err_callback=print)
""",
    "closed with callbacks": """
client = TargetClient.create(options)
for _ in range(40):
    client.get_offers(hero("s"), callback=len, err_callback=type)
client.close()
""",
    "reports": """
client = TargetClient.create(on_device)
for _ in range(40):
    client.get_offers(hero("s"))
""",
    "tasks": """
async def main():
    global client, tasks
    client = await AsyncTargetClient.create(options)
    tasks = [asyncio.create_task(client.get_offers(hero("s"))) for _ in range(8)]
    await asyncio.sleep(0.1)
asyncio.run(main())
""",
    "sys.exit in a thread": """
client = TargetClient.create(on_device)
def leave():
    client.stats()
    sys.exit(3)
thread = threading.Thread(target=leave)
thread.start()
thread.join()
""",
    "handlers": """
called = threading.Event()
def block():
    called.set()
    time.sleep(600)
client = TargetClient.create(options, events={"client_ready": block})
called.wait(10)
""",
}


@pytest.mark.parametrize("name", [name if name == "reports" else slow(name)[0] for name in HANGING])
def test_process_ends_during_any_activity(name: str, run: Run, target: Target) -> None:
    target.on(DELIVERY, HANG)
    assert run(NO_TIMEOUT + HANGING[name]) < LATE_S


@pytest.mark.slow
def test_process_ends_while_a_handler_blocks_the_reports(run: Run, target: Target) -> None:
    target.on(DELIVERY, answer(400))
    script = """
called = threading.Event()
def block(event):
    called.set()
    time.sleep(600)
client = TargetClient.create(on_device, events={"send_notification_error": block})
client.get_offers(hero("s"))
called.wait(10)
client.get_offers(hero("s"))
"""
    assert run(script) < LATE_S


@pytest.mark.slow
def test_process_ends_while_the_artifact_request_hangs(run: Run, target: Target) -> None:
    target.on(ARTIFACT, HANG)
    assert run("client = TargetClient.create(on_device, maximum_wait_ready=10)\n") < LATE_S


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, -signal.SIGTERM, id="TERM"),
        pytest.param(signal.SIGINT, -signal.SIGINT, id="INT", marks=pytest.mark.slow),
    ],
)
def test_signal_ends_a_process_that_waits_for_a_response(
    number: signal.Signals, code: int, target: Target
) -> None:
    target.on(DELIVERY, HANG)
    script = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in background processes
client = TargetClient.create({**options, "timeout": 60_000})
client.get_offers(hero("s"))
"""
    with started(target, script) as process:
        target.wait_for(1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=LATE_S)
    assert process.returncode == code
    assert number is signal.SIGTERM or errors.rstrip().endswith("KeyboardInterrupt")


def test_drain_on_sigterm_sends_pending_reports(target: Target) -> None:
    script = """
client = TargetClient.create(on_device)
def stop(number, frame):
    client.close(5)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while True:
    client.get_offers(hero("s"))
    time.sleep(0.005)
"""
    with started(target, script) as process:
        target.wait_for(3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LATE_S)
    assert (process.returncode, errors) == (0, "")
    ids = [one["id"] for one in target.notifications]
    assert len(ids) == len(set(ids)) >= 3


@pytest.mark.slow
def test_frozen_process_continues_after_it_is_thawed() -> None:
    """Check a process that was frozen, as on Lambda: connections are closed, a poll is overdue."""
    script = """
client = TargetClient.create(on_device, polling_interval=1000)
def use():
    client.get_offers(hero("s"), decisioning_method="server-side")
    client.get_offers(hero("s"))
    assert client.flush(10)
use()
print("used", flush=True)
sys.stdin.readline()
began = time.monotonic()
use()
assert time.monotonic() - began < 20
client.close()
"""
    with Target(idle_seconds=0.2) as target, started(target, script) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        target.wait_until(lambda: target.open_connections == 0)
        asked = len(target.requests_to(ARTIFACT))
        time.sleep(1.5)  # a stopped process gives no sign to wait for
        assert len(target.requests_to(ARTIFACT)) == asked
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate("go on\n", timeout=2 * LATE_S)
        assert (process.returncode, errors) == (0, "")
        ids = [one["id"] for one in target.notifications]
        assert len(ids) == len(set(ids)) == 2
        assert len(target.requests_to(ARTIFACT)) > asked


def test_import_starts_no_thread(run: Run) -> None:
    run(
        """
import targetry
assert threading.active_count() == 1
client = TargetClient.create(options)
assert threading.active_count() == 1
client.close()
"""
    )


@pytest.mark.slow
def test_client_with_invalid_options_leaves_no_thread(run: Run, target: Target) -> None:
    target.on(DELIVERY, answer(503))
    run(
        """
import tempfile
from targetry import OptionError
with tempfile.TemporaryDirectory() as folder:
    first = TargetClient.create(on_device, notification_spool=folder)
    first.get_offers(hero("s"))
    first.close(0.2)
    for wrong in ({"artifact_location": "/nowhere/rules.json"}, {"artifact_payload": "{"}, {"geo_database": "/nowhere"}):
        try:
            TargetClient.create(on_device, notification_spool=folder, **wrong)
        except (OptionError, TargetError):
            pass
        else:
            sys.exit("no error")
    deadline = time.monotonic() + 30
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)  # a closed thread is still ending
    assert threading.active_count() == 1, threading.enumerate()
"""
    )
