"""The notifier with its threads, forks, ends of processes and a spool."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.faulty import HANG, FaultyServer, json_answer
from support.background_fakes import Clock, Lines, Listener, answer
from support.notifier import (
    ADDRESS,
    LONG_S,
    OK,
    Api,
    Reply,
    address_of,
    build_request,
    counters_add_up,
    delivery,
    ids_in,
    write_format_1,
)
from support.python_process import environment
from targetry.delivery.clusters import ClusterDirectory
from targetry.errors import DeadlineError, TransportError
from targetry.http import HttpTransport
from targetry.http.protocol import HttpRequest, Transport
from targetry.notifications.durable_queue import DurableQueue
from targetry.notifications.notifier import Notifier, RetryPolicy

REFUSED = TransportError(reason="connection refused")
EAGER = RetryPolicy(first_wait_s=0.001, longest_wait_s=0.002, budget_per_s=1e6)
PATIENT = RetryPolicy(first_wait_s=1000.0, longest_wait_s=1000.0)
EARLIER: set[threading.Thread] = set()
"""Threads that tests before the current one have left."""


class Kit:
    """Makes notifiers, and ends them."""

    def __init__(self) -> None:
        self.emitted = Listener()
        self.lines = Lines()
        self.made: list[Notifier] = []

    def __call__(self, transport: Transport, **options: Any) -> Notifier:
        settings = {
            "address": ADDRESS,
            "build_request": build_request,
            "clusters": ClusterDirectory(time.monotonic),
            "headers": {},
            "timeout_s": 5.0,
            "emit": self.emitted,
            "log": self.lines,
            "policy": EAGER,
        }
        notifier = Notifier(transport, **{**settings, **options})
        self.made.append(notifier)
        return notifier


@pytest.fixture
def make() -> Iterator[Kit]:
    EARLIER.clear()
    EARLIER.update(threading.enumerate())
    kit = Kit()
    yield kit
    for notifier in kit.made:
        notifier.close(0)


class Gate:
    """A reply that keeps calls waiting until it is opened."""

    def __init__(self, reply: Reply = OK) -> None:
        self.opened = threading.Event()
        self.reply = reply

    def __call__(self, request: HttpRequest) -> Reply:
        assert self.opened.wait(
            3 * LONG_S
        )  # longer than a test waits for what the gate must not be needed for
        return self.reply


def until(condition: Callable[[], object]) -> None:
    """Poll until a condition holds that no event signals."""
    deadline, look = time.monotonic() + LONG_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        look.wait(0.001)


def leave_on_disk(notifier: Notifier, deliveries: int) -> None:
    """Close a notifier once so many deliveries are on disk, however busy the machine is."""
    queue = notifier._queue
    assert isinstance(queue, DurableQueue)
    until(lambda: queue._newest_row >= deliveries)
    notifier.close(0.1)


def threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in EARLIER and thread.name.startswith(("targetry-notifier", "targetry-spool"))
    ]


# Sending


def test_submitted_deliveries_are_sent(make: Kit) -> None:
    api = Api()
    notifier = make(api)
    assert notifier.submit(delivery("a"))
    assert notifier.submit(delivery("b", "c"))
    assert notifier.flush(LONG_S)
    assert api.received == {"a": 1, "b": 1, "c": 1}
    assert notifier.stats().sent == notifier.stats().accepted == 3


def test_there_is_no_thread_before_the_first_submission(make: Kit) -> None:
    make(Api())
    assert threads() == []


def test_idle_thread_ends_and_another_starts_when_needed(make: Kit) -> None:
    notifier = make(Api(), idle_s=0.01)
    for _ in range(3):
        notifier.submit(delivery())
        until(lambda: threads() == [])
    assert notifier.stats().sent == 3


def test_threads_do_not_keep_a_process_alive(make: Kit) -> None:
    gate = Gate()
    make(Api(gate)).submit(delivery())
    assert [thread.daemon for thread in threads()] == [True]
    gate.opened.set()


def test_unreferenced_notifier_is_collected_after_it_has_sent_everything(make: Kit) -> None:
    api = Api()
    notifier = make(api, idle_s=0.01)
    notifier.submit(delivery("a"))
    forgotten = weakref.ref(notifier)
    make.made.clear()
    del notifier
    until(lambda: gc.collect() is not None and forgotten() is None)
    assert api.received == {"a": 1}


def test_distant_host_gets_several_calls_at_once_up_to_the_limit(make: Kit) -> None:
    gate = Gate()
    api = Api(gate)
    notifier = make(api, max_in_flight=3)
    for _ in range(20):
        notifier.submit(delivery())
    look = threading.Event()
    while len(api.requests) < 3:  # they are hired one at a time, while something has waited for too long
        gate.opened.set()
        gate.opened.clear()
        notifier.submit(delivery())
        look.wait(0.01)
    assert len(threads()) <= 3
    gate.opened.set()
    assert notifier.flush(LONG_S)


def test_unresponsive_host_delays_no_other(make: Kit) -> None:
    """All senders that may would be waiting for it."""
    gate = Gate()
    api = Api(lambda request: gate(request) if "mboxedge" in request.url else OK)
    notifier = make(api, clusters=clusters_with("44"))
    for number in range(200):
        notifier.submit(delivery(cluster="44"))
        notifier.submit(delivery(cluster=str(100 + number)))
    for number in range(100):
        notifier.submit(delivery(f"own{number}"))
    until(lambda: set(api.received) >= {f"own{number}" for number in range(100)})
    assert len(threads()) <= 16
    gate.opened.set()
    assert notifier.flush(LONG_S)
    assert notifier.stats().sent == 500


def test_host_that_stops_responding_delays_no_other(make: Kit) -> None:
    gate = Gate()
    api = Api(lambda request: gate(request) if "mboxedge44." in request.url else OK)
    notifier = make(api, clusters=clusters_with("44"))
    notifier.submit(delivery(cluster="44"))
    api.wait_until(lambda: len(api.requests) == 1)
    notifier.submit(delivery("own"))
    api.wait_until(lambda: api.received["own"] == 1)
    gate.opened.set()
    assert notifier.flush(LONG_S)


def test_drops_are_reported_while_the_host_is_down(make: Kit) -> None:
    api = Api(REFUSED)
    notifier = make(api, queue_limit=1, policy=PATIENT)
    notifier.submit(delivery())
    api.wait_until(lambda: len(api.requests) == 1)
    notifier.submit(delivery("lost"))
    make.emitted.wait_for("notification_failed")
    assert make.emitted.last("notification_failed")["reason"] == "queue_full"


# Flushing and closing


def test_flush_returns_whether_all_is_sent(make: Kit) -> None:
    gate = Gate()
    notifier = make(Api(gate))
    assert notifier.flush(0)
    notifier.submit(delivery())
    assert not notifier.flush(0.01)
    gate.opened.set()
    assert notifier.flush(LONG_S)


def test_flush_does_not_wait_for_a_retry_that_is_far_off(make: Kit) -> None:
    api = Api(REFUSED)
    notifier = make(api, policy=PATIENT)
    notifier.submit(delivery())
    api.wait_until(lambda: len(api.requests) == 1)
    until(lambda: notifier.stats().last_error)
    api.reply = OK
    assert notifier.flush(LONG_S)
    assert notifier.stats().sent == 1


def test_flush_honors_retry_after(make: Kit) -> None:
    api = Api(answer(429, retry_after="600"))
    notifier = make(api)
    notifier.submit(delivery())
    until(lambda: notifier.stats().last_error)
    assert not notifier.flush(0.05)
    assert len(api.requests) == 1


def test_close_sends_pending_notifications_and_ends_the_threads(make: Kit) -> None:
    api = Api()
    notifier = make(api)
    for _ in range(50):
        notifier.submit(delivery())
    notifier.close(LONG_S)
    assert sum(api.received.values()) == notifier.stats().sent == 50
    until(lambda: threads() == [])


def test_close_returns_in_time_and_drops_the_rest(make: Kit) -> None:
    gate = Gate()
    api = Api(gate)
    notifier = make(api)
    notifier.submit(delivery("under way"))
    api.wait_until(lambda: len(api.requests) == 1)
    notifier.submit(delivery("waiting"))
    notifier.close(0.05)
    assert (notifier.stats().pending, notifier.stats().dropped) == (0, {"closed": 2})
    make.emitted.wait_for("notification_failed")  # although the only sender still hangs
    gate.opened.set()
    emitted = make.emitted.last("notification_failed")
    assert (emitted["reason"], emitted["count"]) == ("closed", 2)
    assert emitted["notification_ids"] == ["under way"]  # the other one was never built
    assert notifier.stats().dropped == {"closed": 2}
    until(lambda: threads() == [])
    assert make.emitted.names.count("notification_failed") == 1


def test_calls_made_while_closing_are_bounded_by_its_deadline(make: Kit) -> None:
    api = Api(REFUSED)
    notifier = make(api, timeout_s=60.0, policy=PATIENT)
    notifier.submit(delivery())
    until(lambda: notifier.stats().last_error)
    notifier.close(0.2)
    assert api.timeouts[0] == 60.0
    assert api.timeouts[1] <= 0.2


def test_close_twice_is_safe_and_later_submissions_are_counted(make: Kit) -> None:
    api = Api()
    notifier = make(api)
    notifier.close(LONG_S)
    notifier.close(LONG_S)
    assert not notifier.submit(delivery())
    assert notifier.stats().dropped == {"closed": 1}
    assert notifier.flush(LONG_S)
    assert api.requests == []


def test_many_may_close_at_once(make: Kit) -> None:
    notifier = make(Api())
    for _ in range(20):
        notifier.submit(delivery())
    closers = [threading.Thread(target=notifier.close, args=(LONG_S,)) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(LONG_S)
    assert not any(closer.is_alive() for closer in closers)
    assert counters_add_up(notifier.stats())
    assert notifier.stats().pending == 0


# Handlers


def test_blocking_handler_delays_neither_submissions_nor_close(make: Kit) -> None:
    blocked, release = threading.Event(), threading.Event()

    def emit(name: str, **payload: Any) -> None:
        blocked.set()
        release.wait(LONG_S)

    notifier = make(Api(answer(400)), emit=emit)
    notifier.submit(delivery())
    assert blocked.wait(LONG_S)
    assert notifier.submit(delivery())
    assert not notifier.flush(0.01)
    notifier.close(0.01)
    release.set()
    assert notifier.stats().dropped == {"rejected": 1, "closed": 1}


def test_handler_can_call_the_notifier(make: Kit) -> None:
    def emit(name: str, **payload: Any) -> None:
        notifier.submit(delivery("again"))
        results.append(notifier.stats().dropped)
        notifier.close(0.01)

    results: list[dict[str, int]] = []
    notifier = make(Api(answer(400)), emit=emit)
    notifier.submit(delivery())
    until(lambda: len(results) >= 1 and threads() == [])
    assert results[0] == {"rejected": 1}
    assert counters_add_up(notifier.stats())


def test_handler_that_raises_does_not_end_the_thread(make: Kit) -> None:
    def emit(name: str, **payload: Any) -> None:
        raise ValueError("the handler's")

    api = Api(answer(400))
    notifier = make(api, emit=emit)
    notifier.submit(delivery())
    assert notifier.flush(LONG_S)
    api.reply = OK
    notifier.submit(delivery())
    assert notifier.flush(LONG_S)
    assert (notifier.stats().sent, notifier.stats().dropped) == (1, {"rejected": 1})


# Counters


@settings(max_examples=12)
@given(
    st.integers(1, 60),
    st.integers(1, 4),
    st.lists(st.sampled_from(["flush", "close", "stats"]), max_size=4),
    st.integers(0, 1000),
)
def test_counters_are_consistent_at_every_moment(
    limit: int, offerers: int, calls: list[str], seed: int
) -> None:
    numbers = random.Random(seed)
    replies: list[Reply] = [
        OK,
        OK,
        answer(503),
        answer(400),
        REFUSED,
        answer(500),
        answer(200, b'{"notifications":[]}'),
    ]
    lock = threading.Lock()

    def reply(request: HttpRequest) -> Reply:
        with lock:
            return numbers.choice(replies)

    api, kit = Api(reply), Kit()
    notifier = kit(api, queue_limit=limit, max_in_flight=3)
    wrong, done = [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            if not counters_add_up(stats := notifier.stats()):
                wrong.append(stats)

    def offer() -> None:
        for _ in range(40):
            notifier.submit(delivery())

    workers = [threading.Thread(target=offer) for _ in range(offerers)]
    watcher = threading.Thread(target=watch)
    for thread in (watcher, *workers):
        thread.start()
    for call in calls:
        {
            "flush": lambda: notifier.flush(0.002),
            "close": lambda: notifier.close(0.002),
            "stats": notifier.stats,
        }[call]()
    for thread in workers:
        thread.join(LONG_S)
    notifier.close(0.02)
    done.set()
    watcher.join(LONG_S)
    assert wrong == []
    stats = notifier.stats()
    assert (stats.accepted, stats.pending) == (40 * offerers, 0)
    assert stats.sent <= sum(api.received.values())


def test_burst_beyond_the_queue_is_counted(make: Kit) -> None:
    gate = Gate()
    api = Api(gate)
    notifier = make(api, queue_limit=100)
    accepted = sum(notifier.submit(delivery()) for _ in range(1000))
    gate.opened.set()
    assert notifier.flush(LONG_S)
    stats = notifier.stats()
    assert (stats.accepted, stats.sent, stats.dropped) == (1000, accepted, {"queue_full": 1000 - accepted})
    until(lambda: sum(payload["count"] for _, payload in make.emitted.events) == 1000 - accepted)


def test_stats_are_a_copy(make: Kit) -> None:
    notifier = make(Api())
    notifier.close(0)
    notifier.submit(delivery())
    notifier.stats().dropped.clear()
    assert notifier.stats().dropped == {"closed": 1}


# Real sockets, and the end of processes


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(json_answer({"status": 200})) as server:
        yield server


def received(server: FaultyServer) -> list[str]:
    return sorted(one for request in server.requests for one in ids_in(request.body))


def test_calls_reuse_connections(make: Kit, server: FaultyServer) -> None:
    transport = HttpTransport()
    notifier = make(transport, max_in_flight=1, address=address_of(server.url))
    for n in range(20):
        notifier.submit(delivery(f"{n:02}"))
    assert notifier.flush(LONG_S)
    assert received(server) == [f"{n:02}" for n in range(20)]
    assert server.connections == 1
    transport.close()


def test_server_that_was_down_receives_everything_when_it_is_up(make: Kit, server: FaultyServer) -> None:
    server.script(json_answer({"message": "overloaded"}, status=503))
    transport = HttpTransport()
    notifier = make(transport, address=address_of(server.url))
    for n in range(10):
        notifier.submit(delivery(str(n)))
    server.wait_until(lambda: len(server.requests) >= 5)
    server.script(json_answer({"status": 200}))
    assert notifier.flush(LONG_S)
    assert set(received(server)) == {str(n) for n in range(10)}
    assert notifier.stats().sent == 10
    transport.close()


PRELUDE = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads; that is the point
from support.background_fakes import Lines, Listener
from support.notifier import LONG_S, Api, address_of, counters_add_up, build_request, delivery
from targetry.delivery.clusters import ClusterDirectory
from targetry.notifications.notifier import Notifier, RetryPolicy
from targetry.http import HttpTransport
from targetry.errors import TransportError

URL, SPOOL = sys.argv[1:]
EAGER = RetryPolicy(first_wait_s=0.001, longest_wait_s=0.002, budget_per_s=1e6)

def notifier_with(transport, **options):
    settings = dict(
        address=address_of(URL), build_request=build_request, clusters=ClusterDirectory(time.monotonic), headers={},
        timeout_s=60.0, emit=Listener(), log=Lines(), policy=EAGER,
    )
    return Notifier(transport, **{**settings, **options})

def prepared_transport():
    # As a client does: the imports of a first call take longer than a busy process has at its end.
    transport = HttpTransport()
    transport.prepare()
    return transport

def warmed(notifier):
    # The first call imports modules. A child that is forked at that moment would hang at their import.
    notifier.submit(delivery("warm"))
    assert notifier.flush(LONG_S)
    return notifier

def in_child(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child

def all_well(children):
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


@contextlib.contextmanager
def process(script: str, url: str = "", spool: Path | str = "") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script), url, str(spool)]
    running = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.communicate(timeout=30)


def run(script: str, url: str = "", spool: Path | str = "") -> str:
    with process(script, url, spool) as running:
        out, _ = running.communicate(timeout=30)
        assert running.returncode == 0
        return out.decode()


def test_process_that_ends_sends_pending_notifications(server: FaultyServer) -> None:
    run(
        """
        notifier = notifier_with(prepared_transport())
        for n in range(20):
            notifier.submit(delivery(f"{n:02}"))
        """,
        server.url,
    )
    assert received(server) == [f"{n:02}" for n in range(20)]


def test_process_of_multiprocessing_that_ends_sends_pending_notifications(server: FaultyServer) -> None:
    run(
        """
        import multiprocessing
        notifier = notifier_with(prepared_transport())

        def work():
            for n in range(5):
                notifier.submit(delivery(str(n)))

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        assert child.exitcode == 0
        """,
        server.url,
    )
    assert received(server) == ["0", "1", "2", "3", "4"]


def test_process_ends_while_the_server_does_not_respond(server: FaultyServer) -> None:
    server.script(HANG)
    out = run(
        """
        notifier = notifier_with(HttpTransport())
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        import atexit
        for _ in range(2):
            notifier.submit(delivery())
        # Called after the notifier's own, which was registered later.
        from targetry._runtime.at_exit import close_all
        atexit.unregister(close_all)
        atexit.register(lambda: print(counters_add_up(notifier.stats()), notifier.stats().dropped))
        atexit.register(close_all)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        server.url,
    )
    assert out == "True {'closed': 2}\n"


