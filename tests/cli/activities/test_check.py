"""`targetry activities check`: output, selection of rules, exit status."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.activities import write_files
from support.cli import run
from targetry.activities.lint.catalog import RULES
from targetry.activities.lint.formats import FORMATS

WARNING = """\
key: a
experiences:
  - {key: one, share: 40, offers: [{mbox: hero}]}
  - {key: two, share: 50, offers: [{mbox: hero}]}
"""
ERROR = """\
key: b
type: xt
audience: geo.contry == "100 %"
experiences: [{key: one, offers: [{mbox: note}]}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("check") / "my files", {"a.yaml": WARNING, "b.yaml": ERROR})


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("check") / "activities", {"a.yaml": WARNING})


def test_findings_are_lines_with_their_positions(folder: Path) -> None:
    result = run("activities", "check", folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/a.yaml:3:3: warning TA204: the shares add up to 90 %, so the other visitors get nothing; "
        "let them add up to 100 and give the activity a `traffic`",
        f"{folder}/b.yaml:3:15: error TA103: geo has no 'contry'; did you mean 'country'?",
    ]
    assert result.stderr == f"{folder}: 1 error, 1 warning\n"


def test_warnings_fail_if_the_check_is_strict(warned: Path) -> None:
    assert run("activities", "check", warned).exit_code == 0
    assert run("activities", "check", warned, "--strict").exit_code == 1
    assert run("activities", "check", warned, "--strict", "--ignore", "TA204").exit_code == 0


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ([], ["TA204", "TA103"]),
        (["--select", "TA1"], ["TA103"]),
        (["--select", "TA1,TA204"], ["TA204", "TA103"]),
        (["--ignore", "TA2"], ["TA103"]),
        (["--select", "TA1", "--ignore", "TA103"], []),
    ],
    ids=str,
)
def test_rules_are_selected_by_the_start_of_their_ids(
    folder: Path, options: list[str], codes: list[str]
) -> None:
    result = run("activities", "check", folder, "-o", "json", *options)
    assert [one["code"] for one in json.loads(result.stdout)] == codes
    assert result.exit_code == ("TA103" in codes)


def test_json_has_the_fields_of_findings(folder: Path) -> None:
    result = run("activities", "check", folder, "-o", "json", "--select", "TA103")
    assert json.loads(result.stdout) == [
        {
            "code": "TA103",
            "level": "error",
            "message": "geo has no 'contry'",
            "hint": "did you mean 'country'?",
            "file": f"{folder}/b.yaml",
            "line": 3,
            "column": 15,
            "path": "audience",
        }
    ]


def test_github_commands_escape_their_texts(folder: Path) -> None:
    result = run("activities", "check", folder, "-o", "github", "--select", "TA204")
    assert result.stdout == (
        f"::warning file={folder}/a.yaml,line=3,col=3,title=TA204::the shares add up to 90 %25, so the other "
        "visitors get nothing; let them add up to 100 and give the activity a `traffic`\n"
    )


def test_sarif_log_describes_each_rule_and_result(folder: Path) -> None:
    log = json.loads(run("activities", "check", folder, "-o", "sarif").stdout)
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    rules = one["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    assert all(rule["shortDescription"]["text"] for rule in rules)
    for result in one["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        (place,) = result["locations"]
        assert " " not in place["physicalLocation"]["artifactLocation"]["uri"]
        assert place["physicalLocation"]["region"].keys() == {"startLine", "startColumn"}


def test_file_name_that_is_not_utf_8_is_in_every_output(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"targetry.yaml": "client: acme\n"})
    with open(os.fsencode(folder) + b"/\xff.yaml", "w") as file:
        file.write("key: [\n")
    outputs = {name: run("activities", "check", folder, "-o", name) for name in ("text", *FORMATS)}
    assert {name: one.exit_code for name, one in outputs.items()} == dict.fromkeys(outputs, 1)
    assert "%FF.yaml" in outputs["sarif"].stdout


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_unknown_rule_is_wrong_usage(folder: Path, option: str) -> None:
    result = run("activities", "check", folder, option, "TB")
    assert result.exit_code == 2
    assert "no rule starts with 'TB'" in result.output


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    result = run("activities", "check", tmp_path / "none", width=500)
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr


def test_new_project_passes_the_strict_check(tmp_path: Path) -> None:
    assert run("activities", "init", tmp_path).exit_code == 0
    before = sorted(tmp_path.rglob("*"))
    assert run("activities", "check", tmp_path / "activities", "--strict").exit_code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_tests_of_an_unknown_environment_are_wrong_usage(tmp_path: Path) -> None:
    run("activities", "init", tmp_path)
    result = run("activities", "test", tmp_path / "activities", "--environment", "nope", width=200)
    assert result.exit_code == 2
    assert "'--environment': must be one of production, not 'nope'" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="names cannot have line ends there")
def test_finding_of_a_name_with_line_ends_is_one_line(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"targetry.yaml": "client: acme\n", "a\n::error::b.yaml": "[]"})
    (line,) = run("activities", "check", folder, width=200).stdout.splitlines()
    assert "a\\n::error::b.yaml:1:1: error TA002" in line
