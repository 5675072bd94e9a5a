"""Sums of a ledger: equal to a plain count of its events after any records and removals."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.edge_sockets import wait_until
from support.event_streams import CLOCK_CHANGES, event_streams, recordings, streams_at_clock_changes
from support.examples import examples
from support.ledger import ACTIVITY, aggregate, event, first_format, fourth_format, outcome, plain_sums
from support.plain_aggregation import PlainCohort, aggregate_plainly, cohorts_plainly, visitors_plainly
from targetry.ledger import counting, group_commit
from targetry.ledger import reader as reader_module
from targetry.ledger import retention as module
from targetry.ledger.counting import uncounted
from targetry.ledger.database import FILE_NAME
from targetry.ledger.event import ActivityDescription, LedgerEvent, event_row
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.ledger.retention import Retention, erase, prune
from targetry.ledger.sums import ActivitySums, VisitorSums
from targetry.report.report import report_on_ledger

DAY_MS = 86_400_000


def sums_of(folder: Path) -> Any:
    with Reader.open(folder) as reader:
        return plain_sums(reader.sums())


@given(event_streams(), st.integers(0, 1006))
@settings(max_examples=examples(150), deadline=None)
def test_sums_equal_a_plain_count_of_events(events: list[LedgerEvent], since: int) -> None:
    activities = [ActivityDescription("1", shares_since_ms=since)]
    assert plain_sums(aggregate(events, activities)) == aggregate_plainly(events, activities)


ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # whose clocks change by half an hour
    "America/Havana",  # whose clocks go back to midnight
    "Asia/Beirut",  # whose clocks go back at midnight
    "Pacific/Chatham",
)


@given(
    event_streams(days=4) | streams_at_clock_changes(),
    st.permutations(range(24)),
    st.integers(0, 3 * DAY_MS) | st.sampled_from(CLOCK_CHANGES),
    st.sampled_from([None, 10.0]),
    st.sampled_from([None, *map(ZoneInfo, ZONES)]),
)
@settings(max_examples=examples(150), deadline=None)
def test_cohorts_equal_a_plain_count_in_any_order_and_zone(
    events: list[LedgerEvent], order: list[int], since: int, cap: float | None, zone: ZoneInfo | None
) -> None:
    activities = [ActivityDescription("1", shares_since_ms=since)]
    shuffled = [events[n] for n in order if n < len(events)]
    made = aggregate(shuffled, activities, cap, amounts=True, zone=zone)
    assert plain_sums(made) == plain_sums(aggregate(events, activities, cap))
    expected = cohorts_plainly(events, activities, zone=zone or UTC).get("", {})
    cohorts = {
        (activity, experience, day): cohort
        for activity, sums in made.items()
        for experience, one in sums.experiences.items()
        for day, cohort in one.cohorts.items()
    }
    assert cohorts.keys() == expected.keys()
    for key, cohort in cohorts.items():
        plain = expected[key]
        amounts = [min(amount, cap) if cap is not None else amount for _, amount in plain.amounts]
        counts = [count for count, _ in plain.amounts]
        assert (cohort.visitors, cohort.conversions, cohort.buyers) == (
            plain.visitors,
            plain.conversions,
            len(counts),
        )
        assert (cohort.orders, cohort.orders_squared) == (sum(counts), sum(count**2 for count in counts))
        assert cohort.revenue == pytest.approx(math.fsum(amounts), abs=1e-3)
        assert cohort.revenue_squared == pytest.approx(math.fsum(amount**2 for amount in amounts))
        product = math.fsum(count * amount for count, amount in zip(counts, amounts, strict=True))
        assert cohort.revenue_orders == pytest.approx(product, abs=1e-3)
        assert cohort.largest == pytest.approx(max([0.0, *amounts]))
        beyond = [amount - cap for _, amount in plain.amounts if cap is not None and amount > cap]
        assert (cohort.capped, cohort.cut) == (len(beyond), pytest.approx(math.fsum(beyond)))
    amounts_of = {
        (activity, experience): Counter(
            math.floor(24 * math.log10(amount))
            for key, plain in expected.items()
            if key[:2] == (activity, experience)
            for _, amount in plain.amounts
            if amount > 0
        )
        for activity, experience, _ in expected
    }
    for (activity, experience), counted in amounts_of.items():
        assert made[activity].experiences[experience].amounts == counted


# zone, first impression → local day
LOCAL_DAYS = {
    "before midnight of a zone with quarters": ("Asia/Kathmandu", "2026-11-29T18:14:59.999Z", "2026-11-29"),
    "midnight of a zone with quarters": ("Asia/Kathmandu", "2026-11-29T18:15Z", "2026-11-30"),
    "an evening in the west": ("America/New_York", "2026-11-30T04:59:59.999Z", "2026-11-29"),
    "first moment of a day of 23 hours": ("Europe/Berlin", "2026-03-28T23:00Z", "2026-03-29"),
    "last moment of a day of 23 hours": ("Europe/Berlin", "2026-03-29T21:59:59.999Z", "2026-03-29"),
    "after a day of 23 hours": ("Europe/Berlin", "2026-03-29T22:00Z", "2026-03-30"),
    "first moment of a day of 25 hours": ("Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25"),
    "last moment of a day of 25 hours": ("Europe/Berlin", "2026-10-25T22:59:59.999Z", "2026-10-25"),
    "after a day of 25 hours": ("Europe/Berlin", "2026-10-25T23:00Z", "2026-10-26"),
    "the last hour of the calendar": ("Asia/Tokyo", "9999-12-31T23:30Z", "9999-12-31"),
}


@each_case("zone, time, day", LOCAL_DAYS.values(), ids=LOCAL_DAYS)
def test_day_of_a_visitor_is_that_of_the_time_zone(zone: str, time: str, day: str) -> None:
    at = datetime.fromisoformat(time)
    made = aggregate([event("a", at=round(at.timestamp() * 1000))], zone=ZoneInfo(zone))
    (found,) = made["1"].experiences["0"].cohorts
    assert date.fromordinal(date(1970, 1, 1).toordinal() + found).isoformat() == day


def buyers_of(sums: dict[str, ActivitySums]) -> dict[tuple[str, str, int], Any]:
    """Return visitors, conversions, buyers, orders and revenue of each cohort."""
    return {
        (activity, experience, day): (
            cohort.visitors,
            cohort.conversions,
            cohort.buyers,
            cohort.orders,
            pytest.approx(cohort.revenue, abs=1e-3),
        )
        for activity, count in sums.items()
        for experience, one in count.experiences.items()
        for day, cohort in one.cohorts.items()
    }


def buyers_plainly(cohorts: Mapping[tuple[str, str, int], PlainCohort]) -> dict[tuple[str, str, int], Any]:
    return {
        key: (
            one.visitors,
            one.conversions,
            len(one.amounts),
            sum(count for count, _ in one.amounts),
            math.fsum(amount for _, amount in one.amounts),
        )
        for key, one in cohorts.items()
    }


def assert_equal_visitors(made: Iterable[VisitorSums], expected: Iterable[VisitorSums]) -> None:
    for one, plain in zip(sorted(made), sorted(expected), strict=True):
        assert (*one[:5], *one[6:9]) == (*plain[:5], *plain[6:9])
        assert one.revenue == pytest.approx(plain.revenue, abs=1e-3)
        assert one.revenue_before == pytest.approx(plain.revenue_before, abs=1e-3)


def assert_figures_equal_a_plain_count(
    reader: Reader, events: Sequence[LedgerEvent], activities: Sequence[ActivityDescription]
) -> None:
    assert plain_sums(reader.sums()) == aggregate_plainly(events, activities)
    for zone in (None, ZoneInfo("America/New_York")):
        segments = {value: buyers_of(sums) for value, sums in reader.segments("browser", zone=zone).items()}
        expected = cohorts_plainly(events, activities, "browser", zone or UTC)
        assert {value: cohorts for value, cohorts in segments.items() if cohorts} == {
            value: buyers_plainly(cohorts) for value, cohorts in expected.items()
        }
        plain = visitors_plainly(events, activities, DAY_MS, zone or UTC)
        assert_equal_visitors(reader.visitors(DAY_MS, zone), (one for one, _ in plain))
    first = [one for _, one in visitors_plainly(events)]
    assert sorted(map(msgspec.structs.astuple, reader.exposures())) == sorted(
        (one.visitor, one.timestamp_ms, one.activity_id, one.experience_id, one.location) for one in first
    )


@given(event_streams(), st.data())
@settings(max_examples=examples(40), deadline=None)
def test_figures_stay_exact_over_pieces_and_removals(events: list[LedgerEvent], data: st.DataObject) -> None:
    """Record events in any order and in pieces; change shares and remove events in between."""
    kept: list[LedgerEvent] = []
    earlier = data.draw(st.sampled_from([0, 1, counting.EARLIER]))
    with (
        mock.patch.multiple(counting, EARLIER=earlier, PIECE=1),
        mock.patch.object(module, "PIECE", data.draw(st.sampled_from([0, 1, 1000]))),
        tempfile.TemporaryDirectory() as name,
        Ledger.open(name, sync="NORMAL") as ledger,
    ):
        for piece in data.draw(recordings(events, most=5)):
            are_new = ledger.record(piece)
            kept += [one for one, is_new in zip(piece, are_new, strict=True) if is_new]
            if data.draw(st.booleans()):
                with connected(Path(name)) as connection:
                    counting.commit_chunk(connection)
            shares = data.draw(st.integers(0, 100))
            experiences = tuple(msgspec.structs.replace(one, share=shares) for one in ACTIVITY.experiences)
            ledger.describe(
                [msgspec.structs.replace(ACTIVITY, experiences=experiences)],
                now_ms=data.draw(st.integers(990, 1006)),
            )
            cutoff = data.draw(st.sampled_from([0, 1001, 1003, 1005]))
            prune(Path(name), Retention(keep_days=1), now_ms=DAY_MS + cutoff)
            kept = [one for one in kept if one.timestamp_ms >= cutoff]
            if data.draw(st.sampled_from([True, False, False, False])):
                visitor = data.draw(st.sampled_from(events)).visitor if events else "ada"
                assert erase(Path(name), [visitor]).removed == sum(one.visitor == visitor for one in kept)
                kept = [one for one in kept if one.visitor != visitor]
            with ledger.reader() as reader:
                assert_figures_equal_a_plain_count(reader, kept, ledger.activities())
        assert sorted(ledger.events(), key=_id) == sorted(kept, key=_id)


def _id(one: LedgerEvent) -> str:
    return one.id


def test_sums_are_exact_when_removal_takes_many_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 3)
    events = []
    for n in range(60):
        visitor = {"visitor": f"v{n % 20}"}
        events.append(event(f"i{n}", at=1000 + n, experience_id=str(n % 2), **visitor))
        events.append(event(f"c{n}", "click", at=1001 + n, **visitor))
        events.append(
            event(
                f"o{n}",
                "order",
                at=1002 + n,
                activity_id="",
                experience_id="",
                order_id=f"A{n % 7}",
                order_total=1.5,
                **visitor,
            )
        )
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(events)
    done = prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + 1030)
    kept = [one for one in events if one.timestamp_ms >= 1030]
    assert done.removed == len(events) - len(kept)
    assert sums_of(tmp_path) == aggregate_plainly(kept)


@pytest.mark.parametrize("stop_after", [1, 3, 1000])
def test_report_is_exact_when_removal_from_a_visitor_with_many_events_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    monkeypatch.setattr(module, "PIECE", 20)
    monkeypatch.setattr(counting, "PIECE", 20)
    many = [
        event(
            f"o{n:03}",
            "order",
            at=1000 + n,
            activity_id="",
            experience_id="",
            order_id=f"A\0{n}",
            order_total=1.0,
        )
        for n in range(100)
    ]
    # Another visitor has the same orders later.
    others = [msgspec.structs.replace(one, id=f"x{one.id}", visitor="bob", timestamp_ms=2000) for one in many]
    entries = [event(f"{who}{at}", visitor=who, at=at) for who in ("ada", "bob") for at in (990, 1050)]
    transactions = 0

    def is_stopped() -> bool:
        nonlocal transactions
        transactions += 1
        return transactions >= stop_after

    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([*many, *others, *entries])
        assert sums_of(tmp_path) == aggregate_plainly([*many, *others, *entries])
    done = prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + 1060, is_stopped=is_stopped)
    assert done.removed == 64 or stop_after < 1000
    with Reader.open(tmp_path) as reader:
        kept = list(reader.events())
        assert plain_sums(reader.sums()) == aggregate_plainly(kept)
    assert len(kept) == len([*many, *others, *entries]) - done.removed
    assert uncounted_events(tmp_path) == 0


def test_no_transaction_of_a_removal_has_all_events_of_a_visitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 20)
    monkeypatch.setattr(counting, "PIECE", 20)
    held: list[int] = []

    class Lock(group_commit.WriteLock):
        @contextlib.contextmanager
        def hold(self) -> Iterator[None]:
            with connected(tmp_path) as connection:
                before = rows_of(connection)
                with super().hold():
                    yield
                held.append(sum(abs(a - b) for a, b in zip(rows_of(connection), before, strict=True)))

    def rows_of(connection: sqlite3.Connection) -> list[int]:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("event", "purchase")
        ]

    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        orders = [event(f"o{n}", "order", at=1000 + n, order_id=f"A{n}", order_total=1.0) for n in range(300)]
        ledger.record([event("i", at=999), event("later", at=5000), *orders])
    monkeypatch.setattr(module, "WriteLock", Lock)
    assert prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + 1200).removed == 201
    assert max(held) <= 40
    assert sums_of(tmp_path) == aggregate_plainly([event("later", at=5000), *orders[200:]])


def test_sums_are_built_for_a_file_of_the_first_format(tmp_path: Path) -> None:
    events = [*outcome("0", 30, 10), *outcome("1", 30, 20), event("late", visitor="late", at=2**60)]
    first_format(tmp_path, events)
    with Reader.open(tmp_path) as reader:
        before = report_on_ledger(reader).activities
    done: list[tuple[int, int]] = []
    with Ledger.open(tmp_path, progress=lambda part, all_: done.append((part, all_))) as ledger:
        assert sums_of(tmp_path) == aggregate_plainly(events)
        with ledger.reader() as reader:
            assert report_on_ledger(reader).activities == before
        assert list(ledger.events()) == events
    assert done[-1] == (len(events), len(events))


def test_sums_are_built_again_for_a_file_of_the_second_format(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.executescript(Path(__file__).with_name("second_format.sql").read_text("utf-8"))
    connection.close()
    with Reader.open(tmp_path) as reader:
        before = report_on_ledger(reader)
        events = list(reader.events())
    assert before.activities[0].visitors == 7
    with Ledger.open(tmp_path) as ledger, ledger.reader() as reader:
        assert sums_of(tmp_path) == aggregate_plainly(events)
        after = report_on_ledger(reader)
        assert after.activities == before.activities
        assert after.period is not None
        assert after.period.removed == 1
        ledger.record([event("new", visitor="new", at=5000)])
    assert sums_of(tmp_path) == aggregate_plainly([*events, event("new", visitor="new", at=5000)])


def earlier_format(folder: Path, version: int) -> list[LedgerEvent]:
    """Make a file of the third or fourth format, whose triggers counted, and return its events."""
    fourth_format(folder)
    if version == 3:
        connection = sqlite3.connect(folder / FILE_NAME)
        connection.executescript("ALTER TABLE event DROP COLUMN facts; PRAGMA user_version = 3")
        connection.close()
    with Reader.open(folder) as reader:
        return list(reader.events())


@pytest.mark.parametrize("version", [3, 4])
def test_file_whose_triggers_counted_is_read_without_an_upgrade(tmp_path: Path, version: int) -> None:
    events = earlier_format(tmp_path, version)
    with Reader.open(tmp_path) as reader:
        assert reader.has_sums
        assert plain_sums(reader.sums()) == aggregate_plainly(events, reader.activities())
        assert reader.segments("browser") == {}


@pytest.mark.parametrize("version", [3, 4])
def test_file_whose_triggers_counted_keeps_its_sums_and_counts_on(tmp_path: Path, version: int) -> None:
    events = earlier_format(tmp_path, version)
    more = [
        event("early", visitor="late", at=2000),
        event("new", visitor="new", at=5000, facts={"browser": "firefox"}),
        event("o5", "order", visitor="v2", at=2100, order_id="A", order_total=1.0),
    ]
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(more)
        with ledger.reader() as reader:
            assert_figures_equal_a_plain_count(reader, [*events, *more], ledger.activities())
            assert "firefox" in reader.segments("browser")
    prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + 2050)
    with Reader.open(tmp_path) as reader:
        kept = [one for one in [*events, *more] if one.timestamp_ms >= 2050]
        assert plain_sums(reader.sums()) == aggregate_plainly(kept, reader.activities())


def uncounted_events(folder: Path) -> int:
    with connected(folder) as connection:
        return uncounted(connection)


def connected(folder: Path) -> contextlib.closing[sqlite3.Connection]:
    """Return a context with a connection in autocommit mode, which closes it."""
    return contextlib.closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None))


def test_events_are_counted_when_recording_pauses(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(outcome("0", 30, 10))
        wait_until(lambda: uncounted_events(tmp_path) == 0)


def test_events_are_counted_when_many_were_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        for n in range(30):
            ledger.record([event(f"{n}-{m}", visitor=f"v{m}") for m in range(100)])
        assert uncounted_events(tmp_path) <= 1_100


def test_chunk_counts_some_new_events_and_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    events = outcome("0", 5, 2)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(events)
        with connected(tmp_path) as connection:
            assert [counting.commit_chunk(connection, 3) for _ in range(4)] == [3, 3, 1, 0]
        assert list(ledger.events()) == events
    assert sums_of(tmp_path) == aggregate_plainly(events)


def test_closed_ledger_has_counted_its_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(outcome("0", 30, 10))
        assert uncounted_events(tmp_path) == 40
    assert uncounted_events(tmp_path) == 0


def test_many_orders_of_a_visitor_who_enters_an_activity_are_counted_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    monkeypatch.setattr(counting, "PIECE", 200)

    def of_visitor(
        key: str, kind: str, at: int, activity: str = "", order_id: str | None = None
    ) -> LedgerEvent:
        return event(key, kind, "ada", at, activity_id=activity, experience_id="0", order_id=order_id)

    orders = [of_visitor(f"o{n}", "order", 100 + n, "", f"o{n}") for n in range(900)]
    entries = [of_visitor("first", "impression", 1, "1"), of_visitor("second", "impression", 2, "2")]
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([entries[0], *orders])
        sums_of(tmp_path)
        ledger.record([entries[1]])
        with connected(tmp_path) as connection:
            found = []
            while uncounted(connection):
                counting.commit_chunk(connection)
                found += connection.execute(
                    "SELECT count(*) FROM purchase WHERE activity_id = '2'"
                ).fetchone()
        assert found == [0, 200, 400, 600, 800, 900, 900]
        assert sums_of(tmp_path) == aggregate_plainly([*orders, *entries])


def test_report_counts_what_killed_processes_left(tmp_path: Path) -> None:
    """Insert rows only, as a process does that is killed before it counts."""
    events = [*outcome("0", 30, 10), *outcome("1", 1_500, 20)]
    Ledger.open(tmp_path).close()
    with connected(tmp_path) as connection:
        insert_counted_later(connection, events)
    with Reader.open(tmp_path) as reader:
        assert plain_sums(reader.sums()) == aggregate_plainly(events)
    assert uncounted_events(tmp_path) == 0


def test_file_of_the_fifth_format_counts_what_it_recorded(tmp_path: Path) -> None:
    counted, left = outcome("0", 30, 10), outcome("1", 20, 5)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(counted)
    with connected(tmp_path) as connection:
        connection.executescript(
            "DROP TABLE new_event; DROP TABLE recounting; ALTER TABLE recount DROP COLUMN done_seq; "
            "PRAGMA user_version = 5"
        )
        insert_counted_later(connection, left)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        assert not any(ledger.record([*counted, *left]))
        assert sums_of(tmp_path) == aggregate_plainly([*counted, *left])
        assert list(ledger.events()) == [*counted, *left]


def test_event_that_an_earlier_version_records_too_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of Targetry can record in one folder while one is replaced."""
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    events = outcome("0", 30, 10)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(events)
        with connected(tmp_path) as connection:
            insert_counted_later(connection, events[5:9])
        assert sums_of(tmp_path) == aggregate_plainly(events)
        assert len(list(ledger.events())) == len(events)


