"""The spool: rows survive processes, and belong to one at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.background_fakes import Clock
from support.notifier import ADDRESS, write_format_1
from support.python_process import environment
from targetry._runtime.file_lock import FileLock
from targetry.delivery.hosts import DeliveryAddress
from targetry.notifications import spool as spool_module
from targetry.notifications.spool import Backlog, Spool, SpooledDelivery, SpoolError

ROOMY = 1 << 30
ALL = 1 << 30


REFUSAL = "CREATE TRIGGER refusal BEFORE {} BEGIN SELECT RAISE(ABORT, 'disk full'); END"


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.problems: dict[str, str] = {}
        self.opened: list[Spool] = []

    def open(self, max_bytes: int = ROOMY, address: DeliveryAddress = ADDRESS) -> Spool:
        """Open a file, and take over those of dead processes."""
        spool = Spool.open(self.path, max_bytes, address, self.problems, self.clock)
        self.opened.append(spool)
        spool.adopt(self.problems)
        return spool

    def leave(self, *bodies: bytes, address: DeliveryAddress = ADDRESS) -> None:
        """Leave a file as a dead process does."""
        spool = Spool.open(self.path / "elsewhere", ROOMY, address, self.problems, self.clock)
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
    return [SpooledDelivery("s1", None, body, 1, 10.0) for body in bodies]


def bodies(spool: Spool, cluster: str | None = None) -> list[bytes]:
    return [row.body for row in spool.page(cluster, 0, ALL, ALL)]


def count(spool: Spool) -> int:
    return sum(backlog.deliveries for backlog in spool.backlogs())


deliveries = st.lists(
    st.builds(
        SpooledDelivery,
        session_id=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        cluster=st.just(None),
        body=st.binary(max_size=200),
        count=st.integers(0, 1000),
        age=st.integers(0, 10**9),
    ),
    max_size=12,
)


@settings(max_examples=12)
@given(deliveries, st.integers(1, 5), st.data())
def test_written_rows_are_read_in_their_order(
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
        expected = [Backlog(None, len(kept), sum(one.count for one in kept))] if kept else []
        assert spool.backlogs() == expected
        found: list[SpooledDelivery] = []
        while page := spool.page(None, found[-1].id if found else 0, limit, ALL):
            assert len(page) <= limit
            found += page
        spool.close()
        assert [(one.session_id, one.body, one.count, one.age) for one in found] == [
            (one.session_id, one.body, one.count, one.age) for one in kept
        ]


def test_page_ends_where_it_gets_too_large_and_has_one_row_at_least(folder: Folder) -> None:
    spool = folder.open()
    spool.add(rows(b"x" * 100, b"x" * 100, b"x" * 100))
    assert len(spool.page(None, 0, 10, 1)) == 1
    assert len(spool.page(None, 0, 10, 150)) == 2
    assert len(spool.page(None, 0, 10, 1000)) == 3


def test_empty_spool_leaves_no_file_behind(folder: Folder) -> None:
    spool = folder.open()
    spool.remove(spool.add(rows(b"a")))
    spool.close()
    assert list(folder.path.iterdir()) == []


def test_files_are_for_the_user_only(folder: Folder) -> None:
    folder.open().add(rows(b"a"))
    assert len(folder.files("")) == 3  # data, lock, and journal
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_full_spool_accepts_no_rows_until_some_are_removed(folder: Folder) -> None:
    spool = folder.open(max_bytes=10)
    ids = spool.add(rows(b"12345", b"12345"))
    with pytest.raises(SpoolError, match="full"):
        spool.add(rows(b"1"))
    spool.remove(ids[:1])
    spool.add(rows(b"1"))
    assert bodies(spool) == [b"12345", b"1"]


def test_living_owners_file_is_left_alone(folder: Folder) -> None:
    folder.open().add(rows(b"a"))
    second = folder.open()
    assert count(second) == 0
    second.add(rows(b"b"))
    assert [bodies(spool) for spool in folder.opened] == [[b"a"], [b"b"]]


def test_rows_of_dead_processes_are_adopted_by_one_process(folder: Folder) -> None:
    for body in (b"a", b"b", b"c"):
        folder.leave(body)
    first, second = folder.open(), folder.open()
    assert sorted(bodies(first)) == [b"a", b"b", b"c"]
    assert first.backlogs() == [Backlog(None, 3, 3)]
    assert count(second) == 0
    assert len(folder.files(".db")) == 2


def test_files_without_room_are_left_for_later(folder: Folder) -> None:
    folder.leave(b"12345678")
    folder.leave(b"12345678")
    spool = folder.open(max_bytes=10)
    assert count(spool) == 1
    assert ["left for later" in why for why in folder.problems.values()] == [True]
    spool.remove([row.id for row in spool.page(None, 0, ALL, ALL)])
    spool.close()
    assert count(folder.open()) == 1


def test_lock_without_a_file_is_removed(folder: Folder) -> None:
    folder.path.mkdir()
    (folder.path / "1-a.lock").touch()
    folder.open()
    assert len(folder.files(".lock")) == 1


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_file_that_is_no_database_is_set_aside(folder: Folder, content: bytes) -> None:
    folder.leave(b"good")
    (folder.path / "1-bad.lock").touch()
    (folder.path / "1-bad.db").write_bytes(content)
    assert bodies(folder.open()) == [b"good"]
    assert (folder.path / "1-bad.db.corrupt").read_bytes() == content
    assert not (folder.path / "1-bad.lock").exists()
    assert list(folder.problems) == ["1-bad.db"]


def test_file_of_a_later_version_is_left_alone(folder: Folder) -> None:
    folder.leave(b"future")
    [file] = folder.files(".db")
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version=3")
    connection.close()
    assert count(folder.open()) == 0
    assert file.exists()
    assert "format 3" in folder.problems[file.name]


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.bin"))
    path.symlink_to("elsewhere.bin")


def others_wal(path: Path) -> None:
    wal = path.with_name(path.name + "-wal")
    wal.touch()
    wal.chmod(0o666)


UNTRUSTED: dict[str, Callable[[Path], object]] = {
    "data for all": lambda path: path.chmod(0o666),
    "data for the group": lambda path: path.chmod(0o660),
    "link": link,
    "write-ahead log for all": others_wal,
    "lock for all": lambda path: path.with_suffix(".lock").chmod(0o666),
}


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")
@pytest.mark.parametrize("change", UNTRUSTED.values(), ids=UNTRUSTED)
def test_file_writable_by_others_is_ignored(change: Callable[[Path], object], folder: Folder) -> None:
    folder.leave(b"good")
    folder.leave(b"bad")
    file = next(path for path in folder.files(".db") if b"bad" in path.read_bytes())
    change(file)
    assert bodies(folder.open()) == [b"good"]
    assert [name.partition(".")[0] for name in folder.problems] == [file.stem]
    assert file.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("suffix", [".db", ".lock"])
def test_file_of_another_user_is_ignored(suffix: str, folder: Folder) -> None:
    folder.leave(b"planted")
    [file] = folder.files(suffix)
    os.chown(file, 12345, -1)
    assert count(folder.open()) == 0
    assert folder.problems[file.name].endswith("belongs to another user")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")
def test_world_writable_folder_raises(folder: Folder) -> None:
    folder.path.mkdir()
    folder.path.chmod(0o777)
    with pytest.raises(SpoolError, match="all users"):
        folder.open()


def test_ignored_file_is_adopted_once_it_is_usable(folder: Folder) -> None:
    folder.leave(b"a")
    [file] = folder.files(".db")
    file.chmod(0o666)
    spool = folder.open()
    assert count(spool) == 0
    file.chmod(0o600)
    assert spool.adopt({}) == [Backlog(None, 1, 1)]
    assert bodies(spool) == [b"a"]


def test_file_of_a_process_that_dies_later_is_taken_over_later(folder: Folder) -> None:
    first, second = folder.open(), folder.open()
    second.add(rows(b"a"))
    assert first.adopt(folder.problems) == []
    second.close()
    assert first.adopt(folder.problems) == [Backlog(None, 1, 1)]
    assert folder.problems == {}


def test_file_whose_rows_cannot_be_deleted_is_taken_over_once(folder: Folder) -> None:
    spool = folder.open()
    folder.leave(b"a")
    [file] = [path for path in folder.files(".db") if path != spool.path]
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(REFUSAL.format("DELETE ON delivery"))
    assert spool.adopt(folder.problems) == [Backlog(None, 1, 1)]
    assert spool.adopt(folder.problems) == []
    assert bodies(spool) == [b"a"]
    assert (folder.files(".db"), folder.problems) == ([spool.path], {})


def test_failed_takeover_leaves_the_newest_row_as_it_was(folder: Folder) -> None:
    spool = folder.open()
    [row] = spool.add(rows(b"own"))
    spool._connection.execute(REFUSAL.format("UPDATE ON file"))
    folder.leave(b"a", b"b")
    assert spool.adopt(folder.problems) == []
    assert spool.newest_row == row
    spool._connection.execute("DROP TRIGGER refusal")
    assert spool.add(rows(b"next")) == [row + 1]
    assert bodies(spool) == [b"own", b"next"]


def test_file_of_another_account_is_not_used(folder: Folder) -> None:
    other = DeliveryAddress(client="other", organization_id="org")
    folder.leave(b"theirs", address=other)
    folder.leave(b"ours")
    assert bodies(folder.open()) == [b"ours"]
    assert ["another account, other org" in why for why in folder.problems.values()] == [True]
    assert bodies(folder.open(address=other)) == [b"theirs"]


@pytest.mark.parametrize("cluster", ["x@evil.example/", "zz9", "4711", "035", 7, b"35"])
def test_invalid_cluster_is_the_own_host(cluster: object, folder: Folder) -> None:
    folder.leave(b"a")
    [file] = folder.files(".db")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE delivery SET cluster = ?", (cluster,))
    assert folder.open().backlogs() == [Backlog("7" if cluster == 7 else None, 1, 1)]


def test_rows_of_many_clusters_are_those_of_few(folder: Folder) -> None:
    folder.leave(b"a")
    [file] = folder.files(".db")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executemany(
            "INSERT INTO delivery (session, cluster, body, count, born) VALUES ('s', ?, 'b', 1, 0)",
            [(str(number),) for number in range(100, 900)],
        )
    backlogs = folder.open().backlogs()
    assert len(backlogs) == 33
    assert backlogs[0] == Backlog(None, 769, 769)


def test_page_is_of_one_cluster(folder: Folder) -> None:
    spool = folder.open()
    spool.add([SpooledDelivery("s", cluster, body, 1, 0.0) for cluster, body in [("35", b"a"), (None, b"b")]])
    spool.add([SpooledDelivery("s", "35", b"c", 2, 0.0)])
    assert (bodies(spool, "35"), bodies(spool)) == ([b"a", b"c"], [b"b"])
    assert spool.backlogs() == [Backlog("35", 2, 3), Backlog(None, 1, 1)]
    plan = spool._connection.execute("EXPLAIN QUERY PLAN " + spool_module._PAGE_OF_CLUSTER, ("35", 0, 9))
    assert "USING INDEX by_cluster" in str(plan.fetchall())


def test_file_of_format_1_is_converted_but_for_urls_of_others(folder: Folder) -> None:
    ours = [ADDRESS.url("s 1"), ADDRESS.url("s2", "35")]
    others = [
        "https://evil.example/rest/v1/delivery?imsOrgId=org&sessionId=s1",
        "https://acme.example@evil.example/rest/v1/delivery?imsOrgId=org&sessionId=s1",
        "https://mboxedge35.tt.omtrdc.net.evil.example/rest/v1/delivery?imsOrgId=org&sessionId=s1",
        "https://mboxedge.evil/.tt.omtrdc.net/rest/v1/delivery?imsOrgId=org&sessionId=s1",
        "http://acme.example/rest/v1/delivery?imsOrgId=org&sessionId=s1",
        "https://acme.example/rest/v1/delivery?imsOrgId=other&sessionId=s1",
        "https://acme.example/other?imsOrgId=org&sessionId=s1",
        "http://[",
        "",
    ]
    write_format_1(folder.path, *ours, *others)
    spool = folder.open()
    assert [row.session_id for row in spool.page(None, 0, ALL, ALL)] == ["s 1"]
    assert [row.session_id for row in spool.page("35", 0, ALL, ALL)] == ["s2"]
    assert (spool.foreign, count(spool)) == (2 * len(others), 2)
    assert [row.age for row in spool.page(None, 0, ALL, ALL)] == [0.0]


def test_age_counts_while_a_process_has_the_file(folder: Folder) -> None:
    spool = folder.open()
    spool.add([SpooledDelivery("s", None, b"a", 1, 5.0)])
    folder.clock.advance(100)
    assert [row.age for row in spool.page(None, 0, ALL, ALL)] == [105.0]
    spool.close()
    folder.clock.advance(1_000_000)  # the time in between is not known
    spool = folder.open()
    folder.clock.advance(20)
    assert [row.age for row in spool.page(None, 0, ALL, ALL)] == [125.0]


def test_age_is_kept_when_another_process_takes_over(folder: Folder) -> None:
    spool, other = folder.open(), folder.open()
    other.add([SpooledDelivery("s", None, b"a", 1, 5.0)])
    folder.clock.advance(100)
    other.close()
    spool.adopt({})
    assert [row.age for row in spool.page(None, 0, ALL, ALL)] == [105.0]


def test_age_is_on_disk_after_a_minute(folder: Folder) -> None:
    spool = folder.open()
    spool.add(rows(b"a"))
    for _ in range(4):
        folder.clock.advance(59)
        spool.save_clock()
    (clock,) = spool._connection.execute("SELECT clock FROM file").fetchone()
    assert clock == 2 * 118


def test_folder_that_cannot_be_created_is_a_spool_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SpoolError):
            Folder(path).open()


def test_damaged_file_is_a_spool_error_and_can_be_set_aside(folder: Folder) -> None:
    folder.leave(*(bytes(4000) for _ in range(50)))
    [file] = folder.files(".db")
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)
    spool = Spool.open(folder.path, ROOMY, ADDRESS, folder.problems)
    if file == spool.path:  # the damage shows when rows are read
        with pytest.raises(SpoolError) as caught:
            spool.page(None, 0, ALL, ALL)
        assert caught.value.corrupt
        spool.set_aside()
    else:
        spool.close()
    assert len(folder.files(".corrupt")) == 1
    assert count(folder.open()) == 0


def test_file_lock_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "a.lock")
    with pytest.raises(BlockingIOError):
        FileLock(tmp_path / "a.lock")
    lock.release()
    FileLock(tmp_path / "a.lock").remove()
    assert not (tmp_path / "a.lock").exists()


PRELUDE = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
from support.notifier import ADDRESS
from targetry.notifications.spool import Spool, SpooledDelivery

def spool_with(*bodies):
    spool = Spool.open(Path(sys.argv[1]), 1 << 30, ADDRESS, {})
    spool.add([SpooledDelivery("s1", None, body, 1, 10.0) for body in bodies])
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
    assert count(folder.open()) == 0  # it lives
    end(process)
    assert bodies(folder.open()) == [b"b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_child_does_not_prevent_adoption_of_its_parents_file(folder: Folder) -> None:
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
def test_child_has_a_file_of_its_own(folder: Folder) -> None:
    process = start(
        folder,
        """
        spool = spool_with(b"parent's")
        child = os.fork()
        if child == 0:
            spool_with(b"child's").close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print([row.body for row in spool.page(None, 0, 10, 1000)])
        spool.close()
        """,
    )
    out, _ = process.communicate(timeout=30)
    assert out == b'[b"parent\'s"]\n'
    assert sorted(bodies(folder.open())) == [b"child's", b"parent's"]
