"""Event streams: events after a new artifact, heartbeats, bounds, and the end with the edge."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import msgspec
import pytest

from support.device import artifact, rule
from support.edge_sockets import open_edge, wait_until
from support.ofrep import StreamClient, flags
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.http.limits import LimitMonitor, Limits
from targetry.edge.in_process import LocalEdge, edge
from targetry.edge.observability.metrics import COUNTED, Metrics
from targetry.edge.ofrep.event_streams import EventStreams
from targetry.edge.ofrep.paths import OfrepTarget

OTHER = artifact({"x": [rule(1, name="x")]})


@pytest.fixture(scope="module")
def here() -> Iterator[LocalEdge]:
    with edge(flags()) as running:
        yield running


def test_new_artifact_is_an_event_with_its_tag(here: LocalEdge) -> None:
    here.serve(flags())
    with StreamClient(here.url) as stream:
        headers = stream.answer.headers
        assert (stream.answer.status, headers["content-type"]) == (200, "text/event-stream")
        first = stream.read()
        assert first["retry"] == "2000"
        here.serve(flags())  # the same content is no change
        here.serve(OTHER)
        event = stream.read()
        assert json.loads(event["data"]) == {"type": "refetchEvaluation", "etag": event["id"]}
        assert event["id"] != first["id"]


def test_client_that_missed_an_event_gets_it_at_once(here: LocalEdge) -> None:
    with StreamClient(here.url, last_event_id="an older one") as stream:
        current = stream.read()["id"]
        event = stream.read()
        assert (event["id"], "data" in event) == (current, True)
    with StreamClient(here.url, last_event_id=current) as stream:
        assert "data" not in stream.read()


def test_change_between_the_flags_and_their_stream_is_an_event(here: LocalEdge) -> None:
    flags_now = httpx2.post(f"{here.url}/ofrep/v1/evaluate/flags", content=b"{}", trust_env=False).json()
    uri = flags_now["eventStreams"][0]["endpoint"]["requestUri"]
    with StreamClient(here.url, uri) as stream:
        assert "data" not in stream.read()
    here.serve(flags(meta={"clientCode": "acme", "generatedAt": "2028"}))
    with StreamClient(here.url, uri) as stream:
        stream.read()
        assert "data" in stream.read()


def test_stream_is_for_web_pages_of_allowed_origins(here: LocalEdge) -> None:
    with StreamClient(here.url, origin="http://localhost:3000") as stream:
        assert stream.answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    with StreamClient(here.url, origin="https://evil.example") as stream:
        assert stream.answer.status == 403


def test_longer_path_is_404(here: LocalEdge) -> None:
    with StreamClient(here.url, "/ofrep/v1/events/more") as stream:
        assert stream.answer.status == 404


def test_streams_end_when_the_edge_stops() -> None:
    with edge(flags()) as running:
        stream = StreamClient(running.url)
        stream.read()
    with stream:
        assert stream.read() == {}  # the whole response has arrived


def test_half_of_the_connections_can_be_streams() -> None:
    with open_edge(Limits(connections=4)) as running:
        url = f"http://127.0.0.1:{running.port}"
        with StreamClient(url) as first, StreamClient(url), StreamClient(url) as third:
            assert (first.answer.status, third.answer.status) == (200, 503)
            assert list(json.loads(third.answer.read())) == ["errorDetails"]
            assert running.times_reached("streams") == 1
            assert running.is_serving()
        wait_until(lambda: running.connections() == 0)
        with StreamClient(url) as again:
            assert again.answer.status == 200


class Registries:
    """Artifacts that a test replaces."""

    def __init__(self) -> None:
        self.replace(flags())

    def replace(self, document: dict[str, Any]) -> None:
        self.current = ArtifactRegistry([LoadedArtifact("rules", msgspec.json.encode(document))])


def streams_of(registries: Registries, **options: Any) -> EventStreams:
    metrics = Metrics(list, lambda: (0,) * len(COUNTED))
    monitor = LimitMonitor(Limits(), metrics, logging.getLogger("edge"))
    return EventStreams(lambda: registries.current, limit=9, monitor=monitor, **options)


async def sent_until(streams: EventStreams, part: bytes, act: Any = lambda: None) -> list[bytes]:
    """Return the chunks of a stream until one has this part; `act` is called after the first."""
    chunks: list[bytes] = []
    done = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            chunks.append(message["body"])
            if len(chunks) == 1:
                act()
            if part in message["body"]:
                done.set()

    async def receive() -> Any:
        await done.wait()
        return {"type": "http.disconnect"}

    async with asyncio.timeout(10):
        await streams.respond(OfrepTarget(None, None, None, True), "", receive, send)
    return chunks


def test_comment_shows_that_the_stream_is_alive() -> None:
    asyncio.run(sent_until(streams_of(Registries(), heartbeat_s=0.01), b":\n\n"))


def test_event_waits_until_other_workers_have_the_artifact() -> None:
    registries = Registries()

    async def waited() -> float:
        started = asyncio.get_running_loop().time()
        await sent_until(
            streams_of(registries, delay_s=0.5), b"refetchEvaluation", lambda: registries.replace(OTHER)
        )
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(waited()) >= 0.5


def test_two_artifacts_in_a_row_are_one_event() -> None:
    registries = Registries()

    def act() -> None:
        registries.replace(flags(meta={"clientCode": "acme", "generatedAt": "2027"}))
        registries.replace(OTHER)

    chunks = asyncio.run(sent_until(streams_of(registries), b"refetchEvaluation", act))
    assert sum(b"refetchEvaluation" in chunk for chunk in chunks) == 1