def insert_counted_later(connection: sqlite3.Connection, events: list[LedgerEvent]) -> None:
    """Insert rows as an edge of the fifth format does."""
    marks = ", ".join("?" * len(LedgerEvent.__struct_fields__))
    connection.executemany(
        f"INSERT INTO event ({', '.join(LedgerEvent.__struct_fields__)}) VALUES ({marks})",
        map(event_row, events),
    )


def test_two_reports_during_a_prune_count_the_events_of_their_snapshots(tmp_path: Path) -> None:
    def some(name: str, number: int) -> list[LedgerEvent]:
        kinds = ("impression", "click", "order")
        return [
            event(
                f"{name}-{number}-{n}",
                kinds[n % 3],
                f"v{(number + n) % 17}",
                at=1000 + number,
                experience_id=str(n % 2),
                order_id=f"{name}-{number}-{n}",
                order_total=1.5,
            )
            for n in range(12)
        ]

    def record(ledger: Ledger) -> None:
        for number in range(30):
            ledger.record(some("new", number))

    def report() -> None:
        for _ in range(5):
            with Reader.open(tmp_path) as reader:
                assert plain_sums(reader.sums()) == aggregate_plainly(list(reader.events()))

    with Ledger.open(tmp_path, sync="NORMAL") as ledger, ThreadPoolExecutor(3) as pool:
        for number in range(30):
            ledger.record(some("old", number))
        work = [pool.submit(record, ledger), pool.submit(report), pool.submit(report)]
        for cutoff in range(1002, 1030, 5):
            prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + cutoff)
        for one in work:
            one.result()


