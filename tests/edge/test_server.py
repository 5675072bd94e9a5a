"""Edge as a process: its command, its options, its end."""

from __future__ import annotations

import gc
import json
import logging
import signal
import socket
import threading
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.edge import QUERY
from support.edge_process import address, post, process, rest_of
from support.late import LATE_S
from targetry.cli.edge import client_lines
from targetry.edge.http.access_policy import is_loopback_name
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer, listen
from targetry.errors import ArtifactError, OptionError
from targetry.ledger.ledger import Ledger


def test_command_prints_its_address_records_and_ends_on_sigterm(tmp_path: Path) -> None:
    with process("--data", tmp_path / "ledger", TARGETRY_EDGE_LOG="json") as running:
        assert post(address(running)) == 200
        running.send_signal(signal.SIGTERM)
        out, err = rest_of(running)
    assert running.returncode == 0
    assert "Open it in a browser" in out
    assert "TargetClient.create(" in out
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["status"] for line in lines if "path" in line] == [200]
    with Ledger.open(tmp_path / "ledger") as ledger:
        assert [event.kind for event in ledger.events()] == ["impression"]
        assert "Hero: autumn sale" in [activity.name for activity in ledger.activities()]


@pytest.mark.slow
def test_cluster_of_the_command_line_is_part_of_new_ids() -> None:
    request = {"context": {"channel": "web"}}
    with process("--cluster", "35") as running:
        address_of = f"{address(running)}/rest/v1/delivery?{QUERY}"
        with urllib.request.urlopen(address_of, json.dumps(request).encode(), timeout=60) as answer:
            response = json.load(answer)
    assert response["id"]["tntId"].endswith(".35_0")
    assert response["edgeHost"] == "mboxedge35.tt.omtrdc.net"


def test_printed_lines_are_python() -> None:
    compile(client_lines("http://127.0.0.1:8080", "ac'me", "X@AdobeOrg"), "printed", "exec")


@each_case(
    "host, near",
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("edge.example", False),
    ],
)
def test_loopback_addresses_are_recognized(host: str, near: bool) -> None:
    assert is_loopback_name(host) is near


def test_public_address_needs_confirmation() -> None:
    with pytest.raises(OptionError, match="--allow-remote"):
        EdgeServer.open(EdgeOptions(host="0.0.0.0", port=0))
    server = EdgeServer.open(EdgeOptions(host="0.0.0.0", port=0, allow_remote=True))
    server.close()


@pytest.mark.parametrize(
    "options",
    [EdgeOptions(port=0, page_token="t"), EdgeOptions(port=0, host="0.0.0.0", allow_remote=True)],
    ids=["token", "remote"],
)
def test_change_from_the_page_needs_the_token(options: EdgeOptions) -> None:
    server = EdgeServer.open(options)
    try:
        response = TestClient(server.application).post("/ask", headers={"origin": "http://testserver"})
        assert response.status_code == 403
        assert "--page-token" in response.json()["message"]
    finally:
        server.close()


@each_case("cluster", ["x", "", "3 5", "35.tt.example"])
def test_cluster_must_be_digits(cluster: str) -> None:
    with pytest.raises(OptionError, match="cluster"):
        EdgeServer.open(EdgeOptions(port=0, cluster=cluster))


def test_port_in_use_is_reported() -> None:
    first = EdgeServer.open(EdgeOptions(port=0))
    with pytest.raises(OptionError, match="cannot be bound"):
        EdgeServer.open(EdgeOptions(port=first.port))
    first.close()


def test_invalid_artifact_releases_the_port(tmp_path: Path) -> None:
    free = EdgeServer.open(EdgeOptions(port=0))
    free.close()
    with pytest.raises(ArtifactError):
        EdgeServer.open(EdgeOptions(port=free.port, artifacts=[tmp_path / "missing.json"]))
    EdgeServer.open(EdgeOptions(port=free.port)).close()


LIMITS: dict[str, tuple[dict[str, float], str]] = {
    "connections": ({"max_connections": 1}, "the limit of 1 was reached"),
    "idle": ({"idle_timeout": 0.2}, "no request for 0.2 s"),
    "slow": ({"request_timeout": 0.2}, "incomplete after 0.2 s"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limit_is_that_of_the_option(name: str, caplog: pytest.LogCaptureFixture) -> None:
    given, line = LIMITS[name]
    caplog.set_level(logging.INFO)
    server = EdgeServer.open(EdgeOptions(port=0, **given), log=logging.getLogger("limits"))  # type: ignore[arg-type]
    running = threading.Thread(target=server.run)
    running.start()
    with socket.create_connection((server.host, server.port), timeout=LATE_S) as first:
        if name == "slow":
            first.sendall(b"GET / HTTP/1.1\r\n")
        if name == "connections":
            with socket.create_connection((server.host, server.port), timeout=LATE_S) as second:
                second.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert b"200 OK" in second.recv(1000)
        first.recv(1000)
    server.stop()
    running.join()
    assert line in caplog.text


def test_responses_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP, "of which asyncio makes TCP_NODELAY"


def test_running_edge_collects_rarely_and_without_the_objects_of_its_start() -> None:
    server = EdgeServer.open(EdgeOptions(port=0))
    seen: list[tuple[int, int]] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=LATE_S):
                seen.append((gc.get_freeze_count(), gc.get_threshold()[0]))
        finally:
            server.stop()

    asking = threading.Thread(target=ask)
    gc.unfreeze()  # the test run has frozen its own
    before = gc.get_threshold()
    asking.start()
    server.run()
    asking.join()
    is_unfrozen = gc.get_freeze_count() == 0
    gc.freeze()
    ((frozen, threshold),) = seen
    assert frozen > 0
    assert threshold == 10_000
    assert is_unfrozen
    assert gc.get_threshold() == before