def test_close_in_a_signal_handler_during_a_submission_returns() -> None:
    out = run("""
        notifier = notifier_with(Api())
        def close(*_):
            notifier.close(2.0)
            done.append(True)
        done = []
        signal.signal(signal.SIGALRM, close)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        while not done:
            notifier.submit(delivery())
        notifier.close(LONG_S)  # if the handler came in the middle of an offer, it could not wait
        stats = notifier.stats()
        print(counters_add_up(stats), stats.pending, stats.dropped.get("closed", 0) <= 1)
    """)
    assert out == "True 0 True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
class TestForks:
    def test_child_starts_empty_and_sends_only_its_own_notifications(self, server: FaultyServer) -> None:
        """The parent has a call under way and others waiting; each notification arrives once."""
        released = threading.Event()

        def hold(request: Any) -> Any:
            assert ids_in(request.body) == ["warm"] or released.wait(LONG_S)
            return json_answer({"status": 200})

        server.script(hold)
        script = """
            notifier = warmed(notifier_with(HttpTransport(), max_in_flight=1))
            for name in ("p1", "p2", "p3"):
                notifier.submit(delivery(name))

            def work():
                before = notifier.stats()
                assert (before.accepted, before.pending) == (0, 0), before
                notifier.submit(delivery("c1"))
                assert notifier.flush(LONG_S)
                assert notifier.stats().sent == 1
                notifier.close(LONG_S)

            children = [in_child(work)]
            print("forked", flush=True)
            all_well(children)
            assert notifier.flush(LONG_S)
            assert notifier.stats().sent == 4
        """
        with process(script, server.url) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"forked\n"
            server.wait_until(lambda: {"p1", "c1"} <= set(received(server)))
            released.set()
            assert running.wait(timeout=30) == 0
        assert received(server) == ["c1", "p1", "p2", "p3", "warm"]

    @pytest.mark.slow
    def test_forks_at_any_moment_neither_deadlock_nor_send_twice(
        self, server: FaultyServer, tmp_path: Path
    ) -> None:
        run(
            """
            notifier = warmed(notifier_with(HttpTransport(), spool_path=SPOOL))
            going = True
            def offer():
                n = 0
                while going:
                    notifier.submit(delivery(f"p{n}"))
                    n += 1
                    notifier.flush(0.001)
            offerers = [threading.Thread(target=offer)]
            for offerer in offerers:
                offerer.start()

            def work(n):
                notifier.submit(delivery(f"c{n}"))
                assert notifier.flush(LONG_S)
                assert notifier.stats().sent == notifier.stats().accepted == 1
                notifier.close(LONG_S)
            for n in range(0, 24, 4):
                all_well([in_child(lambda: work(m)) for m in range(n, n + 4)])
            going = False
            for offerer in offerers:
                offerer.join()
            notifier.close(LONG_S)
            assert notifier.stats().sent == notifier.stats().accepted
            """,
            server.url,
            tmp_path / "spool",
        )
        came = received(server)
        assert len(came) == len(set(came))
        assert {f"c{n}" for n in range(24)} < set(came)
        assert list((tmp_path / "spool").iterdir()) == []

    def test_fork_that_bypasses_python_handlers_is_detected(self, make: Kit, monkeypatch: Any) -> None:
        gate = Gate()
        notifier = make(Api(gate))
        notifier.submit(delivery())
        there = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: there)
        assert notifier.stats().accepted == 0
        gate.opened.set()

    def test_child_of_a_closed_notifier_is_closed(self) -> None:
        run("""
            notifier = notifier_with(Api())
            notifier.close(1)
            def work():
                assert not notifier.submit(delivery())
                assert notifier.stats().dropped == {"closed": 1}
            all_well([in_child(work)])
    """)


