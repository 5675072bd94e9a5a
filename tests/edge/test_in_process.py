"""Edge in process: Targetry's client in each mode, Adobe's Node SDK, and hostile clients."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from differential.node import MODULES, missing
from targetry import DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient, VisitorId
from targetry.edge.in_process import LocalEdge, MemoryLedger, edge
from targetry.errors import OptionError
from targetry.geo.location import GeoLocation
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.models import Context, Geo, Notification, NotificationMbox, PrefetchRequest
from targetry.report.report import report_on_ledger
from targetry.samples import shop
from targetry.testing import activity, artifact

HERE = Path(__file__).parent
BERLIN = GeoLocation(country_code="DE", city="BERLIN")


@pytest.fixture(scope="module")
def running() -> Iterator[LocalEdge]:
    with edge(places={"203.0.113.7": BERLIN}) as local:
        yield local


def experience(client: TargetClient, request: DeliveryRequest) -> str:
    mbox = client.get_offers({"request": request})["response"].execute.mboxes[0]
    return str(mbox.options[0].response_tokens["experience.name"])


def hero(visitor: str, method: Any = None, mbox: str = "hero", geo: Geo | None = None) -> DeliveryRequest:
    return DeliveryRequest(
        id=VisitorId(tnt_id=visitor),
        context=Context(channel="web", geo=geo),
        execute=ExecuteRequest(mboxes=[MboxRequest(name=mbox)]),
    )


def test_visitor_has_one_experience_in_every_mode(running: LocalEdge) -> None:
    seen = []
    for method in ("server-side", "on-device", "hybrid"):
        with TargetClient.create(running.client_options(decisioning_method=method)) as client:
            seen.append([experience(client, hero(f"visitor-{n}")) for n in range(20)])
    assert seen[0] == seen[1] == seen[2]
    assert len(set(seen[0])) > 1


def test_locations_on_device_come_from_the_edge(running: LocalEdge) -> None:
    by_address, by_country = Geo(ip_address="203.0.113.7"), Geo(country_code="DE")
    for method in ("server-side", "on-device"):
        with TargetClient.create(running.client_options(decisioning_method=method)) as client:
            note = experience(client, hero("ada", mbox="delivery-note", geo=by_address))
            assert note == experience(client, hero("ada", mbox="delivery-note", geo=by_country))
            assert note != experience(client, hero("ada", mbox="delivery-note", geo=Geo(country_code="BR")))


def test_hybrid_client_sends_remote_mboxes_to_the_edge() -> None:
    with edge() as local, TargetClient.create(local.client_options(decisioning_method="hybrid")) as client:
        result = client.get_offers({"request": hero("ada", mbox="recommendations")})
        assert result["meta"]["decisioning_method"] == "server-side"
        assert result["response"].status == 200


def test_impressions_on_device_arrive_with_their_experiences() -> None:
    with edge() as local:
        with TargetClient.create(local.client_options(decisioning_method="on-device")) as client:
            client.get_offers({"request": hero("3f9c")})
        (event,) = local.events
        assert (event.kind, event.activity_id, event.experience_id) == ("display", "482910", "0")


def test_prefetch_then_notify(running: LocalEdge) -> None:
    with edge() as local, TargetClient.create(local.client_options()) as client:
        visitor = VisitorId(tnt_id="3f9c")
        prefetch = DeliveryRequest(id=visitor, prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))
        token = client.get_offers({"request": prefetch})["response"].prefetch.mboxes[0].options[0].event_token
        shown = Notification(
            id="n1", type="display", timestamp=1, tokens=[token], mbox=NotificationMbox(name="hero")
        )
        answer = client.send_notifications({"request": DeliveryRequest(id=visitor, notifications=[shown])})
        assert answer["response"].notifications[0].id == "n1"
        assert [(one.kind, one.experience_id) for one in local.events] == [("display", "0")]


def test_visitor_cookie_keeps_requests_at_the_edge() -> None:
    with edge() as local, TargetClient.create(local.client_options()) as client:
        anonymous = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
        first = client.get_offers({"request": anonymous})
        again = client.get_offers({"request": anonymous, "target_cookie": first["target_cookie"]["value"]})
        assert again["response"].id.tnt_id == first["response"].id.tnt_id
        assert len({event.visitor for event in local.events}) == 1


def test_artifact_can_be_replaced_while_the_edge_runs() -> None:
    with edge() as local, TargetClient.create(local.client_options()) as client:
        assert experience(client, hero("3f9c"))
        document = shop()
        document["rules"]["mboxes"]["hero"] = []
        local.serve(document)
        assert client.get_offers({"request": hero("3f9c")})["response"].execute.mboxes[0].options is None


def test_events_of_a_given_ledger_are_read_there() -> None:
    class Own(MemoryLedger):
        pass

    class Foreign:
        def __init__(self) -> None:
            self.kept = Own()
            self.record, self.close = self.kept.record, self.kept.close

    ledger = Foreign()
    with edge(ledger=ledger) as local, TargetClient.create(local.client_options()) as client:
        experience(client, hero("3f9c"))
        assert len(ledger.kept.events) == 1
        with pytest.raises(OptionError, match="ledger"):
            _ = local.events


def test_report_on_a_given_ledger_names_the_activities(tmp_path: Path) -> None:
    second = artifact(activity("Second").xt().on("hero", "a"))
    with Ledger.open(tmp_path) as ledger:
        with edge(ledger=ledger) as local:
            local.serve(second)
        with Reader.open(tmp_path) as reader:
            names = {one.name for one in report_on_ledger(reader).activities}
    assert "Second" in names
    assert "Hero: autumn sale" in names


node_reason = missing("decide.cjs")


@pytest.mark.skipif(node_reason is not None, reason=str(node_reason))
def test_node_sdk_has_the_same_offers_from_the_edge(running: LocalEdge) -> None:
    visitors = [f"visitor-{n}" for n in range(10)]
    question = {"host": running.host, "client": running.client, "visitors": visitors}
    done = subprocess.run(
        ["node", str(HERE / "ask_edge.cjs"), json.dumps(question)],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    with TargetClient.create(running.client_options()) as client:
        assert output["experiences"] == [experience(client, hero(visitor)) for visitor in visitors]
    assert output["notified"] == ["node-1"]
    event = running.events[-11]
    assert (event.kind, event.visitor, event.activity_id) == ("display", visitors[0], "482910")


def raw(local: LocalEdge, *parts: bytes) -> bytes:
    """Return the response to these bytes, until the connection is closed or idle for long."""
    host, _, port = local.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        answered = b""
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65536):
                answered += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass  # it may close before it has read all that we send
        return answered


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"\x16\x03\x01\x02\x00garbage\r\n\r\n",), b" 400 "),
        ((b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",), b" 431 "),
        ((b"GET /healthz HTTP/1.1\r\nhost: localhost\r\na: ", b"x" * 70_000), b" 431 "),
        ((b"GET /" + b"x" * 70_000,), b" 431 "),
        (
            (b"POST /rest/v1/delivery HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n",),
            b" 413 ",
        ),
    ],
    ids=["garbage", "many fields", "long field", "long path", "1 GB"],
)
def test_hostile_client_gets_a_response_and_is_disconnected(
    running: LocalEdge, parts: tuple[bytes, ...], status: bytes
) -> None:
    assert status in raw(running, *parts).partition(b"\r\n")[0]
