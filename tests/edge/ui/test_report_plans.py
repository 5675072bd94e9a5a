"""Plans of a folder of activities in the report of the edge's page."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from support import cli
from support.activities import SETTINGS, write_files
from support.ledger import ACTIVITY, event, outcome
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.edge.assembly import open_edge
from targetry.edge.options import EdgeOptions
from targetry.edge.ui.report_cache import ReportCache
from targetry.errors import OptionError
from targetry.ledger.event import LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.samples import shop_path

pytest.importorskip("scipy")

PLANS = f"{SETTINGS}plan: {{visitors: 60000}}\nguardrails: [{{metric: orders, margin: 2%}}]\n"
CAP = "metrics: {revenue: {cap: 20}}\n"


def activity(key: str, more: str = "") -> str:
    experiences = "".join(
        f"  - {{key: {name}, share: 50, offers: [{{mbox: box-{key}, html: {name}}}]}}\n" for name in "ab"
    )
    return f"key: test-{key}\nid: {key}\n{more}experiences:\n{experiences}"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "ledger"
    with Ledger.open(folder, sync="NORMAL") as opened:
        opened.describe([msgspec.structs.replace(ACTIVITY, id=key) for key in "12"], now_ms=1000)
        opened.record([one for key in "12" for e in "01" for one in outcome(e, 400, 60, activity=key)])
    return folder


def served(ledger: Path, *folders: Path, artifacts: tuple[Path, ...] = ()) -> tuple[int, dict[str, Any]]:
    """Return the status and the report of an edge with folders of activities."""
    options = EdgeOptions(port=0, activities=list(folders), artifacts=list(artifacts), data=ledger)
    edge = open_edge(options, logging.getLogger("test"))
    try:
        response = TestClient(edge.application).get("/report.json")
        return response.status_code, response.json()
    finally:
        edge.close()


def order(experience: str, number: int) -> LedgerEvent:
    """Return an order of 100 by a visitor of activity 2."""
    key = f"{experience}-{number}"
    return event(
        f"order-{key}",
        "order",
        f"2-{key}",
        3000,
        order_id=key,
        order_total=100.0,
        activity_id="",
        experience_id="",
    )


def planned(report: dict[str, Any]) -> dict[str, tuple[int | None, list[str]]]:
    """Return the planned visitors and the metrics of the guardrails of the two activities."""
    return {
        one["id"]: (one["planned"], [rail["metric"] for rail in one["experiences"][1]["guardrails"]])
        for one in report["activities"]
        if one["id"] in "12"
    }


def test_page_has_the_figures_of_the_command(ledger: Path, tmp_path: Path) -> None:
    own = "plan: {visitors: 9000}\nguardrails: []\n"
    files = {"targetry.yaml": PLANS + CAP, "1.yaml": activity("1"), "2.yaml": activity("2", own)}
    folder = write_files(tmp_path / "activities", files)
    _, page = served(ledger, folder, artifacts=(shop_path(),))
    command = cli.run("report", "-d", ledger, "-o", "json", "--activities", folder)
    expected = json.loads(command.stdout)
    assert planned(page) == {"1": (60000, ["orders"]), "2": (9000, [])}
    assert page["cap"] == 20
    assert page == expected


def test_page_has_the_days_of_its_time_zone(ledger: Path) -> None:
    edge = open_edge(EdgeOptions(port=0, data=ledger, zone="America/New_York"), logging.getLogger("test"))
    try:
        report = TestClient(edge.application).get("/report.json").json()
    finally:
        edge.close()
    expected = cli.run("report", "-d", ledger, "-o", "json", "--zone", "America/New_York")
    assert report == json.loads(expected.stdout)
    assert report["zone"] == "America/New_York"


def test_unknown_time_zone_of_the_page_is_an_option_error() -> None:
    options = EdgeOptions(port=0, zone="Europe/Berln", data=Path("x"))
    with pytest.raises(OptionError, match="'Europe/Berlin'") as caught:
        open_edge(options, logging.getLogger("test"))
    assert caught.value.path == "zone"


def test_edit_of_a_file_changes_the_report_at_once(ledger: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "activities", {"targetry.yaml": PLANS, "1.yaml": activity("1")})
    watcher = ArtifactWatcher([folder])
    with Ledger.open(ledger) as opened:
        cache = ReportCache(opened, plans=lambda: watcher.registry.plans)
        client = TestClient(EdgeApplication(Edge(watcher, ledger=opened, report_cache=cache)))
        assert planned(client.get("/report.json").json())["1"] == (60000, ["orders"])
        write_files(folder, {"targetry.yaml": PLANS, "1.yaml": activity("1", "plan: {visitors: 700}\n")})
        assert watcher.refresh()
        assert planned(client.get("/report.json").json())["1"] == (700, ["orders"])
        write_files(folder, {"targetry.yaml": PLANS.replace("60000", "7")})
        assert not watcher.refresh()
        assert planned(client.get("/report.json").json())["1"] == (700, ["orders"]), "the last good file"


def test_page_shows_the_metric_that_decides(ledger: Path, tmp_path: Path) -> None:
    own = "primary_metric: revenue\n"
    files = {"1.yaml": activity("1"), "2.yaml": activity("2", own)}
    watcher = ArtifactWatcher([write_files(tmp_path / "activities", files)])
    with Ledger.open(ledger) as opened:
        opened.record([order(e, number) for e, most in (("0", 40), ("1", 200)) for number in range(most)])
        cache = ReportCache(opened, plans=lambda: watcher.registry.plans)
        client = TestClient(EdgeApplication(Edge(watcher, ledger=opened, report_cache=cache)))
        first, second = client.get("/report").text.split("<article")[1:]
    assert "<th>Converted</th><th>Rate, %</th>" in first
    assert "<th>Visitors</th><th>Revenue per visitor</th>" in second
    assert "the primary metric, which decides, is revenue per visitor" in second
    assert ("<td>10<small>" in second, "<td>50<small>" in second) == (True, True), "the means"
    assert ("<td>+400.0<small>" in second, "better: ship" in second) == (True, True)
    assert "better: ship" not in first


def test_segments_have_the_plans(ledger: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "activities", {"targetry.yaml": PLANS, "1.yaml": activity("1")})
    with Ledger.open(ledger) as opened:
        shown = [one for e in "01" for one in outcome(e, 60, 12, activity="1")]
        seen = [
            msgspec.structs.replace(one, id=f"s{one.id}", visitor=f"s{one.visitor}", facts={"browser": "x"})
            for one in shown
        ]
        opened.record(seen)
        panels = []
        for paths in ([folder], [shop_path()]):
            plans = partial(list, ArtifactWatcher(paths).registry.plans)
            cache = ReportCache(opened, ["browser"], plans=plans)
            panels.append(cache.report("browser").pictures["1"][-1].svg)
    assert panels[0] != panels[1]


def test_each_of_several_folders_has_its_plans(ledger: Path, tmp_path: Path) -> None:
    first = write_files(tmp_path / "first", {"targetry.yaml": PLANS, "1.yaml": activity("1")})
    second = write_files(tmp_path / "second", {"2.yaml": activity("2")})
    status, report = served(ledger, first, second)
    assert (status, planned(report)) == (200, {"1": (60000, ["orders"]), "2": (None, [])})


def test_different_caps_of_folders_are_named(ledger: Path, tmp_path: Path) -> None:
    first = write_files(tmp_path / "first", {"targetry.yaml": PLANS + CAP, "1.yaml": activity("1")})
    second = write_files(tmp_path / "second", {"2.yaml": activity("2")})
    status, problem = served(ledger, first, second)
    assert status == 503
    assert "'first' and 'second' differ in the cap of revenue" in problem["message"]


def test_different_plans_in_a_group_are_named_and_served(ledger: Path, tmp_path: Path) -> None:
    group = (
        "groups: {banner: {id: 1, members: [{activity: test-3, share: 50}, {activity: test-4, share: 50}]}}\n"
    )
    files = {
        f"{key}.yaml": activity(key, f"plan: {{visitors: {visitors}}}\n").replace(f"id: {key}\n", "")
        for key, visitors in (("3", 700), ("4", 800))
    }
    status, problem = served(
        ledger, write_files(tmp_path / "shop", {"targetry.yaml": SETTINGS + group, **files})
    )
    assert status == 503
    assert "shop: 'test-3' and 'test-4' differ in 'plan'" in problem["message"]
