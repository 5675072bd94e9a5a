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
     "a.yaml:2:11: error TA002: 1000 is more than 999"),
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
