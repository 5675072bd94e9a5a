"""Asynchronous HTTP transports: on aiohttp, and over a blocking transport in threads."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError
from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing_extra
from targetry.errors import ClosedError, DeadlineError, TransportError
from targetry.http.connector import Connector, TransportOptions, check_options
from targetry.http.deadline import Deadline, deadline_after
from targetry.http.pool import ConnectionPool, Lease, Origin
from targetry.http.protocol import HttpRequest, HttpResponse, Transport
from targetry.http.sync_transport import HttpTransport

if TYPE_CHECKING:
    from targetry.http.async_connection import AsyncConnection
    from targetry.http.resolver import Lookup
    from targetry.http.translation import WireRequest

T = TypeVar("T")

_LARGE_BYTES: Final = 4 << 20  # joining the pieces of a larger body takes milliseconds
_MAX_WAITING: Final = 1000
_TIMER_STEP_S: Final = 0.005  # a check of all deadlines follows another after this time at the earliest
_CLOSING_TURNS: Final = 3  # of the event loop, until a TLS connection and the socket under it are closed


class AsyncHttpTransport:
    """`HttpTransport` for asyncio, on aiohttp, for any number of tasks; an `AsyncTransport`.

    Several event loops can use it, at once or one after the other. Each has connections of its own,
    up to `max_connections`; they are closed at the end of the loop at the latest. Arguments and
    errors are those of `HttpTransport`. Requests through a SOCKS proxy, which aiohttp does not
    support, are sent by an `HttpTransport` in threads.

    Args:
        decoders: The threads in which large bodies are assembled; two of its own by default.

    Raises:
        OptionError: An argument is unusable; `path` is its name.
    """

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        ca_bundle: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        lookup: Lookup | None = None,
        on_surplus: Callable[[Origin], object] | None = None,
        own_urls: Iterable[str] = (),
        decoders: DaemonThreadPool | None = None,
    ) -> None:
        arguments: dict[str, Any] = {
            "max_connections": max_connections,
            "ca_bundle": ca_bundle,
            "proxy": proxy,
            "trust_env": trust_env,
            "lookup": lookup,
            "on_surplus": on_surplus,
            "own_urls": tuple(own_urls),
        }
        self._options = check_options(**arguments)
        self._decoders = decoders or DaemonThreadPool("targetry-decoder", limit=2, queue_limit=_MAX_WAITING)
        self._blocking = HttpTransport(**arguments)  # for SOCKS proxies
        self._threaded = ThreadedTransport(self._blocking, max_threads=max_connections)
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopState] = {}
        # Of the parent process; kept, as finalizers would act on its loops.
        self._inherited: list[_LoopState] = []
        self._connector: tuple[int, Connector] | None = None  # by the id of its process
        self._is_closed = False

    def __repr__(self) -> str:
        return f"AsyncHttpTransport({self._options})"

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """Send `request`; see `AsyncTransport.send`.

        If a reused connection turns out to be closed, the request is sent once more on a new one.

        Raises:
            MissingExtraError: The package aiohttp is not installed.
        """
        ends_at = deadline_after(timeout)
        state = self._state() or await self._new_state()
        wire = state.translation.WireRequest(request)
        origin = wire.server.origin
        limit = TimeLimit(state.timer, Deadline(ends_at))
        pool = state.pool
        lease: Lease[AsyncConnection] = Lease()
        try:
            with limit:
                if not pool.take_slot(lease):
                    await state.wait_for_slot(lease)
                pool.acquire(origin, lease)
                is_reused = lease.connection is not None
                try:
                    return await self._exchange(state, request, wire, limit.deadline, lease, max_bytes)
                except Exception as error:
                    if not is_reused or not state.was_stale(error, limit.deadline):
                        raise
                pool.purge(origin)
                limit.deadline = Deadline(ends_at)
                return await self._exchange(state, request, wire, limit.deadline, lease, max_bytes)
        except TransportError:
            raise
        except Exception as error:
            raise state.transport_error(error, limit.deadline, wire.server.shown_origin, timeout) from error
        finally:
            pool.leases.discard(lease)
            pool.release_slot(lease)

    def prepare(self) -> None:
        """Do what `HttpTransport.prepare` does."""
        with importing_extra("async"):
            import targetry.http.async_connection  # noqa: F401
        self._process_connector().prepare()

    async def aclose(self) -> None:
        """Close the connections of all event loops; see `AsyncTransport.aclose`."""
        self._is_closed = True
        self._blocking.close()
        for state in list(self._by_loop.values()):
            state.close()

    def close_idle(self) -> int:
        """Do what `HttpTransport.close_idle` does, for the connections of all event loops."""
        pid = os.getpid()
        states = [state for state in list(self._by_loop.values()) if state.pid == pid]
        return self._blocking.close_idle() + sum(state.pool.close_idle() for state in states)

    async def _exchange(
        self,
        state: _LoopState,
        request: HttpRequest,
        wire: WireRequest,
        deadline: Deadline,
        lease: Lease[AsyncConnection],
        max_bytes: int | None,
    ) -> HttpResponse:
        """Send `request` on the lease's connection or a new one, and release it to the pool."""
        connection = lease.connection
        try:
            if connection is None:
                deadline.phase = "preparing a connection"
                route = state.connector.route(wire.server.origin)
                if route.proxy is not None and route.proxy.is_socks:
                    return await self._threaded.send(request, timeout=deadline.left(), max_bytes=max_bytes)
                connection = state.new_connection(wire.server.origin, route, state.connector.resolver)
                deadline.opened = connection
            reader = await connection.exchange(wire, deadline, max_bytes)
            must_close = reader.ends_connection(is_reused=deadline.opened is None)
        except BaseException as error:
            state.pool.discard(wire.server.origin, lease, deadline.opened, error)
            raise
        state.pool.release(wire.server.origin, lease, connection, must_close=must_close)
        if reader.size > _LARGE_BYTES:
            return await run_in_pool(self._decoders, reader.response)
        return reader.response()

    def _state(self) -> _LoopState | None:
        """Return the state of the running event loop, if there is one already."""
        if self._is_closed:
            raise ClosedError("the transport was closed")
        state = self._by_loop.get(asyncio.get_running_loop())
        return state if state is not None and state.pid == os.getpid() else None

    async def _new_state(self) -> _LoopState:
        pid = os.getpid()
        for other, state in list(self._by_loop.items()):
            if other.is_closed() or state.pid != pid:
                state.close()
                self._by_loop.pop(other, None)
                if state.pid != pid:
                    self._inherited.append(state)
        state = _LoopState(pid, self._process_connector(), self._options)
        self._by_loop[asyncio.get_running_loop()] = state
        await anext(state.closer)  # so that the event loop closes it at its end
        return state

    def _process_connector(self) -> Connector:
        pid = os.getpid()
        if self._connector is None or self._connector[0] != pid:
            self._connector = pid, Connector(self._options)
        return self._connector[1]


