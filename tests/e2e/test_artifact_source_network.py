"""Artifact source over real sockets: network faults keep the rules (F1, F4, F5), and recovery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.faulty import (
    HANG,
    Behaviour,
    Close,
    FaultyServer,
    Received,
    Steps,
    answer,
    drip,
    garbage,
    gzip_answer,
    gzip_bomb,
    half,
    html_answer,
)
from support.background_fakes import Lines, Listener, Rules, compile_rules
from support.late import LATE_S
from targetry.artifacts.source import ArtifactSource
from targetry.geo.lookup import GeoLookup
from targetry.http import HttpTransport
from targetry.models import Geo

V1, V2 = b"v1 2026-01-01T00:00:00Z", b"v2 2026-02-01T00:00:00Z"
MAX_BYTES = 1_000_000


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    server = FaultyServer(answer(200, V1))
    yield server
    server.stop()


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport(trust_env=False)
    yield transport
    transport.close()


def source_of(
    server: FaultyServer,
    transport: HttpTransport,
    emitted: Listener,
    cache_dir: Path | None = None,
    timeout_s: float = LATE_S,
) -> ArtifactSource[Rules]:
    return ArtifactSource[Rules](
        transport=transport,
        url=f"http://127.0.0.1:{server.port}/acme/production/v1/rules.json",
        compile=compile_rules,
        emit=emitted,
        log=Lines(),
        interval_s=3600,
        max_bytes=MAX_BYTES,
        timeout_s=timeout_s,
        cache_dir=cache_dir,
        random=lambda: 0.5,
    )


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (HANG, "timeout"),
        (drip(answer(200, V2 * 100), 0.05), "timeout"),
        (half(answer(200, V2), Close()), "connection"),
        (half(answer(200, V2), Close(reset=True)), "connection"),
        (half(gzip_answer(V2 * 100), Close()), "connection"),
        (garbage(), "connection"),
        (gzip_bomb(32 << 20), "too_large"),
        (answer(200, b"v" * (MAX_BYTES + 1)), "too_large"),
        (html_answer(200), "invalid"),
        (answer(200, b""), "invalid"),
        (answer(503), "status_503"),
        (answer(302, headers={"Location": "/elsewhere"}), "status_302"),
    ],
    ids=[
        "silence",
        "slow drip",
        "cut short",
        "reset",
        "packed and cut short",
        "no HTTP",
        "gzip bomb",
        "too large",
        "a portal's page",
        "empty",
        "503",
        "redirect",
    ],
)
def test_fault_keeps_the_rules_and_recovery_is_noticed(
    behaviour: Behaviour, reason: str, server: FaultyServer, transport: HttpTransport
) -> None:
    emitted = Listener()
    source = source_of(server, transport, emitted, timeout_s=1.0 if reason == "timeout" else LATE_S)
    source.start()
    assert source.wait_ready(10)
    server.script(behaviour)
    source.refresh()
    emitted.wait_for("artifact_download_failed")
    assert source.stats().failures == {reason: 1}
    assert source.current is not None
    assert source.current.name == "v1"
    server.script(answer(200, V2))
    source.refresh()
    emitted.wait_for("artifact_download_succeeded", 2)
    assert source.close(10)
    assert source.current.name == "v2"


def test_source_failing_at_the_start_is_used_after_recovery(
    server: FaultyServer, transport: HttpTransport
) -> None:
    emitted = Listener()
    server.script(garbage(), answer(503), answer(200, V1))
    source = source_of(server, transport, emitted)
    source.start()
    emitted.wait_for("artifact_download_succeeded")
    assert source.close(10)
    assert emitted.names.count("artifact_download_failed") == 2


def test_unchanged_artifact_is_not_sent_again_after_a_restart(
    server: FaultyServer, transport: HttpTransport, tmp_path: Path
) -> None:
    def with_etag(received: Received) -> Steps:
        if received.headers.get("if-none-match") == '"1"':
            return answer(304, headers={"ETag": '"1"'})
        return answer(200, V1, {"ETag": '"1"'})

    server.script(with_etag)
    for start in (1, 2):
        source = source_of(server, transport, Listener(), tmp_path)
        source.start()
        assert source.wait_ready(10)
        server.wait_until(lambda start=start: len(server.requests) == start)
        assert source.close(10)
    assert [received.headers.get("if-none-match") for received in server.requests] == [None, '"1"']


def test_geo_of_the_caller_is_kept_when_the_service_hangs(
    server: FaultyServer, transport: HttpTransport
) -> None:
    server.script(HANG, answer(200, b'{"x-geo-city": "ROME"}'))
    emitted = Listener()
    lookup = GeoLookup(
        transport=transport,
        url=f"http://127.0.0.1:{server.port}/v1/geo",
        emit=emitted,
        log=Lines(),
        timeout_s=1.0,
        negative_ttl_s=0,
    )
    geo = Geo(ip_address="12.21.1.40")
    assert lookup.resolve(geo, enabled=True) is geo
    assert emitted.names == ["geo_lookup_failed"]
    assert lookup.resolve(geo, enabled=True) == Geo(ip_address="12.21.1.40", city="ROME")
    assert server.requests[0].headers["x-forwarded-for"] == "12.21.1.40"
