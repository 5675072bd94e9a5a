"""Worker processes on one port: they serve, count and record as one, and are restarted."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from typing import cast

import pytest

from support.cases import each_case
from support.edge_crowd import Crowd, check_ledger, kill, workers_of
from support.edge_process import Lines, address, counted, got, post, process, shown
from support.edge_sockets import PATIENCE_S, wait_until
from support.ofrep import StreamClient
from targetry.edge import supervisor
from targetry.edge.assembly import RunnableEdge
from targetry.edge.observability.metrics import remove_dead_processes
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer, listen
from targetry.edge.supervisor import EdgeWorkers, Heartbeats, open_with_retries
from targetry.errors import ArtifactError, OptionError
from targetry.ledger.reader import Reader
from targetry.samples import shop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

TWO = {"TARGETRY_EDGE_WORKERS": "2", "TARGETRY_EDGE_LOG": "json"}


def test_two_workers_are_one_edge(tmp_path: Path) -> None:
    """Check responses, duplicates, sums of metrics, a changed artifact, and the end on SIGTERM.

    Both record requests in one file, with one key for the hashes of ids.

    Event streams of both get one event each, and do not delay the end.

    A worker that cannot start leaves the others to serve, and tries again.
    """
    artifact, document = tmp_path / "rules.json", shop()
    artifact.write_text(json.dumps(document))
    names = [f"v{number // 2}" for number in range(60)]
    requests = tmp_path / "requests.jsonl"
    recording = ("--record-requests", requests, "--record-hashed-ids")
    with process(artifact, "--data", tmp_path / "ledger", *recording, **TWO) as running:
        url, log = address(running), Lines(running)
        wait_until(lambda: counted(url, "targetry_edge_starts_total") == 2)
        assert len(workers_of(running)) == 2
        with ThreadPoolExecutor(8) as clients:
            assert set(clients.map(lambda name: post(url, shown(name)), names)) == {200}
        wait_until(lambda: counted(url, "targetry_edge_notifications_total") == 60)
        assert counted(url, 'targetry_edge_events_total{kind="display",outcome="recorded"}') == 30
        assert counted(url, 'targetry_edge_events_total{kind="display",outcome="seen"}') == 30

        streams = [StreamClient(url) for _ in range(6)]
        first = [stream.read() for stream in streams]
        document["meta"]["generatedAt"] = "2031-01-01T00:00:00Z"
        artifact.write_text(json.dumps(document))
        wait_until(lambda: counted(url, "targetry_edge_artifact_reloads_total") == 2)
        assert all("2031" in got(f"{url}/readyz") for _ in range(12))
        assert all("data" in stream.read() for stream in streams)
        assert len({stream["id"] for stream in first}) == 1

        artifact.unlink()
        kill(workers_of(running)[0])
        log.wait_for("cannot start")
        log.wait_for("it tries again in ")
        assert {post(url) for _ in range(12)} == {200}
        artifact.write_text(json.dumps(document))
        wait_until(lambda: counted(url, "targetry_edge_starts_total") == 3)
        with ThreadPoolExecutor(8) as clients:
            assert set(clients.map(lambda _: post(url), range(40))) == {200}

        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
        for stream in streams:
            stream.close()
    assert len([line for line in log.all() if line.get("path") == "/rest/v1/delivery"]) == 112
    recorded = [json.loads(line)["request"] for line in requests.read_text().splitlines()]
    assert (len(recorded), len({one["id"]["tntId"] for one in recorded})) == (52, 1)
    check_ledger(tmp_path / "ledger", names)
    with Reader.open(tmp_path / "ledger") as reader:
        assert reader.activities()[0].name == "Hero: autumn sale"


@pytest.mark.slow
def test_acknowledged_events_survive_the_death_of_each_worker(tmp_path: Path) -> None:
    """Kill workers, then the supervisor, whose death ends all.

    `tests/soak/test_edge_workers.py` does this for a minute.
    """
    with process("--data", tmp_path, **TWO) as running:
        url, log = address(running), Lines(running)
        crowd = Crowd(url.removeprefix("http://"))
        try:
            for starts in range(2, 4):
                wait_until(lambda: counted(url, "targetry_edge_starts_total") == starts)  # noqa: B023
                victim = workers_of(running)[0]
                kill(victim)
                assert log.wait_for(f"worker (process {victim}) ended by SIGKILL; another one is started")
            wait_until(lambda: counted(url, "targetry_edge_starts_total") == 4)
        finally:
            crowd.stop()
        assert crowd.failed == []
        workers = workers_of(running)
        running.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}/task").exists() for pid in workers))
        log.all()
    check_ledger(tmp_path, crowd.acknowledged)


@pytest.mark.slow
def test_worker_is_replaced_while_another_one_hangs() -> None:
    with process(**TWO) as running:
        url, log = address(running), Lines(running)
        wait_until(lambda: counted(url, "targetry_edge_starts_total") == 2)
        hanging, victim = workers_of(running)
        os.kill(hanging, signal.SIGSTOP)
        kill(victim)
        wait_until(lambda: counted(url, "targetry_edge_starts_total") == 3)
        os.kill(hanging, signal.SIGCONT)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
    assert [line["message"] for line in log.all() if line["level"] == "error"] == [
        f"worker (process {victim}) ended by SIGKILL; another one is started"
    ]


def test_started_workers_end_if_another_one_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class OneWorker:
        def __init__(self, *arguments: object) -> None:
            if steps:
                raise BlockingIOError("no process is left")
            steps.append("started")

        def terminate(self) -> None:
            steps.append("terminated")

        def join(self, timeout_s: float) -> None:
            steps.append("joined")

    monkeypatch.setattr(supervisor, "Worker", OneWorker)
    with pytest.raises(BlockingIOError):
        EdgeWorkers(EdgeOptions(workers=2), 0, ["acme"], "json").run()
    assert steps == ["started", "terminated", "joined"]


def test_worker_hangs_after_too_many_checks_without_heartbeat() -> None:
    received, sent = Pipe(duplex=False)
    with received, sent:
        heartbeats = Heartbeats(received, patience=3)
        sent.send_bytes(b"")
        assert [heartbeats.are_missing() for _ in range(5)] == [False, False, False, False, True]
        sent.send_bytes(b"")
        assert not heartbeats.are_missing()


def test_edge_that_cannot_open_is_opened_again_after_growing_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses: list[float] = []

    def open_one() -> RunnableEdge:
        if len(pauses) < 8:
            raise ArtifactError("rules.json is missing")
        return cast("RunnableEdge", "edge")

    assert open_with_retries(open_one, logging.getLogger("targetry.edge"), pauses.append) == "edge"
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert caplog.text.count("rules.json is missing; it tries again in") == 8


def test_metrics_of_dead_processes_are_bounded(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for number in range(300):
        (tmp_path / f"counter{number}_{dead.pid}.db").write_bytes(b"")
    for process_id in (dead.pid, os.getpid()):
        (tmp_path / f"gauge_livesum_{process_id}.db").write_bytes(b"")
        (tmp_path / f"histogram_{process_id}.db").write_bytes(b"")
    remove_dead_processes(tmp_path)
    assert [file.name for file in tmp_path.glob("gauge*")] == [f"gauge_livesum_{os.getpid()}.db"]
    assert (tmp_path / f"histogram_{os.getpid()}.db").exists()
    assert len(list(tmp_path.glob(f"*_{dead.pid}.db"))) == 256


def test_port_in_use_is_reported() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OptionError, match="cannot be bound"):
        EdgeWorkers.open(EdgeOptions(port=taken.getsockname()[1], workers=2), "human")


@each_case(
    "option, value",
    [
        ("workers", 0),
        ("max_connections", 0),
        ("idle_timeout", 0.0),
        ("idle_timeout", float("nan")),
        ("request_timeout", -1.0),
        ("request_timeout", 1e9),
    ],
)
def test_invalid_option_is_rejected(option: str, value: float) -> None:
    with pytest.raises(OptionError, match=option):
        EdgeServer.open(EdgeOptions(port=0, **{option: value}))  # type: ignore[arg-type]
