from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from targetry.delivery.http.resolver import Address, Resolver

_FOUND: Sequence[Address] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class NameServer:
    """Answers when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answers = threading.Event()
        self._error = error

    def lookup(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        self.answers.wait(10)
        if self._error is not None:
            raise self._error
        return _FOUND


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7"])
def test_an_address_needs_no_name_server(host: str) -> None:
    server = NameServer()
    assert Resolver(server.lookup).addresses(host, 443, 0)[0][4][:2] == (host, 443)
    assert server.asked == []


def test_a_name_is_looked_up() -> None:
    server = NameServer()
    server.answers.set()
    assert Resolver(server.lookup).addresses("acme.example", 80, 10) == _FOUND
    assert server.asked == [("acme.example", 80)]


def test_nobody_waits_longer_than_his_time_and_all_wait_for_the_same_lookup() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolver.addresses("acme.example", 80, 0.01)
    assert server.asked == [("acme.example", 80)]
    server.answers.set()
    assert resolver.addresses("acme.example", 80, 10) == _FOUND


def test_a_task_that_gives_up_leaves_the_others_their_answer() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)

    async def main() -> None:
        patient = asyncio.create_task(resolver.addresses_async("acme.example", 80))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.addresses_async("acme.example", 80), 0.01)
        server.answers.set()
        assert await patient == _FOUND

    asyncio.run(main())
    assert server.asked == [("acme.example", 80)]


def test_an_answer_that_comes_after_the_loop_is_gone_harms_nobody() -> None:
    server = NameServer()
    resolver = Resolver(server.lookup)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(resolver.addresses_async("acme.example", 80), 0.01)

    asyncio.run(main())
    server.answers.set()
    assert resolver.addresses("acme.example", 80, 10) == _FOUND


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_what_the_lookup_raises_is_raised_and_not_remembered(error: Exception) -> None:
    server = NameServer(error)
    server.answers.set()
    resolver = Resolver(server.lookup)
    for _ in range(2):
        with pytest.raises(type(error)):
            resolver.addresses("acme.example", 80, 10)
    assert len(server.asked) == 2
