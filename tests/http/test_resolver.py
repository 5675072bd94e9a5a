from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from targetry.http.resolver import MAX_KNOWN_NAMES, MAX_THREADS_FOR_OTHERS, Address, Resolver

_FOUND: Sequence[Address] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class NameServer:
    """Name server that responds when `released` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.released = threading.Event()
        self._error = error

    def lookup(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        self.released.wait(10)
        if self._error is not None:
            raise self._error
        return _FOUND


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7"])
def test_address_needs_no_name_server(host: str) -> None:
    server = NameServer()
    assert Resolver(server.lookup).addresses(host, 443, 0)[0][4][:2] == (host, 443)
    assert server.asked == []


def test_name_is_looked_up() -> None:
    server = NameServer()
    server.released.set()
    assert Resolver(server.lookup).addresses("acme.example", 80, 10) == _FOUND
    assert server.asked == [("acme.example", 80)]


def test_callers_share_one_lookup_and_wait_until_their_timeout() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolver.addresses("acme.example", 80, 0.01)
    assert server.asked == [("acme.example", 80)]
    server.released.set()
    assert resolver.addresses("acme.example", 80, 10) == _FOUND


def test_task_that_gives_up_leaves_the_lookup_to_others() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)

    async def main() -> None:
        patient = asyncio.create_task(resolver.addresses_async("acme.example", 80, 10))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.addresses_async("acme.example", 80, 10), 0.01)
        server.released.set()
        assert await patient == _FOUND

    asyncio.run(main())
    assert server.asked == [("acme.example", 80)]


def test_result_after_the_end_of_the_loop_is_kept_for_others() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.addresses_async("acme.example", 80, 10), 0.01)

    asyncio.run(main())
    server.released.set()
    assert resolver.addresses("acme.example", 80, 10) == _FOUND


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_error_of_the_lookup_is_raised_and_not_cached(error: Exception) -> None:
    server = NameServer(error)
    server.released.set()
    resolver = Resolver(server.lookup)
    for _ in range(2):
        with pytest.raises(type(error)):
            resolver.addresses("acme.example", 80, 10)
    assert len(server.asked) == 2


class NameServerOfExamples:
    """Name server that responds for `.example`, and for other names once `released`."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.most = 0

    def lookup(self, host: str, port: int) -> Sequence[Address]:
        self.most = max(self.most, sum("resolver" in thread.name for thread in threading.enumerate()))
        if not host.endswith(".example"):
            self.released.wait(10)
        return _FOUND


def give_up(resolver: Resolver, names: int) -> None:
    """Look up `names` unknown names, without waiting."""
    for number in range(names):
        with pytest.raises((TimeoutError, OSError)):
            resolver.addresses(f"forged{number}.invalid", 80, 0.001)


def test_unknown_names_share_few_threads() -> None:
    server = NameServerOfExamples()
    give_up(Resolver(server.lookup), 300)
    server.released.set()
    assert server.most <= MAX_THREADS_FOR_OTHERS


def test_names_in_use_do_not_wait_for_unknown_names() -> None:
    server = NameServerOfExamples()
    resolver = Resolver(server.lookup, ["own.example"])
    assert resolver.addresses("used.example", 80, 10) == _FOUND
    give_up(resolver, 300)
    assert resolver.addresses("own.example", 80, 10) == _FOUND
    assert resolver.addresses("used.example", 80, 10) == _FOUND
    with pytest.raises(OSError, match="too many other host names"):
        resolver.addresses("late.example", 80, 10)
    server.released.set()


def test_queued_lookup_without_a_waiting_caller_is_skipped() -> None:
    asked: list[str] = []
    go, busy = threading.Event(), threading.Semaphore(0)

    def lookup(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        busy.release()
        go.wait(10)
        return _FOUND

    resolver = Resolver(lookup)
    patient = [f"name{number}.example" for number in range(MAX_THREADS_FOR_OTHERS)]
    with ThreadPoolExecutor(len(patient)) as threads:
        for name in patient:
            threads.submit(resolver.addresses, name, 80, 10)
            assert busy.acquire(timeout=10)
        for number in range(5):
            with pytest.raises(TimeoutError):
                resolver.addresses(f"late{number}.example", 80, 0.001)
        go.set()
        assert resolver.addresses("wanted.example", 80, 10) == _FOUND
    assert asked == [*patient, "wanted.example"]


def test_number_of_known_names_is_bounded() -> None:
    server = NameServerOfExamples()
    resolver = Resolver(server.lookup)
    for number in range(MAX_KNOWN_NAMES + 1):
        resolver.addresses(f"name{number}.example", 80, 10)
    give_up(resolver, 300)
    assert resolver.addresses(f"name{MAX_KNOWN_NAMES}.example", 80, 10) == _FOUND
    with pytest.raises(OSError, match="too many other host names"):
        resolver.addresses("name0.example", 80, 10)
    server.released.set()


class NoThread(threading.Thread):
    """Thread of a system that refuses threads."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("own", [["acme.example"], []], ids=["own", "other"])
def test_refused_thread_fails_that_call_only(monkeypatch: pytest.MonkeyPatch, own: list[str]) -> None:
    resolver = Resolver(lambda host, port: _FOUND, own)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", NoThread)
        with pytest.raises(OSError, match="can't start new thread"):
            resolver.addresses("acme.example", 80, 10)
    assert resolver.addresses("acme.example", 80, 10) == _FOUND
