"""Facts of events, and sums by their values."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from support.cases import each_case
from support.ledger import event, fourth_format, run_sql
from targetry.errors import OptionError
from targetry.ledger import group_commit
from targetry.ledger.event import LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.ledger.location import open_reader
from targetry.ledger.sums import Segments
from targetry.report.aggregation import aggregated

KINDS = ("impression", "display", "click", "order")
BROWSERS = ({"browser": "chrome", "mbox.plan": "pro"}, {"browser": "fire\u00e4fox"}, None)


def drawn() -> list[LedgerEvent]:
    """Return events of 60 visitors, whose facts change after the first impression."""
    return [
        event(
            f"{n:03}",
            KINDS[n // 60 % 4],
            f"v{n % 60}",
            86_400_000 * (n % 3) + n,
            activity_id="" if n // 60 % 4 == 3 else str(n % 2),
            experience_id=str(n % 60 % 4 // 2),
            order_total=n / 3 if n // 60 % 4 == 3 else None,
            facts=BROWSERS[n % 3] if n < 60 else {"browser": "later"},
        )
        for n in range(240)
    ]


def by_value(events: list[LedgerEvent], name: str, zone: ZoneInfo | None = None) -> Segments:
    """Return the sums of the events of each value's visitors."""
    first: dict[str, str] = {}
    for one in events:
        if one.kind in ("impression", "display"):
            first.setdefault(one.visitor, (one.facts or {}).get(name, ""))
    parts: defaultdict[str, list[LedgerEvent]] = defaultdict(list)
    for one in events:
        parts[first[one.visitor]].append(one)
    found = {}
    for value, of_value in parts.items():
        with aggregated(of_value, ()) as made:
            found[value] = made.sums(50.0, zone=zone)
    return found


def cohorts(segments: Segments) -> Any:
    return {
        (value, activity, experience, day): pytest.approx(msgspec.structs.astuple(cohort))
        for value, sums in segments.items()
        for activity, count in sums.items()
        for experience, one in count.experiences.items()
        for day, cohort in one.cohorts.items()
    }


def plain(segments: Segments) -> Any:
    return {
        key: tuple(map(float, msgspec.structs.astuple(cohort)))
        for key, cohort in (
            ((value, activity, experience, day), cohort)
            for value, sums in segments.items()
            for activity, count in sums.items()
            for experience, one in count.experiences.items()
            for day, cohort in one.cohorts.items()
        )
    }


@pytest.mark.parametrize("name", ["browser", "mbox.plan"])
def test_sums_by_a_fact_are_those_of_its_visitors(tmp_path: Path, name: str) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record(drawn())
        assert [one.facts for one in ledger.events()] == [one.facts for one in drawn()]
        with ledger.reader() as reader:
            assert plain(reader.segments(name, 50.0)) == cohorts(by_value(drawn(), name))
            zone = ZoneInfo("America/New_York")
            assert plain(reader.segments(name, 50.0, zone)) == cohorts(by_value(drawn(), name, zone))


def test_ledger_without_facts_has_one_segment_of_unknown_visitors(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event("a")])
        with ledger.reader() as reader:
            assert list(reader.segments("browser")) == [""]


FIRST_MS = 40 * 86_400_000
HALF_HOUR = 1_800_000

# an event of the visitor → whether it makes the visitor of the impression at FIRST_MS returning
EARLIER: dict[str, tuple[LedgerEvent | None, str]] = {
    "nothing": (None, "new"),
    "a session before": (event("b", at=FIRST_MS - HALF_HOUR, activity_id="7"), "returning"),
    "the same session": (event("b", at=FIRST_MS - HALF_HOUR + 1, activity_id="7"), "new"),
    "a click long ago": (event("b", "click", at=1000, activity_id="7"), "returning"),
    "an order without an activity": (
        event("b", "order", at=1000, activity_id="", experience_id=""),
        "returning",
    ),
    "a later event": (event("b", at=FIRST_MS + HALF_HOUR), "new"),
    "another visitor": (event("b", visitor="bob", at=1000, activity_id="7"), "new"),
}


@each_case("earlier, expected", EARLIER.values(), ids=EARLIER)
def test_visitor_with_an_event_of_an_earlier_session_is_returning(
    earlier: LedgerEvent | None, expected: str
) -> None:
    events = [event("a", at=FIRST_MS), *([earlier] if earlier else [])]
    with aggregated(events, ()) as made:
        found = {value for value, sums in made.segments("new").items() if "1" in sums}
    assert found == {expected}


@pytest.mark.parametrize("zone", [None, ZoneInfo("America/New_York")], ids=["UTC", "a zone"])
def test_new_and_returning_visitors_add_up_to_all(tmp_path: Path, zone: ZoneInfo | None) -> None:
    """Visitors return to the activity of their second impression, on another day."""
    again = [
        msgspec.structs.replace(
            one, id=f"again-{one.id}", timestamp_ms=one.timestamp_ms + 7_200_000, activity_id="7"
        )
        for one in drawn()
        if one.kind == "impression" and int(one.id) % 3
    ]
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([*drawn(), *again])
        with ledger.reader() as reader:
            parts, whole = reader.segments("new", 50.0, zone), reader.sums(50.0, zone=zone)
    assert {value: set(sums) for value, sums in parts.items()} == {"new": {"0", "1"}, "returning": {"7"}}
    added = plain({"": {key: one for sums in parts.values() for key, one in sums.items()}})
    assert added == cohorts({"": whole})


def test_old_ledger_has_new_and_returning_visitors(tmp_path: Path) -> None:
    fourth_format(tmp_path)
    with open_reader(tmp_path) as reader:
        assert reader.segments("browser") == {}
        counted = sum(
            one.visitors
            for sums in reader.segments("new").values()
            for activity in sums.values()
            for one in activity.experiences.values()
        )
        assert (
            counted
            == sum(one.visitors for sums in reader.sums().values() for one in sums.experiences.values())
            > 0
        )


WRONG = {
    "the name of new visitors": {"new": "yes"},
    "a value with NUL": {"browser": "a\x00"},
    "a long value": {"browser": "a" * 101},
    "a value that is no text": {"browser": 7},
    "a name of odd characters": {'a"b': "c"},
    "too many facts": {f"n{n}": "" for n in range(11)},
}


@pytest.mark.parametrize("facts", WRONG.values(), ids=WRONG)
def test_wrong_facts_are_refused_at_the_door(tmp_path: Path, facts: Any) -> None:
    with (
        Ledger.open(tmp_path, sync="NORMAL") as ledger,
        pytest.raises(OptionError, match=r"events\[0\]\.facts"),
    ):
        ledger.record([event("a", facts=facts)])


def test_facts_that_are_no_json_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 3600.0)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event("a"), event("b", visitor="bob"), event("c", visitor="eve")])
        run_sql(tmp_path, "UPDATE new_event SET facts = '{' WHERE id = 'a'")
        run_sql(tmp_path, "UPDATE new_event SET facts = x'ff' WHERE id = 'b'")
        run_sql(tmp_path, """UPDATE new_event SET facts = '{"browser": 7}' WHERE id = 'c'""")
        assert [one.facts for one in ledger.events()] == [None, None, None]
        with ledger.reader() as reader:
            assert set(reader.segments("browser")) == {"", "7"}
            assert set(reader.segments("browser", zone=ZoneInfo("Asia/Tokyo"))) == {"", "7"}