# The spool


def test_with_a_spool_all_is_sent_once_and_no_file_remains(make: Kit, tmp_path: Path) -> None:
    api = Api()
    notifier = make(api, spool_path=tmp_path)
    for n in range(100):
        notifier.submit(delivery(str(n)))
    assert notifier.flush(LONG_S)
    notifier.close(LONG_S)
    assert dict(api.received) == {str(n): 1 for n in range(100)}
    until(lambda: list(tmp_path.iterdir()) == [])


def test_next_process_sends_what_an_ended_process_left(make: Kit, tmp_path: Path) -> None:
    first = make(Api(REFUSED), spool_path=tmp_path, policy=PATIENT)
    for n in range(5):
        first.submit(delivery(str(n)))
    leave_on_disk(first, 5)
    assert (first.stats().pending, first.stats().dropped) == (5, {})

    api = Api()
    second = make(api, spool_path=tmp_path)
    assert second.flush(LONG_S)
    assert dict(api.received) == {str(n): 1 for n in range(5)}
    stats = second.stats()
    assert (stats.recovered, stats.accepted, stats.sent) == (5, 5, 5)


def test_next_process_sends_what_a_killed_process_left(make: Kit, tmp_path: Path) -> None:
    script = """
        class Down(Api):
            def send(self, request, *, timeout, max_bytes=None):
                seen.add(request.body)
                if len(seen) == 50:  # each was on disk before it was tried
                    print("down", flush=True)
                    signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()
                raise TransportError(reason="refused")
        seen = set()
        notifier = notifier_with(Down(), spool_path=SPOOL, max_in_flight=1)
        for n in range(50):
            notifier.submit(delivery(str(n)))
        signal.pause()
    """
    with process(script, "", tmp_path) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"down\n"
        running.send_signal(signal.SIGKILL)
        running.wait(timeout=30)
    api = Api()
    notifier = make(api, spool_path=tmp_path)
    assert notifier.flush(LONG_S)
    assert dict(api.received) == {str(n): 1 for n in range(50)}
    assert notifier.stats().recovered == 50


