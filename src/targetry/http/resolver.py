"""Host names to addresses, without ever waiting longer than the caller wants to.

`getaddrinfo` cannot be interrupted: when a name server does not answer, it blocks for as long as the system pleases. So
it runs in a daemon thread, and a caller waits for the thread only until its own deadline. Callers that ask for the same
name meanwhile wait for the same lookup.

A visitor's cookie can name a host, so the number of threads is bounded, and names that are in use do not queue behind
names that are not: the client's own hosts, and those that resolved before, have a thread each while they are looked
up, all others share a few.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError, start_daemon_thread

# family, type, protocol, canonical name, socket address: what socket.getaddrinfo gives
Address = tuple[int, int, int, str, Any]
Lookup = Callable[[str, int], Sequence[Address]]

MAX_KNOWN_NAMES: Final = 32
MAX_THREADS_FOR_OTHERS: Final = 8
_MAX_WAITING_OTHERS: Final = 64


def system_lookup(host: str, port: int) -> Sequence[Address]:
    """The addresses of `host` in the order in which the system wants them to be tried."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def literal(host: str, port: int) -> Sequence[Address]:
    """The address, when `host` already is one; else nothing. Does not block."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


class _Question:
    """One lookup that is under way or waits for a thread."""

    __slots__ = ("answer", "ends_at")

    def __init__(self) -> None:
        self.answer: Future[Sequence[Address]] = Future()
        self.answer.set_running_or_notify_cancel()  # so that a caller that gives up does not cancel it for others
        self.ends_at = 0.0  # when the last of those that wait gives up


class Resolver:
    """Looks host names up. `lookup` may block, and may raise `OSError` or `UnicodeError`.

    `own_names` never wait for other names; nor do the names that resolved most recently.
    """

    def __init__(self, lookup: Lookup = system_lookup, own_names: Iterable[str] = ()) -> None:
        self._lookup = lookup
        self._own = frozenset(own_names)
        self._known: dict[str, None] = {}  # the most recent last
        self._under_way: dict[tuple[str, int], _Question] = {}
        self._others = DaemonThreadPool(
            "targetry-resolver", limit=MAX_THREADS_FOR_OTHERS, queue_limit=_MAX_WAITING_OTHERS
        )
        self._lock = threading.RLock()

    def addresses(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Raises `TimeoutError` after `timeout` seconds, `OSError` when nothing can look it up, and whatever the lookup
        raises."""
        return literal(host, port) or self._asked(host, port, timeout).result(timeout)

    async def addresses_async(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """As `addresses`, but the caller sees to the deadline."""
        import asyncio  # here, since the blocking side does without it

        return literal(host, port) or await asyncio.wrap_future(self._asked(host, port, timeout))

    def _asked(self, host: str, port: int, timeout: float) -> Future[Sequence[Address]]:
        key = host, port
        with self._lock:
            question = self._under_way.get(key)
            if question is None:
                question = self._under_way[key] = (
                    _Question()
                )  # before the start, at whose end it may be answered
                try:
                    self._start(host, port, question)
                except (QueueFullError, RuntimeError) as error:
                    self._forget(host, port, question)
                    refused = _refusal(error)
                    question.answer.set_exception(refused)  # for a signal handler that asked meanwhile
                    raise refused from error
            question.ends_at = max(question.ends_at, time.monotonic() + timeout)
            return question.answer

    def _start(self, host: str, port: int, question: _Question) -> None:
        if host in self._own or host in self._known:
            if start_daemon_thread("targetry-resolver", self._answer, host, port, question) is None:
                raise RuntimeError("can't start new thread")
        else:
            self._others.submit(lambda: self._answer_if_wanted(host, port, question))

    def _answer_if_wanted(self, host: str, port: int, question: _Question) -> None:
        with self._lock:
            is_wanted = time.monotonic() < question.ends_at
            if not is_wanted:
                self._forget(host, port, question)
        if is_wanted:
            self._answer(host, port, question)
        else:
            question.answer.set_exception(TimeoutError())

    def _answer(self, host: str, port: int, question: _Question) -> None:
        try:
            found = self._lookup(host, port)
        except BaseException as error:
            self._forget(host, port, question)
            question.answer.set_exception(error)
        else:
            with self._lock:
                self._known.pop(host, None)
                self._known[host] = None
                if len(self._known) > MAX_KNOWN_NAMES:
                    del self._known[next(iter(self._known))]
            self._forget(host, port, question)
            question.answer.set_result(found)

    def _forget(self, host: str, port: int, question: _Question) -> None:
        with self._lock:
            if self._under_way.get((host, port)) is question:
                del self._under_way[host, port]


def _refusal(error: Exception) -> OSError:
    if isinstance(error, QueueFullError):
        return OSError("too many other host names are being looked up")
    return OSError(f"the host name cannot be looked up: {error}")
