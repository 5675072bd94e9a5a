"""A ledger behind PgBouncer: session mode works, and the other modes are refused at the start."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from support.edge_crowd import Crowd, wait_for_more
from support.edge_process import address, process
from support.edge_sockets import wait_until
from support.ledger import event
from support.pgbouncer import Pooler, pooler
from support.postgres import PostgresServer
from targetry.ledger.errors import LedgerError
from targetry.ledger.location import open_reader
from targetry.ledger.postgres import pooler as pooler_checks
from targetry.ledger.postgres.connection import connect
from targetry.ledger.postgres.ledger import PostgresLedger
from targetry.ledger.postgres.retention import prune_postgres

psycopg = pytest.importorskip("psycopg")

SETTINGS = ("jit", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def behind(url: str, server: PostgresServer, pool: Pooler) -> str:
    """Return the address of a server's database at its pooler."""
    return url.replace(f":{server.port}/", f":{pool.port}/")


def test_ledger_behind_a_pooler_in_session_mode_is_recorded_counted_and_pruned(
    server: PostgresServer, url: str
) -> None:
    with pooler(server, "pool_mode = session") as pool:
        pooled = behind(url, server, pool)
        with PostgresLedger.open(pooled) as ledger:
            assert ledger.record([event("old"), event("new", at=2**42)]) == [True, True]
            with ledger.reader() as reader:
                assert reader.sums()["1"].experiences["0"].visitors == 1
            assert prune_postgres(pooled, 1) == 1


@pytest.mark.parametrize("reads", [False, True])
def test_connection_of_a_pooler_has_the_settings_of_a_direct_one(
    server: PostgresServer, url: str, reads: bool
) -> None:
    with (
        pooler(server, "pool_mode = session") as pool,
        connect(url, reads=reads) as direct,
        connect(behind(url, server, pool), reads=reads) as pooled,
    ):
        found = [[one.execute(f"SHOW {name}").fetchone() for name in SETTINGS] for one in (direct, pooled)]
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pooler_that_shares_connections_is_refused_at_the_start(
    server: PostgresServer, url: str, mode: str
) -> None:
    with (
        pooler(server, f"pool_mode = {mode}") as pool,
        pytest.raises(LedgerError, match=r"is not in session mode, .* set pool_mode = session"),
    ):
        PostgresLedger.open(behind(url, server, pool))


def test_pooler_with_too_few_connections_is_reported(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler_checks, "_POOL_TIMEOUT_S", 0.2)
    with (
        pooler(server, "pool_mode = session", "default_pool_size = 1") as pool,
        pytest.raises(LedgerError, match=r"gives no connection within .* at least four") as caught,
    ):
        PostgresLedger.open(behind(url, server, pool))
    assert caught.value.reason == "unreachable"


@pytest.mark.slow
def test_three_edges_behind_a_pooler_lose_no_acknowledged_event_when_it_restarts(
    server: PostgresServer, url: str
) -> None:
    with pooler(server, "pool_mode = session") as pool, ExitStack() as stack:
        edges = [stack.enter_context(process("--ledger", behind(url, server, pool))) for _ in range(3)]
        crowds = [Crowd(address(one).removeprefix("http://"), size=1) for one in edges]

        wait_for_more(crowds)
        pool.kill()
        wait_until(lambda: all(one.failed for one in crowds))
        pool.start()
        wait_for_more(crowds)
        for one in crowds:
            one.stop()
    with open_reader(url) as reader:
        kept = {one.visitor for one in reader.events()}
    assert {name for one in crowds for name in one.acknowledged} <= kept
