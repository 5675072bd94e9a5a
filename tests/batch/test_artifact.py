"""Artifacts of a batch: obfuscated ones, and those of clients."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from support.device import mboxes_of, rule
from targetry import AsyncTargetClient, TargetClient
from targetry.batch import Decider
from targetry.device.obfuscation import obfuscate
from targetry.errors import NotReadyError, OptionError
from targetry.http.protocol import HttpResponse
from targetry.testing import FakeTransport

OPTIONS: dict[str, Any] = {"client": "acme", "organization_id": "1@AdobeOrg", "polling_interval": 0}
DOCUMENT = mboxes_of(rule())
DOWN = FakeTransport(by=lambda request: HttpResponse(503, "", {}, b""))
TABLE = pa.record_batch({"tnt_id": ["a"]})


def decided(client: Any) -> Any:
    return Decider(client, client="acme", mboxes=["hero"]).decide(TABLE)["content"].to_pylist()


def test_obfuscated_artifact_is_read_with_the_id_of_its_organization() -> None:
    data = obfuscate(msgspec.json.encode(DOCUMENT), "1@AdobeOrg")
    found = Decider(data, client="acme", mboxes=["hero"], organization_id="1@AdobeOrg").decide(TABLE)
    assert found["content"].to_pylist() == ["hello"]


def test_rules_of_a_client_decide() -> None:
    with TargetClient.create(**OPTIONS, decisioning_method="on-device", artifact_payload=DOCUMENT) as client:
        assert decided(client) == ["hello"]


async def of_an_asynchronous_client() -> Any:
    async with await AsyncTargetClient.create(
        **OPTIONS, decisioning_method="on-device", artifact_payload=DOCUMENT
    ) as client:
        return decided(client)


def test_rules_of_an_asynchronous_client_decide() -> None:
    assert asyncio.run(of_an_asynchronous_client()) == ["hello"]


def test_server_side_client_is_an_error() -> None:
    with (
        TargetClient.create(**OPTIONS, transport=DOWN) as client,
        pytest.raises(OptionError, match="artifact: is a server-side client, which has no rules"),
    ):
        decided(client)


def test_client_without_rules_is_an_error() -> None:
    with (
        TargetClient.create(
            **OPTIONS, decisioning_method="on-device", transport=DOWN, maximum_wait_ready=1
        ) as client,
        pytest.raises(NotReadyError, match="the client has no rules yet"),
    ):
        decided(client)