class _LoopState:
    """Connections of one event loop in one process."""

    def __init__(self, pid: int, connector: Connector, options: TransportOptions) -> None:
        with importing_extra("async"):
            from targetry.http import async_connection, translation

        self.pid = pid
        self.connector = connector
        self.translation = translation
        self.was_stale = async_connection.was_stale
        self.transport_error = async_connection.transport_error
        self.new_connection = async_connection.AsyncConnection
        self.pool: ConnectionPool[AsyncConnection] = ConnectionPool(
            options.max_connections, options.on_surplus
        )
        self.timer = DeadlineTimer(asyncio.get_running_loop())
        self.closer = _closes_at_end_of_loop(self.pool)

    def close(self) -> None:
        """Close the connections; of a parent process, only this process's copies."""
        if self.pid == os.getpid():
            self.pool.close()
        else:
            self.pool.abandon()

    async def wait_for_slot(self, lease: Lease[AsyncConnection]) -> None:
        """Wait until `lease` holds a slot of the pool. The caller bounds the time."""
        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not gate.done() and not loop.is_closed():
                gate.set_result(None)

        if not self.pool.request_slot(lease, wake):
            await gate


async def _closes_at_end_of_loop(pool: ConnectionPool[AsyncConnection]) -> AsyncGenerator[None, None]:
    """Close the idle connections when the event loop closes its asynchronous generators."""
    try:
        yield
    finally:
        pool.close()
        for _ in range(_CLOSING_TURNS):
            await asyncio.sleep(0)


