from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.activities import HERO, SETTINGS, write_files
from support.cases import each_case
from support.cli import json_output, run, text_output, write_artifact
from support.git import git_in
from targetry import samples, testing
from targetry.activities.review.plan import Movement, plan
from targetry.activities.review.plan_text import plan_markdown, plan_text
from targetry.activities.review.visitor_sample import VisitorSample
from targetry.device.logic.allocation import bucket
from targetry.ledger.event import LedgerEvent
from targetry.ledger.location import open_ledger


def changed(**changes: Any) -> dict[str, Any]:
    """Return the sample with changes of the first rule of `checkout-flags`, by paths."""
    artifact = copy.deepcopy(samples.shop())
    for path, value in changes.items():
        target = artifact["rules"]["mboxes"]["checkout-flags"][0]
        *steps, last = path.split("__")
        for step in steps:
            target = target[int(step) if step.isdigit() else step]
        target[last.replace("_", ".")] = value
    return artifact


def window(low: float, high: float) -> Any:
    lower = {"<": [low, {"var": "allocation"}]} if low else {"<=": [0, {"var": "allocation"}]}
    return {"and": [lower, {">=": [high, {"var": "allocation"}]}]}


def test_equal_artifacts_have_no_changes() -> None:
    assert plan(samples.shop(), samples.shop()) == []
    assert plan_text([]) == "No changes.\n"


def test_changed_shares_say_exactly_who_moves() -> None:
    after = changed(condition=window(0, 60))
    after["rules"]["mboxes"]["checkout-flags"][1]["condition"] = window(60, 100)
    (change,) = plan(samples.shop(), after)
    assert change.moved == Movement(8500, 1500, 0, 0, {"Checkout of today → One-click checkout": 1500})
    assert plan_text([change]) == (
        "Checkout flags (482917)                                      changed\n"
        "  ~ share  Checkout of today 75 % → 60 %, One-click checkout 25 % → 40 %\n"
        "      15.00 % of its visitors switch from Checkout of today to One-click checkout; no other visitor moves\n"
        "1 changed, 0 new, 0 gone. Events of compiled offers keep their attribution everywhere.\n"
    )


def test_visitors_who_enter_and_leave_are_counted() -> None:
    after = changed(condition=window(0, 50))
    (change,) = plan(samples.shop(), after)
    assert change.moved == Movement(7500, 0, 2500, 0, {})
    assert "25.00 % leave; no other visitor moves" in plan_text([change])
    (change,) = plan(after, samples.shop())
    assert change.moved == Movement(7500, 0, 0, 2500, {})


@each_case(
    "changes, line",
    [
        ({"meta__activity_name": "Other"}, '~ name  "Checkout flags" → "Other"'),
        ({"consequence__options__0__content__steps": 4}, "steps: 3 → 4"),
        ({"consequence__options__0__content__new": [1]}, "+ new: [1]"),
        ({"consequence__options__0__content": "x"}, '~ offer at mbox checkout-flags of Checkout of today  content: {"oneClick"'),
        ({"consequence__metrics": [{"type": "click", "eventToken": "x"}]}, '~ metrics mbox checkout-flags of Checkout of today  [] → [{"type": "click"}]'),
        ({"propertyTokens": ["p"]}, '~ properties  [] → ["p"]'),
        ({"condition": {"and": [window(0, 75), {"==": ["US", {"var": "geo.country"}]}]}}, '~ audience of Checkout of today  + "US" == geo.country'),
    ],
    ids=["name", "value", "new value", "content", "metrics", "properties", "audience"],
)  # fmt: skip
def test_difference_is_described(changes: dict[str, Any], line: str) -> None:
    text = plan_text(plan(samples.shop(), changed(**changes)))
    assert line in text
    assert "1 changed, 0 new, 0 gone" in text


def test_changed_token_loses_the_attribution() -> None:
    text = plan_text(plan(samples.shop(), changed(consequence__options__0__eventToken="x")))
    assert "keep their attribution for all but Checkout flags." in text


def test_new_and_gone_activities_and_fields_are_listed() -> None:
    without = samples.shop()
    del without["rules"]["mboxes"]["promo"]
    without["remoteMboxes"] = []
    text = plan_text(plan(without, samples.shop()))
    assert "new, at mbox promo" in text
    assert '~ remoteMboxes  [] → ["recommendations"]' in text
    assert "gone" in plan_text(plan(samples.shop(), {"rules": {}}))


def test_changed_order_at_a_location_is_described() -> None:
    before = samples.shop()
    rules = before["rules"]["mboxes"]
    rules["hero"] += rules["promo"]
    after = copy.deepcopy(before)
    after["rules"]["mboxes"]["hero"].reverse()
    assert "~ order at mbox hero  Hero: autumn sale, Black Friday" in plan_text(plan(before, after))


@each_case("value", [None, 1, "x", [1], {"a": 1}], ids=str)
@each_case("path", ["consequence", "condition", "propertyTokens", "meta", "consequence__options"])
def test_rules_of_any_shape_are_compared(path: str, value: Any) -> None:
    assert plan_text(plan(samples.shop(), changed(**{path: value})))
    assert plan_markdown(plan(changed(**{path: value}), samples.shop()))


def test_markdown_escapes_names() -> None:
    text = plan_markdown(plan(samples.shop(), changed(meta__activity_name="a <b> `x`")))
    assert text.startswith("**1 changed, 0 new, 0 gone.")
    assert "### a \\<b\\> \\`x\\` (482917): changed\n\n```diff\n~ name" in text


@pytest.fixture(scope="module")
def edge_url() -> Iterator[str]:
    with testing.edge() as edge:
        yield edge.url


