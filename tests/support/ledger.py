"""Short constructors of events for tests of the ledger and the report."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry.ledger.database import FILE_NAME
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.ledger.schema import APPLICATION, FIRST_FORMAT
from targetry.ledger.sums import ActivitySums
from targetry.report.aggregation import aggregated

ACTIVITY = ActivityDescription(
    "1", "Hero", "ab", (ExperienceDescription("0", "A", 50.0), ExperienceDescription("1", "B", 50.0))
)


def event(
    key: str, kind: str = "impression", visitor: str = "ada", at: int = 1000, **more: Any
) -> LedgerEvent:
    """Return an event of experience 0 of activity 1; `more` replaces or adds fields."""
    fields: dict[str, Any] = {"activity_id": "1", "experience_id": "0", "location": "hero", "token": "t"}
    return LedgerEvent(
        id=key, kind=kind, visitor=visitor, timestamp_ms=at, session_id="s", **{**fields, **more}
    )  # type: ignore[arg-type]


def outcome(experience: str, visitors: int, conversions: int, activity: str = "1") -> list[LedgerEvent]:
    """Return an impression of each visitor, and clicks of the first `conversions` of them."""
    events = []
    for number in range(visitors):
        visitor = f"{activity}-{experience}-{number}"
        whose = {"visitor": visitor, "activity_id": activity, "experience_id": experience}
        events.append(event(visitor, **whose))
        if number < conversions:
            events.append(event(f"{visitor}-click", "click", at=2000, **whose))
    return events


def moved(events: Sequence[LedgerEvent], by_ms: float) -> list[LedgerEvent]:
    """Return the events at later times."""
    return [msgspec.structs.replace(one, timestamp_ms=one.timestamp_ms + int(by_ms)) for one in events]


_ROW: Final[Mapping[str, Any]] = {
    "kind": "impression",
    "visitor": "ada",
    "activity_id": "1",
    "experience_id": "0",
    "location": "hero",
    "token": "t",
    "timestamp_ms": 1000,
    "session_id": "s",
    "order_id": None,
    "order_total": None,
}
_ORDER: Final = {"kind": "order", "activity_id": "", "experience_id": "", "timestamp_ms": 2000}

HOUR: Final = 3_600_000


def timed_events() -> list[LedgerEvent]:
    """Return events over four hours, with orders that do not count or count once."""
    other = {"activity_id": "", "experience_id": ""}
    return [
        event("a", visitor="ada", at=HOUR),
        event("b", visitor="bob", at=2 * HOUR, experience_id="1"),
        event("c", "click", visitor="ada", at=HOUR + 1),
        event("d", "click", visitor="ada", at=5 * HOUR),
        event("early", "order", visitor="bob", at=HOUR, order_id="0", order_total=7.0, **other),
        event("o", "order", visitor="bob", at=2 * HOUR + 5, order_id="1", order_total=40.0, **other),
        event("p again", "order", visitor="bob", at=5 * HOUR, order_id="1", order_total=40.0, **other),
        event("q odd", "order", visitor="bob", at=5 * HOUR, order_id="2", order_total=1e300, **other),
        event("x", "order", visitor="eve", at=5 * HOUR, order_id="3", order_total=9.0, **other),
    ]


ODD_ROWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "huge total": {**_ORDER, "order_total": 1e308},
    "another huge total": {**_ORDER, "order_total": 1e308},
    "infinite total": {**_ORDER, "order_total": float("inf")},
    "infinite negative total": {**_ORDER, "order_total": float("-inf")},
    "total without a number": {**_ORDER, "order_total": float("nan")},
    "text total": {**_ORDER, "order_total": "much"},
    "bytes total": {**_ORDER, "order_total": b"\xff"},
    "time in the year 10 to the 9": {"timestamp_ms": 31_556_952_000_000_000_000 // 1000},
    "last time of all": {"timestamp_ms": 2**63 - 1},
    "time before 1970": {"timestamp_ms": -1},
    "text time": {"timestamp_ms": "noon"},
    "fractional time": {"timestamp_ms": 1000.5},
    "infinite time": {"timestamp_ms": float("inf")},
    "unknown kind": {"kind": "refund"},
    "bytes for an activity": {"activity_id": b"\xff\x00"},
    "activity of odd characters": {"activity_id": "\x00\u202e<b>\n$x^$\U0001f600"},
    "long activity": {"activity_id": "7" * 100_000},
    "activity of many digits": {"activity_id": "9" * 5000},
    "bytes for an experience": {"experience_id": b"\xff"},
    "experience of odd characters": {"experience_id": "\x1b[2J\u2028"},
    "number for a visitor": {"visitor": 7},
    "empty visitor": {"visitor": ""},
    "bytes for an order id": {**_ORDER, "order_id": b"\xff", "order_total": 1.0},
    "plain order": {**_ORDER, "order_total": 2.5},
}


def insert_row(folder: Path, key: str, **fields: Any) -> None:
    """Write an event as another program would, without the ledger's validators."""
    row = {"id": key, **_ROW, **fields}
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    run_sql(folder, f"INSERT INTO event ({columns}) VALUES ({marks})", *row.values())


def run_sql(folder: Path, statement: str, *values: Any) -> None:
    """Change the file as another program would."""
    connection = sqlite3.connect(folder / FILE_NAME)
    with connection:
        connection.execute(statement, values)
    connection.close()


def first_format(folder: Path, events: Sequence[LedgerEvent]) -> None:
    """Make a file as the first version of the ledger wrote it."""
    connection = sqlite3.connect(folder / FILE_NAME)
    with connection:
        for statement in (*FIRST_FORMAT, f"PRAGMA application_id = {APPLICATION}", "PRAGMA user_version = 1"):
            connection.execute(statement)
        fields = LedgerEvent.__struct_fields__[:-1]  # without facts
        marks = ", ".join("?" * len(fields))
        rows = [msgspec.structs.astuple(one)[:-1] for one in events]
        connection.executemany(f"INSERT INTO event ({', '.join(fields)}) VALUES ({marks})", rows)
    connection.close()


def fourth_format(folder: Path) -> None:
    """Make a file of the fourth format, which has no sums of segments."""
    script = Path(__file__).parent.parent / "ledger" / "fourth_format.sql"
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.executescript(script.read_text("utf-8"))
    connection.close()


def aggregate(
    events: Sequence[LedgerEvent],
    activities: Sequence[ActivityDescription] = (),
    cap: float | None = None,
    *,
    amounts: bool = False,
    zone: tzinfo | None = None,
) -> dict[str, ActivitySums]:
    """Return the sums of events by activity id."""
    with aggregated(events, activities) as made:
        return made.sums(cap, amounts=amounts, zone=zone)


def plain_sums(counts: Mapping[str, ActivitySums]) -> Any:
    """Return sums in the form of `aggregate_plainly`."""
    return {
        key: (
            {
                name: (
                    one.impressions,
                    one.visitors,
                    one.entered,
                    one.conversions,
                    one.orders,
                    one.revenue,
                    one.unusable_totals,
                )
                for name, one in count.experiences.items()
            },
            count.switched,
            count.outside,
        )
        for key, count in counts.items()
    }