class DeadlineTimer:
    """Ends the requests of one event loop at their deadlines, with one timer for all of them.

    Most requests end long before their deadlines, so a timer for each would be set and cancelled
    for nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._limits: set[TimeLimit] = set()
        self._rings_at = math.inf  # monotonic clock, seconds
        self._handle: asyncio.TimerHandle | None = None

    def add(self, limit: TimeLimit) -> None:
        self._limits.add(limit)
        if limit.deadline.ends_at < self._rings_at:
            self._set(limit.deadline.ends_at)

    def remove(self, limit: TimeLimit) -> None:
        self._limits.discard(limit)

    def _set(self, rings_at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._rings_at = rings_at
        self._handle = self._loop.call_later(rings_at - time.monotonic(), self._ring)

    def _ring(self) -> None:
        self._handle, self._rings_at = None, math.inf
        try:
            for limit in [limit for limit in self._limits if limit.deadline.is_over()]:
                limit.end()
        finally:
            if self._limits:
                nearest = min(limit.deadline.ends_at for limit in self._limits)
                self._set(max(nearest, time.monotonic() + _TIMER_STEP_S))


class TimeLimit:
    """A context that cancels its task at a deadline and then raises `TimeoutError`.

    Does what `asyncio.timeout` does, by a shared timer.
    """

    __slots__ = ("_cancelling", "_has_ended", "_task", "_timer", "deadline")

    def __init__(self, timer: DeadlineTimer, deadline: Deadline) -> None:
        self.deadline = deadline
        self._timer = timer
        self._has_ended = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the request must be sent within a task")
        self.deadline.left()
        self._task = task
        self._cancelling = task.cancelling()
        self._timer.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.remove(self)
        if self._has_ended and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """Cancel the task."""
        self._timer.remove(self)
        self._has_ended = True
        if self.deadline.note_progress is not None:
            self.deadline.note_progress()
        self._task.cancel()


class ThreadedTransport:
    """A blocking transport for asyncio, in daemon threads; an `AsyncTransport`.

    A cancelled request goes on in its thread until its timeout.
    """

    def __init__(self, transport: Transport, *, max_threads: int) -> None:
        """Use `transport`, which the caller closes."""
        self._transport = transport
        self._threads = DaemonThreadPool("targetry-http", limit=max_threads, queue_limit=_MAX_WAITING)

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """Send `request`; see `AsyncTransport.send`."""
        deadline = Deadline(deadline_after(timeout))

        def send() -> HttpResponse:
            return self._transport.send(request, timeout=deadline.left(), max_bytes=max_bytes)

        try:
            async with asyncio.timeout(deadline.left()):
                return await run_in_pool(self._threads, send)
        except TransportError:
            raise
        except TimeoutError as error:
            raise DeadlineError(reason=f"no response within {timeout:g} s") from error
        except (QueueFullError, RuntimeError) as error:
            raise TransportError(reason=f"no thread is free to send the request: {error}") from error

    async def aclose(self) -> None:
        """Do nothing: the blocking transport belongs to the caller."""


async def run_in_pool(pool: DaemonThreadPool, work: Callable[[], T]) -> T:
    """Return the result of `work`, computed in a thread of `pool` while the event loop runs.

    Raises:
        QueueFullError: Too much work waits already.
        RuntimeError: The system gives no thread.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # so that the cancellation of a task does not reach the thread

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    pool.submit(run)
    return await asyncio.wrap_future(outcome)
