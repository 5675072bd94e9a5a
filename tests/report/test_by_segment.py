"""Reports by segment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from support.ledger import ACTIVITY, first_format, outcome
from targetry.errors import OptionError
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.report.by_segment import SegmentReport, report_by_segment
from targetry.report.options import ActivityPlan, ReportOptions
from targetry.report.report import report_on_ledger

pytest.importorskip("scipy")

DAY_MS = 86_400_000


def of_browser(browser: str | None, events: list[LedgerEvent]) -> list[LedgerEvent]:
    """Return the events under ids and visitors of their own."""
    return [
        msgspec.structs.replace(
            one,
            id=f"{browser}-{one.id}",
            visitor=f"{browser}-{one.visitor}",
            facts={"browser": browser} if browser and one.kind == "impression" else None,
        )
        for one in events
    ]


EVENTS = [
    *of_browser("chrome", [*outcome("0", 1000, 100), *outcome("1", 1000, 180)]),
    *of_browser("firefox", [*outcome("0", 500, 50), *outcome("1", 500, 50)]),
    *of_browser(None, [*outcome("0", 10, 1), *outcome("1", 10, 1)]),
]


def made(
    folder: Path,
    options: ReportOptions = ReportOptions(),  # noqa: B008
    by: str = "browser",
    events: Sequence[LedgerEvent] | None = None,
    activity: ActivityDescription = ACTIVITY,
) -> SegmentReport:
    """Return the report on a folder, in which further events are recorded before."""
    with Ledger.open(folder, sync="NORMAL") as ledger:
        if events is not None:
            ledger.describe([activity], now_ms=1000)
            ledger.record(events)
        with ledger.reader() as reader:
            return report_by_segment(reader, by, options, report_on_ledger(reader, options).activities)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a ledger with `EVENTS`."""
    folder = tmp_path_factory.mktemp("recorded")
    with Ledger.open(folder, sync="NORMAL") as ledger:
        ledger.describe([ACTIVITY], now_ms=1000)
        ledger.record(EVENTS)
    return folder


def test_segments_are_of_the_primary_metric_of_the_activity(tmp_path: Path) -> None:
    orders = [
        msgspec.structs.replace(one, id=f"o{one.id}", kind="order", order_id=one.id, order_total=2.0)
        for one in EVENTS
        if one.kind == "click"
    ]
    options = ReportOptions(plans={"1": ActivityPlan(metric="revenue")})
    by_plan = made(tmp_path / "plan", options, events=[*EVENTS, *orders])
    assert by_plan == made(tmp_path / "option", ReportOptions(metric="revenue"), events=[*EVENTS, *orders])
    assert [one.mean for one in by_plan.activities["1"][0].experiences] == [0.2, 0.36]
    assert by_plan.heterogeneity["1"] != ()


def test_segments_have_figures_of_their_own_the_largest_first(recorded: Path) -> None:
    segments = made(recorded).activities["1"]
    assert [(one.value, one.visitors) for one in segments] == [
        ("chrome", 2000),
        ("firefox", 1000),
        (None, 20),
    ]
    control, other = segments[0].experiences
    assert (control.mean, control.lift) == (0.1, None)
    assert other.mean == pytest.approx(0.18)
    assert other.lift == pytest.approx(0.8)
    assert segments[2].experiences[1].lift is None


def test_p_values_are_corrected_for_the_number_of_segments(recorded: Path) -> None:
    segments = made(recorded, ReportOptions(fixed=True)).activities["1"]
    alone = made(recorded, ReportOptions(fixed=True)).activities["1"][0]
    p_values = [one.experiences[1].p_value for one in segments]
    assert alone.experiences[1].p_value == p_values[0]
    assert p_values[0] is not None
    assert p_values[0] < 1e-5
    assert p_values[1] == pytest.approx(1.0)


@pytest.mark.parametrize("fixed", [True, False])
def test_p_values_are_corrected_once_for_segments_and_experiences(tmp_path: Path, fixed: bool) -> None:
    """An experience with the figures of another one leaves the other's p-value as it is."""
    two = [*outcome("0", 1000, 100), *outcome("1", 1000, 150)]
    three = [*two, *outcome("2", 1000, 150)]
    shares = tuple(ExperienceDescription(key, share=100 / 3) for key in "012")
    of_three_shares = msgspec.structs.replace(ACTIVITY, experiences=shares)
    of_two, of_three = (
        made(
            tmp_path / name,
            ReportOptions(fixed=fixed),
            events=of_browser("chrome", events),
            activity=activity,
        )
        for name, events, activity in (("two", two, ACTIVITY), ("three", three, of_three_shares))
    )
    expected, *others = (
        one
        for report in (of_two, of_three)
        for one in report.activities["1"][0].experiences
        if one.p_value is not None
    )
    assert len(others) == 2
    assert expected.p_value is not None
    assert expected.p_value < 0.05
    for one in others:
        assert one.p_value == pytest.approx(expected.p_value)
        assert one.lift_interval == pytest.approx(expected.lift_interval)


