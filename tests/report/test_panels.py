"""Panels of a report, and their form as SVG elements."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from importlib import resources

import msgspec
import pytest

from support.ledger import ACTIVITY, event
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.report.options import ReportOptions
from targetry.report.panels import PALETTE, Panel, activity_panels, shorten_name
from targetry.report.report import make_report
from targetry.report.svg import render_svg

pytest.importorskip("scipy")

DAY_MS = 86_400_000
SPACE = "{http://www.w3.org/2000/svg}"


def bought(experience: str, day: int, visitors: int, buyers: int, total: float = 20.0) -> list[LedgerEvent]:
    """Return the impressions of a day's visitors, and orders of the first of them."""
    made = []
    for number in range(visitors):
        visitor, at = f"{experience}-{day}-{number}", day * DAY_MS + 1000
        made.append(event(visitor, visitor=visitor, experience_id=experience, at=at))
        if number < buyers:
            order = {
                "order_id": visitor,
                "order_total": total * (1 + number),
                "activity_id": "",
                "experience_id": "",
            }
            made.append(event(f"{visitor}-order", "order", visitor, at + 1, **order))
    return made


def panels(
    events: list[LedgerEvent], activity: ActivityDescription = ACTIVITY, **options: object
) -> dict[str, Panel]:
    """Return the panels of an activity by title."""
    made = make_report(
        events,
        [activity],
        ReportOptions(over_time=True, amounts=True, **options),  # type: ignore[arg-type]
    )
    return {one.title: one for one in activity_panels(made.activities[0], made)}


WEEK = [
    one
    for day in range(20_000, 20_007)
    for one in (*bought("0", day, 60, 6), *bought("1", day, 60, 24, 30.0))
]


@pytest.fixture(scope="module")
def week() -> dict[str, Panel]:
    return panels(WEEK, cap=100.0)


TITLES = ["Conversion", "Lift over A", "New visitors per day", "Split", "Revenue per buyer"]


def test_report_over_days_has_five_panels(week: dict[str, Panel]) -> None:
    assert list(week) == TITLES
    assert [[line.name for line in one.lines] for one in week.values()] == [
        ["A", "B"],
        ["B"],
        ["A", "B"],
        ["A", "B"],
        ["A", "B"],
    ]


def test_panels_show_the_primary_metric() -> None:
    late = [one for day in (19_998, 19_999) for e in "01" for one in bought(e, day, 60, 0)]
    shown = panels([*late, *WEEK], metric="rpo")
    assert list(shown) == ["Revenue per order", *TITLES[1:]]
    assert shown["Lift over A"].note.startswith("revenue per order, ")
    assert shown["Revenue per order"].lines[0].xs[0] == 20_000
    assert shown["New visitors per day"].lines[0].xs[0] == 19_998, "also days without an order"


def test_last_values_are_those_of_the_report(week: dict[str, Panel]) -> None:
    last = {title: [line.ys[-1] for line in one.lines] for title, one in week.items()}
    assert last["Conversion"] == [0.1, 0.4]
    assert last["Lift over A"] == [pytest.approx(3.0)]
    assert last["Split"] == [0.5, 0.5]
    amounts = week["Revenue per buyer"].lines[0]
    assert sum(amounts.ys) == pytest.approx(2), "each bar has two ends"


def test_verdict_and_cap_are_marked(week: dict[str, Panel]) -> None:
    (verdict,) = week["Lift over A"].marks
    assert (verdict.text, verdict.position) == ("better, Oct 6", 1)
    (cap,) = week["Revenue per buyer"].marks
    assert (cap.text, cap.x) == ("cap", 2.0)


def test_text_of_a_mark_has_room_above_the_lines(week: dict[str, Panel]) -> None:
    panel = week["Conversion"]
    low, high = panel.y_range
    highest = max(y for line in panel.lines for y in line.ys)
    assert len(panel.marks) == 1
    assert high - highest > 0.1 * (high - low)


def test_description_has_the_latest_values_and_the_marks(week: dict[str, Panel]) -> None:
    assert week["Conversion"].description == (
        "Conversion, up to each day (UTC), with 95 % intervals: A 10 %; B 40 %; B better, Oct 6"
    )
    assert f'aria-label="{week["Split"].description}"' in render_svg(week["Split"])


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [
        ("Hero", 40, "Hero"),
        ("Hero of the shop", 8, "Hero of…"),
        ("two\nlines", 40, "two lines"),
        ("Осень 秋", 40, "Осень 秋"),
        ("שלום", 40, "\u2068שלום\u2069"),
        ("A سفاري", 40, "\u2068A سفاري\u2069"),
        ("سفاري", 4, "\u2068سفا…\u2069"),
    ],
)
def test_name_is_short_and_leaves_the_order_of_figures(name: str, most: int, shown: str) -> None:
    assert shorten_name(name, most) == shown


def test_ticks_are_round_and_within_the_ranges(week: dict[str, Panel]) -> None:
    assert [text for _, text in week["Split"].x_ticks] == ["Oct 4", "Oct 6", "Oct 8", "Oct 10"]
    assert [text for _, text in week["Revenue per buyer"].x_ticks] == ["20", "50", "100", "200", "500"]
    for one in week.values():
        assert 2 <= len(one.y_ticks) <= 6
        assert all(one.y_range[0] <= y <= one.y_range[1] for y, _ in one.y_ticks)
        assert all(one.x_range[0] <= x <= one.x_range[1] for x, _ in one.x_ticks)


