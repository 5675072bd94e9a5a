"""Deliveries on disk: kept, found again, and never in the hands of two."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from other_python import environment
from targetry.background.claim import Claim
from targetry.background.spool import Spool, SpooledDelivery, SpoolError

ROOMY = 1 << 30
ALL = 1 << 30


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.opened: list[Spool] = []

    def open(self, max_bytes: int = ROOMY) -> Spool:
        spool = Spool.open(self.path, max_bytes, self.warnings.append)
        self.opened.append(spool)
        return spool

    def leave(self, *bodies: bytes) -> None:
        """What a process that died leaves: a file that nobody holds."""
        spool = Spool.open(self.path / "elsewhere", ROOMY, self.warnings.append)
        spool.add(rows(*bodies))
        spool.close()
        for file in (self.path / "elsewhere").iterdir():
            file.rename(self.path / file.name)

    def files(self, suffix: str) -> list[Path]:
        return sorted(self.path.glob(f"*{suffix}"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "spool")
    yield folder
    for spool in folder.opened:
        spool.close()


def rows(*bodies: bytes) -> list[SpooledDelivery]:
    return [SpooledDelivery("https://edge.example/", body, 1, 1000.0) for body in bodies]


def bodies(spool: Spool) -> list[bytes]:
    return [row.body for row in spool.page(0, ALL, ALL)]


deliveries = st.lists(
    st.builds(
        SpooledDelivery,
        url=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        body=st.binary(max_size=200),
        count=st.integers(0, 1000),
        born=st.floats(0, 1e10),
    ),
    max_size=12,
)


@settings(max_examples=12)
@given(deliveries, st.integers(1, 5), st.data())
def test_what_was_written_is_found_again_in_its_order(
    given: list[SpooledDelivery], limit: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        spool = folder.open()
        ids = spool.add(given)
        gone = data.draw(st.sets(st.sampled_from(ids))) if ids else set()
        spool.remove(sorted(gone))
        spool.close()

        kept = [one for one, row in zip(given, ids, strict=True) if row not in gone]
        spool = folder.open()
        assert (spool.rows, spool.notifications) == (len(kept), sum(one.count for one in kept))
        found: list[SpooledDelivery] = []
        while page := spool.page(found[-1].id if found else 0, limit, ALL):
            assert len(page) <= limit
            found += page
        spool.close()
        assert [(one.url, one.body, one.count, one.born) for one in found] == [
            (one.url, one.body, one.count, one.born) for one in kept
        ]


def test_a_page_ends_where_it_gets_too_large_and_has_one_row_at_least(folder: Folder) -> None:
    spool = folder.open()
    spool.add(rows(b"x" * 100, b"x" * 100, b"x" * 100))
    assert len(spool.page(0, 10, 1)) == 1
    assert len(spool.page(0, 10, 150)) == 2
    assert len(spool.page(0, 10, 1000)) == 3


def test_an_empty_spool_leaves_no_file_behind(folder: Folder) -> None:
    spool = folder.open()
    spool.remove(spool.add(rows(b"a")))
    spool.close()
    assert list(folder.path.iterdir()) == []


def test_files_are_for_the_user_only(folder: Folder) -> None:
    folder.open().add(rows(b"a"))
    assert len(folder.files("")) == 3  # data, lock, and journal
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_what_is_full_takes_no_more_until_something_is_removed(folder: Folder) -> None:
    spool = folder.open(max_bytes=10)
    ids = spool.add(rows(b"12345", b"12345"))
    with pytest.raises(SpoolError, match="full"):
        spool.add(rows(b"1"))
    spool.remove(ids[:1])
    spool.add(rows(b"1"))
    assert bodies(spool) == [b"12345", b"1"]


def test_a_living_owners_file_is_left_alone(folder: Folder) -> None:
    folder.open().add(rows(b"a"))
    second = folder.open()
    assert second.rows == 0
    second.add(rows(b"b"))
    assert [bodies(spool) for spool in folder.opened] == [[b"a"], [b"b"]]


def test_all_that_dead_processes_left_is_taken_over_by_one(folder: Folder) -> None:
    for body in (b"a", b"b", b"c"):
        folder.leave(body)
    first, second = folder.open(), folder.open()
    assert sorted(bodies(first)) == [b"a", b"b", b"c"]
    assert (first.rows, first.notifications) == (3, 3)
    assert second.rows == 0
    assert len(folder.files(".db")) == 2


def test_what_there_is_no_room_for_is_left_for_later(folder: Folder) -> None:
    folder.leave(b"12345678")
    folder.leave(b"12345678")
    spool = folder.open(max_bytes=10)
    assert spool.rows == 1
    assert "left for later" in folder.warnings[0]
    spool.remove([row.id for row in spool.page(0, ALL, ALL)])
    spool.close()
    assert folder.open().rows == 1


def test_a_lock_without_a_file_is_cleared_away(folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "1-a.lock").touch()
    folder.open()
    assert len(folder.files(".lock")) == 1


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_set_aside(folder: Folder, content: bytes) -> None:
    folder.leave(b"good")
    (folder.path / "1-bad.lock").touch()
    (folder.path / "1-bad.db").write_bytes(content)
    assert bodies(folder.open()) == [b"good"]
    assert (folder.path / "1-bad.db.corrupt").read_bytes() == content
    assert not (folder.path / "1-bad.lock").exists()
    assert len(folder.warnings) == 1


def test_a_file_of_a_later_version_is_left_alone(folder: Folder) -> None:
    folder.leave(b"future")
    [file] = folder.files(".db")
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    assert folder.open().rows == 0
    assert file.exists()
    assert "format 2" in folder.warnings[0]


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SpoolError):
            Folder(path).open()


def test_a_damaged_file_is_an_error_of_ours_and_can_be_set_aside(folder: Folder) -> None:
    folder.leave(*(bytes(4000) for _ in range(50)))
    [file] = folder.files(".db")
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)
    spool = Spool.open(folder.path, ROOMY, folder.warnings.append)
    if spool.rows:  # the damage shows when rows are read
        with pytest.raises(SpoolError) as caught:
            spool.page(0, ALL, ALL)
        assert caught.value.corrupt
        spool.set_aside()
    else:
        spool.close()
    assert len(folder.files(".corrupt")) == 1
    assert folder.open().rows == 0


def test_a_claim_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "a.lock")
    with pytest.raises(BlockingIOError):
        Claim(tmp_path / "a.lock")
    claim.release()
    Claim(tmp_path / "a.lock").remove()
    assert not (tmp_path / "a.lock").exists()


PRELUDE = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
from targetry.background.spool import Spool, SpooledDelivery

def spool_with(*bodies):
    spool = Spool.open(Path(sys.argv[1]), 1 << 30, print)
    spool.add([SpooledDelivery("https://edge.example/", body, 1, 1000.0) for body in bodies])
    return spool
"""


