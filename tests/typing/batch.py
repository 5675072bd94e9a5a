"""Decisions of tables, as type checkers see them: an ignore marks what must fail."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type

from targetry import AsyncTargetClient, TargetClient, samples
from targetry.batch import (
    BatchStats,
    Columns,
    Decider,
    DecisionChange,
    Diff,
    Forecast,
    Shadow,
    Totals,
    decide,
    diff,
    forecast,
    made_up_visitors,
    shadow,
    write,
)

table: Any = None
decider = Decider(
    samples.shop(),
    client="acme",
    mboxes=["hero"],
    views=True,
    columns=Columns(tnt_id="visitor", parameters={"plan": "crm_plan"}),
    as_of=datetime(2026, 1, 1, tzinfo=UTC),
    mode="prefetch",
    layout="wide",
    keep="*",
)
assert_type(decider.reads, list[str])
assert_type(decider.missing, list[str])
assert_type(decider.stats, BatchStats)
assert_type(decider.stats.problems, dict[tuple[str, str], int])
decider.decide(table, first_row=10)

Decider(samples.shop())  # type: ignore[call-arg]
Decider(samples.shop(), client="acme", mode="preview")  # type: ignore[arg-type]
Decider(samples.shop(), client="acme", layout="tall")  # type: ignore[arg-type]
Decider(samples.shop(), client="acme", mboxs=["hero"])  # type: ignore[call-arg]
Decider(5, client="acme")  # type: ignore[arg-type]
Columns(visitor="id")  # type: ignore[call-arg]


def of_clients(client: TargetClient, other: AsyncTargetClient) -> None:
    Decider(client, client="acme")
    assert_type(diff(made_up_visitors(1000), client, other, client="acme", mboxes=["hero"]), Diff)


found = diff(table, Path("before.json"), b"{}", client="acme", page_load=True, examples=5)
assert_type(found.changes, list[DecisionChange])
assert_type(found.share_changed(allow=["content"]), float)
found.share_changed(allow=["contents"])  # type: ignore[list-item]

assert_type(write("visits/*.parquet", "out.parquet", {}, client="acme", mboxes=["hero"]), Totals)
assert_type(forecast(table, {}, client="acme", mboxes=["hero"]), Forecast)
assert_type(shadow("log.jsonl", Path("rules.json"), client="acme"), Shadow)
decide(table, {}, client="acme", mboxes=["hero"]).read_all()
shadow("log.jsonl", {})  # type: ignore[call-arg]