def test_few_visitors_of_days_far_away_are_not_drawn(week: dict[str, Panel]) -> None:
    strays = [*bought("0", 0, 5, 0), *bought("1", 60_000, 4, 0)]
    drawn = panels([*WEEK, *strays], cap=100.0)
    assert {one.x_range for title, one in drawn.items() if title in TITLES[:4]} == {(20_000.0, 20_006.0)}
    daily = drawn["New visitors per day"]
    assert daily.note.endswith("; 9 on days far away")
    assert daily.lines == week["New visitors per day"].lines
    # Many visitors are no mistake.
    assert panels([*WEEK, *bought("0", 0, 100, 0)])["Split"].x_range[0] == 0.0


def test_days_of_another_time_zone_are_named(week: dict[str, Panel]) -> None:
    drawn = panels(WEEK, cap=100.0, zone="America/New_York")
    for title in TITLES[:4]:
        assert drawn[title].x_range == (19_999.0, 20_005.0)
        assert drawn[title].note == week[title].note.replace("UTC", "America/New_York")
    assert drawn["New visitors per day"].note.endswith("first impression (America/New_York)")
    (verdict,) = drawn["Lift over A"].marks
    assert verdict.text == "better, Oct 5"


def test_broken_split_is_marked_with_its_day() -> None:
    events = [one for day in range(3) for one in (*bought("0", day, 120, 1), *bought("1", day, 60, 1))]
    (mark,) = panels(events)["Split"].marks
    assert mark.text == "broken, Jan 2"


def test_single_day_has_no_panels_over_time() -> None:
    assert list(panels([*bought("0", 5, 30, 3), *bought("1", 5, 30, 3)])) == ["Revenue per buyer"]


def test_long_test_has_a_bounded_number_of_points() -> None:
    events = [one for day in range(500) for one in (*bought("0", day, 1, 0), *bought("1", day, 1, 0))]
    drawn = panels(events)["Conversion"]
    assert [(len(line.xs), line.xs[0], line.xs[-1]) for line in drawn.lines] == [(120, 0, 499)] * 2
    assert [text for _, text in drawn.x_ticks] == ["Jan 1970", "Jun 1970", "Nov 1970", "May 1971"]


def test_many_experiences_have_lines_without_bands() -> None:
    many = ActivityDescription(
        "1", "Hero", "ab", tuple(ExperienceDescription(str(n), f"E{n}", 10.0) for n in range(10))
    )
    events = [one for day in (1, 2) for n in range(10) for one in bought(str(n), day, 20 - n, 5)]
    drawn = panels(events, many)["Conversion"]
    assert [one.name for one in drawn.lines] == [f"E{n}" for n in range(8)]
    assert all(one.bands == () for one in drawn.lines)
    assert drawn.note == "up to each day (UTC)"


def test_visitors_of_each_day_are_those_that_are_new() -> None:
    events = [
        one
        for day, visitors in ((3, 30), (4, 50), (7, 20))
        for one in (*bought("0", day, visitors, 5), *bought("1", day, visitors, 5))
    ]
    drawn = panels(events)["New visitors per day"]
    assert drawn.lines[0].xs == (3, 4, 5, 6, 7)
    assert [one.ys for one in drawn.lines] == [(30, 50, 0, 0, 20)] * 2


def test_interval_for_one_look_is_dotted_within_that_for_every_look(week: dict[str, Panel]) -> None:
    (line,) = week["Lift over A"].lines
    (band,), (outline,) = line.bands, line.outlines
    first = outline.xs.index(band.xs[0])  # the wider interval begins later, while the control has few
    assert band.xs == outline.xs[first:]
    assert all(wide < narrow for wide, narrow in zip(band.lows, outline.lows[first:], strict=True))
    assert all(wide > narrow for wide, narrow in zip(band.highs, outline.highs[first:], strict=True))
    assert week["Lift over A"].note.endswith("; dotted: for one look")
    assert panels(WEEK, fixed=True)["Lift over A"].lines[0].outlines == ()


def test_unknown_lifts_leave_gaps_in_the_band() -> None:
    events = [*WEEK, *bought("0", 19_990, 400, 0), *bought("1", 19_990, 400, 1)]
    (line,) = panels(events)["Lift over A"].lines
    assert line.bands
    assert min(line.bands[0].xs) >= min(line.xs) > 19_990


@pytest.mark.parametrize("title", TITLES)
def test_svg_is_well_formed_and_within_its_width(week: dict[str, Panel], title: str) -> None:
    drawn = ElementTree.fromstring(
        render_svg(week[title]).replace("<svg ", f'<svg xmlns="{SPACE[1:-1]}" ', 1)
    )
    percents = [
        float(value.rstrip("%"))
        for one in drawn.iter()
        for name, value in one.attrib.items()
        if name in ("x", "x1", "x2") and value.endswith("%")
    ]
    assert all(0 <= one <= 100 for one in percents)
    assert [one.text for one in drawn.iter(f"{SPACE}title")] == [line.name for line in week[title].lines]


def test_names_in_an_svg_are_escaped() -> None:
    odd = msgspec.structs.replace(
        ACTIVITY,
        experiences=(ExperienceDescription("0", '<b>"A"', 50.0), ExperienceDescription("1", "\n&", 50.0)),
    )
    drawn = "".join(render_svg(one) for one in panels(WEEK, odd).values())
    assert "<b>" not in drawn
    assert "&lt;b&gt;&quot;A&quot;" in drawn


def test_colors_are_those_of_the_page() -> None:
    style = resources.files("targetry.edge.ui").joinpath("pages", "page.css").read_text("utf-8")
    assert tuple(re.findall(r"\.s\d \{ stroke: (#\w+); \}", style)) == PALETTE
    assert tuple(re.findall(r"\.c\d \{ fill: (#\w+);", style)) == PALETTE
