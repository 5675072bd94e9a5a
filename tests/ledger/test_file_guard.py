"""Ledger files that are removed, replaced or truncated in use: no lost event is acknowledged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.edge_process import Lines, address, post_raw, process, shown
from support.ledger import ACTIVITY, event
from support.slow import slow
from targetry._runtime.file_lock import FileLock
from targetry.ledger import database, retention
from targetry.ledger.database import FILE_NAME, _replace_by_copy
from targetry.ledger.errors import LedgerError
from targetry.ledger.event import LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.ledger.retention import Retention, prune
from targetry.ledger.schema import DAY_MS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")


def remove(*names: str) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return tamper


def move_folder(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def replace_by_another(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as other:
        with Ledger.open(other) as ledger:
            ledger.record([event("other")])
        shutil.copyfile(Path(other) / FILE_NAME, folder / "new")
    (folder / "new").replace(folder / FILE_NAME)


def replace_by_nothing(folder: Path) -> None:
    (folder / "new").touch()
    (folder / "new").replace(folder / FILE_NAME)


def replace_journal(folder: Path) -> None:
    (folder / "new").touch()
    (folder / "new").replace(folder / f"{FILE_NAME}-wal")


def truncate(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


JOURNAL, INDEX = f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"
LOST = {
    "file": remove(FILE_NAME),
    "file and journal": remove(FILE_NAME, JOURNAL),
    "all files": remove(FILE_NAME, JOURNAL, INDEX),
    "folder": shutil.rmtree,
    "folder moved": move_folder,
    "file replaced by another ledger": replace_by_another,
    "file replaced by an empty one": replace_by_nothing,
    "file cut to nothing": truncate(FILE_NAME, 0),
    "file cut to a page": truncate(FILE_NAME, 4096),
}
SAVED = {
    "journal": remove(JOURNAL),
    "index of the journal": remove(INDEX),
    "journal and its index": remove(JOURNAL, INDEX),
    "journal replaced": replace_journal,
}
CUT = {"journal cut to nothing": truncate(JOURNAL, 0), "journal cut to a part": truncate(JOURNAL, 3000)}
OLD = [event(str(number), location="x" * 400) for number in range(60)]


def fill(folder: Path) -> None:
    """Make a file with events in it and none in its journal."""
    with Ledger.open(folder) as ledger:
        ledger.describe([ACTIVITY], now_ms=5)
        ledger.record(OLD)


def recorded(folder: Path) -> set[str]:
    with Reader.open(folder) as reader:
        return {one.id for one in reader.events()}


@pytest.mark.parametrize(
    "tamper", [*LOST.values(), *SAVED.values(), *CUT.values()], ids=[*LOST, *SAVED, *CUT]
)
def test_write_after_tampering_fails_and_the_next_one_succeeds(
    tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    fill(folder)
    with Ledger.open(folder, warn=lambda text: None) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record([event("before")])
        tamper(folder)
        with pytest.raises(LedgerError, match=r"removed or replaced|truncated") as caught:
            ledger.record([event("refused")])
        assert caught.value.reason in ("removed", "corrupt")
        assert ledger.record([event("refused"), event("after")]) == [True, True]
        assert recorded(folder) >= {"refused", "after"}
        assert [one.name for one in ledger.activities()] == ["Hero"]
    assert recorded(folder) >= {"refused", "after"}


@pytest.mark.parametrize("tamper", SAVED.values(), ids=SAVED)
def test_removed_journal_loses_no_event(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    fill(tmp_path)
    with Ledger.open(tmp_path) as ledger, Ledger.open(tmp_path) as other:
        for number in range(4):
            other.record([event(f"other-{number}")])
            ledger.record([event(f"before-{number}")])
        tamper(tmp_path)
        acknowledged = {one.id for one in OLD} | {
            f"{name}-{n}" for name in ("other", "before") for n in range(4)
        }
        for one in (other, ledger, ledger, other, other, ledger):
            acknowledged |= try_to_record(one, event(f"after-{len(acknowledged)}"))
        assert recorded(tmp_path) == acknowledged
        assert len(acknowledged) >= 60 + 8 + 4
    assert {file.name for file in tmp_path.iterdir()} == {FILE_NAME}
    assert recorded(tmp_path) == acknowledged


@pytest.mark.parametrize("tamper", [*LOST.values(), *CUT.values()], ids=[*LOST, *CUT])
def test_writers_of_a_removed_file_continue_in_one_new_file(
    tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    fill(folder)
    with (
        Ledger.open(folder, warn=lambda text: None) as one,
        Ledger.open(folder, warn=lambda text: None) as other,
    ):
        one.record([event("before")])
        other.record([event("before too")])
        tamper(folder)
        acknowledged: set[str] = set()
        for number in range(4):
            acknowledged |= try_to_record(one, event(f"one-{number}"))
            acknowledged |= try_to_record(other, event(f"other-{number}"))
    assert {"one-3", "other-3", "one-2", "other-2"} <= acknowledged <= recorded(folder)


def test_file_removed_during_a_transaction_is_detected_before_the_commit_returns(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:

        def write(connection: sqlite3.Connection) -> None:
            (tmp_path / FILE_NAME).unlink()

        with pytest.raises(LedgerError, match="removed or replaced while in use"):
            ledger._writer.submit(write).result()


def is_locked(folder: Path) -> bool:
    """Return whether a writer holds the ledger's lock."""
    try:
        FileLock(folder / "ledger.lock").release()
    except BlockingIOError:
        return True
    return False


