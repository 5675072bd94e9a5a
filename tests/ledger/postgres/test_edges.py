"""Edges that record in one ledger in PostgreSQL."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import ExitStack

import pytest

from support.cli import run
from support.edge_crowd import Crowd, wait_for_more
from support.edge_process import address, post, process, rest_of, shown
from support.postgres import postgres_server
from targetry.ledger.location import open_reader


@pytest.mark.slow
def test_three_edges_lose_no_acknowledged_event_when_one_is_killed(url: str) -> None:
    with ExitStack() as stack:
        running = [stack.enter_context(process("--ledger", url)) for _ in range(3)]
        hosts = [address(one).removeprefix("http://") for one in running]
        crowds = [Crowd(host, size=2) for host in hosts]
        wait_for_more(crowds)
        running[0].kill()
        wait_for_more(crowds[1:])
        for one in crowds:
            one.stop()
        for edge in running[1:]:
            edge.send_signal(signal.SIGTERM)
            assert edge.wait(30) == 0
    acknowledged = {name for one in crowds for name in one.acknowledged}
    with open_reader(url) as reader:
        # The crowds send the same notifications, so several edges record one event.
        kept = Counter(event.visitor for event in reader.events())
        assert reader.activities()
    assert {name for name in acknowledged if kept[name] != 1} == set()


@pytest.mark.slow
def test_edge_answers_503_while_its_ledger_is_gone_and_records_again() -> None:
    with postgres_server() as server, process("--ledger", server.url) as running:
        here = address(running)
        assert post(here, shown("before")) == 200
        server.stop()
        assert post(here, shown("meanwhile")) == 503
        server.start()
        assert post(here, shown("meanwhile")) == 200
        running.send_signal(signal.SIGTERM)
        rest_of(running)
        with open_reader(server.url) as reader:
            assert sorted(event.visitor for event in reader.events()) == ["before", "meanwhile"]


@pytest.mark.slow
def test_report_and_power_read_a_ledger_in_postgresql(url: str) -> None:
    pytest.importorskip("scipy")
    with process("--ledger", url) as running:
        here = address(running)
        for number in range(4):
            hero = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
            visitor = {"id": {"tntId": f"visitor-{number}"}, "context": {"channel": "web"}}
            assert post(here, {**visitor, **hero}) == 200
    result = run("report", "--ledger", url, "-o", "json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert sum(one["visitors"] for one in made["activities"]) == 4
    (seen,) = [one["id"] for one in made["activities"] if one["visitors"]]
    planned = run("power", "--ledger", url, "--activity", seen, "--lift", "10%", width=200)
    assert "has no value above 0 yet" in planned.output


MISTAKES = {
    "a folder": (["--ledger", "folder"], "must be an address of PostgreSQL"),
    "two ledgers": (["--ledger", "postgresql://h/d", "--data", "x"], "cannot be combined with --data"),
    "a size": (
        ["--ledger", "postgresql://h/d", "--max-size", "5MB"],
        "does not apply to a ledger in PostgreSQL",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_wrong_options_are_named(arguments: list[str], message: str) -> None:
    result = run("edge", *arguments, width=200)
    assert result.exit_code != 0
    assert message in result.output
