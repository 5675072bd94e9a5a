"""Servers that do not answer or become others, and databases with settings of their own."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from support.ledger import event
from support.postgres import PostgresServer
from targetry.ledger.errors import LedgerError
from targetry.ledger.location import open_reader
from targetry.ledger.postgres import counting
from targetry.ledger.postgres.ledger import PostgresLedger

psycopg = pytest.importorskip("psycopg")

TEXT = "zo\u00eb \u2603 \U0001f600"


def run_in(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements; return the rows of the last one, if it has rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return list(found.fetchall()) if found.description else []


def test_server_that_is_stopped_is_unreachable_and_another_connection_is_opened(url: str) -> None:
    with PostgresLedger.open(url, answer_timeout_s=1) as ledger:
        ledger.record([event("before")])
        ((pid,),) = run_in(
            url,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'targetry' AND query LIKE 'INSERT%' "
            "AND datname = current_database()",
        )
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(LedgerError, match="does not answer within") as caught:
                ledger.record([event("meanwhile")])
            assert caught.value.reason == "unreachable"
            assert ledger.record([event("after")]) == [True]
        finally:
            os.kill(pid, signal.SIGCONT)


def test_recording_waits_for_no_other_ledger_that_counts_or_records(url: str) -> None:
    with PostgresLedger.open(url, answer_timeout_s=1) as ledger, psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (counting.LOCK,))
        other.execute("DELETE FROM targetry_impression_sum")
        other.execute(
            "INSERT INTO targetry_event (id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, "
            "session_id, recorded_ms) VALUES ('other', 'impression', 'visitor', '1', '0', '', '', 1, '', 1)"
        )
        assert ledger.record([event("a", visitor="visitor")]) == [True]


def test_refused_statement_is_reported_without_its_text(url: str) -> None:
    with PostgresLedger.open(url) as ledger:
        run_in(url, "ALTER TABLE targetry_event DROP COLUMN token")
        with pytest.raises(LedgerError) as caught:
            ledger.record([event("a")])
    assert str(caught.value).endswith(': column "token" of relation "targetry_event" does not exist')


def test_connection_that_became_read_only_is_replaced(url: str) -> None:
    """Check what a server looks like that another one has taken over from."""
    with PostgresLedger.open(url) as ledger:
        set_read_only = "SET default_transaction_read_only = on"
        ledger._writer.submit(lambda connection: connection.execute("COMMIT; " + set_read_only)).result()
        assert ledger.record([event("a")]) == [True]


def test_empty_database_in_place_of_the_ledger_gets_tables(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresLedger.open(url) as ledger:
        ledger.record([event("lost")])
        run_in(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        assert ledger.record([event("a")]) == [True]
        assert ledger.record([event("b")]) == [True]
    assert len([one for one in caplog.messages if "had no tables any more" in one]) == 1


def test_role_that_can_create_nothing_records_in_tables_of_the_current_format(url: str) -> None:
    PostgresLedger.open(url).close()
    run_in(
        url,
        "DROP ROLE IF EXISTS recorder",
        "CREATE ROLE recorder LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO recorder",
    )
    own = url.replace("postgres@", "recorder@")
    try:
        with PostgresLedger.open(own) as ledger:
            assert ledger.record([event("a")]) == [True]
        with open_reader(own) as reader:
            assert reader.uncounted == 0
            assert reader.sums()["1"].experiences["0"].visitors == 1
    finally:
        run_in(url, "DROP OWNED BY recorder", "DROP ROLE recorder")


SETTINGS = (
    "statement_timeout = 1",
    "idle_in_transaction_session_timeout = 1",
    "lock_timeout = 1",
    "client_encoding = 'LATIN1'",
    "DateStyle = 'German, DMY'",
    "standard_conforming_strings = off",
    "default_transaction_isolation = 'serializable'",
)


def test_settings_of_a_database_do_not_change_a_ledger(url: str) -> None:
    database = url.rpartition("/")[2]
    run_in(url, *(f"ALTER DATABASE {database} SET {one}" for one in SETTINGS))
    assert_usable(url)


def test_database_without_an_encoding_returns_texts(server: PostgresServer) -> None:
    assert_usable(made_with_encoding(server, "SQL_ASCII"))


def made_with_encoding(server: PostgresServer, encoding: str) -> str:
    """Create a database with an encoding; return its address."""
    name = f"encoding_{encoding.lower()}"
    run_in(
        server.url,
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    return server.url.removesuffix("postgres") + name


def assert_usable(url: str) -> None:
    recorded = event("a", visitor=TEXT, location=TEXT, facts={"browser": TEXT})
    with PostgresLedger.open(url) as ledger:
        assert ledger.record([recorded]) == [True]
        with ledger.reader() as reader:
            assert list(reader.events()) == [recorded]
            assert list(reader.segments("browser")) == [TEXT]


def test_database_without_all_characters_is_refused(server: PostgresServer) -> None:
    with pytest.raises(LedgerError, match=r"encoding LATIN1 .* create one with ENCODING 'UTF8'"):
        PostgresLedger.open(made_with_encoding(server, "LATIN1"))
