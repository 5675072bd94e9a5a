"""Large responses: decoded within the call's deadline, without blocking the event loop."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from e2e.client.target import DELIVERY, Target
from servers.faulty import Steps, answer, gzip_answer
from support.garbage import no_collections
from support.late import LATE_S
from targetry import AsyncTargetClient, DeadlineError, TargetClient
from targetry.http.protocol import HttpResponse

_REQUEST = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}


def large(mboxes: int) -> bytes:
    option = {"type": "json", "content": {"a": [1, 2, 3]}, "responseTokens": {"x": "y"}}
    listed = [{"index": index, "name": f"m{index}", "options": [option]} for index in range(mboxes)]
    return json.dumps({"status": 200, "execute": {"mboxes": listed}}).encode()


def options(target: Target, **more: Any) -> dict[str, Any]:
    return {
        "client": "acme",
        "organization_id": "1@AdobeOrg",
        "server_domain": target.host,
        "secure": False,
        "trust_env": False,
        "timeout": 60_000,
        **more,
    }


@pytest.mark.parametrize(
    "packed", [answer(200, large(4000)), gzip_answer(large(4000))], ids=["plain", "gzip"]
)
def test_large_response_is_complete(target: Target, packed: Steps) -> None:
    target.on(DELIVERY, packed)

    results: list[Any] = []

    async def ask() -> None:
        async with await AsyncTargetClient.create(options(target)) as client:
            results.append(await client.get_offers(request=_REQUEST))

    with TargetClient.create(options(target)) as client:
        results.append(client.get_offers(request=_REQUEST))
    asyncio.run(ask())
    assert len(results) == 2
    for result in results:
        mboxes = result.response.execute.mboxes
        assert (len(mboxes), mboxes[-1].name, mboxes[-1].options[0].content) == (
            4000,
            "m3999",
            {"a": [1, 2, 3]},
        )


def test_loop_runs_while_a_large_response_is_decoded(target: Target) -> None:
    body = large(40_000)
    target.on(DELIVERY, gzip_answer(body))

    async def main() -> None:
        async with await AsyncTargetClient.create(options(target)) as client:
            asked = asyncio.create_task(client.get_offers(request=_REQUEST))
            longest, before = 0.0, time.thread_time()
            while not asked.done():
                await asyncio.sleep(0)
                now = time.thread_time()
                longest, before = max(longest, now - before), now
            assert len((await asked).response.execute.mboxes) == 40_000
            # A loop that decodes is held for half of the time that this takes.
            began = time.thread_time()
            json.loads(body)
            assert longest < (time.thread_time() - began) / 5

    with no_collections():
        asyncio.run(main())


class SlowToDecode:
    """A transport that returns at once a response that takes seconds to decode."""

    def __init__(self) -> None:
        self._response = HttpResponse(200, "OK", {}, large(100_000))

    def send(self, request: Any, *, timeout: float, max_bytes: int | None = None) -> Any:
        return self._response

    def close(self) -> None:
        pass


class AsyncSlowToDecode(SlowToDecode):
    async def send(self, request: Any, *, timeout: float, max_bytes: int | None = None) -> Any:  # type: ignore[override]
        return self._response

    async def aclose(self) -> None:
        pass


def test_decoding_ends_at_the_deadline() -> None:
    with TargetClient.create(
        client="acme", organization_id="1@AdobeOrg", timeout=50, transport=SlowToDecode()
    ) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineError, match="while decoding"):
            client.get_offers(request=_REQUEST)
        assert time.monotonic() - started < LATE_S


@pytest.mark.slow
def test_decoding_of_a_task_ends_at_the_deadline() -> None:
    transport = AsyncSlowToDecode()

    async def main() -> None:
        async with await AsyncTargetClient.create(
            client="acme", organization_id="1@AdobeOrg", timeout=50, async_transport=transport
        ) as client:
            started = time.monotonic()
            with pytest.raises(DeadlineError, match="while decoding"):
                await client.get_offers(request=_REQUEST)
            assert time.monotonic() - started < LATE_S

    asyncio.run(main())
