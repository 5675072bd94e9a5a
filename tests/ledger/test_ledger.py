"""Ledger: each event is recorded once, and no acknowledged event is lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.device import artifact, mboxes_of, rule, window
from support.ledger import ACTIVITY, event
from support.python_process import environment
from targetry.device.ruleset import compile_artifact
from targetry.edge.artifacts.activities import report_activities
from targetry.errors import OptionError
from targetry.ledger import group_commit, reader
from targetry.ledger.database import BUSY_S, FILE_NAME, open_for_writing
from targetry.ledger.errors import LedgerError, LedgerVersionError, NoLedgerError, ledger_error
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.ledger.group_commit import GroupCommit, LoopOutcome, Write
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.report.report import make_report
from targetry.samples import shop

texts = st.text(st.characters(codec="utf-8"), max_size=12)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
events = st.builds(
    LedgerEvent,
    id=ids,
    kind=st.sampled_from(["impression", "display", "click", "order"]),
    visitor=ids,
    activity_id=texts,
    experience_id=texts,
    location=texts,
    token=texts,
    timestamp_ms=st.integers(0, 2**63 - 1),
    session_id=texts,
    order_id=st.none() | texts,
    order_total=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "data") as ledger:
        yield ledger


def recorded(folder: Path) -> list[str]:
    with Reader.open(folder) as reader:
        return [one.id for one in reader.events()]


def test_event_is_recorded_once(ledger: Ledger) -> None:
    assert ledger.record([event("a"), event("b"), event("a", visitor="bob")]) == [True, True, False]
    assert ledger.record([event("b"), event("c")]) == [False, True]
    assert list(ledger.events()) == [event("a"), event("b"), event("c")]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 150])
def test_record_returns_for_each_of_many_events_whether_it_is_new(ledger: Ledger, count: int) -> None:
    old = [event(f"e{number}") for number in range(0, count, 3)]
    ledger.record(old)
    events = [event(f"e{number}") for number in range(count)]
    assert ledger.record([*events, *events]) == [number % 3 != 0 for number in range(count)] + [False] * count
    assert sorted(one.id for one in ledger.events()) == sorted(one.id for one in events)


def test_recording_no_events_does_nothing(ledger: Ledger) -> None:
    ledger.close()
    assert ledger.record([]) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(events, max_size=8, unique_by=lambda one: one.id))
def test_recorded_events_are_read_back(given: list[LedgerEvent]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Ledger.open(folder, sync="NORMAL") as ledger:
            assert ledger.record(given) == [True] * len(given)
        with Ledger.open(folder) as ledger:
            assert list(ledger.events()) == given


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_repeated_and_interleaved_events_have_the_same_report(data: st.DataObject) -> None:
    # one visitor's events of one id are equal, as a retry's are
    known = [
        event(
            f"{kind}-{n}",
            kind,
            f"v{n}",
            1000 + n,
            experience_id=str(n % 2),
            order_id=f"o{n}",
            order_total=0.1 * n,
        )
        for n in range(4)
        for kind in ("impression", "click", "order")
    ]
    extra = data.draw(st.lists(st.sampled_from(known), max_size=20))
    sequence = data.draw(st.permutations(known + extra))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sequence)), max_size=6)))
    pieces = [sequence[a:b] for a, b in zip([0, *cuts], [*cuts, len(sequence)], strict=True)]
    with tempfile.TemporaryDirectory() as folder, Ledger.open(folder, sync="NORMAL") as ledger:
        ledger.describe([ACTIVITY])
        with ThreadPoolExecutor(4) as threads:
            new = sum(sum(answer) for answer in threads.map(ledger.record, pieces))
        assert new == len(known)
        assert make_report(ledger.events(), ledger.activities()) == make_report(known, [ACTIVITY])


def test_threads_record_in_one_ledger(ledger: Ledger) -> None:
    def work(number: int) -> list[bool]:
        return [ledger.record([event(f"{number}-{n}"), event("common")])[0] for n in range(25)]

    with ThreadPoolExecutor(8) as threads:
        assert all(all(answers) for answers in threads.map(work, range(8)))
    assert len(list(ledger.events())) == 8 * 25 + 1


def test_arecord_does_not_block_the_event_loop(ledger: Ledger) -> None:
    async def many() -> list[list[bool]]:
        return await asyncio.gather(*(ledger.arecord([event(str(n % 30))]) for n in range(60)))

    assert sum(answer == [True] for answer in asyncio.run(many())) == 30


class PlainDatabase:
    """A database without a check of its files."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.counts: list[int] = []

    def run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        with self._connection:
            self._connection.execute("BEGIN")
            return [write(self._connection) for write in writes]

    def translate(self, error: Exception) -> LedgerError:
        return LedgerError("unusable", str(error))

    def count(self, most: int) -> bool:
        self.counts.append(most)
        return False

    def close(self) -> None:
        self._connection.close()