def test_backlog_larger_than_the_queue_waits_on_disk(make: Kit, tmp_path: Path) -> None:
    api = Api(REFUSED)
    notifier = make(api, spool_path=tmp_path, queue_limit=20, policy=PATIENT)
    refused = 0
    for n in range(200):
        while not notifier.submit(one := delivery(f"{n:03}")):
            refused += one.count
            threading.Event().wait(0.001)  # until the writer has written some
    assert notifier.stats().pending == 200
    api.reply = OK
    assert notifier.flush(LONG_S)
    assert dict(api.received) == {f"{n:03}": 1 for n in range(200)}
    assert (notifier.stats().sent, notifier.stats().accepted) == (200, 200 + refused)


def test_two_notifiers_share_a_folder_without_sending_twice(make: Kit, tmp_path: Path) -> None:
    left = make(Api(REFUSED), spool_path=tmp_path, policy=PATIENT)
    left.submit(delivery("left behind"))
    leave_on_disk(left, 1)
    api = Api()
    both = [make(api, spool_path=tmp_path) for _ in range(2)]
    for n in range(40):
        both[n % 2].submit(delivery(str(n)))
    assert all(notifier.flush(LONG_S) for notifier in both)
    assert dict(api.received) == {**{str(n): 1 for n in range(40)}, "left behind": 1}
    assert sum(notifier.stats().recovered for notifier in both) == 1


