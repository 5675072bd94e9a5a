"""Ledger benchmark: what recording costs an edge, and what a report on many events costs.

    scripts/bench ledger [--quick] [--events N]

The program prints tables and writes them to benchmarks/RESULTS.md. It needs PostgreSQL's programs
for the ledgers there. Ledgers of a report are made by bulk inserts; 10,000,000 events take minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from report import keep, machine, mark, markdown
from running import HERE, Contestant, Progress, Running, fresh

sys.path.insert(0, str(HERE.parent / "tests"))

from support.postgres import PostgresServer, postgres_server

PATIENCE_S = 900.0
SETTINGS = "-c shared_buffers=128MB -c synchronous_commit=on"
GOALS = {"SQLite": 1.6, "PostgreSQL": 2.0}
LOADS = (32, 512)  # connections of an edge; the goals are for the second, its capacity
MOST_S, MOST_MB = 1.0, 200.0
CLIENTS = Contestant("The clients", [sys.executable, str(HERE / "run_edge_clients.py")])
REPORT = Contestant("The report", [sys.executable, str(HERE / "run_ledger_report.py")])
CHUNK = 500_000
# Options of reports: from the kept sums, and from each visitor.
READING: dict[str, dict[str, Any]] = {
    "": {},
    ", days of a zone": {"options": {"zone": "Europe/Berlin"}},
    ", by browser": {"by": "browser"},
    ", new and returning": {"by": "new"},
}

# Four events of a visitor in a row: 2 % orders, 5 activities with 2 experiences, 30 days.
EVENTS = """
    SELECT 'event-' || (100000000000 + i), CASE i % 4
            WHEN 0 THEN 'impression'
            WHEN 1 THEN 'display'
            WHEN 2 THEN CASE WHEN i / 4 % 5 = 0 THEN 'click' ELSE 'display' END
            ELSE CASE WHEN i / 4 % 12 = 0 THEN 'order' ELSE 'impression' END
        END,
        'visitor-' || (100000000000 + i / 4), '' || (i / 4 % 5), '' || (i / 20 % 2), 'hero', 'token-of-an-experience',
        1790000000000 + (i / 4 % 30) * 86400000 + i % 86400000, 'session-' || (100000000000 + i / 4),
        CASE WHEN i % 4 = 3 AND i / 4 % 12 = 0 THEN 'order-' || i END,
        CASE WHEN i % 4 = 3 AND i / 4 % 12 = 0 THEN (i * 31 % 20000) / 100.0 END, 1790000000000 + i,
        {facts}