def test_report_shows_the_sums_counted_last_while_the_write_lock_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    monkeypatch.setattr(reader_module, "BUSY_S", 0.02)
    counted, later = outcome("0", 30, 10), outcome("1", 20, 5)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(counted)
        assert sums_of(tmp_path) == aggregate_plainly(counted)
        ledger.record(later)
        with group_commit.WriteLock(tmp_path, 1.0).hold(), Reader.open(tmp_path) as reader:
            assert plain_sums(reader.sums()) == aggregate_plainly(counted)
            assert len(list(reader.events())) == len(counted + later)
            assert report_on_ledger(reader).to_dict()["uncounted"] == len(later)
        (warning,) = caplog.messages
        assert f"about {len(later)} events are not in the report" in warning
        assert "another process holds ledger.lock" in warning
        assert sums_of(tmp_path) == aggregate_plainly([*counted, *later])


def test_counting_in_the_background_pauses_after_each_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    monkeypatch.setattr(group_commit, "_pause", pauses.append)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event(str(n), visitor=f"v{n}", at=1000 + n) for n in range(999)])
        assert not pauses
        ledger.reader().close()
        assert len(pauses) == 1


@pytest.mark.parametrize("removed", [1000, 1001, 5000])
def test_numbers_of_removed_events_are_counted_again(tmp_path: Path, removed: int) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event(str(n), visitor=f"v{n}", at=1000 + n) for n in range(3)])
        with ledger.reader():
            prune(tmp_path, Retention(keep_days=1), now_ms=DAY_MS + removed)
        ledger.record([event("new", visitor="new", at=9000)])
        assert sums_of(tmp_path) == aggregate_plainly(list(ledger.events()))