def test_expired_delivery_on_disk_is_reported_with_its_request(make: Kit, tmp_path: Path) -> None:
    clock = Clock()
    policy = RetryPolicy(first_wait_s=1000.0, longest_wait_s=1000.0, max_age_s=60.0)
    first = make(Api(REFUSED), spool_path=tmp_path, policy=policy, clock=clock)
    first.submit(delivery("old"))
    until(lambda: first.stats().last_error)
    clock.advance(50)
    first.close(0.0)
    until(lambda: threads() == [])
    api = Api(REFUSED)
    notifier = make(api, spool_path=tmp_path, policy=policy, clock=clock)
    until(lambda: notifier.stats().last_error)
    clock.advance(20)
    assert notifier.flush(LONG_S)
    assert (len(api.requests), notifier.stats().dropped) == (1, {"expired": 1})
    make.emitted.wait_for("send_notification_error")
    assert make.emitted.last("notification_failed")["notification_ids"] == ["old"]
    assert make.emitted.last("send_notification_error")["notification"].request_id == "r-old"


@pytest.mark.parametrize("jump_s", [-1e9, -86_400.0, 2 * 86_400.0, 1e9])
def test_backlog_on_disk_survives_a_jump_of_the_wall_clock(jump_s: float, make: Kit, tmp_path: Path) -> None:
    first = make(Api(REFUSED), spool_path=tmp_path, policy=PATIENT, now=lambda: 2e9)
    first.submit(delivery("a"))
    leave_on_disk(first, 1)
    api = Api()
    notifier = make(api, spool_path=tmp_path, now=lambda: 2e9 + jump_s)
    assert notifier.flush(LONG_S)
    assert dict(api.received) == {"a": 1}