"""
FACTS = """'{"browser": "' || CASE i / 4 % 7 WHEN 0 THEN 'firefox' WHEN 1 THEN 'safari' ELSE 'chrome' END || '"}'"""
FIELDS = (
    "id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, session_id, order_id, order_total, "
    "recorded_ms, facts"
)


def fill_sqlite(folder: Path, count: int) -> None:
    """Make a ledger of `count` events, and count them."""
    from targetry.ledger.counting import commit_chunk
    from targetry.ledger.ledger import Ledger

    Ledger.open(folder).close()
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    for start in range(0, count, CHUNK):
        with connection:
            connection.execute(
                "WITH RECURSIVE number(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM number WHERE i + 1 < ?) "
                f"INSERT INTO event ({FIELDS}) {EVENTS.format(facts=FACTS)} FROM number",
                (start, min(start + CHUNK, count)),
            )
    connection.isolation_level = None
    while commit_chunk(connection, CHUNK):
        pass
    connection.close()


def fill_postgres(url: str, count: int) -> None:
    """Make a ledger of `count` events, and count them."""
    import psycopg

    from targetry.ledger.postgres.ledger import PostgresLedger

    PostgresLedger.open(url).close()
    events = EVENTS.format(facts=f"({FACTS})::jsonb").replace("%", "%%")
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, count, CHUNK):
            connection.execute(
                f"INSERT INTO targetry_event ({FIELDS}) {events} "
                "FROM generate_series(%s::bigint, %s::bigint - 1) AS number(i)",
                (start, min(start + CHUNK, count)),
            )
        connection.execute("ANALYZE")


def fresh_database(server: PostgresServer, name: str) -> str:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.url.removesuffix("postgres") + name


def server_cpu_s(server: PostgresServer | None) -> float:
    """Return the processor time of a server, with that of its ended processes."""
    if server is None:
        return 0.0
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == server.pid:
            ticks += sum(map(int, fields[11:15]))  # and of its children that have ended
        elif int(fields[1]) == server.pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Recording:
    """Measures edges that do not record, or record in a folder or a database."""

    def __init__(self, folder: Path, server: PostgresServer, seconds: float) -> None:
        self._folder, self._server, self._seconds = folder, server, seconds
        self._number = 0

    def once(self, kind: str, connections: int, edges: int = 1) -> dict[str, float]:
        """Return processor time of edges and server in µs of a request, and requests per second.

        `cores` is the processor time of edges, server and clients in a second.
        """
        self._number += 1
        folder = self._folder / f"recording-{self._number}"
        folder.mkdir()
        url = fresh_database(self._server, f"recording{self._number}") if kind == "PostgreSQL" else None
        data = str(folder / "ledger") if kind == "SQLite" else None
        with ExitStack() as stack:
            running = [
                stack.enter_context(Running(self._edge(folder / f"log-{number}", data, url), PATIENCE_S))
                for number in range(edges)
            ]
            before = [one.ask({}) for one in running]
            clients = [stack.enter_context(Running(CLIENTS, PATIENCE_S)) for _ in running]
            started, of_server = time.perf_counter(), server_cpu_s(self._server)
            answers = list(self._flooded(clients, [one["port"] for one in before], connections))
            after = [one.ask({}) for one in running]
            passed = time.perf_counter() - started
            of_server = server_cpu_s(self._server) - of_server
        answered = sum(one["answered"] for one in answers)
        of_edges = sum(end["cpu_s"] - start["cpu_s"] for start, end in zip(before, after, strict=True))
        of_clients = sum(one["windows"][0]["share"] for one in answers)
        return {
            "edge_us": of_edges / answered * 1e6,
            "server_us": of_server / answered * 1e6 if url else 0.0,
            "per_s": answered / passed,
            "cores": (of_edges + (of_server if url else 0.0)) / passed + of_clients,
        }

    def _edge(self, log: Path, data: str | None, url: str | None) -> Contestant:
        command = {
            "serve": "edge",
            "loop": "uvloop",
            "cores": [],
            "workers": 1,
            "data": data,
            "ledger": url,
            "log": str(log),
            "body_bytes": 0,
        }
        return Contestant("an edge", [sys.executable, str(HERE / "run_edge_server.py"), json.dumps(command)])

    def _flooded(
        self, clients: list[Running], ports: list[int], connections: int
    ) -> Iterator[dict[str, Any]]:
        from concurrent.futures import ThreadPoolExecutor

        command = {
            "do": "flood",
            "connections": connections,
            "core": None,
            "asks": "delivery",
            "windows": 1,
        }
        commands = [{**command, "port": port, "seconds": self._seconds, "warm_up_s": 0.5} for port in ports]
        with ThreadPoolExecutor(len(ports)) as pool:
            yield from pool.map(Running.ask, clients, commands)


CASES = (("no ledger", 1), ("SQLite", 1), ("PostgreSQL", 1), ("PostgreSQL", 3))
"""Ledgers, and numbers of edges that record in one."""


def recording_table(recording: Recording, rounds: int, progress: Progress) -> str:
    found: defaultdict[tuple[int, str, int], list[dict[str, float]]] = defaultdict(list)
    for _ in range(rounds):
        for connections in LOADS:
            for kind, edges in CASES:
                progress(f"recording: {kind}, {edges} edges, {connections} connections")
                found[connections, kind, edges].append(recording.once(kind, connections, edges))
    rows = []
    for (connections, kind, edges), answers in found.items():
        without = found[connections, "no ledger", 1]
        ratio = median(one["edge_us"] / base["edge_us"] for one, base in zip(answers, without, strict=True))
        goal = GOALS.get(kind) if connections == LOADS[-1] else None
        rows.append(
            [
                f"{kind}, {edges} edges" if edges > 1 else kind,
                f"{connections}",
                f"{min(one['edge_us'] for one in answers):.0f} µs",
                f"{ratio:.2f}× {mark(ratio <= goal) if goal else ''}",
                f"{min(one['server_us'] for one in answers):.0f} µs" if kind == "PostgreSQL" else "",
                f"{max(one['per_s'] for one in answers):,.0f}",
                f"{median(one['cores'] for one in answers):.2f}",
            ]
        )
    head = [
        "Ledger",
        "connections of an edge",
        "processor time of the edge",
        "of an edge without",
        "of PostgreSQL",
        "requests/s",
        "cores in use",
    ]
    return markdown([head, *rows])


def report_table(folder: Path, server: PostgresServer, events: int, progress: Progress) -> str:
    rows = [["Ledger", "time of the report (≤ 1 s)", "its processor time", "memory (≤ 200 MB)", "visitors"]]
    progress(f"filling SQLite with {events:,} events")
    fill_sqlite(folder / "report", events)
    progress(f"filling PostgreSQL with {events:,} events")
    url = fresh_database(server, "report")
    fill_postgres(url, events)
    for kind, location in (("SQLite", str(folder / "report")), ("PostgreSQL", url)):
        progress(f"report: {kind}")
        command: dict[str, Any] = {"do": "report", "location": location, "options": {}, "by": ""}
        fresh(REPORT, command, PATIENCE_S)  # counts what is queued
        for reads, more in READING.items():
            found = [fresh(REPORT, {**command, **more}, PATIENCE_S) for _ in range(3)]
            seconds, megabytes = (min(one[name] for one in found) for name in ("seconds", "peak_mb"))
            rows.append(
                [
                    kind + reads,
                    f"{seconds:.2f} s {'' if more else mark(seconds <= MOST_S)}",
                    f"{min(one['cpu_s'] for one in found):.2f} s",
                    f"{megabytes:.0f} MB {mark(megabytes <= MOST_MB)}",
                    f"{found[0]['visitors']:,}",
                ]
            )
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run that writes no results")
    parser.add_argument("--events", type=int, default=200_000, help="events of the ledger of a report")
    parser.add_argument("--only", choices=["recording", "report"], help="one of the two parts")
    given = parser.parse_args()
    progress = Progress()
    parts = [
        "# A ledger",
        f"Made by `scripts/bench ledger --events {given.events}` on {machine()}.",
    ]
    with tempfile.TemporaryDirectory(prefix="targetry-bench-") as name, postgres_server(SETTINGS) as server:
        folder = Path(name)
        if given.only != "report":
            recording = Recording(folder, server, 0.7 if given.quick else 3.0)
            parts += [RECORDING, recording_table(recording, 1 if given.quick else 5, progress)]
        if given.only != "recording":
            parts += [
                REPORTING.format(events=given.events),
                report_table(folder, server, given.events, progress),
            ]
    progress("")
    text = "\n\n".join(parts)
    print(text)
    if not given.quick and given.only is None:
        keep(text)


RECORDING = """An edge answers `POST /rest/v1/delivery` with one mbox for the next of 5,000 visitors, and records the impression;
edges, clients and PostgreSQL share the machine. Processor time is that of a request, the least of five runs by turns; ratios are the median of the rounds.
Cores are those that edges, PostgreSQL and clients use together. The goals, 1.6× in SQLite and 2× in PostgreSQL, are
for the larger number of connections, with which an edge answers the most requests/s; with the smaller one it waits for the disk."""
REPORTING = """A report on {events:,} events of five activities in 30 days, without the start of Python: the best of three
processes, and the largest memory of one."""


if __name__ == "__main__":
    main()
