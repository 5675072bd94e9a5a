"""Plots of reports as files."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from support.ledger import ACTIVITY, event, outcome
from targetry.ledger.event import ActivityDescription, ExperienceDescription
from targetry.report.options import ReportOptions
from targetry.report.plot import write_plot
from targetry.report.report import Report, make_report

pytest.importorskip("scipy")
matplotlib = pytest.importorskip("matplotlib")

DAY_MS = 86_400_000


def named(*names: str) -> ActivityDescription:
    """Return an activity whose experiences have these names and equal shares."""
    experiences = tuple(ExperienceDescription(str(n), name, 50.0) for n, name in enumerate(names))
    return msgspec.structs.replace(ACTIVITY, experiences=experiences)


def broken_split(activity: ActivityDescription) -> Report:
    """Return the report on two days in which the second experience lost most visitors."""
    events = [
        event(f"{kind}-{day}-{n}", kind, f"{day}-{n}", day * DAY_MS, experience_id=str(int(n % 8 == 0)))
        for day in (20_000, 20_001)
        for n in range(400)
        for kind in ("impression", *(["click"] if n % 16 < 2 else []))
    ]
    return make_report(events, [activity], ReportOptions(over_time=True))


def test_no_text_touches_the_border(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    write_plot(broken_split(named("A" * 100, "Redirect to the new page of the shop")), path)
    image = matplotlib.image.imread(path)[:, :, :3]
    border = [image[0], image[-1], image[:, 0], image[:, -1]]
    assert [bool((side == 1).all()) for side in border] == [True] * 4


def test_activity_without_visitors_since_a_change_is_drawn_with_the_reason(tmp_path: Path) -> None:
    changed = msgspec.structs.replace(ACTIVITY, shares_since_ms=10 * DAY_MS)
    report = make_report([*outcome("0", 5, 1), *outcome("1", 5, 1)], [changed], ReportOptions())
    write_plot(report, tmp_path / "plot.svg")
    assert ">no visitors since the shares changed<" in (tmp_path / "plot.svg").read_text("utf-8")


def test_svg_has_a_title_for_screen_readers(tmp_path: Path) -> None:
    write_plot(make_report(outcome("0", 5, 1), [ACTIVITY], ReportOptions()), tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text("utf-8")
    assert re.search(r"<title>(.*)</title>", drawn)[1] == "Report: Hero"  # type: ignore[index]


@pytest.mark.parametrize(
    ("suffix", "missing"), [("png", "\N{CUNEIFORM SIGN A}"), ("svg", "")], ids=["png", "svg"]
)
def test_characters_that_no_font_has_are_returned(tmp_path: Path, suffix: str, missing: str) -> None:
    # matplotlib brings a font with the sum, which its usual font lacks.
    odd = named("\N{N-ARY UNION OPERATOR WITH DOT} A", "\N{CUNEIFORM SIGN A} B")
    report = make_report([*outcome("0", 5, 1), *outcome("1", 5, 1)], [odd], ReportOptions())
    assert write_plot(report, tmp_path / f"plot.{suffix}") == missing
