"""A standby that takes over while edges record."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

from support.edge_crowd import Crowd, wait_for_more
from support.edge_process import address, process
from support.edge_sockets import wait_until
from support.postgres import postgres_server, standby_of
from targetry.ledger.location import open_reader

SETTINGS = "-c fsync=off -c shared_buffers=16MB"


@pytest.mark.slow
def test_edges_record_in_a_promoted_standby_and_lose_no_acknowledged_event() -> None:
    """Kill the server, whose commits wait for the standby, and promote the standby."""
    with postgres_server(SETTINGS) as server, standby_of(server, SETTINGS) as standby, ExitStack() as stack:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            states = "SELECT sync_state FROM pg_stat_replication"
            wait_until(lambda: connection.execute(states).fetchall() == [("sync",)])
        url = (
            f"postgresql://postgres@/postgres?host=127.0.0.1,127.0.0.1&port={server.port},{standby.port}"
            "&target_session_attrs=read-write"
        )
        edges = [stack.enter_context(process("--ledger", url)) for _ in range(3)]
        crowds = [Crowd(address(one).removeprefix("http://"), size=2) for one in edges]
        try:
            wait_for_more(crowds)
            server.kill()
            standby.promote()
            wait_for_more(crowds)
        finally:
            for one in crowds:
                one.stop()
        with open_reader(standby.url) as reader:
            stored = [one.visitor for one in reader.events()]
    # The crowds send the same notifications, so several edges record one event.
    assert {name for one in crowds for name in one.acknowledged} <= set(stored)
    assert len(stored) == len(set(stored))
