"""Cancellation and event loops of `AsyncTargetClient`."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from e2e.client.conftest import reach
from e2e.client.target import ARTIFACT, DELIVERY, GEO, PLACE, Target, artifact
from servers.faulty import HANG, Pause, answer, json_answer
from support.late import LATE_S
from support.thread_limit import refusing_threads
from targetry import (
    AsyncTargetClient,
    ChannelType,
    ClosedError,
    Context,
    DeadlineError,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    OptionError,
    PrefetchRequest,
    TransportError,
)
from targetry.errors import NoThreadError, NotReadyError
from targetry.models.field_names import name_tree
from targetry.testing import AsyncFakeTransport, FakeTransport
from targetry.testing import answer as fake_answer

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
LOOK = DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}
BEFORE: set[threading.Thread] = set()


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def local(target: Target, **options: Any) -> dict[str, Any]:
    """Options of a client that decides on device and has brought its rules."""
    rules = {"decisioning_method": "on-device", "artifact_payload": artifact(), "polling_interval": 0}
    return {**reach(target), **rules, **options}


def downloading(target: Target, **options: Any) -> dict[str, Any]:
    return {**reach(target), "decisioning_method": "on-device", "cdn_base_path": target.url, **options}


@pytest.fixture(autouse=True)
def before() -> None:
    """Threads that tests before this one may have left."""
    BEFORE.clear()
    BEFORE.update(threading.enumerate())


def own_threads() -> list[str]:
    started = (thread for thread in threading.enumerate() if thread not in BEFORE)
    return [thread.name for thread in started if thread.name.startswith("targetry")]


def no_thread_is_left() -> bool:
    deadline = time.monotonic() + 60
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.005)  # a stopped thread is still ending
    return not own_threads()


# Lifetime


def test_async_with_closes_the_client(target: Target) -> None:
    async def main() -> AsyncTargetClient:
        async with await AsyncTargetClient.create(local(target)) as client:
            await client.get_offers(request=HERO)
        return client

    client = asyncio.run(main())
    assert client.stats().notifications.sent == 1
    assert no_thread_is_left()
    target.wait_until(lambda: target.open_connections == 0)


def test_exception_inside_async_with_propagates(target: Target) -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target)):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())


def test_client_can_be_closed_twice_and_concurrently(target: Target) -> None:
    async def main() -> None:
        client = await AsyncTargetClient.create(downloading(target))
        await asyncio.gather(*(client.aclose() for _ in range(5)))
        await client.aclose()

    asyncio.run(main())
    assert no_thread_is_left()


def test_each_call_of_a_closed_client_raises_closed_error(target: Target) -> None:
    async def main() -> None:
        client = await AsyncTargetClient.create(local(target))
        await client.aclose()
        for call in (
            client.get_offers(request=HERO),
            client.get_attributes(["hero"]),
            client.send_notifications(request=CLICK),
        ):
            with pytest.raises(ClosedError):
                await call
        assert await client.flush() is True
        assert client.stats().notifications.pending == 0

    asyncio.run(main())


def test_call_in_progress_completes_after_close(target: Target) -> None:
    target.on(DELIVERY, (Pause(0.1), *json_answer({"status": 200})))

    async def main() -> None:
        client = await AsyncTargetClient.create(reach(target))
        under_way = asyncio.create_task(client.get_offers(request=HERO))
        await asyncio.to_thread(target.wait_for, 1)
        await client.aclose()
        assert (await under_way)["response"].status == 200

    asyncio.run(main())
    target.wait_until(lambda: target.open_connections == 0)


def test_transports_of_the_caller_are_not_closed() -> None:
    sync, twin = FakeTransport(), AsyncFakeTransport(fake_answer({"status": 200}))

    async def main() -> None:
        options = {
            "client": "acme",
            "organization_id": "A@AdobeOrg",
            "transport": sync,
            "async_transport": twin,
        }
        async with await AsyncTargetClient.create(options) as client:
            assert (await client.get_offers(request=HERO))["response"].status == 200

    asyncio.run(main())
    assert not sync.closed
    assert not twin.closed
    assert (len(sync.requests), len(twin.requests)) == (0, 1)


def test_callbacks_raise(target: Target) -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target)) as client:
            for name in ("callback", "err_callback"):
                with pytest.raises(OptionError, match=f"{name}: is for TargetClient"):
                    await client.get_offers({"request": HERO, name: print})

    asyncio.run(main())
    assert target.requests == []


# Cancellation


async def cancel(call: Coroutine[Any, Any, Any], target: Target, path: str = DELIVERY) -> None:
    """Cancel a call once the server has its request."""
    before = len(target.requests_to(path))
    task = asyncio.create_task(call)
    await asyncio.to_thread(target.wait_for, before + 1, path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_call_closes_its_connection(target: Target) -> None:
    target.on(DELIVERY, HANG)

    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target), max_connections=1) as client:
            for _ in range(3):
                await cancel(client.get_offers(request=HERO), target)
            await asyncio.to_thread(target.wait_until, lambda: target.open_connections == 0)
            target.on(DELIVERY, json_answer({"status": 200}))
            assert (await client.get_offers(request=HERO))["response"].status == 200

    asyncio.run(main())


def test_call_cancelled_before_a_retry_is_not_retried(target: Target) -> None:
    target.on(DELIVERY, answer(503, headers={"Retry-After": "2"}))

    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target)) as client:
            await cancel(client.get_offers(request=HERO), target)

    asyncio.run(main())
    assert len(target.requests) == 1


def test_timeout_of_the_caller_ends_the_call(target: Target) -> None:
    target.on(DELIVERY, HANG)

    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target)) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await client.get_offers(request=HERO)
            assert not isinstance(caught.value, DeadlineError)

    asyncio.run(main())
    target.wait_until(lambda: target.open_connections == 0)


def test_start_that_is_cancelled_leaves_no_thread(target: Target) -> None:
    target.on(ARTIFACT, HANG)

    async def main() -> None:
        await cancel(AsyncTargetClient.create(downloading(target)), target, ARTIFACT)

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < LATE_S
    target.stop()
    assert no_thread_is_left()


def test_start_that_is_cancelled_before_there_is_a_client_leaves_no_thread(
    target: Target, tmp_path: Path
) -> None:
    """With a spool of unsent reports a client is at work as soon as it is made."""
    target.on(DELIVERY, answer(503, headers={"Retry-After": "600"}))
    options = local(target, notification_spool=tmp_path)
    making, go_on = threading.Event(), threading.Event()

    class Slow(AsyncTargetClient):
        def __init__(self, options: Any) -> None:
            making.set()
            go_on.wait(10)
            super().__init__(options)

    async def main() -> None:
        first = await AsyncTargetClient.create(options)
        await first.get_offers(request=HERO)
        await first.aclose(0.1)
        task = asyncio.create_task(Slow.create(options))
        await asyncio.to_thread(making.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(main())
    assert no_thread_is_left()


def test_create_learns_the_fields_of_a_request_outside_the_event_loop(target: Target) -> None:
    """It takes 30 ms, in which no task would run."""
    name_tree.cache_clear()

    async def main() -> None:
        async with await AsyncTargetClient.create(local(target)):
            assert name_tree.cache_info().currsize == 1

    asyncio.run(main())


def test_cancelled_close_closes_the_connections(target: Target) -> None:
    target.on(DELIVERY, json_answer({"status": 200}), HANG)

    async def main() -> None:
        client = await AsyncTargetClient.create(local(target, timeout=300))
        await client.get_offers(request=HERO, decisioning_method="server-side")
        await client.get_offers(request=HERO)
        await asyncio.to_thread(target.wait_for, 2)
        task = asyncio.create_task(client.aclose(0.5))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(target.wait_until, lambda: target.open_connections == 0)
        with pytest.raises(ClosedError):
            await client.get_offers(request=HERO)

    asyncio.run(main())
    target.stop()
    assert no_thread_is_left()


def test_cancelled_waiter_does_not_cancel_the_others(target: Target) -> None:
    target.on(GEO, (Pause(0.1), *json_answer(PLACE)))
    geo = Context(channel=ChannelType.WEB, geo=Geo(ip_address="12.21.1.40"))
    request = DeliveryRequest(context=geo, prefetch=PrefetchRequest(mboxes=[MboxRequest(name="roman")]))
    rules = artifact(geoTargetingEnabled=True)

    async def main() -> None:
        options = local(target, artifact_payload=rules, cdn_base_path=target.url)
        async with await AsyncTargetClient.create(options) as client:
            first, second = (asyncio.create_task(client.get_offers(request=request)) for _ in range(2))
            await asyncio.to_thread(target.wait_for, 1, GEO)
            first.cancel()
            result = await second
            assert result["response"].prefetch.mboxes[0].options[0].content == {"title": "ave"}
            assert first.cancelled()

    asyncio.run(main())
    assert len(target.requests_to(GEO)) == 1


# The event loop


def test_decision_on_device_waits_for_nothing(target: Target) -> None:
    """It is done at the first step of its coroutine, so it can be awaited anywhere at no cost."""

    async def main() -> None:
        async with await AsyncTargetClient.create(local(target)) as client:
            with pytest.raises(StopIteration) as done:
                client.get_offers(request=LOOK).send(None)
            assert done.value.value["meta"]["decisioning_method"] == "on-device"

    asyncio.run(main())


def test_start_does_not_block_the_loop(target: Target) -> None:
    target.on(ARTIFACT, (Pause(0.5), *answer(404)))

    async def main() -> None:
        starting = asyncio.create_task(AsyncTargetClient.create(downloading(target)))
        turns = 0
        while not starting.done():
            await asyncio.sleep(0.005)
            turns += 1
        client = await starting
        assert turns > 5
        with pytest.raises(NotReadyError):
            await client.get_offers(request=HERO)
        await client.aclose()

    asyncio.run(main())


def test_create_needs_none_of_the_threads_of_the_loop(target: Target) -> None:
    target.on(ARTIFACT, HANG)
    go_on = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, go_on.wait, 3 * LATE_S)
        options = downloading(target, maximum_wait_ready=100)
        started = time.monotonic()
        clients = await asyncio.gather(*(AsyncTargetClient.create(options) for _ in range(20)))
        took_s = time.monotonic() - started
        go_on.set()
        await busy
        await asyncio.gather(*(client.aclose(0.1) for client in clients))
        assert took_s < LATE_S

    asyncio.run(main())
    target.stop()
    assert no_thread_is_left()


def test_flush_and_close_do_not_block_the_loop(target: Target) -> None:
    target.on(DELIVERY, HANG)

    async def main() -> None:
        client = await AsyncTargetClient.create(local(target))
        await client.get_offers(request=HERO)
        for waiting in (client.flush(0.5), client.aclose(0.5)):
            task = asyncio.create_task(waiting)
            turns = 0
            while not task.done():
                await asyncio.sleep(0.005)
                turns += 1
            assert turns > 5
            assert task.result() in (False, None)

    asyncio.run(main())


def test_calls_wait_beside_each_other(target: Target) -> None:
    target.on(DELIVERY, (Pause(0.4), *json_answer({"status": 200})))

    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target)) as client:
            started = time.monotonic()
            results = await asyncio.gather(*(client.get_offers(request=HERO) for _ in range(50)))
            assert all(result["response"].status == 200 for result in results)
            assert time.monotonic() - started < 50 * 0.4 / 2

    asyncio.run(main())


def test_thousand_calls_share_the_connections(target: Target) -> None:
    async def main() -> None:
        async with await AsyncTargetClient.create(reach(target), max_connections=10) as client:
            calls = (client.get_offers(request=HERO, session_id=f"s{n}") for n in range(1000))
            results = await asyncio.gather(*calls)
        for number, result in enumerate(results):
            assert result["target_cookie"]["value"].startswith(f"session#s{number}#")

    asyncio.run(main())
    assert target.connections <= 10


def test_thread_waits_for_a_free_connection_until_its_timeout(target: Target) -> None:
    target.on(DELIVERY, HANG)

    async def main() -> None:
        async with await AsyncTargetClient.create(
            {**reach(target), "timeout": 200}, max_connections=1
        ) as client:
            calls = (client.get_offers(request=HERO) for _ in range(5))
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [DeadlineError] * 5

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < LATE_S


# Several loops


def test_client_serves_one_loop_after_the_other(target: Target) -> None:
    client = asyncio.run(AsyncTargetClient.create(local(target)))
    for _ in range(3):
        result = asyncio.run(client.get_offers(request=HERO))
        assert result["meta"]["decisioning_method"] == "on-device"
        result = asyncio.run(client.get_offers(request=HERO, decisioning_method="server-side"))
        assert result["response"].status == 200
    asyncio.run(client.aclose())
    assert no_thread_is_left()
    target.wait_until(lambda: target.open_connections == 0)


def test_client_serves_loops_of_several_threads_at_once(target: Target) -> None:
    client = asyncio.run(AsyncTargetClient.create(local(target)))

    async def use(number: int) -> int:
        methods = ("on-device", "server-side") * 10
        calls = (client.get_offers(request=HERO, decisioning_method=method) for method in methods)
        return sum(result["response"].status for result in await asyncio.gather(*calls))

    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda number: asyncio.run(use(number)), range(4)))
    assert sums == [20 * 200] * 4
    assert asyncio.run(client.flush(10))
    asyncio.run(client.aclose())
    assert client.stats().notifications.sent == 40


def test_location_looked_up_in_one_loop_is_known_in_all(target: Target) -> None:
    geo = Context(channel=ChannelType.WEB, geo=Geo(ip_address="12.21.1.40"))
    request = DeliveryRequest(context=geo, prefetch=PrefetchRequest(mboxes=[MboxRequest(name="roman")]))
    options = local(target, artifact_payload=artifact(geoTargetingEnabled=True), cdn_base_path=target.url)
    client = asyncio.run(AsyncTargetClient.create(options))
    for _ in range(3):
        result = asyncio.run(client.get_offers(request=request))
        assert result["response"].prefetch.mboxes[0].options
    asyncio.run(client.aclose())
    assert len(target.requests_to(GEO)) == 1


def test_handlers_can_be_coroutines(target: Target) -> None:
    emitted = threading.Event()

    async def ready() -> None:
        await asyncio.sleep(0)
        emitted.set()

    client = asyncio.run(AsyncTargetClient.create(reach(target), events={"client_ready": ready}))
    assert emitted.wait(10)
    asyncio.run(client.aclose())


def test_transport_of_the_caller_can_raise_any_exception(target: Target) -> None:
    async def main() -> None:
        transport = AsyncFakeTransport(RuntimeError("of my own"))
        async with await AsyncTargetClient.create(reach(target), async_transport=transport) as client:
            with pytest.raises(TransportError, match="of my own") as caught:
                await client.get_offers(request=HERO)
            assert isinstance(caught.value.__cause__, RuntimeError)

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of threads")
def test_refused_thread_fails_create_and_flush_but_not_aclose() -> None:
    async def use() -> None:
        options = {"client": "acme", "organization_id": "A@AdobeOrg", "transport": FakeTransport()}
        client = await AsyncTargetClient.create(options)
        with refusing_threads():
            with pytest.raises(NoThreadError):
                await AsyncTargetClient.create(options)
            assert not await client.flush()
            await client.aclose()
        with pytest.raises(ClosedError):
            await client.get_offers(request={"execute": {"mboxes": [{"name": "hero"}]}})

    asyncio.run(use())