def test_damaged_file_is_repaired_under_the_write_lock_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process could otherwise commit between the copy of the file and its replacement."""
    repaired: list[bool] = []

    def replace(connection: sqlite3.Connection, path: Path) -> bool:
        repaired.append(is_locked(tmp_path))
        return _replace_by_copy(connection, path)

    monkeypatch.setattr(database, "_replace_by_copy", replace)
    monkeypatch.setattr(retention, "_CHUNK", 1)
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event(str(n), visitor=f"v{n}", at=n) for n in range(4)])

    def tamper(done: int, total: int) -> None:
        truncate(JOURNAL, 0)(tmp_path)

    with pytest.raises(LedgerError, match="truncated"):
        prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + 3, progress=tamper)
    assert repaired == [True]
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("later")])
        truncate(JOURNAL, 0)(tmp_path)
    assert repaired == [True, True]
    assert recorded(tmp_path) >= {"3", "later"}


def test_file_shrunk_by_vacuum_is_accepted(tmp_path: Path) -> None:
    fill(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("before")])
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("DELETE FROM event")
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(FULL)")
        other.close()
        assert ledger.record([event("after")]) == [True]


def try_to_record(ledger: Ledger, one: LedgerEvent) -> set[str]:
    """Return the ids that are acknowledged."""
    try:
        ledger.record([one])
    except LedgerError:
        return set()
    return {one.id}


@pytest.mark.parametrize("workers", ["1", *slow("2")])
def test_notifications_after_removed_files_get_503_until_a_new_file_exists(
    tmp_path: Path, workers: str
) -> None:
    folder = tmp_path / "data"
    with process("--data", folder, "--workers", workers, TARGETRY_EDGE_LOG="json") as running:
        url, log = address(running), Lines(running)
        for number in range(12):
            assert post_raw(url, shown(f"before-{number}"))[0] == 200
        shutil.rmtree(folder)
        answers = {f"after-{n}": post_raw(url, shown(f"after-{n}")) for n in range(24)}
        assert log.having("could not be recorded: the ledger")
        refused = [headers for status, headers in answers.values() if status == 503]
        assert 1 <= len(refused) <= int(workers)
        assert {headers["retry-after"] for headers in refused} == {"1"}
        running.terminate()
        running.wait(60)
    acknowledged = {visitor for visitor, (status, _) in answers.items() if status == 200}
    with Reader.open(folder) as reader:
        assert {one.visitor for one in reader.events()} == acknowledged
