"""Ledger in PostgreSQL: each acknowledged event is recorded once, also if the server fails."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cli import run
from support.edge_sockets import wait_until
from support.event_streams import event_streams, recordings
from support.examples import examples
from support.ledger import ACTIVITY, HOUR, event, outcome, timed_events
from support.postgres import PostgresServer, postgres_server
from targetry.errors import OptionError
from targetry.ledger.errors import LedgerError, LedgerVersionError, NoLedgerError
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.ledger.location import is_address, open_ledger, open_reader
from targetry.ledger.location.copy import copy_ledger
from targetry.ledger.location.erase import erase_visitors
from targetry.ledger.location.export import LedgerTable, export_table
from targetry.ledger.postgres import retention
from targetry.ledger.postgres.counting import MOST_AT_ONCE, PIECE, count_events, waiting_events
from targetry.ledger.postgres.ledger import PostgresLedger
from targetry.ledger.postgres.retention import erase_postgres, prune_postgres
from targetry.ledger.postgres.schema import MIGRATIONS
from targetry.ledger.postgres.timeline import read_timeline
from targetry.ledger.selection import EventSelection
from targetry.ledger.sums import ActivitySums
from targetry.ledger.timeline import StepFigures
from targetry.report.aggregation import aggregated
from targetry.report.report import report_on_ledger

psycopg = pytest.importorskip("psycopg")

DAY_MS = 86_400_000
EMPTY = (
    "TRUNCATE targetry_event, targetry_activity, targetry_experience, targetry_uncounted, targetry_recount, "
    "targetry_counted, targetry_participation, targetry_purchase, targetry_impression_sum, targetry_cohort_sum, "
    "targetry_activity_sum, targetry_segment_sum"
)
MANY = [*outcome("0", 40, 10), *outcome("1", 40, 20)]


def test_events_are_recorded_once_in_their_order(url: str) -> None:
    with PostgresLedger.open(url) as ledger:
        assert ledger.record(MANY) == [True] * len(MANY)
        assert ledger.record([event("new"), MANY[0], event("new")]) == [True, False, False]
        assert ledger.record([]) == []
        assert asyncio.run(ledger.arecord([event("later"), MANY[1]])) == [True, False]
        assert list(ledger.events()) == sorted_batches(MANY, [event("new")], [event("later")])


def sorted_batches(*batches: list[LedgerEvent]) -> list[LedgerEvent]:
    """Return the events in the order in which statements insert them: by id in each batch."""
    return [one for batch in batches for one in sorted(batch, key=lambda one: one.id)]


def test_timeline_is_that_of_the_same_events_in_sqlite(url: str, tmp_path: Path) -> None:
    with PostgresLedger.open(url) as ledger, Ledger.open(tmp_path) as other:
        for one in (ledger, other):
            one.record(timed_events())
        for now_ms in (0, 6 * HOUR, 60 * DAY_MS):
            with ledger.reader() as reader, other.reader() as expected:
                assert reader.timeline(now_ms) == expected.timeline(now_ms)


def test_timeline_that_takes_too_long_counts_the_latest_events(url: str) -> None:
    columns = "id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, session_id, recorded_ms"
    with PostgresLedger.open(url), psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO targetry_event ({columns}) SELECT 'e' || n, 'click', n, '1', '0', '', '', n, '', n "
            "FROM generate_series(1, 20000) AS n"
        )
        connection.execute("BEGIN READ ONLY")
        late, full, again = (
            read_timeline(connection, HOUR, longest_s=one, fallback_events=10) for one in (0, 60, 60)
        )
    assert late is not None
    assert full is not None
    assert late.figures == {"1": {"0": {0: StepFigures(10, 10, 0, 0)}}}
    assert not late.is_complete
    assert sum(one.clicks for one in full.figures["1"]["0"].values()) == 20_000
    assert again == full


def test_many_threads_and_ledgers_record_each_event_once(url: str) -> None:
    ledgers = [PostgresLedger.open(url) for _ in range(3)]
    events = [event(f"{n:04}", visitor=f"v{n}") for n in range(300)]

    def record(number: int) -> int:
        return sum(sum(ledgers[number % 3].record(events[at : at + 20])) for at in range(0, 300, 20))

    with ThreadPoolExecutor(9) as pool:
        assert sum(pool.map(record, range(9))) == len(events)
    assert sorted(one.id for one in ledgers[0].events()) == [one.id for one in events]
    for one in ledgers:
        one.close()


def test_ledgers_that_open_together_make_the_tables_once(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(PostgresLedger.open, [url] * 6))
    for number, ledger in enumerate(opened):
        assert ledger.record([event(str(number))]) == [True]
        ledger.close()


def test_ledgers_that_open_together_upgrade_the_tables_once(url: str) -> None:
    with PostgresLedger.open(url) as older, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE targetry_recount DROP COLUMN seqs; UPDATE targetry_ledger SET format = 4"
        )
        with ThreadPoolExecutor(3) as pool:
            opened = list(pool.map(PostgresLedger.open, [url] * 3))
        for number, ledger in enumerate([older, *opened]):
            assert ledger.record([event(str(number), visitor=str(number))]) == [True]
            ledger.close()
    with open_reader(url) as reader:
        assert reader.sums()["1"].experiences["0"].visitors == 4


def test_descriptions_are_stored_in_their_order(url: str) -> None:
    other = ActivityDescription("2", None, "landing", (ExperienceDescription("9", "X"),), 7)
    with PostgresLedger.open(url) as ledger:
        ledger.describe([ACTIVITY, other, msgspec.structs.replace(other, name="second")])
        assert ledger.activities() == [ACTIVITY, other]
        changed = msgspec.structs.replace(ACTIVITY, experiences=ACTIVITY.experiences[:1])
        ledger.describe([changed], now_ms=500)
        assert ledger.activities()[0] == msgspec.structs.replace(changed, shares_since_ms=500)
        ledger.describe([msgspec.structs.replace(changed, name="Renamed")], now_ms=900)
        assert ledger.activities()[0].shares_since_ms == 500


def test_text_with_nul_is_recorded(url: str) -> None:
    with PostgresLedger.open(url) as ledger:
        assert ledger.record([event("a\x00", visitor="x\x00y", location="\x00")]) == [True]
        (stored,) = ledger.events()
        assert (stored.id, stored.visitor, stored.location) == ("a␀", "x␀y", "␀")
        assert ledger.record([event("a\x00")]) == [False]


def test_odd_texts_and_numbers_are_read_back_as_they_were_recorded(url: str) -> None:
    texts = [
        r"a\u0000b",
        '"quoted"',
        "{a,b}",
        "line\nline\ttab",
        "\\",
        "\U0001f600\u2028",
        "NULL",
        "",
        "x" * 100_000,
    ]
    totals = [1e300, 5e-324, 0.1, -3.0, 2**53 + 0.0, None]
    given = [
        event(f"{n} {text[:50]}", location=text, token=text, facts={"n": text[:100]}, order_id=text[:250])
        for n, text in enumerate(texts)
    ] + [event(f"total {n}", "order", order_total=total) for n, total in enumerate(totals)]
    with PostgresLedger.open(url) as ledger:
        assert all(ledger.record(given))
        assert sorted(ledger.events(), key=lambda one: one.id) == sorted(given, key=lambda one: one.id)
        assert not any(ledger.record(given))


@pytest.mark.parametrize(("ahead", "warnings"), [(3600, 1), (-3600, 1), (5, 0)])
def test_clock_that_differs_from_the_servers_is_logged(
    url: str, ahead: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresLedger.open(url, clock=lambda: time.time() + ahead) as ledger:
        ledger.record([event("a")])
        ledger.record([event("b")])
    found = [one for one in caplog.messages if "clock of this machine differs" in one]
    assert len(found) == warnings
    differences = [float(re.findall(r"by (\S+) s", one)[0]) for one in found]
    assert differences == pytest.approx([ahead] * warnings, abs=60)


def test_ids_of_the_largest_length_are_recorded_and_counted(url: str) -> None:
    """Check that no row of an index becomes too large; each character has four bytes."""

    def text(first: int, length: int) -> str:
        return "".join(chr(0x1F300 + (first + 7 * n) % 700) for n in range(length))

    facts = {chr(0x10400 + n % 80) * 200: text(n, 100) for n in range(10)}
    owner = {"activity_id": text(1, 125), "experience_id": text(2, 125)}
    seen = event(text(3, 250), visitor=text(4, 250), facts=facts, **owner)
    order = event(text(5, 250), "order", text(4, 250), order_id=text(6, 250), order_total=1.0, **owner)
    with PostgresLedger.open(url) as ledger:
        assert ledger.record([seen, order]) == [True, True]
        with ledger.reader() as reader:
            sums = reader.sums()[seen.activity_id].experiences[seen.experience_id]
            assert (sums.visitors, sums.orders) == (1, 1)
            assert set(reader.segments(next(iter(facts)))) == {facts[next(iter(facts))]}


def test_event_of_a_wrong_type_is_refused_at_the_door(url: str) -> None:
    with PostgresLedger.open(url) as ledger, pytest.raises(OptionError, match=r"events\[0\]\.order_total"):
        ledger.record([event("a", order_total=math.inf)])


@pytest.fixture(scope="module")
def shared(server: PostgresServer) -> Iterator[PostgresLedger]:
    """Open a ledger that many examples empty and fill."""
    with PostgresLedger.open(server.url) as ledger:
        yield ledger


def as_stored(one: LedgerEvent) -> LedgerEvent:
    """Return an event as PostgreSQL stores it: it has no NUL."""
    texts = {name: value for name, value in msgspec.structs.asdict(one).items() if isinstance(value, str)}
    return msgspec.structs.replace(
        one, **{name: text.replace("\0", "\u2400") for name, text in texts.items()}
    )


def assert_equal_sums(
    ledger: PostgresLedger,
    events: list[LedgerEvent],
    activities: list[ActivityDescription],
    cap: float | None,
    zone: ZoneInfo | None = None,
) -> None:
    """Compare the sums with those that SQLite computes of the events."""
    with ledger.reader() as reader:
        made = flat(reader.sums(cap, amounts=True, zone=zone))
        visitors = sorted(reader.visitors(DAY_MS, zone))
        segments = {name: reader.segments(name, cap, zone) for name in ("browser", "new")}
    with aggregated(events, activities) as sqlite:
        expected = flat(sqlite.sums(cap, amounts=True, zone=zone))
        others = sorted(sqlite.visitors(DAY_MS, zone))
        expected_segments = {name: sqlite.segments(name, cap, zone) for name in segments}
    assert [one[:5] for one in visitors] == [one[:5] for one in others]
    assert [one[5:] for one in visitors] == [pytest.approx(one[5:], abs=1e-5) for one in others]
    assert made.keys() == expected.keys()
    assert list(made.values()) == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-5)
    for name, found in segments.items():
        assert found.keys() == expected_segments[name].keys()
        for value, sums in found.items():
            assert flat(sums) == pytest.approx(flat(expected_segments[name][value]), rel=1e-9, abs=1e-5)


@given(event_streams(days=3), st.sampled_from([None, 10.0]), st.data())
@settings(max_examples=examples(30), deadline=None)
def test_kept_sums_equal_those_of_sqlite_over_pieces_and_removals(
    shared: PostgresLedger, events: list[LedgerEvent], cap: float | None, data: st.DataObject
) -> None:
    """Record events in any order and in pieces; change shares and remove events in between."""
    with psycopg.connect(shared.url, autocommit=True) as connection:
        connection.execute(EMPTY)
    since, activity = data.draw(st.integers(0, 2 * DAY_MS)), ActivityDescription("1")
    kept: list[LedgerEvent] = []
    shared.describe([msgspec.structs.replace(activity, shares_since_ms=since)])
    for piece in data.draw(recordings(events, most=3)):
        are_new = shared.record(piece)
        kept += [as_stored(one) for one, is_new in zip(piece, are_new, strict=True) if is_new]
        cutoff = data.draw(st.sampled_from([0, 0, 1003, DAY_MS + 1003]))
        if cutoff:
            prune_postgres(shared.url, 1, now_ms=cutoff + DAY_MS)
            kept = [one for one in kept if one.timestamp_ms >= cutoff]
        if events and data.draw(st.sampled_from([True, False, False, False])):
            visitor = as_stored(data.draw(st.sampled_from(events))).visitor
            done = erase_postgres(shared.url, [visitor, "nobody", "nobody"])
            erased = sum(one.visitor == visitor for one in kept)
            unknown = ("nobody",) if erased else (visitor, "nobody")
            assert (done.removed, done.unknown) == (erased, unknown)
            kept = [one for one in kept if one.visitor != visitor]
        if data.draw(st.booleans()):
            since = data.draw(st.integers(0, 2 * DAY_MS))
            share = ExperienceDescription("0", share=data.draw(st.floats(0, 100)))
            shared.describe([msgspec.structs.replace(activity, experiences=(share,))], now_ms=since)
            since = shared.activities()[0].shares_since_ms
        described = [msgspec.structs.replace(activity, shares_since_ms=since)]
        zone = data.draw(st.sampled_from([None, ZoneInfo("America/New_York")]))
        assert_equal_sums(shared, kept, described, cap, zone)
    assert sorted(shared.events(), key=_id) == sorted(kept, key=_id)


def _id(one: LedgerEvent) -> str:
    return one.id


def test_work_for_a_new_order_does_not_grow_with_the_orders_of_its_visitor(url: str) -> None:
    def order(number: int) -> LedgerEvent:
        return event(f"o{number}", "order", "ada", 2 + number, order_id=f"o{number}", order_total=1.5)

    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        ledger.record([event("seen", visitor="ada", at=1), *map(order, range(2_000))])
        count_events(connection)
        connection.execute("ANALYZE")  # as the server does from time to time
        ledger.record([order(3_000)])
        with connection.transaction():
            before = rows_read(connection, "targetry_purchase")
            assert count_events(connection) == 1
            assert rows_read(connection, "targetry_purchase") - before < 10
        with ledger.reader() as reader:
            assert reader.sums()["1"].experiences["0"].orders == 2_001


def open_without_counting(url: str) -> PostgresLedger:
    """Open a ledger whose events only the test counts."""
    return PostgresLedger.open(url, count_every_s=3_600)


def test_removed_order_leaves_the_other_orders_of_its_visitor(url: str) -> None:
    def order(number: int, key: str | None) -> LedgerEvent:
        made = event(f"o{number}", "order", "ada", 2 + number, order_total=1.5)
        return msgspec.structs.replace(made, activity_id="", experience_id="", order_id=key)

    orders = [order(n, f"o{n}" if n % 2 else None) for n in range(1_000)]
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        ledger.record([event("seen", visitor="ada", at=1), *orders])
        count_events(connection)
        connection.execute("DELETE FROM targetry_event WHERE id IN ('o10', 'o11', 'o12')")
        with connection.transaction():
            before = changed_purchases(connection)
            count_events(connection)
            assert changed_purchases(connection) - before == 3
        with ledger.reader() as reader:
            assert reader.sums()["1"].experiences["0"].orders == 997


def changed_purchases(connection: psycopg.Connection[Any]) -> int:
    """Return the number of purchases that the connection has written or removed."""
    row = connection.execute(
        "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE relname = 'targetry_purchase'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_many_earlier_orders_of_a_visitor_are_counted_in_pieces(url: str) -> None:
    number = 2 * PIECE + 5
    sizes: list[int] = []

    def record_another(done: int, waiting: int) -> None:
        sizes.append(done)
        if len(sizes) == 1:  # the first transaction queues the orders
            assert waiting == 1 + number
            ledger.record([event("other", visitor="bob", at=1)])
        elif len(sizes) == 2:  # new events do not wait for the other pieces
            assert connection.execute("SELECT sum(visitors) FROM targetry_cohort_sum").fetchone() == (2,)

    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        insert_orders(connection, number, "'ada'", "'o' || n")
        count_events(connection)
        ledger.record([event("seen", visitor="ada", at=1)])
        count_events(connection, progress=record_another)
        assert sizes == [1, 1 + PIECE + 1, 1 + 2 * PIECE + 1, 1 + number]
        with ledger.reader() as reader:
            assert reader.uncounted == 0
            assert reader.sums()["1"].experiences["0"].orders == number


def test_many_orders_of_a_visitor_who_leaves_are_taken_away_in_pieces(url: str) -> None:
    number = 2 * PIECE + 5
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        insert_orders(connection, number, "'ada'", "'o' || n")
        again = event("again", "order", "bob", 2 * number, order_id="o7", order_total=1.0)
        ledger.record([event("seen", visitor="ada", at=1), event("other", visitor="bob", at=1), again])
        count_events(connection)
        connection.execute("DELETE FROM targetry_event WHERE id = 'seen'")
        steps: list[tuple[int, int]] = []

        def note_step(done: int, _: int) -> None:
            row = connection.execute("SELECT count(*) FROM targetry_purchase").fetchone()
            assert row is not None
            steps.append((done, row[0]))

        count_events(connection, progress=note_step)
        # The visitor, the pieces, and with the second one the id that another visitor's order has.
        assert steps == [(1, number), (1 + PIECE, PIECE + 5), (2 + 2 * PIECE, 6), (2 + number, 1)]
        assert connection.execute("SELECT visitor, order_key FROM targetry_purchase").fetchall() == [
            ("bob", "order o7")
        ]
        assert_equal_sums(ledger, list(ledger.events()), [], None)


def insert_orders(connection: psycopg.Connection[Any], number: int, visitor: str, order_id: str) -> None:
    """Insert orders without an activity; visitor and id are SQL expressions of their number `n`."""
    connection.execute(
        "INSERT INTO targetry_event (id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, "
        f"session_id, order_id, order_total, recorded_ms) SELECT 'o' || n, 'order', {visitor}, '', '', '', '', 5 + n, '', "
        f"{order_id}, n % 9, 5 FROM generate_series(1, {number}) AS n"
    )


def test_order_id_of_many_orders_counts_the_next_one_after_a_removal(url: str) -> None:
    number = PIECE + 5
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        ledger.record([event(f"seen{n}", visitor=f"v{n}", at=1) for n in range(4)])
        insert_orders(connection, number, "'v' || n % 4", "'same'")
        count_events(connection)
        connection.execute("DELETE FROM targetry_event WHERE id IN ('o1', 'o2')")
        sizes: list[int] = []
        count_events(connection, progress=lambda done, _: sizes.append(done))
        # The visitors of both events and the id, and then the orders.
        assert sizes == [3, 3 + PIECE, 3 + number - 2]
        bought = connection.execute("SELECT visitor, event_id FROM targetry_purchase").fetchall()
        assert bought == [("v3", "o3")]


def test_sums_with_many_orders_equal_those_of_sqlite_over_removals(url: str) -> None:
    """Let visitors enter, lose impressions and orders, and share order ids with many orders."""
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        insert_orders(
            connection,
            3 * MOST_AT_ONCE,
            "'v' || n % 2",
            "CASE n % 3 WHEN 0 THEN 'o' || n WHEN 1 THEN 'same' END",
        )
        count_events(connection)
        shown = [
            event(
                f"seen{n}",
                "click" if n % 5 == 4 else "impression",
                f"v{n % 2}",
                1 + n * 400,
                experience_id=str(n // 2 % 2),
            )
            for n in range(8)
        ]
        ledger.record(shown)
        for removed in ("'seen0', 'seen3'", "'o1', 'o7', 'o9'", "'seen1', 'o2', 'seen4'"):
            connection.execute(f"DELETE FROM targetry_event WHERE id IN ({removed})")
            assert_equal_sums(ledger, list(ledger.events()), [], 100.0)


def test_work_for_new_visitors_does_not_grow_with_the_events_of_another_one(url: str) -> None:
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        insert_orders(connection, 3_000, "'ada'", "'o' || n")
        ledger.record([event("seen", visitor="ada")])
        count_events(connection)
        connection.execute("ANALYZE")  # all visitors seem to be the same
        ledger.record([event(f"seen{n}", visitor=f"v{n}") for n in range(50)])
        with connection.transaction():
            before = [rows_read(connection, table) for table in ("targetry_event", "targetry_purchase")]
            assert count_events(connection) == 50
            after = [rows_read(connection, table) for table in ("targetry_event", "targetry_purchase")]
        assert after[0] - before[0] < 10_000  # one scan of the small table
        assert after[1] - before[1] < 500


def rows_read(connection: psycopg.Connection[Any], table: str) -> int:
    """Return the number of rows of a table that the connection has read."""
    row = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = %s", (table,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_sums_stay_exact_while_three_ledgers_record_count_and_prune(url: str) -> None:
    ledgers = [PostgresLedger.open(url) for _ in range(3)]
    kinds = ("impression", "click", "order", "impression")
    events = [
        event(
            f"{n:04}",
            kinds[n % 4],
            f"v{n % 37}",
            DAY_MS + n,
            experience_id=str(n % 3 % 2),
            order_id=f"o{n % 90}",
            order_total=n / 7,
        )
        for n in range(600)
    ]
    old = [event(f"old-{n}", visitor=f"v{n % 50}", at=n) for n in range(200)]

    def record(number: int) -> None:
        own = [*old, *events] if number % 2 else [*reversed(events), *old]
        for at in range(0, len(own), 50):
            ledgers[number].record(own[at : at + 50])
            if number == 0:
                prune_postgres(url, 1, now_ms=2 * DAY_MS)
            else:
                ledgers[number].reader().close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(record, range(3)))
    prune_postgres(url, 1, now_ms=2 * DAY_MS)
    assert_equal_sums(ledgers[0], events, [], None)
    for one in ledgers:
        one.close()


def test_events_are_counted_while_a_ledger_is_open(url: str) -> None:
    with (
        PostgresLedger.open(url, count_every_s=0.02) as ledger,
        psycopg.connect(url, autocommit=True) as reading,
    ):
        for key in ("first", "second"):
            ledger.record([event(key, visitor=key)])
            wait_until(lambda: reading.execute("SELECT count(*) FROM targetry_uncounted").fetchone() == (0,))
        assert reading.execute("SELECT sum(visitors) FROM targetry_cohort_sum").fetchone() == (2,)


def make_first_format(url: str) -> None:
    """Make the tables of the first format, with `MANY`."""
    names = LedgerEvent.__struct_fields__[:11]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE targetry_ledger (format integer NOT NULL, removed bigint NOT NULL)")
        connection.execute("INSERT INTO targetry_ledger VALUES (1, 0)")
        connection.execute(MIGRATIONS[0])
        connection.cursor().executemany(
            f"INSERT INTO targetry_event ({', '.join(names)}, recorded_ms) VALUES ({', '.join(['%s'] * 11)}, 0)",
            [msgspec.structs.astuple(one)[:11] for one in MANY],
        )


def test_visitor_of_a_ledger_of_the_first_format_is_erased(url: str) -> None:
    make_first_format(url)
    assert erase_visitors(url, ["1-0-1"]).removed == 2
    with open_reader(url) as reader:
        assert reader.sums()["1"].experiences["0"].visitors == 39


def test_ledger_of_the_first_format_is_read_and_upgraded(url: str) -> None:
    make_first_format(url)
    with open_reader(url) as reader:
        assert not reader.has_sums
        before = report_on_ledger(reader).activities
    with PostgresLedger.open(url) as ledger:
        ledger.record([event("later", "click", visitor="1-0-30", at=2000)])
        with ledger.reader() as reader:
            assert reader.has_sums
            after = report_on_ledger(reader).activities
    assert before[0].visitors == after[0].visitors == 80
    assert (before[0].conversions, after[0].conversions) == (30, 31)


def test_ledger_of_the_third_format_gets_sums_of_segments(url: str) -> None:
    events = [event(str(n), visitor=f"v{n}", facts={"browser": f"b{n % 3}"}) for n in range(9)]
    with PostgresLedger.open(url) as ledger:
        ledger.record(events)
        with ledger.reader() as reader:
            expected = reader.segments("browser")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE targetry_segment_sum; UPDATE targetry_ledger SET format = 3")
        connection.execute("ALTER TABLE targetry_participation DROP COLUMN facts")
        connection.execute("ALTER TABLE targetry_recount DROP COLUMN seqs")
        connection.execute("INSERT INTO targetry_uncounted SELECT seq FROM targetry_event")
    with open_reader(url) as reader:
        assert reader.sums()["1"].experiences["0"].visitors == 9
        assert reader.segments("browser") == {}
    with PostgresLedger.open(url) as ledger, ledger.reader() as reader:
        assert {value: flat(sums) for value, sums in reader.segments("browser").items()} == {
            value: flat(sums) for value, sums in expected.items()
        }


def test_facts_that_are_no_object_are_left_out(url: str) -> None:
    """Other programs can write to the tables."""
    with PostgresLedger.open(url) as ledger:
        ledger.record([event("a"), event("b", visitor="bob", facts={"browser": "safari"})])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE targetry_event SET facts = '[1]' WHERE id = 'a'")
        with ledger.reader() as reader:
            assert set(reader.segments("browser")) == {"", "safari"}


def test_sums_by_a_fact_equal_those_of_sqlite(url: str, tmp_path: Path) -> None:
    events = [
        event(
            f"{n}",
            "order" if n % 5 == 4 else "impression",
            f"v{n // 5}",
            n * 3_000_000,
            order_total=n / 3 if n % 5 == 4 else None,
            facts={"browser": f"b{n // 5 % 3}", "mbox.plan": "\u00e4"} if n < 150 else None,
        )
        for n in range(200)
    ]
    with PostgresLedger.open(url) as ledger, Ledger.open(tmp_path, sync="NORMAL") as other:
        ledger.record(events)
        other.record(events)
        assert {one.id: one.facts for one in ledger.events()} == {one.id: one.facts for one in events}
        with ledger.reader() as reader, other.reader() as expected:
            for name in ("browser", "mbox.plan", "none"):
                made, plain = reader.segments(name, 50.0), expected.segments(name, 50.0)
                assert made.keys() == plain.keys()
                for value, sums in made.items():
                    assert flat(sums) == pytest.approx(flat(plain[value]), abs=1e-5)


SELECTIONS = {
    "everything": EventSelection(),
    "a period": EventSelection(since_ms=40, until_ms=150),
    "an activity": EventSelection(activities=("1",)),
    "activities in a period": EventSelection(since_ms=40, activities=("1", "2")),
}


@pytest.mark.parametrize("table", ["events", "exposures", "sums"])
def test_exported_tables_equal_those_of_sqlite(url: str, tmp_path: Path, table: LedgerTable) -> None:
    pytest.importorskip("pyarrow")
    events = [
        event(
            f"{n:03}",
            "order" if n % 5 == 4 else "impression",
            f"v{n // 5}",
            n,
            activity_id="" if n % 5 == 4 else str(n // 5 % 3),
            location=f"at {n}",
            facts={"browser": "b"} if n % 2 else None,
        )
        for n in range(200)
    ]
    with PostgresLedger.open(url) as ledger, Ledger.open(tmp_path, sync="NORMAL") as other:
        ledger.record(events)
        other.record(events)
        with ledger.reader() as reader, other.reader() as expected:
            for selection in SELECTIONS.values():
                made, plain = (
                    sorted(map(str, export_table(one, table, selection).read_all().to_pylist()))
                    for one in (reader, expected)
                )
                assert made == plain
                assert plain or table == "sums"  # a day counts by its beginning


def test_role_that_may_only_read_gets_the_sums_counted_last(url: str) -> None:
    with PostgresLedger.open(url) as ledger:
        ledger.record(MANY)
        ledger.reader().close()
        ledger.record([event("later", visitor="eve")])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS analyst")
            connection.execute("CREATE ROLE analyst LOGIN")
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst")
            with open_reader(url.replace("postgres@", "analyst@")) as reader:
                assert reader.sums()["1"].experiences["0"].visitors == 40
                assert len(list(reader.events())) == len(MANY) + 1
                assert report_on_ledger(reader).uncounted == 1
            printed = run("report", "--ledger", url.replace("postgres@", "analyst@"), width=300).stdout
            assert "about 1 recorded event is not in the figures" in printed
            connection.execute("DROP OWNED BY analyst; DROP ROLE analyst")


def flat(sums: dict[str, ActivitySums]) -> dict[tuple[object, ...], float]:
    """Return each figure of sums under its path."""
    found: dict[tuple[object, ...], float] = {}
    for key, activity in sorted(sums.items()):
        found[key, "switched"], found[key, "outside"] = activity.switched, activity.outside
        for experience, one in sorted(activity.experiences.items()):
            for name, value in msgspec.structs.asdict(one).items():
                if name not in ("cohorts", "amounts"):
                    found[key, experience, name] = value
            for place, buyers in one.amounts.items():
                found[key, experience, "amounts", place] = buyers
            for day, cohort in sorted(one.cohorts.items()):
                for name, value in msgspec.structs.asdict(cohort).items():
                    found[key, experience, day, name] = value
    return found


def test_copy_moves_a_ledger_there_and_back(url: str, tmp_path: Path) -> None:
    described = msgspec.structs.replace(ACTIVITY, shares_since_ms=900)
    with Ledger.open(tmp_path / "a", sync="NORMAL") as first, PostgresLedger.open(url) as second:
        first.describe([described])
        first.record(MANY)
        with first.reader() as reader:
            assert copy_ledger(reader, second) == (len(MANY), 0)
            assert copy_ledger(reader, second) == (0, len(MANY))
        with open_ledger(tmp_path / "b") as third, open_reader(url) as reader:
            assert copy_ledger(reader, third) == (len(MANY), 0)
            assert third.activities() == [described]
        reports = []
        for ledger in (first, second, open_ledger(tmp_path / "b")):
            with ledger.reader() as reader:
                reports.append(report_on_ledger(reader).activities)
        assert reports[0] == reports[1] == reports[2]


def test_old_events_are_removed_and_counted(url: str) -> None:
    with PostgresLedger.open(url) as ledger:
        ledger.record([event("old", at=1000), event("new", at=DAY_MS)])
        assert prune_postgres(url, 1, now_ms=DAY_MS + 1001) == 1
        assert prune_postgres(url, 1, now_ms=DAY_MS + 1001) == 0
        assert [one.id for one in ledger.events()] == ["new"]
        with ledger.reader() as reader:
            period = reader.period()
    assert period is not None
    assert (period.from_ms, period.to_ms, period.removed) == (DAY_MS, DAY_MS, 1)


def test_erased_visitor_leaves_the_figures_of_the_others(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_CHUNK", 3)
    orders = [event(f"o{n}", "order", "eve", 1001 + n, order_id=f"A{n}", order_total=1.0) for n in range(7)]
    again = event("again", "order", "1-0-1", 9000, order_id="A1", order_total=1.0)
    with PostgresLedger.open(url) as ledger:
        seen = event("seen", visitor="eve", facts={"plan": "eve"})
        ledger.record([*MANY, seen, *orders, again])
        assert_equal_sums(ledger, [*MANY, seen, *orders, again], [], None)
        assert erase_visitors(url, ["eve", "unknown"]) == (8, ("unknown",), ())
        assert_equal_sums(ledger, [*MANY, again], [], None)
    with psycopg.connect(url) as connection:
        for table, column in TEXTS_OF_VISITORS:
            query = f"SELECT count(*) FROM targetry_{table} WHERE {column} = 'eve'"
            assert connection.execute(query).fetchone() == (0,)


TEXTS_OF_VISITORS = (
    ("event", "visitor"),
    ("participation", "visitor"),
    ("purchase", "visitor"),
    ("recount", "visitor"),
    ("segment_sum", "value"),
)


def test_only_one_process_prunes_at_a_time(url: str) -> None:
    with PostgresLedger.open(url) as ledger, psycopg.connect(url, autocommit=True) as other:
        ledger.record([event("old")])
        other.execute("SELECT pg_advisory_lock(%s)", (0x54524760,))
        assert prune_postgres(url, 1) == 0
    assert prune_postgres(url, 1) == 1


def test_ledger_of_a_later_version_is_refused(url: str) -> None:
    PostgresLedger.open(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE targetry_ledger SET format = 99")
    for opening in (PostgresLedger.open, open_reader, partial(erase_visitors, visitors=["ada"])):
        with pytest.raises(LedgerVersionError, match=r"has format 99, .* use a later version"):
            opening(url)


def test_ledger_upgraded_by_a_later_version_is_recorded_in_but_not_counted(url: str) -> None:
    with open_without_counting(url) as ledger, psycopg.connect(url, autocommit=True) as connection:
        ledger.record([event("a")])
        assert count_events(connection) == 1
        connection.execute("UPDATE targetry_ledger SET format = format + 1")
        ledger.record([event("b")])
        connection.execute("INSERT INTO targetry_activity (id, shares_since_ms) VALUES ('1', 5)")
        assert count_events(connection) == 0
        assert waiting_events(connection) == 1
        assert connection.execute("SELECT count(*) FROM targetry_counted").fetchone() == (0,)


def test_database_without_a_ledger_is_named_without_its_password(url: str) -> None:
    secret = url.replace("postgres@", "postgres:geheim@")
    with pytest.raises(NoLedgerError, match=r"there is no ledger in 127\.0\.0\.1:\d+/test\d+: ") as caught:
        open_reader(secret)
    assert "geheim" not in str(caught.value)


def test_address_that_cannot_be_parsed_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="is not an address of PostgreSQL"):
        open_ledger("postgresql://host/db?nonsense=1")


def test_addresses_are_distinguished_from_folders(tmp_path: Path) -> None:
    assert is_address("postgresql://host/db")
    assert is_address("postgres://host/db")
    assert not is_address("ledger")
    assert not is_address(tmp_path)
    for opened in (open_reader, open_ledger):
        with pytest.raises(
            OptionError, match=r"ledger: must be a folder or an address of .*, not mysql://…$"
        ):
            opened("mysql://user:secret@host/db")


# Faults of the server and of the network


@pytest.fixture(scope="module")
def faulty() -> Iterator[PostgresServer]:
    """Run a server that tests stop and kill."""
    with postgres_server() as running:
        yield running


@pytest.mark.slow
def test_ledger_works_again_after_the_server_is_killed(faulty: PostgresServer) -> None:
    """Record while the server is killed and started: acknowledged events are there, each once."""
    with PostgresLedger.open(faulty.url) as ledger:
        acknowledged: list[str] = []
        failed: list[str] = []
        stop = threading.Event()

        def record(worker: int) -> None:
            number = 0
            while not stop.is_set():
                key = f"kill-{worker}-{number}"
                try:
                    ledger.record([event(key, visitor=key)])
                except LedgerError as error:
                    failed.append(error.reason)
                    stop.wait(0.02)
                else:  # a failed event is recorded again under its id
                    acknowledged.append(key)
                    number += 1

        threads = [threading.Thread(target=record, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            wait_for_more(acknowledged)
            faulty.kill()
            wait_for_more(failed)
            restart(faulty)
        wait_for_more(acknowledged)
        stop.set()
        for thread in threads:
            thread.join()
        stored = [one.id for one in ledger.events() if one.id.startswith("kill-")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    assert len(stored) - len(acknowledged) <= len(threads)


def wait_for_more(found: list[str]) -> None:
    """Wait until a list has ten more items."""
    until, end = len(found) + 10, threading.Event()
    for _ in range(3_000):
        if len(found) >= until:
            return
        end.wait(0.02)
    pytest.fail("nothing was recorded or refused for a minute")


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


def test_unreachable_server_is_reported_with_its_reason(faulty: PostgresServer) -> None:
    with PostgresLedger.open(faulty.url) as ledger:
        faulty.stop()
        try:
            with pytest.raises(LedgerError, match=r"the ledger 127\.0\.0\.1:\d+/postgres: ") as caught:
                ledger.record([event("x")])
            assert caught.value.reason == "unreachable"
            with pytest.raises(LedgerError):
                ledger.reader()
            with pytest.raises(LedgerError):
                PostgresLedger.open(faulty.url)
        finally:
            faulty.start()
        assert ledger.record([event("x")]) in ([True], [False])


def test_connection_with_a_command_that_never_ended_is_replaced(url: str) -> None:
    """Check the state that a network can leave that is cut between a command and its result."""
    with PostgresLedger.open(url) as ledger:
        ledger.record([event("before")])
        write = ledger._writer.submit(lambda connection: connection.pgconn.send_query(b"SELECT 1"), 1)
        with pytest.raises(LedgerError):
            write.result()
        assert ledger.record([event("after")]) == [True]


def test_idle_connection_of_a_restarted_server_is_replaced_without_an_error(
    faulty: PostgresServer,
) -> None:
    with PostgresLedger.open(faulty.url) as ledger:
        ledger.record([event("before-restart")])
        restart(faulty)
        assert ledger.record([event("after-restart")]) == [True]


class Proxy:
    """TCP proxy in front of a server, whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset all connections."""
        taken, self._open = self._open, []
        for one in taken:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            one.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_network_that_is_cut_loses_no_acknowledged_event(server: PostgresServer, url: str) -> None:
    proxy = Proxy(server.port)
    try:
        with PostgresLedger.open(url.replace(f":{server.port}/", f":{proxy.port}/")) as ledger:
            acknowledged = []
            for number in range(60):
                if number % 10 == 5:
                    proxy.cut()
                key = f"cut-{number}"
                try:
                    ledger.record([event(key)])
                except LedgerError:
                    ledger.record([event(key)])
                acknowledged.append(key)
    finally:
        proxy.close()
    with open_reader(url) as reader:
        assert sorted(one.id for one in reader.events()) == sorted(acknowledged)