def test_failed_upgrade_leaves_the_file_unchanged(tmp_path: Path) -> None:
    first_format(tmp_path, outcome("0", 30, 10))

    def fail(part: int, all_: int) -> None:
        raise RuntimeError("ended")

    with pytest.raises(RuntimeError):
        Ledger.open(tmp_path, progress=fail)
    with Reader.open(tmp_path) as reader:
        assert report_on_ledger(reader).activities[0].visitors == 30
    Ledger.open(tmp_path).close()
    assert sums_of(tmp_path) == aggregate_plainly(outcome("0", 30, 10))


def test_row_of_another_program_is_counted(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("a")])
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute("UPDATE event SET id = 'b' WHERE id = 'a'")
        connection.execute(
            "INSERT INTO event SELECT NULL, 'c', kind, 'bob', activity_id, experience_id, location, token, timestamp_ms, session_id, NULL, NULL, NULL, NULL FROM event"
        )
    connection.close()
    with Reader.open(tmp_path) as reader:
        assert report_on_ledger(reader).activities[0].visitors == 2


def steps(folder: Path) -> int:
    """Return how many steps of SQLite's machine a report takes, in hundreds."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with Reader.open(folder) as reader:
        reader._connection.set_progress_handler(step, 100)
        report_on_ledger(reader)
    return count


def test_work_of_a_report_does_not_grow_with_the_events(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    for folder, visitors in ((small, 10), (large, 5_000)):
        with Ledger.open(folder, sync="NORMAL") as ledger:
            ledger.describe([ACTIVITY])
            record_in_pieces(
                ledger, [*outcome("0", visitors, visitors // 2), *outcome("1", visitors, visitors // 3)]
            )
    assert steps(large) <= steps(small) + 2


def record_in_pieces(ledger: Ledger, events: Sequence[LedgerEvent]) -> None:
    for start in range(0, len(events), 2_000):
        ledger.record(events[start : start + 2_000])
