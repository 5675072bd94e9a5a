"""Plans for the visitors of a ledger in PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

from support.cli import json_output, run
from targetry import samples
from targetry.ledger.event import LedgerEvent
from targetry.ledger.location import open_ledger


def test_visitors_who_move_are_counted_as_in_a_folder(url: str, tmp_path: Path) -> None:
    events = [
        LedgerEvent(f"e{n}", kind, f"v{n % 100}", "482917", "0", "checkout-flags", "t", n, "s")
        for n, kind in enumerate(["impression"] * 100 + ["click"] * 50)
    ]
    for location in (url, tmp_path / "ledger"):
        with open_ledger(location) as store:
            store.record(events)
    shop = json.loads(samples.shop_path().read_bytes())
    narrow = {"and": [{"<=": [0, {"var": "allocation"}]}, {">=": [40, {"var": "allocation"}]}]}
    shop["rules"]["mboxes"]["checkout-flags"][0]["condition"] = narrow
    changed = tmp_path / "rules.json"
    changed.write_text(json.dumps(shop))
    plans = [
        json_output("activities", "plan", samples.shop_path(), changed, "--visitors", location, *sample)
        for location in (url, tmp_path / "ledger")
        for sample in ((), ("--sample", "30"))
    ]
    assert plans[:2] == plans[2:]
    totals = [one["after"]["total"] for plan in plans[:2] for one in plan if one["change"] == "seen"]
    assert totals == [100, 30]


def test_unreachable_database_of_visitors_is_an_error() -> None:
    address = "postgresql://127.0.0.1:1/none?connect_timeout=1"
    result = run(
        "activities", "plan", samples.shop_path(), samples.shop_path(), "--visitors", address, width=300
    )
    assert result.exit_code == 1
    assert "the ledger 127.0.0.1:1/none" in result.stderr
    assert "Traceback" not in result.output