class Writer:
    """A group commit whose first write blocks until an event is set, so that later writes wait."""

    def __init__(self, folder: Path) -> None:
        path = folder / "any.db"
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("CREATE TABLE done (name TEXT)")
        self.database = PlainDatabase(connection)
        self.writer = GroupCommit(self.database)
        self.path = path
        self._begun, self._end = threading.Event(), threading.Event()
        self.first = self.writer.submit(self._slow)
        assert self._begun.wait(10)

    def _slow(self, connection: sqlite3.Connection) -> None:
        self._begun.set()
        assert self._end.wait(10)

    def submit(self, name: str | None, size: int = 1) -> Future[int]:
        """Write a name, and return how many there are then; None fails."""
        return self.writer.submit(self.write(name), size)

    @staticmethod
    def write(name: str | None) -> Write[int]:
        def write(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO done VALUES (?)", (name or object(),))
            return int(connection.execute("SELECT count(*) FROM done").fetchone()[0])

        return write

    def end(self) -> None:
        self._end.set()
        self.first.result()

    def done(self) -> list[str]:
        self.writer.close()
        connection = sqlite3.connect(self.path)
        names = [name for (name,) in connection.execute("SELECT name FROM done")]
        connection.close()
        return names


def test_canceled_write_is_not_executed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    cancelled, kept = writer.submit("cancelled"), writer.submit("kept")
    assert cancelled.cancel()
    writer.end()
    assert kept.result() == 1
    assert writer.done() == ["kept"]


def test_coroutine_that_is_canceled_before_its_write_writes_nothing(tmp_path: Path) -> None:
    async def write() -> None:
        writer = Writer(tmp_path)
        canceled, kept = (LoopOutcome(asyncio.get_running_loop()) for _ in range(2))
        writer.writer.submit_for(canceled, writer.write("canceled"))
        writer.writer.submit_for(kept, writer.write("kept"))
        canceled.future.cancel()
        writer.end()
        assert await kept.future == 1
        assert writer.done() == ["kept"]

    asyncio.run(write())


def test_coroutine_gets_the_error_of_its_write(tmp_path: Path) -> None:
    async def write() -> None:
        writer = Writer(tmp_path)
        failed = LoopOutcome(asyncio.get_running_loop())
        writer.writer.submit_for(failed, writer.write(None))
        writer.end()
        with pytest.raises(LedgerError):
            await failed.future

    asyncio.run(write())


def test_thread_writes_on_after_the_loop_of_a_caller_is_closed(tmp_path: Path) -> None:
    writer, loop = Writer(tmp_path), asyncio.new_event_loop()
    writer.writer.submit_for(LoopOutcome(loop), writer.write("closed"))
    loop.close()
    writer.end()
    assert writer.submit("later").result() == 2
    assert writer.done() == ["closed", "later"]


def test_waiting_writes_are_one_transaction(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    good, bad = writer.submit("good"), writer.submit(None)
    writer.end()
    assert [type(one.exception()) for one in (good, bad)] == [LedgerError, LedgerError]
    assert writer.submit("later").result() == 1
    assert writer.done() == ["later"]


def test_next_commit_waits_for_as_many_events_as_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_LONGEST_WAIT_S", 60.0)
    writer = Writer(tmp_path)
    good = writer.submit("good")
    writer.end()
    bad = writer.submit(None)
    assert [type(one.exception()) for one in (good, bad)] == [LedgerError, LedgerError]
    assert writer.done() == []


def test_write_that_others_do_not_follow_is_committed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    later = writer.submit("later")
    writer.end()
    assert later.result() == 1
    assert writer.done() == ["later"]


def test_closing_does_not_wait_for_more_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_LONGEST_WAIT_S", 3600.0)
    writer = Writer(tmp_path)
    writer.submit("later")
    writer.end()
    assert writer.done() == ["later"]


def test_events_of_several_commits_are_counted_together(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.end()
    for name in ("a", "b", "c"):
        writer.submit(name, size=600).result()
    writer.done()
    assert writer.database.counts[0] == 1 + 600 + 600, "with the first write"


def test_full_queue_rejects_a_write_at_once(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.submit("much", size=100_000)
    with pytest.raises(LedgerError, match="is overloaded") as caught:
        writer.submit("more")
    assert caught.value.reason == "busy"
    writer.end()
    writer.submit("again").result()
    assert writer.done() == ["much", "again"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"kind": "sale"}, "events[1].kind"),
    "no id": ({"id": ""}, "events[1].id"),
    "no visitor": ({"visitor": ""}, "events[1].visitor"),
    "a time of another type": ({"timestamp_ms": "noon"}, "events[1].timestamp_ms"),
    "a time that no column holds": ({"timestamp_ms": 2**63}, "events[1].timestamp_ms"),
    "a time before all": ({"timestamp_ms": -1}, "events[1].timestamp_ms"),
    "a total that is text": ({"order_total": "9.99"}, "events[1].order_total"),
    "a total that is not a number": ({"order_total": math.nan}, "events[1].order_total"),
    "an infinite total": ({"order_total": math.inf}, "events[1].order_total"),
    "a total beyond floating point": ({"order_total": 10**400}, "events[1].order_total"),
    "a lone surrogate": ({"location": "\ud800"}, "events"),
    "what is no JSON": ({"location": object()}, "events"),
    "a fact that is a number": ({"facts": {"browser": 5}}, "events[1].facts[...]"),
    "a fact without a name": ({"facts": {"": "5"}}, "events[1].facts"),
    "a long order id": ({"order_id": "x" * 251}, "events[1].order_id"),
    "a long activity": ({"activity_id": "x" * 126}, "events[1].activity_id"),
    "a long experience": ({"experience_id": "x" * 126}, "events[1].experience_id"),
}


@pytest.mark.parametrize(("fields", "path"), BAD.values(), ids=BAD)
def test_invalid_event_is_an_option_error_with_its_path(
    ledger: Ledger, fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(OptionError) as caught:
        ledger.record([event("a"), msgspec.structs.replace(event("b"), **fields)])
    assert caught.value.path == path
    assert list(ledger.events()) == []


# Names of activities


def test_activities_are_described_and_replaced_by_id(ledger: Ledger) -> None:
    other = ActivityDescription("2", None, "landing", (ExperienceDescription("9", "Z"),))
    ledger.describe([ACTIVITY, other], now_ms=5)
    assert ledger.activities() == [ACTIVITY, other]

    renamed = msgspec.structs.replace(ACTIVITY, name="Hero of autumn")
    ledger.describe([renamed, msgspec.structs.replace(ACTIVITY, name="ignored")], now_ms=6)
    assert ledger.activities() == [renamed, other]


def test_time_of_changed_shares_is_stored(ledger: Ledger) -> None:
    changed = msgspec.structs.replace(
        ACTIVITY, experiences=(ExperienceDescription("0", "A", 90.0), ExperienceDescription("1", "B", 10.0))
    )
    since = []
    for now_ms, described in enumerate([ACTIVITY, ACTIVITY, changed, changed, ACTIVITY], start=1):
        ledger.describe([described], now_ms=now_ms)
        since.append(ledger.activities()[0].shares_since_ms)
    assert since == [0, 0, 3, 3, 5]


def test_activities_of_the_sample_shop() -> None:
    activities = report_activities(compile_artifact(shop()))
    hero = activities[0]
    assert (hero.id, hero.name, hero.type) == ("482910", "Hero: autumn sale", "ab")
    assert [(one.id, one.name, one.share) for one in hero.experiences] == [
        ("0", "Everyday", 50.0),
        ("1", "Autumn sale", 30.0),
        ("2", "Free delivery", 20.0),
    ]
    assert all(one.share is None for activity in activities[2:6] for one in activity.experiences)


def test_experience_is_described_once_with_all_of_its_windows() -> None:
    document = artifact(
        {
            "hero": [
                rule(1, window(0, 10), experience=10),
                rule(1, window(10, 60), experience=2),
                rule(1, window(60, 100), experience=10),
            ],
            "cart": [rule(1, window(0, 10), experience=10)],
        }
    )
    (activity,) = report_activities(compile_artifact(document))
    assert [(one.id, one.share) for one in activity.experiences] == [("2", 50.0), ("10", 50.0)]


def test_rule_without_ids_is_not_described() -> None:
    document = mboxes_of(rule(1, meta={"activity.id": 1}), rule(2, meta={}, activityId=None))
    assert report_activities(compile_artifact(document)) == [ActivityDescription("1")]


# Lifetime


def test_waiting_writes_are_committed_by_close(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(ledger.record, [event(str(n))]) for n in range(40)]
        answers[5].result()
        ledger.close()
        acknowledged = {str(n) for n, answer in enumerate(answers) if answer.exception() is None}
    assert {type(answer.exception()) for answer in answers} <= {type(None), LedgerError}
    assert set(recorded(tmp_path)) == acknowledged


def test_closed_ledger_raises_and_can_be_closed_again(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed") as caught:
        ledger.record([event("a")])
    assert caught.value.reason == "closed"


def test_closed_ledger_is_one_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with Ledger.open(folder) as ledger:
        ledger.record([event("a")])
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert [file.name for file in folder.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_reader_sees_a_snapshot(ledger: Ledger) -> None:
    ledger.record([event("a")])
    with ledger.reader() as reader:
        ledger.record([event("b")])
        assert [one.id for one in reader.events()] == ["a"]
    assert [one.id for one in ledger.events()] == ["a", "b"]


def test_two_ledgers_of_one_folder_share_their_events(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as first, Ledger.open(tmp_path) as second:
        assert first.record([event("a")]) == [True]
        assert second.record([event("a"), event("b")]) == [False, True]
        assert first.record([event("b")]) == [False]


def test_freed_pages_are_not_filled_with_zeros(tmp_path: Path) -> None:
    connection = open_for_writing(tmp_path, "NORMAL", BUSY_S, pytest.fail)
    with contextlib.closing(connection):
        assert connection.execute("PRAGMA secure_delete").fetchone() == (2,), "FAST"


# Faults


def locked(folder: Path) -> Any:
    """Another process's transaction that does not end."""

    class Lock:
        def __enter__(self) -> None:
            self.connection = sqlite3.connect(
                folder / FILE_NAME, isolation_level=None, check_same_thread=False
            )
            self.connection.execute("BEGIN IMMEDIATE")

        def __exit__(self, *_: object) -> None:
            self.connection.close()

    return Lock()


def test_locked_ledger_raises_and_recovers(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, busy_timeout=0.05) as ledger:
        with locked(tmp_path):
            with pytest.raises(LedgerError, match="another process keeps it locked") as caught:
                ledger.record([event("a")])
            assert caught.value.reason == "locked"
        assert ledger.record([event("a")]) == [True]


def test_reader_of_a_file_that_another_process_locks_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lock the file as the last process that closes it does, while it writes the journal back."""
    monkeypatch.setattr(reader, "BUSY_S", 0.02)
    Ledger.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError) as caught:
            Reader.open(tmp_path)
    assert caught.value.reason == "locked"
    Reader.open(tmp_path).close()


def test_record_waits_for_a_lock_that_is_released_in_time(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger, ThreadPoolExecutor(1) as threads:
        with locked(tmp_path):
            answer = threads.submit(ledger.record, [event("a")])
        assert answer.result() == [True]


def test_each_waiting_caller_gets_its_own_exception(tmp_path: Path) -> None:
    with (
        Ledger.open(tmp_path, busy_timeout=0.05) as ledger,
        locked(tmp_path),
        ThreadPoolExecutor(4) as threads,
    ):
        answers = [threads.submit(ledger.record, [event(str(n))]) for n in range(4)]
        errors = [answer.exception() for answer in answers]
    assert {type(error) for error in errors} == {LedgerError}
    assert len({id(error) for error in errors}) == 4


@each_case(
    "number, reason",
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "read-only"),
        (errno.EIO, "unusable"),
    ],
)
def test_error_of_the_system_has_its_reason(number: int, reason: str) -> None:
    error = ledger_error(Path("ledger.db"), OSError(number, "text of the system"))
    assert (error.reason, str(error)) == (reason, "the ledger ledger.db: text of the system")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs a list of open files")
def test_reader_that_cannot_be_opened_closes_its_file(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("DROP TABLE new_event")
    with pytest.raises(LedgerError) as caught:  # which keeps the frames, and what they refer to
        Reader.open(tmp_path)
    opened = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [one for one in opened if one.name == FILE_NAME] == []
    assert "no such table" in str(caught.value)


def test_impossible_folder_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "odd" / FILE_NAME).mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "odd"):
        with pytest.raises(LedgerError):
            Ledger.open(folder)


def test_reading_a_missing_ledger_raises_and_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoLedgerError, match=f"there is no ledger in {tmp_path}"):
        Reader.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


GOOD = [event(str(n), location="x" * 400) for n in range(200)]


def garbage(content: bytes) -> bytes:
    return b"not a database at all" * 100


def without_its_second_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_pages_of_noise(content: bytes) -> bytes:
    return content[:8192] + b"\xff" * (len(content) - 8192)


@pytest.mark.parametrize("damage", [garbage, without_its_second_half, with_pages_of_noise])
def test_damaged_file_is_renamed_and_a_new_one_started(tmp_path: Path, damage: Any) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(GOOD)
    file = tmp_path / FILE_NAME
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)

    warnings: list[str] = []
    with Ledger.open(tmp_path, warn=warnings.append) as ledger:
        assert ledger.record([event("new")]) == [True]
    assert recorded(tmp_path) == ["new"]
    assert (tmp_path / "ledger-1.corrupt").read_bytes() == damaged
    (warning,) = warnings
    assert warning.endswith("; the file is kept as ledger-1.corrupt, and a new ledger is started")
    reason = (tmp_path / "ledger-1.corrupt.txt").read_text("utf-8").strip()
    assert reason
    assert warning.startswith(reason)


def test_second_damaged_file_is_renamed_too(tmp_path: Path) -> None:
    for number in range(1, 4):
        (tmp_path / FILE_NAME).write_bytes(b"%d" % number * 5000)
        Ledger.open(tmp_path, warn=lambda text: None).close()
        assert (tmp_path / f"ledger-{number}.corrupt").read_bytes() == b"%d" % number * 5000


def test_only_one_of_several_processes_replaces_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    warnings: list[str] = []

    def work(number: int) -> None:
        with Ledger.open(tmp_path, warn=warnings.append) as ledger:
            ledger.record([event(str(number))])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert len(warnings) == 1
    assert sorted(recorded(tmp_path)) == ["0", "1", "2", "3"]


def test_file_of_a_later_version_is_an_error_and_stays_unchanged(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    alter(tmp_path, "PRAGMA user_version = 99")
    before = (tmp_path / FILE_NAME).read_bytes()
    for opened in (Ledger.open, Reader.open):
        with pytest.raises(LedgerVersionError, match=r"has format 99, .* use a later version"):
            opened(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_database_of_another_application_is_an_error_and_stays_unchanged(tmp_path: Path) -> None:
    alter(tmp_path, "CREATE TABLE recipe (name TEXT)")
    before = (tmp_path / FILE_NAME).read_bytes()
    for opened in (Ledger.open, Reader.open):
        with pytest.raises(LedgerError, match="another application"):
            opened(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def alter(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.execute(statement)
    connection.close()


# Other processes


PRELUDE = """
import os, signal, sys, threading
from pathlib import Path
from support.ledger import event
from targetry.ledger.group_commit import GroupCommit
from targetry.ledger.errors import LedgerError
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader

folder = Path(sys.argv[1])
"""


def start(folder: Path, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + textwrap.dedent(script), str(folder)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def output(folder: Path, script: str) -> str:
    with start(folder, script) as process:
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return out


def test_acknowledged_events_survive_kill_9(tmp_path: Path) -> None:
    script = """
        from targetry.ledger import group_commit

        group_commit._COUNT_AT = 7
        ledger = Ledger.open(folder)
        print_lock = threading.Lock()

        def work(thread):
            for number in range(1_000_000):
                key = f"{thread}-{number}"
                ledger.record([event(key), event(f"{key}-too", visitor=key)])
                with print_lock:
                    os.write(1, f"{key} {key}-too\\n".encode())

        for thread in range(4):
            threading.Thread(target=work, args=(thread,)).start()
        """
    process = start(tmp_path, script)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(200)]
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait(timeout=30)

    warnings: list[str] = []
    with Ledger.open(tmp_path, warn=warnings.append) as ledger:
        events = list(ledger.events())
        with ledger.reader() as reader:
            (experience,) = reader.sums()["1"].experiences.values()
    kept = {one.id for one in events}
    assert experience.impressions == len(events)
    assert experience.visitors == len({one.visitor for one in events})
    acknowledged = {key for line in lines if line.endswith("\n") for key in line.split()}
    assert len(acknowledged) >= 400
    assert acknowledged <= kept
    assert {f"{key}-too" for key in kept if not key.endswith("too")} <= kept  # all of a call, or none
    assert warnings == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the file size")
def test_full_disk_is_an_error_and_loses_no_acknowledged_event(tmp_path: Path) -> None:
    script = """
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = Ledger.open(folder)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        acknowledged = []
        try:
            for number in range(10_000):
                ledger.record([event(str(number), location="x" * 1000)])
                acknowledged.append(str(number))
        except LedgerError as error:
            print(error.reason)
        with Reader.open(folder) as reader:
            assert [one.id for one in reader.events()] == acknowledged
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        print(ledger.record([event("after")]), len(acknowledged) > 10)
        ledger.close()
        with Reader.open(folder) as reader:
            assert [one.id for one in reader.events()] == [*acknowledged, "after"]
        """
    reason, after = output(tmp_path, script).splitlines()
    assert reason in ("full", "unusable")
    assert after == "[True] True"


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions as POSIX has them")
def test_read_only_folder_can_be_reported_on_but_not_recorded_in() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        with Ledger.open(folder) as ledger:
            ledger.record([event("a")])
        (folder / FILE_NAME).chmod(0o444)
        folder.chmod(0o555)
        script = """
            if os.geteuid() == 0:  # root may do anything
                os.setuid(65534)
            with Reader.open(folder) as reader:
                print([one.id for one in reader.events()])
            try:
                Ledger.open(folder)
            except LedgerError as error:
                print(error)
            """
        try:
            read, refused = output(folder, script).splitlines()
        finally:
            folder.chmod(0o755)
    assert read == "['a']"
    assert refused == f"the ledger {folder / FILE_NAME}: Permission denied"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_child_raises_and_leaves_the_parent_ledger_intact(tmp_path: Path) -> None:
    script = """
        ledger = Ledger.open(folder)
        ledger.record([event("a")])
        child = os.fork()
        if child == 0:
            try:
                ledger.record([event("lost")])
            except LedgerError as error:
                print(error.reason, flush=True)
            ledger.close()
            with Ledger.open(folder) as own:
                own.record([event("b")])
            os._exit(0)
        os.waitpid(child, 0)
        ledger.record([event("c")])
        print(*(one.id for one in ledger.events()))
        """
    assert output(tmp_path, script) == "forked\na b c\n"
