"""Transport that is shared by threads, tasks and event loops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from servers.clients import Serve, get, post
from servers.faulty import (
    HANG,
    Behaviour,
    Hang,
    Pause,
    drip,
    half,
    json_answer,
)
from servers.threaded import SilentPort
from targetry.errors import DeadlineError, TransportError
from targetry.http import AsyncHttpTransport, HttpTransport

_OK = json_answer({"status": 200})


def test_threads_share_a_transport_within_its_limit(serve: Serve) -> None:
    server = serve(lambda received: json_answer(received.json()))
    transport = HttpTransport(max_connections=8, trust_env=False)

    def ask(number: int) -> bool:
        return transport.send(post(server.url, b"%d" % number), timeout=60).body == b"%d" % number

    with ThreadPoolExecutor(64) as pool:
        assert all(pool.map(ask, range(320)))
    transport.close()
    assert server.connections <= 8


def test_thread_waits_for_a_free_connection_until_its_timeout(serve: Serve) -> None:
    server = serve(HANG)
    transport = HttpTransport(max_connections=1, trust_env=False)

    def hold() -> None:
        with pytest.raises(TransportError):
            transport.send(get(server.url), timeout=60)

    holder = threading.Thread(target=hold)
    holder.start()
    server.wait_until(lambda: len(server.requests) == 1)
    with pytest.raises(DeadlineError, match="while waiting for a free connection"):
        transport.send(get(server.url), timeout=0.2)
    server.stop()
    holder.join()


def test_request_in_progress_completes_after_close(serve: Serve) -> None:
    server = serve((Pause(0.2), *_OK))
    transport = HttpTransport(trust_env=False)
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(transport.send, get(server.url), timeout=60)
        server.wait_until(lambda: len(server.requests) == 1)
        transport.close()
        assert under_way.result().status == 200
    server.wait_until(lambda: server.open_connections == 0)


def test_tasks_share_a_transport_within_its_limit(serve: Serve) -> None:
    server = serve(lambda received: json_answer(received.json()))

    async def main() -> None:
        transport = AsyncHttpTransport(max_connections=8, trust_env=False)
        asked = (transport.send(post(server.url, b"%d" % number), timeout=60) for number in range(200))
        answers = await asyncio.gather(*asked)
        assert [int(answer.body) for answer in answers] == list(range(200))
        await transport.aclose()

    asyncio.run(main())
    assert server.connections <= 8


def test_task_waits_for_a_free_connection_until_its_timeout(serve: Serve) -> None:
    server = serve(HANG)

    async def main() -> None:
        transport = AsyncHttpTransport(max_connections=1, trust_env=False)
        holder = asyncio.create_task(transport.send(get(server.url), timeout=60))
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        with pytest.raises(DeadlineError, match="while waiting for a free connection"):
            await transport.send(get(server.url), timeout=0.2)
        holder.cancel()
        await transport.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "behaviour",
    [HANG, half(_OK, Hang()), drip(_OK, 0.01)],
    ids=["before-the-answer", "in-the-middle", "while-it-drips"],
)
def test_cancelled_request_leaves_no_connection(serve: Serve, behaviour: Behaviour) -> None:
    server = serve()
    server.on("/slow", behaviour)

    async def main() -> None:
        transport = AsyncHttpTransport(max_connections=2, trust_env=False)
        for _ in range(6):
            server.requests.clear()
            task = asyncio.create_task(transport.send(get(f"{server.url}/slow"), timeout=60))
            await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
        assert (await transport.send(get(server.url), timeout=60)).status == 200
        await transport.aclose()

    asyncio.run(main())


def test_request_cancelled_before_it_connects_leaves_no_connection(serve: Serve) -> None:
    async def main() -> None:
        transport = AsyncHttpTransport(max_connections=1, trust_env=False)
        with SilentPort() as port:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(transport.send(get(port.url), timeout=60), 0.05)
        assert (await transport.send(get(serve(_OK).url), timeout=60)).status == 200
        await transport.aclose()

    asyncio.run(main())


def test_transport_serves_consecutive_loops(serve: Serve) -> None:
    server = serve(_OK)
    transport = AsyncHttpTransport(trust_env=False)
    for _ in range(5):
        assert asyncio.run(transport.send(get(server.url), timeout=60)).status == 200
        server.wait_until(lambda: server.open_connections == 0)
    asyncio.run(transport.aclose())
    assert server.connections == 5


def test_transport_serves_loops_in_several_threads(serve: Serve) -> None:
    server = serve(_OK)
    transport = AsyncHttpTransport(trust_env=False)

    async def several() -> list[int]:
        return [(await transport.send(get(server.url), timeout=60)).status for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: asyncio.run(several()), range(16))) == [[200] * 10] * 16
    asyncio.run(transport.aclose())
    assert server.connections == 16