def test_command_compares_a_revision_with_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path / "activities", {"hero.yaml": HERO})

    git = git_in(tmp_path)
    assert run("activities", "lock").exit_code == 0
    git("add", ".")
    git("commit", "-q", "-m", "first")
    write_files(
        tmp_path / "activities",
        {"hero.yaml": HERO.replace("share: 50", "share: 20", 1).replace("share: 50", "share: 80", 1)},
    )
    result = run("activities", "plan", "git:main:activities", "--exit-code", width=200)
    assert result.exit_code == 2
    assert "30.00 % of its visitors switch from everyday to sale; no other visitor moves" in result.stdout
    (change,) = json.loads(
        text_output("activities", "plan", "git:HEAD:activities", "activities", "-o", "json")
    )
    assert (change["change"], change["moved"]["switched"]) == ("share", 3000)
    assert (
        run("activities", "plan", "git:main:activities", "git:main:activities", "--exit-code").exit_code == 0
    )
    for wrong in ("git:main", "git:missing:activities", "git:main:missing", "missing.json"):
        assert run("activities", "plan", wrong).exit_code in (1, 2)
    write_files(tmp_path / "activities", {"hero.yaml": "key: hero\n"})
    git("commit", "-aqm", "wrong")
    result = run("activities", "plan", "git:HEAD:activities", "git:HEAD~1:activities", width=200)
    assert result.stderr.startswith("git:HEAD:activities/hero.yaml:1:1: error TA002")


def test_command_compares_artifacts_and_edges(tmp_path: Path, edge_url: str) -> None:
    path = write_artifact(tmp_path, changed(meta__activity_name="Other"))
    text = text_output("activities", "plan", edge_url, path, "-o", "markdown")
    assert '~ name  "Checkout flags" → "Other"' in text
    assert run("activities", "plan", edge_url, edge_url).exit_code == 2
    assert run("activities", "plan", samples.shop_path(), edge_url, "--exit-code").exit_code == 0


def test_command_reports_mistakes_of_the_files(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.yaml": "key: a\n", "targetry.yaml": SETTINGS})
    result = run("activities", "plan", samples.shop_path(), tmp_path)
    assert result.exit_code == 1
    assert "a.yaml:1:1: error TA002" in result.stderr


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a ledger with 200 visitors of the activity of the samples, and 50 of another."""
    folder = tmp_path_factory.mktemp("ledger")
    with open_ledger(folder) as store:
        for first, activity in ((0, "482917"), (200, "1")):
            store.record(
                [
                    LedgerEvent(f"e{n}", "impression", f"v{n}", activity, "0", "checkout-flags", "t", n, "s")
                    for n in range(first, first + (200 if first == 0 else 50))
                ]
            )
    return folder


def test_visitors_of_a_ledger_who_change_their_experience_are_counted(tmp_path: Path, ledger: Path) -> None:
    path = write_artifact(tmp_path, changed(condition=window(0, 40)))
    shop = json.loads(samples.shop_path().read_bytes())
    owners = [bucket(shop["meta"]["clientCode"], 482917, f"v{n}") for n in range(200)]
    left = sum(4000 < owner <= 7500 for owner in owners)
    arguments = ("activities", "plan", samples.shop_path(), path, "--visitors", ledger)
    assert f"of 200 visitors in the ledger, {left} see it no longer" in text_output(*arguments, width=200)
    (seen,) = [one["after"] for one in json_output(*arguments) if one["change"] == "seen"]
    assert seen == {"total": 200, "left": left, "switched": 0, "switches": {}}


def test_sample_has_the_same_visitors_in_any_order() -> None:
    chosen = []
    for visitors in (range(100), range(99, -1, -1)):
        sample = VisitorSample[int](10)
        for number in [*visitors, *visitors]:
            if (items := sample.items_of(f"v{number}")) is not None:
                items.append(number)
        chosen.append(sample.items)
    assert chosen[0] == chosen[1]
    assert [len(items) for items in chosen[0].values()] == [2] * 10


def test_sample_bounds_the_visitors_of_a_plan(tmp_path: Path, ledger: Path) -> None:
    path = write_artifact(tmp_path, changed(condition=window(0, 1)))
    arguments = ("activities", "plan", samples.shop_path(), path, "--sample", "40")
    (seen,) = [one for one in json_output(*arguments, "--visitors", ledger) if one["change"] == "seen"]
    assert 0 < seen["after"]["total"] <= 40
    request = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 0, "name": "checkout-flags"}]}}
    visitors = tmp_path / "requests.jsonl"
    visitors.write_text("\n".join([json.dumps(request)] * 100))
    assert "of 40 given visitors" in text_output(*arguments, "--visitors", visitors, width=200)
    assert run(*arguments).exit_code == 2


def test_given_visitors_who_lose_an_activity_are_counted(tmp_path: Path) -> None:
    restricted = {"and": [window(0, 75), {"==": ["US", {"var": "geo.country"}]}]}
    path = write_artifact(tmp_path, changed(condition=restricted))
    request = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 0, "name": "checkout-flags"}]}}
    lines = [json.dumps(request | {"id": {"tntId": f"v{number}"}}) for number in range(20)]
    visitors = tmp_path / "requests.jsonl"
    visitors.write_text("\n".join([*lines, *lines, "", json.dumps(request)]))
    arguments = ("activities", "plan", samples.shop_path(), path, "--visitors", visitors)
    assert re.search(r"1\d of 21 given visitors see it no longer", text_output(*arguments, width=200))
    assert "given visitors see it now" in text_output(
        "activities", "plan", path, samples.shop_path(), "--visitors", visitors, width=200
    )
    visitors.write_text(json.dumps(request) + '\n{"id": 1}\n')
    result = run(*arguments, width=300)
    assert result.exit_code == 1
    assert "requests.jsonl:2: " in result.stderr
