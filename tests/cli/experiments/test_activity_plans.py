from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support import cli
from support.activities import SETTINGS, artifact_of, write_files
from support.ledger import ACTIVITY, event, moved, outcome
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.documents import documents
from targetry.activities.model.files import ActivityFolder
from targetry.activities.model.formatter import format_file
from targetry.ledger.ledger import Ledger
from targetry.report import ActivityPlan, Guardrail, ReportOptions, load
from targetry.report.options import METRIC_NAMES

pytest.importorskip("scipy")

IDS = ("1", "2")
PLANS = """
    targetry: 1
    client: acme
    plan: {visitors: 60000}
    metrics: {revenue: {cap: 20, primary: true}}
    guardrails: [{metric: revenue, margin: 2%}]
"""
OWN = "plan: {visitors: 9000}\nprimary_metric: rpo\nguardrails: [{metric: orders, margin: 0.5%}]\n"


def activity(number: int, more: str = "", *, state: str = "live") -> str:
    return (
        f"key: test-{number}\nid: {number}\nstate: {state}\n{more}experiences:\n"
        f"  - {{key: a, share: 50, offers: [{{mbox: box-{number}, html: a}}]}}\n"
        f"  - {{key: b, share: 50, offers: [{{mbox: box-{number}, html: b}}]}}\n"
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    events = [one for key in IDS for e in "01" for one in outcome(e, 400, 60, activity=key)]
    events = [msgspec.structs.replace(one, facts={"browser": "chrome"}) for one in events]
    events += [
        event(f"o{number}", "order", f"{key}-1-{number}", at=3000, activity_id="", experience_id="", order_id=f"{number}", order_total=50.0)
        for key in IDS
        for number in range(30)
    ]  # fmt: skip
    with Ledger.open(folder, sync="NORMAL") as ledger:
        ledger.describe([msgspec.structs.replace(ACTIVITY, id=key) for key in IDS], now_ms=1000)
        ledger.record(moved(events, 1000 * time.time() - 10_000))
    return folder


def report(ledger: Path, *arguments: str | Path) -> dict[str, Any]:
    result = cli.run("report", "-d", ledger, "-o", "json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def plans_of(made: dict[str, Any]) -> dict[str, tuple[int | None, list[tuple[str, float]]]]:
    """Return the planned visitors and the guardrails of each activity."""
    return {
        one["id"]: (
            one["planned"],
            [(rail["metric"], rail["margin"]) for rail in one["experiences"][1]["guardrails"]],
        )
        for one in made["activities"]
    }


def test_folder_has_the_plans_of_a_report(shop: Path, tmp_path: Path) -> None:
    write_files(
        tmp_path, {"targetry.yaml": PLANS, "1.yaml": activity(1), "2.yaml": activity(2, OWN, state="draft")}
    )
    made = report(shop, "--activities", tmp_path)

    assert plans_of(made) == {"1": (60000, [("revenue", 0.02)]), "2": (9000, [("orders", 0.005)])}
    assert (made["planned"], made["cap"]) == (60000, 20)
    first, second = made["activities"]
    assert (first["cap"], first["capped"] > 0) == (20, True)
    lifts = [one["experiences"][1]["metrics"]["conversion"]["lift"]["nStar"] for one in (first, second)]
    assert lifts == [60000, 9000]
    assert first["daysLeft"] > second["daysLeft"]


@pytest.mark.parametrize("line", PLANS.split("\n")[3:6])
def test_each_key_acts_alone(shop: Path, tmp_path: Path, line: str) -> None:
    without = report(shop, "--activities", write_files(tmp_path / "without", {"1.yaml": activity(1)}))
    files = {"targetry.yaml": f"{SETTINGS}{line.strip()}\n", "1.yaml": activity(1)}
    assert without == report(shop)
    assert report(shop, "--activities", write_files(tmp_path / "with", files)) != without


def test_options_of_the_command_line_win(shop: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"targetry.yaml": PLANS, "2.yaml": activity(2, OWN)})
    options = ["--planned", "500", "--metric", "conversion", "--cap", "30", "--guardrail", "rpo:5%"]
    assert report(shop, "--activities", tmp_path, *options) == report(shop, *options)
    percentile = [*options[:4], "--fixed", "--cap-percentile", "90%", "--guardrail", "rpo:5%"]
    assert report(shop, "--activities", tmp_path, *percentile) == report(shop, *percentile)
    one_given = plans_of(report(shop, "--activities", tmp_path, "--planned", "500"))
    assert one_given["2"] == (500, [("orders", 0.005)])


def primary(name: str) -> str:
    return f"{SETTINGS}metrics: {{{name}: {{primary: true}}}}\n"


# settings, file of activity 2 → metric of the report, primary metrics of the activities
PRIMARY = {
    "none": (SETTINGS, "", "conversion", ("conversion", "conversion")),
    "the workspace's": (primary("revenue"), "", "revenue", ("revenue", "revenue")),
    "the activity's": (SETTINGS, "primary_metric: orders\n", "conversion", ("conversion", "orders")),
    "both": (primary("rpo"), "primary_metric: conversion\n", "rpo", ("rpo", "conversion")),
    "not primary": (
        f"{SETTINGS}metrics: {{revenue: {{primary: false}}}}\n",
        "",
        "conversion",
        ("conversion",) * 2,
    ),
}


@pytest.mark.parametrize(("settings", "own", "whole", "metrics"), PRIMARY.values(), ids=PRIMARY)
def test_files_name_the_metric_that_decides(
    shop: Path, tmp_path: Path, settings: str, own: str, whole: str, metrics: tuple[str, str]
) -> None:
    files = {"targetry.yaml": settings, "1.yaml": activity(1), "2.yaml": activity(2, own)}
    made = report(shop, "--activities", write_files(tmp_path, files))
    assert (made["metric"], tuple(one["metric"] for one in made["activities"])) == (whole, metrics)
    for one in made["activities"]:
        (alone,) = report(shop, "--metric", one["metric"], "--activity", one["id"])["activities"]
        assert one == alone, "verdicts, corrections and intervals are those of the metric"


HEADINGS = {
    "table": (r"Converted +Rate", r"Visitors +Revenue per visitor"),
    "markdown": (r"Visitors \| Conversion \|", r"Visitors \| Revenue per visitor \|"),
}


@pytest.mark.parametrize("form", HEADINGS)
def test_output_shows_the_metric_that_decides(shop: Path, tmp_path: Path, form: str) -> None:
    write_files(tmp_path, {"1.yaml": activity(1), "2.yaml": activity(2, "primary_metric: revenue\n")})
    options = ("--over-time", "--by", "browser", "--activities", tmp_path, "-o", form)
    shown = cli.run("report", "-d", shop, *options, width=200).stdout
    words = "the primary metric, which decides, is revenue per visitor"
    assert shown.count(words) == 1
    first, second = (re.search(heading, shown) for heading in HEADINGS[form])
    assert first is not None
    assert second is not None
    assert first.start() < second.start() < shown.index(words), "the first activity has no note"
    by = shown[shown.rindex("by browser") :]
    days = shown[shown.rindex("Day, UTC") : shown.index("by browser")]
    assert ("Revenue per visitor" in days, "Revenue per visitor" in by) == (True, True)


def test_plot_shows_the_metric_that_decides(shop: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_files(tmp_path, {"2.yaml": activity(2, "primary_metric: revenue\n")})
    options = ("--activity", "2", "--activities", tmp_path, "-o", "json")
    cli.run("report", "-d", shop, *options, "--plot", tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text("utf-8")
    assert "revenue per visitor, with 95 % intervals valid at every look" in drawn
    assert ("400 visitors" in drawn, "who converted" in drawn) == (True, False)


def test_notebook_shows_the_metric_that_decides(shop: Path) -> None:
    options = ReportOptions(plans={"2": ActivityPlan(metric="revenue")})
    first, second = load(shop, options)._repr_html_().split("<h3>")[1:]
    assert ("<th>Conversion</th>" in first, "<th>Revenue per visitor</th>" in second) == (True, True)


def test_members_of_a_group_share_a_primary_metric(shop: Path, tmp_path: Path) -> None:
    members = {
        f"{number}.yaml": activity(number, f"primary_metric: {name}\n").replace(f"id: {number}\n", "")
        for number, name in ((3, "orders"), (4, "revenue"))
    }
    folder = write_files(tmp_path, {"targetry.yaml": SETTINGS + GROUP, **members})
    result = cli.run("report", "-d", shop, "--activities", folder, width=300)
    assert result.exit_code == 1
    assert "'test-3' and 'test-4' differ in 'primary_metric'" in result.stderr


def test_empty_list_of_guardrails_removes_those_of_the_workspace(shop: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"targetry.yaml": PLANS, "2.yaml": activity(2, "guardrails: []\n")})
    assert plans_of(report(shop, "--activities", tmp_path))["2"] == (60000, [])


def test_programs_give_plans_by_activity(shop: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"targetry.yaml": PLANS, "2.yaml": activity(2, OWN)})
    own = ActivityPlan(planned=9000, metric="rpo", guardrails=(Guardrail("orders", 0.005),))
    rails = (Guardrail("revenue", 0.02),)
    options = ReportOptions(planned=60000, metric="revenue", cap=20, guardrails=rails, plans={"2": own})
    assert load(shop, options).to_dict() == report(shop, "--activities", tmp_path)


GROUP = "groups: {banner: {id: 1, members: [{activity: test-3, share: 50}, {activity: test-4, share: 50}]}}\n"


def member(number: int, visitors: int) -> str:
    return activity(number, f"plan: {{visitors: {visitors}}}\n").replace(f"id: {number}\n", "")


def test_members_of_a_group_share_a_plan(shop: Path, tmp_path: Path) -> None:
    files = {"targetry.yaml": SETTINGS + GROUP, "3.yaml": member(3, 700), "4.yaml": member(4, 700)}
    assert plans_of(report(shop, "--activities", write_files(tmp_path, files)))["1"] == (700, [])
    (tmp_path / "4.yaml").write_text(member(4, 800))
    result = cli.run("report", "-d", shop, "--activities", tmp_path, width=300)
    assert result.exit_code == 1
    assert "'test-3' and 'test-4' differ in 'plan'" in result.stderr
    assert str(tmp_path) in result.stderr


def test_wrong_folders_and_files_are_named(shop: Path, tmp_path: Path) -> None:
    missing = cli.run("report", "-d", shop, "--activities", tmp_path / "none", width=300)
    assert (missing.exit_code, f"there is no folder {tmp_path / 'none'}" in missing.stderr) == (1, True)
    write_files(tmp_path, {"targetry.yaml": f"{SETTINGS}plan: {{visitors: 7}}\n"})
    wrong = cli.run("report", "-d", shop, "--activities", tmp_path, width=300)
    position = f"{tmp_path.as_posix()}/targetry.yaml:3:18"
    assert wrong.exit_code == 1
    assert wrong.stderr == f"{position}: error TA002: plan.visitors must be at least 100, not 7\n"


def test_plans_change_nothing_in_the_artifact(tmp_path: Path) -> None:
    plain = artifact_of(tmp_path, {"2.yaml": activity(2)})
    assert artifact_of(tmp_path, {"targetry.yaml": PLANS, "2.yaml": activity(2, OWN)}) == plain


def test_plans_are_written_and_formatted_like_other_keys(tmp_path: Path) -> None:
    write_files(tmp_path, {"targetry.yaml": PLANS, "2.yaml": activity(2, OWN)})
    loaded = load_folder(ActivityFolder(tmp_path)).activities
    assert loaded is not None
    again = load_folder(
        ActivityFolder(write_files(tmp_path / "again", documents(loaded.settings, [*loaded.activities])))
    ).activities
    assert again is not None
    assert (again.settings, again.activities) == (loaded.settings, loaded.activities)
    assert "primary_metric: rpo\n" in documents(loaded.settings, [*loaded.activities])["test-2.yaml"]
    moved = "guardrails: []\nplan: {visitors: 100}\nclient: acme\n"
    assert format_file(moved, is_settings=True) == "client: acme\nplan: {visitors: 100}\nguardrails: []\n"


def test_files_know_all_metrics_of_reports(tmp_path: Path) -> None:
    rails = "".join(f"\n- {{metric: {name}, margin: 2%}}" for name in METRIC_NAMES)
    write_files(tmp_path, {"targetry.yaml": f"{SETTINGS}guardrails:{rails}\n"})
    assert load_folder(ActivityFolder(tmp_path)).findings == []
