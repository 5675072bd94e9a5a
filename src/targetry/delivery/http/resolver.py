"""Host names to addresses, without ever waiting longer than the caller wants to.

`getaddrinfo` cannot be interrupted: when a name server does not answer, it blocks for as long as the system
pleases. So it runs in a daemon thread of its own, and whoever asked waits for the thread only until
his time is up. Callers who ask for the same name meanwhile wait for the same thread: a name server that is
down costs one thread for each host, not one for each request.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

# family, type, protocol, canonical name, socket address: what socket.getaddrinfo gives
Address = tuple[int, int, int, str, Any]
Lookup = Callable[[str, int], Sequence[Address]]


def system_lookup(host: str, port: int) -> Sequence[Address]:
    """The addresses of `host` in the order in which the system wants them to be tried."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def literal(host: str, port: int) -> Sequence[Address]:
    """The address, when `host` already is one; else nothing. Does not block."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


class Resolver:
    """Looks host names up. `lookup` may block, and may raise `OSError` or `UnicodeError`."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._under_way: dict[tuple[str, int], Future[Sequence[Address]]] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Raises `TimeoutError` after `timeout` seconds, and whatever the lookup raises."""
        return literal(host, port) or self._asked(host, port).result(timeout)

    async def addresses_async(self, host: str, port: int) -> Sequence[Address]:
        import asyncio  # here, since the blocking side does without it

        return literal(host, port) or await asyncio.wrap_future(self._asked(host, port))

    def _asked(self, host: str, port: int) -> Future[Sequence[Address]]:
        with self._lock:
            answer = self._under_way.get((host, port))
            if answer is None:
                answer = self._under_way[host, port] = Future()
                answer.set_running_or_notify_cancel()  # so that nobody who gives up cancels it for the others
                name = f"targetry-resolver-{host}"
                threading.Thread(
                    target=self._answer, args=(host, port, answer), name=name, daemon=True
                ).start()
            return answer

    def _answer(self, host: str, port: int, answer: Future[Sequence[Address]]) -> None:
        try:
            found = self._lookup(host, port)
        except BaseException as error:
            self._forget(host, port)
            answer.set_exception(error)
        else:
            self._forget(host, port)
            answer.set_result(found)

    def _forget(self, host: str, port: int) -> None:
        with self._lock:
            del self._under_way[host, port]
