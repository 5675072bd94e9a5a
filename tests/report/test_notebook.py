"""Reports that notebooks load and show."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from support.cli import run
from support.ledger import ODD_ROWS, event, fourth_format, insert_row, outcome
from targetry.errors import OptionError
from targetry.ledger.errors import NoLedgerError
from targetry.ledger.event import ActivityDescription, ExperienceDescription
from targetry.ledger.ledger import Ledger
from targetry.report import Guardrail, LoadedReport, ReportOptions, load

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

DAY_MS = 86_400_000
EVIL = "<script>alert(1)</script>"
HERO = ActivityDescription(
    "1", EVIL, "ab", (ExperienceDescription("0", "A & B", 50.0), ExperienceDescription("1", EVIL, 50.0))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ledger")
    later = [
        msgspec.structs.replace(
            one, id=f"2-{one.id}", visitor=f"2-{one.visitor}", timestamp_ms=one.timestamp_ms + DAY_MS
        )
        for one in (*outcome("0", 300, 30), *outcome("1", 300, 60))
    ]
    with Ledger.open(made, sync="NORMAL") as ledger:
        ledger.describe([HERO], now_ms=0)
        ledger.record([*outcome("0", 300, 30), *outcome("1", 300, 60), *later])
    return made


def test_report_by_a_fact_upgrades_a_ledger_without_sums_of_segments(tmp_path: Path) -> None:
    fourth_format(tmp_path)
    report = load(tmp_path, by="browser")
    assert report.segments is not None
    assert report.segments.activities


def test_notebook_shows_the_notes_of_the_report(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event("late", "click", "bob"), event("a")])
    text = load(tmp_path)._repr_html_()
    assert "1 visitor clicked or ordered without an earlier impression" in text


def test_rate_has_the_interval_of_the_table(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([event("a")])
    assert "0.00 %<small>0.00 … 79.35</small>" in load(tmp_path)._repr_html_()
    printed = run("report", "-d", tmp_path, "--over-time").stdout
    assert "0.00…0.00" not in printed


def test_report_by_a_fact_has_segments_and_their_picture(tmp_path: Path) -> None:
    events = [
        msgspec.structs.replace(one, facts={"browser": EVIL})
        for one in (*outcome("0", 300, 30), *outcome("1", 300, 60))
    ]
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.describe([HERO], now_ms=0)
        ledger.record(events)
    report = load(tmp_path, by="browser")
    assert report.segments is not None
    assert report.segments.activities["1"][0].value == EVIL
    printed = run("report", "-d", tmp_path, "-o", "json", "--by", "browser")
    assert json.loads(printed.stdout) == load(tmp_path, ReportOptions(), by="browser").to_dict()
    drawn = report._repr_html_()
    assert "<b>Lift by browser</b>" in drawn
    assert EVIL not in drawn
    drawn = load(tmp_path, by="new")._repr_html_()
    assert "<b>Lift by earlier visits</b>" in drawn
    assert "; the ledger begins with the activity<" in drawn


def test_report_of_a_folder_has_typed_figures(folder: Path) -> None:
    report = load(folder)
    best = report.activity("1").experience("1")
    assert (best.verdict, best.metrics["conversion"].mean) == ("better", 0.2)
    assert report.activity(EVIL).experience("A & B").verdict is None


@pytest.mark.parametrize(
    "options", [ReportOptions(), ReportOptions(planned=9_000, over_time=True)], ids=["plain", "days"]
)
def test_dictionary_is_the_json_of_the_command(folder: Path, options: ReportOptions) -> None:
    asked = ["--planned", "9000", "--over-time"] if options.over_time else []
    printed = run("report", "-d", folder, "-o", "json", *asked)
    assert json.loads(printed.stdout) == load(folder, options).to_dict()


def test_report_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(AttributeError):
        load(folder).metric = "revenue"  # type: ignore[misc]


class Texts(HTMLParser):
    """Tags and texts of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_notebook_shows_tables_and_pictures_with_escaped_names(folder: Path) -> None:
    options = ReportOptions(
        planned=9_000, guardrails=(Guardrail("conversion", 0.02),), over_time=True, amounts=True
    )
    shown = Texts(load(folder, options)._repr_html_())
    assert "script" not in shown.tags
    assert (shown.tags.count("table"), shown.tags.count("h3")) == (1, 1)
    expected = (
        EVIL,
        "1,200 visitors of 9,000 planned, 180 conversions, 0 orders",
        "10.00 %",
        "better: ship",
        "safe",
        "Split",
    )
    assert [text for text in expected if text not in shown.texts] == []


def test_notebook_shows_a_report_without_events(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    assert "No events are recorded yet." in load(tmp_path)._repr_html_()


def test_notebook_shows_unusual_rows(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([HERO])
        ledger.record([event("a")])
    for name, fields in ODD_ROWS.items():
        insert_row(tmp_path, name, **fields)
    report = load(tmp_path)
    assert isinstance(report, LoadedReport)
    assert Texts(report._repr_html_()).tags.count("h3") == sum(1 for one in report.activities if one.visitors)


def test_missing_names_and_ledgers_are_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no activity with the id or name '2'; the ids are: '1'"):
        load(folder).activity("2")
    with pytest.raises(OptionError, match=r"experience: there is no experience"):
        load(folder).activity("1").experience("C")
    with pytest.raises(NoLedgerError):
        load(tmp_path)
