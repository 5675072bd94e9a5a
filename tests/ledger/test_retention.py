"""Removal of old events from a ledger."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from support.cases import each_case
from support.edge_process import Lines, address, post, process, shown
from support.late import LATE_S
from support.ledger import event
from targetry._runtime.file_lock import FileLock
from targetry.edge.assembly import check_edge_options, open_edge
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.ledger import counting, group_commit, retention
from targetry.ledger.database import FILE_NAME
from targetry.ledger.errors import LedgerError
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.ledger.retention import MIN_BYTES, Retention, parse_size, prune, prune_shared

SIZES = {
    "500MB": 500_000_000,
    "2 GB": 2_000_000_000,
    "1.5gb": 1_500_000_000,
    "64MiB": 2**26,
    "1000000": 1_000_000,
}


@each_case("text, number", SIZES.items())
def test_valid_size_is_parsed(text: str, number: int) -> None:
    assert parse_size(text) == number


@each_case("text", ["", "MB", "1.2.3MB", "1e9", "-1", "5 miles", "٣MB", "1" * 30])
def test_invalid_size_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)


@pytest.mark.parametrize("wrong", [{"keep_days": 0}, {"keep_days": 1e9}, {"max_size": 10}])
def test_impossible_retention_is_an_option_error(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError) as caught:
        check_edge_options(EdgeOptions(**wrong))  # type: ignore[arg-type]
    assert caught.value.path in wrong


def test_removal_by_size_from_a_visitor_with_many_events_keeps_as_many_as_of_others(tmp_path: Path) -> None:
    """The purchases of removed orders take space, too, and are removed in pieces."""
    kept = []
    for name, visitors in (("one", 1), ("many", 1_000)):
        with Ledger.open(tmp_path / name, sync="NORMAL") as ledger:
            ledger.record(
                [
                    event(f"{n}", "order", f"v{n % visitors:07}", 1000 + n, order_id=f"A{n}", order_total=1.0)
                    for n in range(6_000)
                ]
            )
        done = prune(tmp_path / name, Retention(max_bytes=MIN_BYTES))
        assert done.after_bytes <= MIN_BYTES
        kept.append(6_000 - done.removed)
    assert kept[0] == pytest.approx(kept[1], rel=0.1)


def test_event_with_a_future_time_expires_by_its_recording(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("future", at=2**60)])
    with Reader.open(tmp_path) as reader:
        recorded_ms = reader.period()
    assert recorded_ms is not None
    day_after = recorded_ms.to_ms + 2 * 86_400_000
    assert prune(tmp_path, Retention(keep_days=1), now_ms=day_after - 86_400_001).removed == 0
    assert prune(tmp_path, Retention(keep_days=1), now_ms=day_after).removed == 1


def test_values_of_facts_of_removed_visitors_leave_the_sums(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("old", facts={"plan": "a"}), event("new", "click", at=2**60)])
    assert prune(tmp_path, Retention(keep_days=1)).removed == 1
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT value FROM segment_sum").fetchall() == []


def test_removal_pauses_after_each_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(retention, "PIECE", 20)
    monkeypatch.setattr(counting, "PIECE", 20)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event(f"{n}", at=1000 + n) for n in range(100)])
    monkeypatch.setattr(group_commit, "_pause", pauses.append)
    assert prune(tmp_path, Retention(keep_days=1)).removed == 100
    assert len(pauses) >= 5


class Removals(logging.Handler):
    """Signals the first message on removed events."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "were removed from the ledger" in record.getMessage():
            self.seen.set()


@pytest.mark.parametrize(("option", "limit"), [("keep_days", 30), ("max_size", MIN_BYTES)])
def test_edge_removes_events_beyond_the_limits_of_its_options(
    option: str, limit: float, tmp_path: Path
) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event(str(n), visitor=f"v{n}") for n in range(12_000)])
    log, removals = logging.Logger("edge"), Removals()
    log.addHandler(removals)
    edge = open_edge(EdgeOptions(data=tmp_path, **{option: limit}), log)  # type: ignore[arg-type]
    edge.start()
    try:
        assert removals.seen.wait(LATE_S)
    finally:
        edge.close()


def test_edge_whose_lock_file_cannot_be_used_logs_that_nothing_is_removed(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    (tmp_path / "ledger.pruning").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match=r"ledger\.pruning is a symbolic link"):
        prune_shared(tmp_path, Retention(keep_days=1), print, lambda: False)


def test_removal_is_left_to_the_process_that_has_begun(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("old")])
    claim = FileLock(tmp_path / "ledger.pruning")
    assert prune_shared(tmp_path, Retention(keep_days=1), print, lambda: False) == 0
    claim.remove()
    assert prune_shared(tmp_path, Retention(keep_days=1), print, lambda: False) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs processes that share a folder")
def test_edge_removes_old_events_while_it_records(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event(str(n), visitor=f"v{n}") for n in range(2000)])
    with process(
        "--data", tmp_path, "--keep-days", "30", "--workers", "2", TARGETRY_EDGE_LOG="json"
    ) as running:
        url, log = address(running), Lines(running)
        assert [post(url, shown(f"new-{n}")) for n in range(10)] == [200] * 10
        log.wait_for("2000 events were removed from the ledger")
        assert post(url, shown("last")) == 200
        running.terminate()
        running.wait(60)
    with Reader.open(tmp_path) as reader:
        assert {one.visitor for one in reader.events()} == {*(f"new-{n}" for n in range(10)), "last"}