def clusters_with(*known: str) -> ClusterDirectory:
    clusters = ClusterDirectory(time.monotonic)
    for cluster in known:
        clusters.add(cluster)
    return clusters


def late_at_44(request: HttpRequest) -> Reply:
    return DeadlineError(reason="late") if "mboxedge44." in request.url else OK


def test_backlog_of_a_dead_host_on_disk_does_not_delay_others(make: Kit, tmp_path: Path) -> None:
    first = make(
        Api(REFUSED), spool_path=tmp_path, policy=PATIENT, queue_limit=2000, clusters=clusters_with("44")
    )
    for number in range(300):
        first.submit(delivery(f"dead{number}", cluster="44"))
    for number in range(10):
        first.submit(delivery(f"own{number}"))
    leave_on_disk(first, 310)
    until(lambda: threads() == [])
    assert first.stats().pending == 310
    api = Api(late_at_44)
    notifier = make(api, spool_path=tmp_path, policy=PATIENT, queue_limit=20, clusters=clusters_with("44"))
    until(lambda: notifier.stats().sent == 10)
    for number in range(50):
        while not notifier.submit(delivery(f"new{number}")):
            threading.Event().wait(0.001)
    until(lambda: notifier.stats().sent == 60)
    assert set(api.received) == {f"own{n}" for n in range(10)} | {f"new{n}" for n in range(50)}
    assert notifier.stats().pending == 300
    assert notifier._queue._memory.held <= 20
    api.reply = OK
    notifier._queue.skip_backoff()
    assert notifier.flush(LONG_S)
    assert len(api.received) == 360
    assert set(api.received.values()) == {1}


