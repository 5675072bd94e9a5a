"""Overridden `get_offers`: `get_attributes` uses that of a subclass, instance or patched class."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from e2e.client.conftest import reach
from e2e.client.target import Target, artifact
from targetry import AsyncTargetClient, DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient

REQUEST = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
METHODS = ["server-side", "on-device"]


class Marking(TargetClient):
    """A client that adds an attribute to each response."""

    def get_offers(self, options: Any = None, **keywords: Any) -> Any:
        self.seen = options
        return marked(super().get_offers(options, **keywords))


class AsyncMarking(AsyncTargetClient):
    async def get_offers(self, options: Any = None, **keywords: Any) -> Any:
        self.seen = options
        return marked(await super().get_offers(options, **keywords))


def marked(result: Any) -> Any:
    for mbox in result["response"].execute.mboxes:
        for option in mbox.options:
            option.type, option.content = "json", {"marked": True}
    return result


def options(target: Target, method: str) -> dict[str, Any]:
    return {
        **reach(target),
        "decisioning_method": method,
        "artifact_payload": artifact(),
        "polling_interval": 0,
    }


@pytest.mark.parametrize("method", METHODS)
def test_subclass_gets_the_complete_request_and_the_options(target: Target, method: str) -> None:
    with Marking.create(options(target, method)) as client:
        given = {"request": REQUEST, "session_id": "s1"}
        attributes = client.get_attributes(["hero"], given)
        assert attributes.get_value("hero", "marked") is True
        assert [mbox.name for mbox in client.seen["request"].execute.mboxes] == ["hero"]
        assert {**client.seen, "request": REQUEST} == given
        assert client.get_attributes(["hero"], session_id="s2").get_value("hero", "marked") is True
        assert client.seen["session_id"] == "s2"


@pytest.mark.parametrize("method", METHODS)
def test_subclass_is_used_for_calls_with_a_callback(target: Target, method: str) -> None:
    with Marking.create(options(target, method)) as client:
        received: list[Any] = []
        pending = client.get_attributes(["hero"], callback=received.append, err_callback=print)
        assert pending.get(10).get_value("hero", "marked") is True
        assert received == [pending.get(10)]
        assert set(client.seen) == {"request"}


def test_error_of_a_subclass_is_passed_to_the_error_callback(target: Target) -> None:
    class Failing(TargetClient):
        def get_offers(self, options: Any = None, **keywords: Any) -> Any:
            raise LookupError("mine")

    with Failing.create(options(target, "server-side")) as client:
        errors: list[BaseException] = []
        pending = client.get_attributes(["hero"], callback=print, err_callback=errors.append)
        with pytest.raises(LookupError, match="mine"):
            pending.get(10)
        assert [str(error) for error in errors] == ["mine"]


@pytest.mark.parametrize("method", METHODS)
def test_async_subclass_is_used(target: Target, method: str) -> None:
    async def run() -> None:
        async with await AsyncMarking.create(options(target, method)) as client:
            attributes = await client.get_attributes(["hero"], {"request": REQUEST})
            assert attributes.get_value("hero", "marked") is True
            assert set(client.seen) == {"request"}

    asyncio.run(run())


@pytest.mark.parametrize("where", ["instance", "class"])
def test_replaced_method_is_used(target: Target, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    original = TargetClient.get_offers
    with TargetClient.create(options(target, "server-side")) as client:
        owner: Any = client if where == "instance" else TargetClient
        monkeypatch.setattr(owner, "get_offers", lambda *given: marked(original(client, given[-1])))
        assert client.get_attributes(["hero"]).get_value("hero", "marked") is True
