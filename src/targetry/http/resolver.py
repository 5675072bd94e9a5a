"""Host name lookups that a caller can give up, single-flight, in a bounded number of threads.

`getaddrinfo` cannot be interrupted: when a name server does not respond, it blocks for as long as
the system decides. So it runs in a daemon thread, and a caller waits for the thread only until its
own deadline. Callers that look up the same name meanwhile wait for the same lookup.

A visitor's cookie can name a host, so the number of threads is bounded, and names in use do not
queue behind names that are not: the client's own hosts, and those that resolved before, get a
thread each; all others share a few.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError, start_daemon_thread

# family, type, protocol, canonical name, socket address: as socket.getaddrinfo returns them
Address = tuple[int, int, int, str, Any]
Lookup = Callable[[str, int], Sequence[Address]]

MAX_KNOWN_NAMES: Final = 32
MAX_THREADS_FOR_OTHERS: Final = 8
_MAX_WAITING_OTHERS: Final = 64


def system_lookup(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of `host` in the order in which the system wants them to be tried."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def literal(host: str, port: int) -> Sequence[Address]:
    """Return the address if `host` already is one, else nothing. Does not block."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


class _SharedLookup:
    """One lookup that is running or waits for a thread."""

    __slots__ = ("ends_at", "result")

    def __init__(self) -> None:
        self.result: Future[Sequence[Address]] = Future()
        self.result.set_running_or_notify_cancel()  # a caller that gives up does not cancel it for others
        self.ends_at = 0.0  # when the last waiting caller gives up; monotonic clock, seconds


class Resolver:
    """Looks up host names.

    `lookup` may block, and may raise `OSError` or `UnicodeError`. `own_names`, and the names that
    resolved most recently, never wait for other names.
    """

    def __init__(self, lookup: Lookup = system_lookup, own_names: Iterable[str] = ()) -> None:
        self._lookup = lookup
        self._own = frozenset(own_names)
        self._known: dict[str, None] = {}  # the most recent last
        self._running: dict[tuple[str, int], _SharedLookup] = {}
        self._others = DaemonThreadPool(
            "targetry-resolver", limit=MAX_THREADS_FOR_OTHERS, queue_limit=_MAX_WAITING_OTHERS
        )
        self._lock = threading.RLock()

    def addresses(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Return the addresses of `host`.

        Raises:
            TimeoutError: The lookup took longer than `timeout` seconds.
            OSError: No thread is free for the lookup, or the lookup failed.
            UnicodeError: `host` is not a host name.
        """
        return literal(host, port) or self._start_lookup(host, port, timeout).result(timeout)

    async def addresses_async(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Return what `addresses` does; the caller bounds the time."""
        import asyncio  # here, since a blocking client does not need it

        return literal(host, port) or await asyncio.wrap_future(self._start_lookup(host, port, timeout))

    def _start_lookup(self, host: str, port: int, timeout: float) -> Future[Sequence[Address]]:
        key = host, port
        with self._lock:
            lookup = self._running.get(key)
            if lookup is None:
                lookup = self._running[key] = _SharedLookup()  # before the start: it may end at once
                try:
                    self._start(host, port, lookup)
                except (QueueFullError, RuntimeError) as error:
                    self._discard(host, port, lookup)
                    refused = _refusal(error)
                    lookup.result.set_exception(refused)  # for a signal handler that waits meanwhile
                    raise refused from error
            lookup.ends_at = max(lookup.ends_at, time.monotonic() + timeout)
            return lookup.result

    def _start(self, host: str, port: int, lookup: _SharedLookup) -> None:
        if host in self._own or host in self._known:
            if start_daemon_thread("targetry-resolver", self._run, host, port, lookup) is None:
                raise RuntimeError("can't start new thread")
        else:
            self._others.submit(lambda: self._run_if_wanted(host, port, lookup))

    def _run_if_wanted(self, host: str, port: int, lookup: _SharedLookup) -> None:
        with self._lock:
            is_wanted = time.monotonic() < lookup.ends_at
            if not is_wanted:
                self._discard(host, port, lookup)
        if is_wanted:
            self._run(host, port, lookup)
        else:
            lookup.result.set_exception(TimeoutError())

    def _run(self, host: str, port: int, lookup: _SharedLookup) -> None:
        try:
            found = self._lookup(host, port)
        except BaseException as error:
            self._discard(host, port, lookup)
            lookup.result.set_exception(error)
        else:
            with self._lock:
                self._known.pop(host, None)
                self._known[host] = None
                if len(self._known) > MAX_KNOWN_NAMES:
                    del self._known[next(iter(self._known))]
            self._discard(host, port, lookup)
            lookup.result.set_result(found)

    def _discard(self, host: str, port: int, lookup: _SharedLookup) -> None:
        with self._lock:
            if self._running.get((host, port)) is lookup:
                del self._running[host, port]


def _refusal(error: Exception) -> OSError:
    if isinstance(error, QueueFullError):
        return OSError("too many other host names are being looked up")
    return OSError(f"the host name cannot be looked up: {error}")
