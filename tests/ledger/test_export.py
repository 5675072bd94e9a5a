"""Tables of a ledger as Arrow streams and files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from support.ledger import event, outcome
from targetry.errors import OptionError
from targetry.ledger.ledger import Ledger
from targetry.ledger.location.export import export_table
from targetry.ledger.reader import Reader
from targetry.ledger.selection import EventSelection

pytest.importorskip("pyarrow")

DAY_MS = 86_400_000
ORDER = {"activity_id": "", "experience_id": "", "location": "cart"}
EVENTS = [
    event("a", at=1000),
    event("b", at=DAY_MS, experience_id="1", facts={"browser": "chrome"}),
    event("c", "click", at=DAY_MS + 5),
    event("d", "order", at=DAY_MS + 7, order_id="A", order_total=19.99, **ORDER),
    event("e", visitor="bob", at=2 * DAY_MS, activity_id="2", location="promo"),
    event("f", "order", visitor="bob", at=2 * DAY_MS + 1, **ORDER),
    event("g", "display", visitor="eve", at=3 * DAY_MS, activity_id="", experience_id=""),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Open a ledger of two activities."""
    folder = tmp_path_factory.mktemp("ledger")
    with Ledger.open(folder, sync="NORMAL") as ledger:
        ledger.record(EVENTS)
        with ledger.reader() as opened:
            yield opened


def rows(reader: Reader, *arguments: Any, **selection: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        export_table(reader, *arguments, EventSelection(**selection)).read_all().to_pylist()
    )
    return found


SELECTIONS = {
    "everything": ({}, "abcdefg"),
    "from a time on": ({"since_ms": DAY_MS}, "bcdefg"),
    "before a time": ({"until_ms": DAY_MS}, "a"),
    "a period": ({"since_ms": DAY_MS + 5, "until_ms": 2 * DAY_MS}, "cd"),
    "an activity with the orders of its visitors": ({"activities": ("1",)}, "abcd"),
    "two activities": ({"activities": ("1", "2")}, "abcdef"),
    "an activity in a period": ({"activities": ("1",), "since_ms": DAY_MS}, "bcd"),
    "an unknown activity": ({"activities": ("9",)}, ""),
}


@pytest.mark.parametrize(("selection", "expected"), SELECTIONS.values(), ids=SELECTIONS)
def test_selected_events_are_exported_in_their_order(
    reader: Reader, selection: dict[str, Any], expected: str
) -> None:
    assert "".join(row["id"] for row in rows(reader, "events", **selection)) == expected


def test_events_keep_all_their_fields(reader: Reader) -> None:
    assert rows(reader, "events")[3] == {
        "id": "d",
        "kind": "order",
        "visitor": "ada",
        "activity_id": "",
        "experience_id": "",
        "location": "cart",
        "token": "t",
        "timestamp": datetime(1970, 1, 2, 0, 0, 0, 7000, UTC),
        "session_id": "s",
        "order_id": "A",
        "order_total": 19.99,
        "facts": None,
    }


def test_facts_are_exported_as_json(reader: Reader) -> None:
    assert rows(reader, "events")[1]["facts"] == '{"browser":"chrome"}'


def test_exposures_are_the_first_impressions(reader: Reader) -> None:
    found = rows(reader, "exposures")
    assert sorted((one["unit_id"], one["experiment_id"], one["variation_id"]) for one in found) == [
        ("ada", "1", "0"),
        ("bob", "2", "0"),
    ]
    (later,) = rows(reader, "exposures", since_ms=DAY_MS)
    assert later == {
        "unit_id": "bob",
        "timestamp": datetime(1970, 1, 3, tzinfo=UTC),
        "experiment_id": "2",
        "variation_id": "0",
        "location": "promo",
    }
    assert [one["unit_id"] for one in rows(reader, "exposures", activities=("1",))] == ["ada"]


def test_sums_have_a_row_for_each_experience_and_day(reader: Reader) -> None:
    found = rows(reader, "sums")
    assert [(one["activity_id"], one["day"], one["visitors"], one["revenue"]) for one in found] == [
        ("1", date(1970, 1, 1), 1, 19.99),
        ("2", date(1970, 1, 3), 1, 0.0),
    ]
    assert [one["activity_id"] for one in rows(reader, "sums", since_ms=DAY_MS)] == ["2"]
    assert [one["activity_id"] for one in rows(reader, "sums", activities=("1",))] == ["1"]


def test_columns_of_exposures_are_those_of_decided_tables() -> None:
    decider = pytest.importorskip("targetry.batch.decider")
    exported = export_table(NoRows(), "exposures").schema  # type: ignore[arg-type]
    assert exported.names == decider.EXPOSURES.names
    assert exported.field("timestamp").type == decider.EXPOSURES.field("timestamp").type


class NoRows:
    """Reader of an empty ledger."""

    def exposures(self, selection: EventSelection) -> Iterator[Any]:
        return iter(())


def test_unknown_table_is_an_option_error(reader: Reader) -> None:
    with pytest.raises(OptionError, match="table: must be one of events, exposures, sums, not 'all'"):
        export_table(reader, "all")  # type: ignore[arg-type]


def test_progress_counts_the_rows_of_each_batch(tmp_path: Path) -> None:
    seen: list[int] = []
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(outcome("0", 40, 10))
        with ledger.reader() as opened:
            export_table(opened, progress=lambda done, _: seen.append(done)).read_all()
    assert seen == [50]
