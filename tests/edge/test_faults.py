"""Faults around an edge, over real sockets: it reports them and loses no acknowledged event."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.edge import HERO
from support.edge_process import Lines, address, post, process, shown
from support.faulty_http import check_answers
from targetry.edge.in_process import edge
from targetry.ledger.database import FILE_NAME
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.samples import shop_path


def visitors(folder: Path) -> list[str]:
    """Return the visitors of the events in a ledger, in order."""
    with Reader.open(folder) as reader:
        return [event.visitor for event in reader.events()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs limits that can be set from outside")
def test_full_disk_is_reported_and_loses_no_acknowledged_event(tmp_path: Path) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with process("--data", tmp_path, TARGETRY_EDGE_LOG="json") as running:
        url, log = address(running), Lines(running)
        acknowledged = [f"before-{n}" for n in range(20)]
        assert [post(url, shown(name)) for name in acknowledged] == [200] * 20

        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (20_000, hard))
        assert {post(url, shown(f"full-{n}")) for n in range(50)} == {503}
        assert post(url, HERO) == 200, "offers are given all the same"

        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (hard, hard))
        acknowledged += ["full-3", "after"]
        assert [post(url, shown(name)) for name in acknowledged[-2:]] == [200, 200]
        running.send_signal(signal.SIGTERM)
        running.wait(60)
    assert visitors(tmp_path) == acknowledged
    assert [line["status"] for line in log.all() if line.get("status") == 500] == []
    assert [line["level"] for line in log.having("could not be recorded: the ledger")] == ["error"]
    assert log.having("events are recorded again; 51 were not")


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Lock a database by a transaction of another process."""
    run = [sys.executable, "-c", LOCK, str(file)]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield


def test_locked_ledger_is_reported_and_works_again_afterwards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Ledger.open(tmp_path, busy_timeout=0.05) as ledger, edge(ledger=ledger) as here:
        with locked(tmp_path / FILE_NAME):
            assert post(here.url, shown("early")) == 503
            assert post(here.url, HERO) == 200
        assert post(here.url, shown("late")) == 200
        assert visitors(tmp_path) == ["late"]
    assert "another process keeps it locked" in caplog.text


@pytest.mark.slow
def test_damaged_ledger_is_set_aside_and_replaced_at_start(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 1000)
    with process("--data", tmp_path, TARGETRY_EDGE_LOG="json") as running:
        url, log = address(running), Lines(running)
        assert post(url, shown("ada")) == 200
        assert log.wait_for("is kept as ledger-1.corrupt")["level"] == "warning"
    assert (tmp_path / "ledger-1.corrupt").is_file()
    assert visitors(tmp_path) == ["ada"]


@pytest.mark.slow
def test_deleted_artifact_stays_in_use_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(shop_path().read_bytes())
    with process(path, TARGETRY_EDGE_LOG="json") as running:
        url, log = address(running), Lines(running)
        path.unlink()
        assert log.wait_for("the file no longer exists")["level"] == "error"
        assert post(url) == 200
        path.write_bytes(shop_path().read_bytes())
        log.wait_for("was reloaded")
        assert post(url) == 200


def test_acknowledged_events_survive_sigkill(tmp_path: Path) -> None:
    """Send notifications by four clients until the edge is killed."""
    acknowledged: list[str] = []

    def notify(url: str, client: int) -> None:
        number = 0
        try:
            while post(url, shown(f"{client}-{number}")) == 200:
                acknowledged.append(f"{client}-{number}")
                number += 1
                if len(acknowledged) == 100:
                    enough.set()
        except OSError:
            pass  # it is gone

    enough = threading.Event()
    with process("--data", tmp_path, TARGETRY_EDGE_LOG="json") as running:
        url, _ = address(running), Lines(running)
        clients = [threading.Thread(target=notify, args=(url, client)) for client in range(4)]
        for client in clients:
            client.start()
        assert enough.wait(30)
        running.kill()
        for client in clients:
            client.join(60)
    with Ledger.open(tmp_path, warn=pytest.fail) as ledger:
        kept = [event.visitor for event in ledger.events()]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)


def test_malformed_http_gets_a_response_or_a_disconnect(caplog: pytest.LogCaptureFixture) -> None:
    with edge() as here:
        assert check_answers(here.host, range(100)) > 0, "some are good all the same"
        assert post(here.url) == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
