"""Picture of the lifts of segments."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest

from support.ledger import ACTIVITY, outcome
from targetry.report.by_segment import ActivitySegment, SegmentFigures, SegmentReport
from targetry.report.forest import Forest, render_forest, segment_forest
from targetry.report.options import ReportOptions
from targetry.report.plot import write_plot
from targetry.report.report import Report, make_report

pytest.importorskip("scipy")

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report(
        [*outcome("0", 300, 40), *outcome("1", 300, 90)], [ACTIVITY], ReportOptions(planned=500)
    )


def segment(
    value: str | None, lift: float | None, interval: tuple[float, float] | None = None
) -> ActivitySegment:
    """Return a segment of 100 visitors, with the lift of the experience B."""
    figures = (
        SegmentFigures("0", "A", 50, 0.1),
        SegmentFigures("1", "B", 50, 0.1, lift, interval, 0.5 if lift is not None else None),
    )
    return ActivitySegment(value, 100, figures)


def forest(report: Report, *segments: ActivitySegment) -> Forest | None:
    return segment_forest(report.activities[0], report, SegmentReport("browser", {"1": segments}))


def made(report: Report, *segments: ActivitySegment) -> Forest:
    found = forest(report, *segments)
    assert found is not None
    return found


WIDE = (
    segment("chrome", 0.3, (0.1, 0.5)),
    segment("fire<fox", -0.2, (-0.9, 30.0)),
    segment(None, 0.1),
    segment("edge", None),
)


def test_row_has_the_lift_and_the_interval_of_a_segment(report: Report) -> None:
    drawn = made(report, *WIDE)
    assert drawn.title == "Lift by browser"
    assert "95 % intervals of each segment, valid at every look" in drawn.note
    assert [(one.segment, one.figures) for one in drawn.rows] == [
        ("chrome", "+30.0 % (+10.0 … +50.0)"),
        ("fire<fox", "-20.0 % (-90.0 … +3000.0)"),
        ("unknown", "+10.0 %"),
        ("edge", "too early"),
    ]
    assert drawn.overall == ((1, pytest.approx(1.25)),)


def test_range_fits_all_lifts_and_the_intervals_of_the_larger_segments(report: Report) -> None:
    low, high = made(report, *WIDE).x_range
    assert -0.4 < low < -0.2
    assert 1.25 < high < 1.5


def test_smaller_segments_are_left_out_and_counted(report: Report) -> None:
    drawn = made(report, *(segment(f"browser {n}", 0.1, (0.0, 0.2)) for n in range(40)))
    assert len(drawn.rows) == 12
    assert drawn.note.endswith("; the 12 largest of 40")


def test_segments_without_a_lift_have_no_picture(report: Report) -> None:
    assert forest(report) is None
    assert forest(report, segment("chrome", None)) is None


def test_svg_of_segments_is_well_formed_and_within_its_width(report: Report) -> None:
    text = render_forest(made(report, *WIDE))
    drawn = ElementTree.fromstring(text.replace("<svg ", f'<svg xmlns="{SPACE[1:-1]}" ', 1))
    percents = [
        float(value.rstrip("%"))
        for one in drawn.iter()
        for name, value in one.attrib.items()
        if name in ("x", "x1", "x2", "cx") and value.endswith("%")
    ]
    assert all(0 <= one <= 100 for one in percents)
    texts = [one.text for one in drawn.iter(f"{SPACE}text")]
    assert "fire<fox · 100" in texts
    assert len(list(drawn.iter(f"{SPACE}circle"))) == 3


def test_plot_has_the_lifts_of_segments(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_plot(report, tmp_path / "plot.svg", SegmentReport("browser", {"1": WIDE}))
    text = (tmp_path / "plot.svg").read_text("utf-8")
    assert "Lift by browser" in text
    assert "chrome, 100 visitors" in text
    assert "+30.0 % (+10.0 … +50.0)" in text


def test_several_experiences_have_a_row_each(report: Report) -> None:
    third = msgspec.structs.replace(report.activities[0].experiences[1], id="2", name="C")
    activity = msgspec.structs.replace(
        report.activities[0], experiences=(*report.activities[0].experiences, third)
    )
    parts = [
        msgspec.structs.replace(
            one, experiences=(*one.experiences, msgspec.structs.replace(one.experiences[1], id="2", name="C"))
        )
        for one in WIDE[:2]
    ]
    drawn = segment_forest(activity, report, SegmentReport("browser", {"1": tuple(parts)}))
    assert drawn is not None
    assert [(one.segment, one.name, one.starts) for one in drawn.rows] == [
        ("chrome", "B", True),
        ("chrome", "C", False),
        ("fire<fox", "B", True),
        ("fire<fox", "C", False),
    ]
    assert render_forest(drawn).count("<circle") == 4
