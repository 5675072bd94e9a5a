"""Interrupted requests: each releases its connection to the pool."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from servers.clients import Serve, get
from servers.faulty import Received, Steps, json_answer
from support.slow import slow
from targetry.http import AsyncHttpTransport

_LIMIT = 3
_TESTS = Path(__file__).parents[2]
needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals by a timer")


class Meeting:
    """A server that responds to `/meet` when `_LIMIT` such requests are pending."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(_LIMIT, timeout=60)

    def __call__(self, received: Received) -> Steps:
        if received.path == "/meet":
            self._barrier.wait()
        return json_answer(1)


# Signals interrupt requests anywhere, until enough have been interrupted. The script runs in a
# separate process, as it leaves sockets to the garbage collector.
_PROGRAM = '''
import asyncio, contextlib, random, signal, sys
from concurrent.futures import ThreadPoolExecutor
from servers.clients import get
from targetry.errors import TransportError
from targetry.http import AsyncHttpTransport, HttpTransport

url, kind, limit, strikes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

class Struck(BaseException):
    pass

def strike(number, frame):
    """Raise within a request only, and not in a callback of the event loop, which does not survive that."""
    while frame is not None:
        path = frame.f_code.co_filename
        if ("async_transport" if kind == "asyncio" else "targetry") in path:
            raise Struck
        if kind == "asyncio" and "asyncio" in path:
            return
        frame = frame.f_back

signal.signal(signal.SIGALRM, strike)
chance = random.Random(7)
struck = 0

def arm():
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00002, 0.0015))

def blocking():
    global struck
    transport = HttpTransport(max_connections=limit, trust_env=False)
    transport.send(get(url), timeout=60)
    while struck < strikes:
        try:
            arm()
            transport.send(get(url), timeout=60)
        except Struck:
            struck += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    with ThreadPoolExecutor(limit) as threads:
        asked = [threads.submit(transport.send, get(url + "/meet"), timeout=60) for _ in range(limit)]
        assert [one.result().status for one in asked] == [200] * limit
    transport.close()

def looped():
    global struck
    transport = AsyncHttpTransport(max_connections=limit, trust_env=False)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(transport.send(get(url), timeout=60))
    while struck < strikes:
        try:
            arm()
            loop.run_until_complete(transport.send(get(url), timeout=60))
        except (Struck, TransportError):  # aiohttp's parser makes an error of its own of any exception
            struck += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    async def meet():
        asked = [transport.send(get(url + "/meet"), timeout=60) for _ in range(limit)]
        assert [one.status for one in await asyncio.gather(*asked)] == [200] * limit
    loop.run_until_complete(meet())
    loop.run_until_complete(transport.aclose())
    loop.close()

blocking() if kind == "blocking" else looped()
'''


@needs_timer
@pytest.mark.parametrize("kind", ["blocking", *slow("asyncio")])
def test_signal_handler_that_raises_leaks_no_connection(serve: Serve, kind: str) -> None:
    server = serve(Meeting())
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_PROGRAM), server.url, kind, str(_LIMIT), "100"],
        cwd=_TESTS,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr


def test_cancellation_at_any_moment_leaks_no_connection(serve: Serve) -> None:
    server = serve(Meeting())

    async def main() -> None:
        transport = AsyncHttpTransport(max_connections=_LIMIT, trust_env=False)
        for turns in range(60):
            tasks = [
                asyncio.create_task(transport.send(get(server.url), timeout=60)) for _ in range(_LIMIT + 2)
            ]
            for _ in range(turns // 2):
                await asyncio.sleep(0)
            for task in tasks[turns % 2 :]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        asked = [transport.send(get(f"{server.url}/meet"), timeout=60) for _ in range(_LIMIT)]
        assert [one.status for one in await asyncio.gather(*asked)] == [200] * _LIMIT
        await transport.aclose()

    asyncio.run(main())
