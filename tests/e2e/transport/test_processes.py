"""Forks, and the end of a process with requests in flight; each scenario is a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from servers.certificates import Authority
from servers.clients import Serve
from servers.faulty import HANG, FaultyServer, Steps, json_answer
from support.python_process import environment
from support.slow import slow

_OK = json_answer({"status": 200})
_PRELUDE = """
import asyncio, os, sys, threading
from contextlib import closing
from targetry.http import AsyncHttpTransport, HttpTransport
from targetry.http.protocol import HttpRequest
from targetry.errors import TransportError

url, bundle = sys.argv[1], sys.argv[2] or None
options = {"trust_env": False, "ca_bundle": bundle}

def request(who):
    return HttpRequest("GET", f"{url}/{who}", {})

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def run(serve: Serve, authority: Authority) -> Callable[..., FaultyServer]:
    """Return a function that runs a script that must succeed, with a server that it returns."""

    def run(script: str, *, tls: bool = False) -> FaultyServer:
        server = serve(_OK, tls=authority.server("localhost") if tls else None)
        server.on("/hang", HANG)
        server.on("/when-it-hangs", lambda received: _ok_when_it_hangs(server))
        arguments = [server.url, str(authority.bundle) if tls else ""]
        command = [sys.executable, "-W", "error", "-c", _PRELUDE + script, *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        return server

    return run


Run = Callable[..., FaultyServer]


def _ok_when_it_hangs(server: FaultyServer) -> Steps:
    server.wait_until(lambda: any(received.path == "/hang" for received in server.requests))
    return _OK


def askers(server: FaultyServer) -> list[tuple[str, int]]:
    return [(received.path[1:], received.connection) for received in server.requests]


@pytest.mark.slow
@needs_fork
def test_transport_created_before_a_fork_works_in_both_processes(run: Run) -> None:
    server = run(
        """
transport = HttpTransport(**options)
in_child(lambda: transport.send(request("child"), timeout=60))
transport.send(request("parent"), timeout=60)
transport.close()
"""
    )
    assert askers(server) == [("child", 1), ("parent", 2)]


@needs_fork
@pytest.mark.parametrize(
    "tls", [pytest.param(False, id="plain", marks=pytest.mark.slow), pytest.param(True, id="tls")]
)
def test_child_opens_connections_and_does_not_use_those_of_its_parent(run: Run, tls: bool) -> None:
    server = run(
        """
transport = HttpTransport(**options)
transport.send(request("parent"), timeout=60)

def child():
    transport.send(request("child"), timeout=60)
    in_child(lambda: transport.send(request("grandchild"), timeout=60))
    transport.send(request("child"), timeout=60)
    transport.close()

in_child(child)
in_child(transport.close)
transport.send(request("parent"), timeout=60)
transport.close()
""",
        tls=tls,
    )
    assert askers(server) == [("parent", 1), ("child", 2), ("grandchild", 3), ("child", 2), ("parent", 1)]


@needs_fork
def test_fork_during_a_call_of_another_thread_blocks_no_process(run: Run) -> None:
    """Check a fork while that thread holds the only connection; the child must not wait for it."""
    server = run(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads, in newer Pythons
transport = HttpTransport(max_connections=1, **options)
transport.prepare()

def hang():
    try:
        transport.send(request("hang"), timeout=3)
    except TransportError:
        pass

thread = threading.Thread(target=hang)
thread.start()
with closing(HttpTransport(**options)) as other:
    other.send(request("when-it-hangs"), timeout=60)
for _ in range(5):
    in_child(lambda: transport.send(request("child"), timeout=60))
thread.join()
transport.send(request("parent"), timeout=60)
transport.close()
"""
    )
    assert [who for who, _ in askers(server)][2:] == [*["child"] * 5, "parent"]


@pytest.mark.slow
@needs_fork
def test_threads_of_a_child_can_start_together(run: Run) -> None:
    server = run(
        """
transport = HttpTransport(**options)
transport.send(request("parent"), timeout=60)

def child():
    sys.setswitchinterval(1e-6)
    together, failures = threading.Barrier(8), []
    def ask():
        together.wait()
        try:
            transport.send(request("child"), timeout=60)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.close()
    assert failures == [], failures

for _ in range(10):
    in_child(child)
transport.close()
"""
    )
    assert [who for who, _ in askers(server)] == ["parent"] + ["child"] * 80


@pytest.mark.slow
@needs_fork
def test_asyncio_works_in_a_child_forked_after_first_use(run: Run) -> None:
    server = run(
        """
transport = AsyncHttpTransport(**options)
with asyncio.Runner() as runner:
    runner.run(transport.send(request("parent"), timeout=60))
    in_child(lambda: asyncio.run(transport.send(request("child"), timeout=60)))
    runner.run(transport.send(request("parent"), timeout=60))
    runner.run(transport.aclose())
"""
    )
    assert askers(server) == [("parent", 1), ("child", 2), ("parent", 1)]


@pytest.mark.slow
def test_interrupted_request_closes_its_connection(run: Run) -> None:
    run(
        """
import signal

class Interrupted(BaseException):
    pass

def interrupt(number, frame):
    raise Interrupted

signal.signal(signal.SIGALRM, interrupt)
transport = HttpTransport(max_connections=1, **options)
transport.send(request("before"), timeout=60)  # which imports what must not be interrupted
for _ in range(3):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        transport.send(request("hang"), timeout=60)
    except Interrupted:
        pass
transport.send(request("after"), timeout=60)
transport.close()
"""
    )


def test_process_ends_during_requests_of_daemon_threads(run: Run) -> None:
    run(
        """
transport = HttpTransport(**options)
for _ in range(8):
    threading.Thread(target=transport.send, args=[request("hang")], kwargs={"timeout": 600}, daemon=True).start()
transport.send(request("when-it-hangs"), timeout=60)
"""
    )


@pytest.mark.slow
def test_process_ends_during_requests_of_tasks(run: Run) -> None:
    run(
        """
transport = AsyncHttpTransport(**options)

async def main():
    main.tasks = [asyncio.create_task(transport.send(request("hang"), timeout=600)) for _ in range(8)]
    await transport.send(request("when-it-hangs"), timeout=60)
    await transport.aclose()

asyncio.run(main())
"""
    )


@pytest.mark.parametrize(
    "tls", [pytest.param(False, id="plain", marks=pytest.mark.slow), pytest.param(True, id="tls")]
)
def test_asyncio_connections_close_silently_at_the_end_of_their_loop(run: Run, tls: bool) -> None:
    server = run(
        """
import gc
transport = AsyncHttpTransport(**options)
for _ in range(3):
    asyncio.run(transport.send(request("one"), timeout=60))
    gc.collect()
del transport
gc.collect()
""",
        tls=tls,
    )
    server.wait_until(lambda: server.open_connections == 0)
    assert [connection for _, connection in askers(server)] == [1, 2, 3]


@pytest.mark.slow
def test_asyncio_transport_collected_within_its_loop_closes_silently(run: Run) -> None:
    server = run(
        """
import gc

async def main():
    transport = AsyncHttpTransport(**options)
    await transport.send(request("one"), timeout=60)
    del transport
    gc.collect()
    await asyncio.sleep(0.05)

asyncio.run(main())
"""
    )
    server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize(
    "call",
    [
        "HttpTransport(**options).send(question, timeout=0.1)",
        *slow("asyncio.run(AsyncHttpTransport(**options).send(question, timeout=0.1))"),
    ],
    ids=["blocking", "asyncio"],
)
def test_process_ends_while_a_name_server_does_not_respond(run: Run, call: str) -> None:
    run(
        f"""
options["lookup"] = lambda host, port: threading.Event().wait(600)
question = HttpRequest("GET", "http://acme.example", {{}})
try:
    {call}
except TimeoutError:
    sys.exit(0)
sys.exit("no DeadlineError")
"""
    )
