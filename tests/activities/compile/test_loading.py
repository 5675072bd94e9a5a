from __future__ import annotations

from pathlib import Path

import pytest

from support.activities import HERO, findings_of, write_files
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import ActivityFolder

MISTAKES: list[tuple[str, str, str]] = [
    ("unknown key", "key: a\nexperience: []\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:1: error TA002: unknown key 'experience'"),
    ("close key", "key: a\npriorty: 1\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:1: error TA002: unknown key 'priorty'; did you mean 'priority'?"),
    ("missing key", "name: a\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:1:1: error TA002: the key 'key' is missing"),
    ("wrong type", "key: a\nexperiences:\n  - {key: x, share: half}\n",
     "a.yaml:3:21: error TA002: expected a number or null, got text"),
    ("number as text", "key: a\nname: 12\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:7: error TA002: expected text or null, got the number 12"),
    ("out of range", "key: a\npriority: 1000\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:11: error TA002: priority must be at most 999, not 1000"),
    ("wrong choice", "key: a\nstate: pausd\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:8: error TA002: 'pausd' is none of draft, live, paused; did you mean 'paused'?"),
    ("wrong key", "key: A b\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:1:6: error TA002: 'A b' is not allowed here; expected ^[a-z0-9][a-z0-9-]*$"),
    ("empty list", "key: a\nexperiences: []\n", "a.yaml:2:14: error TA002: the list is empty"),
    ("nested", "key: a\nexperiences: [{key: x, share: 1, offers: [{mbox: 3}]}]\n",
     "a.yaml:2:50: error TA002: expected text or null, got the number 3"),
    ("no map", "just text\n", "a.yaml:1:1: error TA002: expected a map, got text"),
    ("empty file", "", "a.yaml:1:1: error TA002: expected a map, got null"),
    ("list of activities", "activities:\n  - key: a\n",
     "a.yaml:2:5: error TA002: the key 'experiences' is missing"),
    ("metrics of reports", "key: a\nmetrics: {revenue: {primary: true}}\nexperiences: [{key: x, share: 1}]\n",
     "a.yaml:2:10: error TA002: expected a list or null, got a map; "
     "`primary_metric` names the metric that decides, and targetry.yaml has its cap"),
    ("not a list", "activities: 1\n", "a.yaml:1:13: error TA002: expected a list"),
    ("not YAML", "key: [\n", "a.yaml:2:1: error TA001: not usable as YAML: did not find expected node content"),
    ("file outside", "key: a\nexperiences: [{key: x, share: 1, offers: [{mbox: m, html: {file: ../x}}]}]\n",
     "a.yaml:2:66: error TA005: the file '../x' cannot be used: it is outside of the folder of the activities"),
    ("file missing", "key: a\nexperiences: [{key: x, share: 1, offers: [{mbox: m, json: {file: x.json}}]}]\n",
     "a.yaml:2:66: error TA005: the file 'x.json' cannot be used: there is no such file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "finding"), [one[1:] for one in MISTAKES], ids=[one[0] for one in MISTAKES])
def test_mistake_is_found_at_its_position(tmp_path: Path, text: str, finding: str) -> None:
    assert findings_of(tmp_path, {"a.yaml": text}) == [finding]


# line of targetry.yaml → finding
WRONG_PLANS = {
    "plan: {visitors: 7}": "3:18: error TA002: plan.visitors must be at least 100, not 7",
    "plan: {visitors: many}": "3:18: error TA002: expected an integer, got text",
    "plan: {}": "3:7: error TA002: the key 'visitors' is missing",
    "metrics: {revenue: {cap: 0}}": "3:26: error TA002: metrics.revenue.cap must be above 0, not 0",
    "metrics: {revenu: {cap: 5}}": "3:11: error TA002: unknown key 'revenu'; did you mean 'revenue'?",
    "guardrails: [{metric: rpo, margin: 100%}]": "3:36: error TA002: '100%' is not allowed here; write it like 2%",
    "guardrails: [{metric: rpo, margin: 0.0%}]": "3:36: error TA002: '0.0%' is not allowed here; write it like 2%",
    "guardrails: [{metric: rpo, margin: 2}]": "3:36: error TA002: expected text, got the number 2; write it like 2%",
    "guardrails: [{metric: sales, margin: 2%}]": "3:23: error TA002: 'sales' is none of conversion, orders, revenue, rpo",
}


def test_mistakes_of_plans_are_found_at_their_positions(tmp_path: Path) -> None:
    for line, finding in WRONG_PLANS.items():
        files = {"targetry.yaml": f"targetry: 1\nclient: acme\n{line}\n"}
        assert findings_of(tmp_path, files) == [f"targetry.yaml:{finding}"]


def test_activity_names_the_path_of_its_wrong_plan(tmp_path: Path) -> None:
    text = "activities:\n  - key: a\n    plan: {visitors: 99}\n    experiences: [{key: x, share: 1}]\n"
    assert findings_of(tmp_path, {"a.yaml": text}) == [
        "a.yaml:3:22: error TA002: activities[0].plan.visitors must be at least 100, not 99"
    ]


def test_all_mistakes_of_all_files_are_found(tmp_path: Path) -> None:
    found = findings_of(
        tmp_path,
        {
            "targetry.yaml": "targetry: 2\n",
            "a.yaml": "key: 1\nexperiences: 2\n",
            "b.yaml": "a: 1\na: 2\n",
        },
    )
    assert sorted(found) == [
        "a.yaml:1:6: error TA002: expected text, got the number 1; write it in quotes",
        "a.yaml:2:14: error TA002: expected a list, got the number 2",
        "b.yaml:2:1: error TA001: not usable as YAML: the key 'a' is given twice",
        "targetry.yaml:1:11: error TA002: the number 2 is none of 1",
        "targetry.yaml:1:1: error TA002: the key 'client' is missing",
    ]


def test_json_file_must_be_json(tmp_path: Path) -> None:
    offer = "{mbox: m, json: {file: x.json}}"
    text = f"key: a\nexperiences: [{{key: x, share: 1, offers: [{offer}]}}]\n"
    found = findings_of(tmp_path, {"a.yaml": text, "x.json": "{"})
    assert [one[:52] for one in found] == ["a.yaml:2:66: error TA005: the file 'x.json' cannot b"]


def test_lock_that_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    found = findings_of(tmp_path, {"hero.yaml": HERO, "targetry.lock": '{"version": 9}'})
    assert found == [
        "targetry.lock:1:1: error TA007: the lock cannot be used: it has version 9, and this Targetry reads version 1"
    ]


def test_folder_without_settings_says_what_makes_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HERO)
    loaded = load_folder(ActivityFolder(tmp_path))
    assert loaded.activities is None
    assert [str(one) for one in loaded.findings] == [
        "targetry.yaml:1:1: error TA004: the folder has no such file; `targetry activities init` writes one"
    ]


def test_files_of_several_activities_and_folders_are_one_set(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "a.yaml": "activities:\n  - {key: a, type: xt, experiences: [{key: x}]}\n  - {key: b, type: xt, experiences: [{key: x}]}\n",
            "deep/er/c.yml": "key: c\ntype: xt\nexperiences: [{key: x}]\n",
        },
    )
    loaded = load_folder(ActivityFolder(tmp_path))
    assert loaded.findings == []
    assert loaded.activities is not None
    assert [one.key for one in loaded.activities.activities] == ["a", "b", "c"]
    finding = loaded.activities.finding("TA000", "activities[1].experiences[0].key", "m")
    assert (finding.file, finding.line, finding.column) == ("a.yaml", 3, 44)
    assert finding.path == "activities[1].experiences[0].key"