def test_host_that_dies_while_its_backlog_is_paged_makes_room(make: Kit, tmp_path: Path) -> None:
    gate = Gate()
    api = Api(lambda request: gate(request) if "mboxedge44." in request.url else OK)
    notifier = make(
        api,
        spool_path=tmp_path,
        policy=PATIENT,
        queue_limit=40,
        clusters=clusters_with("44"),
        max_in_flight=4,
    )
    for number in range(200):
        while not notifier.submit(delivery(f"dying{number}", cluster="44")):
            threading.Event().wait(0.001)
    gate.reply = DeadlineError(reason="late")
    gate.opened.set()
    until(lambda: notifier.stats().last_error)
    for number in range(100):
        while not notifier.submit(delivery(f"own{number}")):
            threading.Event().wait(0.001)
    until(lambda: notifier.stats().sent >= 100)
    api.reply = OK
    assert notifier.flush(LONG_S)
    # An offer that meets the writer at work returns True, and may be refused a moment later.
    refused = 300 - len(api.received)
    assert notifier.stats().dropped.get("queue_full", 0) >= refused
    assert all(api.received[f"own{number}"] for number in range(100)) or refused
    assert set(api.received.values()) == {1}


def test_files_that_cannot_be_used_are_reported_once_by_name(make: Kit, tmp_path: Path) -> None:
    first = make(Api(REFUSED), spool_path=tmp_path, policy=PATIENT)
    first.submit(delivery("a"))
    leave_on_disk(first, 1)
    until(lambda: threads() == [])
    [file] = tmp_path.glob("*.db")
    file.chmod(0o666)
    for _ in range(3):
        notifier = make(Api(), spool_path=tmp_path, idle_s=0.01)
        for _ in range(3):
            notifier.submit(delivery())
            assert notifier.flush(LONG_S)
            until(lambda: threads() == [])
    assert make.emitted.names == ["notification_spool_failed"] * 3  # each process once
    assert file.name in make.emitted.last("notification_spool_failed")["error"]
    assert any(file.name in line for line in make.lines.errors)