def test_fact_that_was_not_recorded_is_an_option_error(recorded: Path) -> None:
    for name in ("country", 'a"b'):
        with pytest.raises(OptionError, match=r"by: no impression has the fact .* targetry edge --segment"):
            made(recorded, by=name)


def test_test_of_equal_lifts_covers_the_segments_with_enough_converters(recorded: Path) -> None:
    for options, p_value in ((ReportOptions(fixed=True), 0.0083), (ReportOptions(planned=3_000), 0.135)):
        (test,) = made(recorded, options).heterogeneity["1"]
        assert (test.id, test.name, test.segments) == ("1", "B", 2)
        assert (test.q, test.p_value) == (pytest.approx(6.97, abs=0.01), pytest.approx(p_value, rel=0.01))


def test_segments_have_the_plan_of_their_activity(recorded: Path) -> None:
    own = made(recorded, ReportOptions(plans={"1": ActivityPlan(planned=3_000)}))
    assert own == made(recorded, ReportOptions(planned=3_000))
    assert own.activities != made(recorded).activities


def test_segments_that_are_not_compared_have_no_test_of_their_lifts(tmp_path: Path) -> None:
    alone = [*of_browser("chrome", [*outcome("0", 1000, 100), *outcome("1", 1000, 180)])]
    assert made(tmp_path, events=alone).heterogeneity == {}


def returning(events: Sequence[LedgerEvent], at: int = 1000) -> list[LedgerEvent]:
    """Return an earlier event of each visitor of the events."""
    return [
        msgspec.structs.replace(one, id=f"before-{one.id}", timestamp_ms=at, activity_id="7", facts=None)
        for one in events
        if one.kind == "impression"
    ]


def later(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    return [msgspec.structs.replace(one, timestamp_ms=one.timestamp_ms + 2 * DAY_MS) for one in events]


CHROME = [one for one in EVENTS if one.visitor.startswith("chrome")]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_new_and_returning_visitors_are_compared(tmp_path: Path, zone: str) -> None:
    report = made(tmp_path, ReportOptions(fixed=True, zone=zone), "new", [*returning(CHROME), *later(EVENTS)])
    assert [(one.value, one.visitors) for one in report.activities["1"]] == [
        ("returning", 2000),
        ("new", 1020),
    ]
    assert report.activities["1"][0].experiences[1].lift == pytest.approx(0.8)
    (test,) = report.heterogeneity["1"]
    assert (test.segments, test.q) == (2, pytest.approx(7.1, abs=0.1))
    assert report.without_history == ("7",)


def test_activity_that_began_with_the_ledger_has_no_history(recorded: Path) -> None:
    assert made(recorded, by="new").without_history == ("1",)


def test_history_that_was_recorded_later_counts(tmp_path: Path) -> None:
    report = made(tmp_path, by="new", events=[*later(EVENTS), *returning(CHROME)])
    assert report.without_history == ("7",)


def test_broken_split_of_new_visitors_is_found(tmp_path: Path) -> None:
    new = of_browser("safari", [*outcome("0", 900, 90), *outcome("1", 500, 50)])
    events = [*returning(EVENTS), *later([*EVENTS, *new])]
    segments = made(tmp_path, by="new", events=events).activities["1"]
    assert {one.value for one in segments if one.is_mismatch} == {"new"}


def test_ledger_that_cannot_be_upgraded_has_new_and_returning_visitors(tmp_path: Path) -> None:
    first_format(tmp_path, [*returning(CHROME), *later(EVENTS)])
    with Reader.open(tmp_path) as reader:
        report = report_by_segment(
            reader, "new", ReportOptions(), report_on_ledger(reader, ReportOptions()).activities
        )
    assert [(one.value, one.visitors) for one in report.activities["1"]] == [
        ("returning", 2000),
        ("new", 1020),
    ]


def test_empty_ledger_has_no_new_visitors(tmp_path: Path) -> None:
    assert made(tmp_path, by="new", events=[]).activities == {}


def test_broken_split_of_a_segment_is_found(tmp_path: Path) -> None:
    events = [*EVENTS, *of_browser("safari", [*outcome("0", 900, 90), *outcome("1", 500, 50)])]
    for options in (ReportOptions(), ReportOptions(fixed=True)):
        segments = made(tmp_path, options, events=events).activities["1"]
        assert {one.value for one in segments if one.is_mismatch} == {"safari"}
