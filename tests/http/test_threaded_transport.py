from __future__ import annotations

import asyncio
import threading

import pytest

from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError
from targetry.errors import DeadlineError, TransportError
from targetry.http.async_transport import ThreadedTransport, run_in_pool
from targetry.http.protocol import HttpRequest, HttpResponse

_REQUEST = HttpRequest("GET", "http://acme.example/", {})
_RESPONSE = HttpResponse(200, "OK", {}, b"")


class BlockingTransport:
    """Waits until released, then responds or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.released = threading.Event()
        self.timeouts: list[float] = []
        self._error = error

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        self.timeouts.append(timeout)
        self.released.wait(10)
        if self._error is not None:
            raise self._error
        return _RESPONSE

    def close(self) -> None:
        raise AssertionError("the blocking transport belongs to the caller")


def test_response_comes_from_the_blocking_transport_within_its_time() -> None:
    blocking = BlockingTransport()
    blocking.released.set()

    async def main() -> HttpResponse:
        transport = ThreadedTransport(blocking, max_threads=1)
        response = await transport.send(_REQUEST, timeout=5)
        await transport.aclose()
        return response

    assert asyncio.run(main()) is _RESPONSE
    assert 0 < blocking.timeouts[0] <= 5


def test_error_of_the_blocking_transport_is_raised() -> None:
    blocking = BlockingTransport(TransportError(reason="x"))
    blocking.released.set()
    with pytest.raises(TransportError, match="x"):
        asyncio.run(ThreadedTransport(blocking, max_threads=1).send(_REQUEST, timeout=5))


def test_request_that_waits_for_a_thread_ends_with_its_deadline() -> None:
    blocking = BlockingTransport()

    async def main() -> None:
        transport = ThreadedTransport(blocking, max_threads=1)
        first = asyncio.create_task(transport.send(_REQUEST, timeout=10))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineError):
            await transport.send(_REQUEST, timeout=0.05)
        blocking.released.set()
        assert await first is _RESPONSE

    asyncio.run(main())
    assert len(blocking.timeouts) == 1


def test_cancelled_task_leaves_its_thread_undisturbed() -> None:
    released, done = threading.Event(), threading.Event()

    def work() -> None:
        released.wait(10)
        done.set()

    async def main() -> None:
        task = asyncio.create_task(
            run_in_pool(DaemonThreadPool("targetry-test", limit=1, queue_limit=1), work)
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        released.set()
        assert await asyncio.to_thread(done.wait, 10)

    asyncio.run(main())


def test_work_beyond_the_queue_raises() -> None:
    released = threading.Event()

    async def main() -> None:
        pool = DaemonThreadPool("targetry-test", limit=1, queue_limit=0)
        with pytest.raises(QueueFullError):
            await run_in_pool(pool, released.wait)

    asyncio.run(main())