def test_urls_of_others_in_a_spool_are_dropped_and_counted(make: Kit, tmp_path: Path) -> None:
    write_format_1(
        tmp_path, ADDRESS.url("s1"), "https://evil.example/rest/v1/delivery?imsOrgId=org&sessionId=s"
    )
    api = Api()
    notifier = make(api, spool_path=tmp_path)
    assert notifier.flush(LONG_S)
    assert notifier.stats().sent == 2
    assert [request.url for request in api.requests] == [ADDRESS.url("s1")]
    assert notifier.stats().dropped == {"spool_foreign": 2}
    assert counters_add_up(notifier.stats())
    make.emitted.wait_for("notification_spool_failed")
    make.emitted.wait_for("notification_failed")


@pytest.mark.parametrize("problems", ["no folder", "full"])
def test_notifier_without_a_disk_uses_memory_and_logs_that_once(
    make: Kit, tmp_path: Path, problems: str
) -> None:
    (tmp_path / "file").touch()
    api = Api()
    if problems == "full":
        notifier = make(api, spool_path=tmp_path / "spool", spool_bytes=10)
    else:
        notifier = make(api, spool_path=tmp_path / "file" / "spool")
    for n in range(30):
        notifier.submit(delivery(str(n)))
        assert notifier.flush(LONG_S)
    assert dict(api.received) == {str(n): 1 for n in range(30)}
    make.emitted.wait_for("notification_spool_failed")
    assert make.emitted.names == ["notification_spool_failed"]
    [line] = make.lines.errors
    assert line.startswith("the notification spool is not used")


def test_notifier_without_a_disk_drops_pending_deliveries_at_the_end(make: Kit, tmp_path: Path) -> None:
    notifier = make(Api(REFUSED), spool_path=tmp_path, spool_bytes=10, policy=PATIENT)
    notifier.submit(delivery())
    notifier.close(0.1)
    assert (notifier.stats().pending, notifier.stats().dropped) == (0, {"closed": 1})


def test_unreadable_backlog_is_counted_and_reported(make: Kit, tmp_path: Path) -> None:
    first = make(Api(REFUSED), spool_path=tmp_path, policy=PATIENT)
    for _ in range(100):
        first.submit(delivery(*(f"n{n}" for n in range(50))))
    leave_on_disk(first, 100)
    pending = first.stats().pending
    until(lambda: threads() == [])
    [file] = tmp_path.glob("*.db")
    content = file.read_bytes()
    file.write_bytes(content[:16384] + bytes(len(content) - 16384))

    api = Api()
    notifier = make(api, spool_path=tmp_path)
    notifier.flush(LONG_S)
    notifier.submit(delivery("fresh"))
    assert notifier.flush(LONG_S)
    stats = notifier.stats()
    assert counters_add_up(stats)
    assert api.received["fresh"] == 1
    assert stats.recovered in (0, pending)
    assert stats.dropped.get("spool_lost", 0) == stats.recovered - (stats.sent - 1)
    make.emitted.wait_for("notification_spool_failed")


def test_retries_after_a_restart_carry_the_same_body(make: Kit, tmp_path: Path) -> None:
    api = Api(REFUSED)
    first = make(api, spool_path=tmp_path, policy=PATIENT)
    first.submit(delivery("a"))
    api.wait_until(lambda: bool(api.requests))
    first.close(0.0)
    until(lambda: threads() == [])
    api.reply = OK
    assert make(api, spool_path=tmp_path).flush(LONG_S)
    assert len({request.body for request in api.requests}) == 1
    assert json.loads(api.requests[-1].body or b"")["requestId"] == "r-a"