def start(folder: Folder, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script), str(folder.path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate(timeout=30)


def test_rows_of_a_process_that_was_killed_are_all_there(folder: Folder) -> None:
    process = start(
        folder,
        "spool = spool_with(b'a', b'b'); spool.remove([1]); print('written', flush=True); sys.stdin.read()",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    assert folder.open().rows == 0  # it lives
    end(process)
    assert bodies(folder.open()) == [b"b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_does_not_keep_its_parents_file_from_being_taken_over(folder: Folder) -> None:
    process = start(
        folder,
        """
        spool = spool_with(b"a")
        if os.fork() == 0:
            print("forked", flush=True)
            sys.stdin.read()
            os._exit(0)
        signal.pause()
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"forked\n"
    process.kill()
    process.wait(timeout=30)
    assert bodies(folder.open()) == [b"a"]
    assert process.stdin is not None
    process.stdin.close()
    assert process.stdout.read() == b""  # the child has ended
    process.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_has_a_file_of_its_own(folder: Folder) -> None:
    process = start(
        folder,
        """
        spool = spool_with(b"parent's")
        child = os.fork()
        if child == 0:
            spool_with(b"child's").close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print([row.body for row in spool.page(0, 10, 1000)])
        spool.close()
        """,
    )
    out, _ = process.communicate(timeout=30)
    assert out == b'[b"parent\'s"]\n'
    assert sorted(bodies(folder.open())) == [b"child's", b"parent's"]
