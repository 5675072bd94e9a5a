"""The default transport for asyncio. The twin of `blocking`: same options, same answers, same errors."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from targetry._runtime.defaults import MAX_CONNECTIONS
from targetry._runtime.lazy_import import importing
from targetry.errors import ClosedError
from targetry.http.connector import HttpOptions, Routes, checked_options
from targetry.http.deadline import Attempt, deadline_after
from targetry.http.errors import EarlyDataError
from targetry.http.pool import Kept, KeptConnections, Lease, Origin
from targetry.http.protocol import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpcore2

    from targetry.http.resolver import Lookup
    from targetry.http.translation import Prepared


_LARGE_BYTES: Final = 4 << 20  # putting the pieces of so large a body together takes some milliseconds


class AsyncHttpTransport:
    """`HttpTransport` for asyncio, for any number of tasks; an `AsyncTransport`.

    May be used from several event loops, at once or one after the other; each has connections of its own, up to
    `max_connections`, and those of a loop that was closed are dropped. Arguments and errors are those of `HttpTransport`.
    """

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        keepalive_seconds: float = 20.0,
        ca_bundle: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        http2: bool = False,
        lookup: Lookup | None = None,
        on_surplus: Callable[[Origin], object] | None = None,
        own_urls: Iterable[str] = (),
    ) -> None:
        self._options = checked_options(
            max_connections=max_connections,
            keepalive_seconds=keepalive_seconds,
            ca_bundle=ca_bundle,
            proxy=proxy,
            trust_env=trust_env,
            http2=http2,
            lookup=lookup,
            on_surplus=on_surplus,
            own_urls=own_urls,
        )
        self._by_loop: dict[asyncio.AbstractEventLoop, _Here] = {}
        self._shared: _Shared | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"AsyncHttpTransport({self._options})"

    async def send(
        self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None
    ) -> HttpResponse:
        """See `AsyncTransport.send`. When a kept connection turns out to be dead, the request is sent once more on a new one."""
        ends_at = deadline_after(timeout)
        here = self._here()
        translation = here.translation
        prepared = translation.Prepared(request)
        attempt = Attempt(ends_at)
        pool = here.pool
        lease: Lease[httpcore2.AsyncConnectionInterface] = Lease()
        try:
            try:
                async with asyncio.timeout(attempt.left()):
                    await here.wait_for_place(lease)
                    # An answer that is there already is read without waiting: others could starve beside a near server.
                    await asyncio.sleep(0)
                    pool.take(prepared.origin, lease)
                    try:
                        return await here.ask(prepared, attempt, lease, max_bytes)
                    except Exception as error:
                        if not translation.was_stale(error, attempt):
                            raise
                    pool.forget(prepared.origin)
                    attempt = Attempt(ends_at)
                    return await here.ask(prepared, attempt, lease, max_bytes)
            finally:
                pool.leased.discard(lease)
                pool.leave(lease)
        except Exception as error:
            raise translation.failure(error, attempt, prepared.shown_origin, timeout) from error

    def prepare(self) -> None:
        """As `HttpTransport.prepare`, in a thread that has no event loop."""
        shared = self._of_process()
        shared.routes.prepare()
        with importing():
            asyncio.run(_Here(shared, self._options).rehearse())

    async def aclose(self) -> None:
        """See `AsyncTransport.aclose`. Closes the connections of all loops."""
        self._closed = True
        for here in list(self._by_loop.values()):
            here.leave()

    def let_go(self) -> int:
        """See `HttpTransport.let_go`. Of all loops."""
        mine = [here for here in list(self._by_loop.values()) if here.shared.pid == os.getpid()]
        return sum(here.pool.let_go() for here in mine)

    def _here(self) -> _Here:
        """What the running loop has."""
        if self._closed:
            raise ClosedError("the transport was closed")
        loop = asyncio.get_running_loop()
        here = self._by_loop.get(loop)
        return here if here is not None and here.shared.pid == os.getpid() else self._arrive(loop)

    def _arrive(self, loop: asyncio.AbstractEventLoop) -> _Here:
        pid = os.getpid()
        for other, here in list(self._by_loop.items()):
            if other.is_closed() or here.shared.pid != pid:
                here.leave()
                self._by_loop.pop(other, None)
        here = self._by_loop[loop] = _Here(self._of_process(), self._options)
        return here

    def _of_process(self) -> _Shared:
        pid = os.getpid()
        if self._shared is None or self._shared.pid != pid:
            self._shared = _Shared(pid, self._options)
        return self._shared


class _Shared:
    """What the loops of one process share: certificates, proxies, host names being looked up."""

    def __init__(self, pid: int, options: HttpOptions) -> None:
        with importing():
            import httpcore2

            from targetry.http.async_sockets import AsyncNetwork

        self.pid = pid
        self.routes: Routes[httpcore2.AsyncConnectionInterface] = Routes(
            options, httpcore2.AsyncConnectionPool, AsyncNetwork
        )


class _Here:
    """What belongs to one event loop."""

    def __init__(self, shared: _Shared, options: HttpOptions) -> None:
        with importing():
            from targetry.http import translation
            from targetry.http.async_sockets import let_others_run

        self.shared = shared
        self.translation = translation
        self.let_others_run = let_others_run
        self.pool: KeptConnections[httpcore2.AsyncConnectionInterface] = KeptConnections(
            options.max_connections, options.keepalive_seconds, options.on_surplus
        )

    def leave(self) -> None:
        """Drop the idle connections: of this process with those in use to follow, of a parent only our copies."""
        if self.shared.pid == os.getpid():
            self.pool.close()
        else:
            self.pool.abandon()

    async def rehearse(self) -> None:
        """As `_Here.prepare` of the blocking twin."""
        import httpcore2

        translation = self.translation
        network = httpcore2.AsyncMockBackend([translation.REHEARSED_RESPONSE])
        connection = httpcore2.AsyncConnectionPool(network_backend=network).create_connection(
            httpcore2.Origin(b"http", b"localhost", 80)
        )
        request = translation.Prepared(translation.REHEARSED_REQUEST).request(Attempt(deadline_after(1.0)))
        response = await connection.handle_async_request(request)
        answer = translation.Answer(response, None)
        async for piece in response.aiter_stream():
            for _ in answer.feed(piece):
                pass
        answer.response()

    async def wait_for_place(self, lease: Lease[httpcore2.AsyncConnectionInterface]) -> None:
        """Wait until `lease` has a place in the pool; the caller sees to the deadline."""
        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not gate.done() and not loop.is_closed():
                gate.set_result(None)

        if not self.pool.enter(lease, wake):
            await gate

    async def ask(
        self,
        prepared: Prepared,
        attempt: Attempt,
        lease: Lease[httpcore2.AsyncConnectionInterface],
        max_bytes: int | None,
    ) -> HttpResponse:
        """Ask on the lease's connection, or else on a new one; afterwards keep it, if its response came whole."""
        kept = lease.kept
        try:
            if kept is None:
                attempt.doing = "preparing a connection"
                connection = self.shared.routes.open(prepared.origin)
            else:
                connection = kept.connection
            response = await connection.handle_async_request(prepared.request(attempt))
            try:
                answer = self.translation.Answer(response, max_bytes)
                async with aclosing(response.aiter_stream()) as pieces:
                    async for piece in pieces:
                        for _ in answer.feed(piece):
                            await self.let_others_run(attempt)
            finally:
                await response.aclose()
            must_close = answer.ends_connection(is_kept=kept is not None)
            if attempt.opened is not None:
                kept = Kept(connection, attempt.opened)
        except BaseException as error:
            lease.kept = None
            socket = attempt.opened if kept is None else kept.socket
            if socket is not None:
                socket.drop()
            if isinstance(error, EarlyDataError):
                self.pool.report_surplus(prepared.origin)
            raise
        lease.kept = None
        if kept is not None:
            self.pool.keep(prepared.origin, kept, must_close=must_close)
        if answer.size > _LARGE_BYTES:
            return await asyncio.to_thread(answer.response)
        return answer.response()
