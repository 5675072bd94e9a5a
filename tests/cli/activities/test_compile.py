from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.activities import HERO, SETTINGS, write_files
from support.cli import run, text_output
from support.git import git_in
from targetry.activities.model.schema import schema_text
from targetry.device.artifact import artifact_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "activities", {"hero.yaml": HERO})


def test_new_project_compiles_to_an_artifact(tmp_path: Path) -> None:
    assert text_output("activities", "init", tmp_path, "--client", "o'k").startswith(str(tmp_path))
    output = tmp_path / "rules.json"
    assert run("activities", "compile", tmp_path / "activities", "-O", output).exit_code == 0
    assert json.loads(output.read_text())["meta"]["clientCode"] == "o'k"
    assert "2 activities · 2 locations · 4 rules" in text_output("artifact", output)
    assert run("activities", "compile", tmp_path / "activities", "--locked", "-O", output).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-O", "activities/hero.yaml"], "must not be named as a file of activities is"),
        (["-O", "a.json", "--generated-at", "noon"], "must be a time such as"),
        (["--all-environments", "b", "--environment", "x"], "give one of --environment and"),
    ],
    ids=["output-is-a-source", "time", "environment-of-all"],
)
def test_wrong_option_changes_no_file(folder: Path, options: list[str], message: str) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run("activities", "compile", folder, *options, width=200)
    assert result.exit_code == 2
    assert message in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_init_overwrites_nothing(folder: Path) -> None:
    result = run("activities", "init", folder.parent)
    assert result.exit_code == 1
    assert "has files already" in result.stderr


def test_first_compilation_writes_the_lock(folder: Path) -> None:
    result = run("activities", "compile", folder, "-O", "-", width=200)
    assert result.exit_code == 0
    assert "targetry.lock was written; commit it" in result.stderr
    assert json.loads(result.stdout)["rules"]["mboxes"]["hero"]
    text = (folder / "targetry.lock").read_text()
    assert '"everyday": {"id": 0, "windows": [[0, 5000]]}' in text
    again = run("activities", "compile", folder, "-O", "-")
    assert (again.stdout, again.stderr) == (result.stdout, "")
    assert (folder / "targetry.lock").read_text() == text


def test_locked_compilation_fails_when_the_lock_is_out_of_date(folder: Path) -> None:
    output = folder.parent / "a.json"
    result = run("activities", "compile", folder, "--locked", "-O", output, width=200)
    assert result.exit_code == 1
    assert "error TA007: the lock is out of date; run targetry activities lock" in result.stderr
    assert not output.exists()
    assert not (folder / "targetry.lock").exists()


def test_errors_are_printed_with_positions_and_nothing_is_written(folder: Path) -> None:
    write_files(folder, {"b.yaml": "key: b\nshares: 1\nexperiences: [{key: x, share: 1}]\n"})
    result = run("activities", "compile", folder, "-O", folder.parent / "a.json")
    assert result.exit_code == 1
    assert result.stderr == f"{folder}/b.yaml:2:1: error TA002: unknown key 'shares'\n"
    assert sorted(path.name for path in folder.iterdir()) == ["b.yaml", "hero.yaml", "targetry.yaml"]


def test_all_environments_are_written(folder: Path) -> None:
    write_files(folder, {"targetry.yaml": SETTINGS + "environments: {production: {}, staging: {only: []}}\n"})
    output = folder.parent / "out"
    assert run("activities", "compile", folder, "--all-environments", output).exit_code == 0
    assert sorted(path.name for path in output.iterdir()) == ["production.json", "staging.json"]
    assert json.loads((output / "staging.json").read_text())["rules"]["mboxes"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --output and --all-environments"),
        (["-O", "a", "--environment", "other"], "environments are production"),
        (["-O", "a", "--bin"], "--bin needs the organization"),
    ],
    ids=["no output", "environment", "organization"],
)
def test_wrong_arguments_say_what_is_right(folder: Path, arguments: list[str], message: str) -> None:
    result = run("activities", "compile", folder, *arguments, width=200)
    assert result.exit_code == 2
    assert message in result.stderr


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    result = run("activities", "compile", tmp_path / "x", "-O", "-", width=300)
    assert result.exit_code == 1
    assert f"there is no folder {tmp_path / 'x'}" in result.stderr


def test_obfuscated_artifact_and_time_are_written(folder: Path) -> None:
    output = folder.parent / "rules.bin"
    organization = "0123456789ABCDEF01234567@AdobeOrg"
    options = ("--bin", "--organization-id", organization, "--generated-at", "2026-01-01T00:00:00Z")
    assert run("activities", "compile", folder, "-O", output, *options).exit_code == 0
    document = json.loads(artifact_text(output.read_bytes(), organization_id=organization))
    assert document["meta"]["generatedAt"] == "2026-01-01T00:00:00Z"


def test_derived_tokens_are_not_for_reports_of_adobe(folder: Path) -> None:
    arguments = ("activities", "compile", folder, "-O", folder.parent / "a.json", "--for", "adobe-reporting")
    result = run(*arguments, width=300)
    assert result.exit_code == 1
    assert "hero.yaml:4:" in result.stderr
    assert "error TA008: Adobe's Delivery API does not know" in result.stderr
    assert not (folder / "targetry.lock").exists()
    checked = run("activities", "check", folder, "--for", "adobe-reporting", "--select", "TA008")
    assert (checked.exit_code, "TA008" in checked.stdout) == (1, True)
    known = HERO.replace("html:", "token: known, html:").replace("click", "click, token: other")
    write_files(folder, {"hero.yaml": known})
    assert run(*arguments).exit_code == 0


@pytest.mark.slow
def test_two_compilers_write_one_lock(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(
                subprocess.run,
                [
                    sys.executable,
                    "-m",
                    "targetry",
                    "activities",
                    "compile",
                    folder,
                    "-O",
                    folder.parent / f"{n}.json",
                ],
                check=True,
            )
            for n in range(2)
        ]
        for one in runs:
            one.result()
    assert (folder.parent / "0.json").read_bytes() == (folder.parent / "1.json").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["hero.yaml", "targetry.lock", "targetry.yaml"]


def test_lock_is_laid_out_afresh_on_demand(folder: Path) -> None:
    assert run("activities", "lock", folder).exit_code == 0
    path = folder / "hero.yaml"
    path.write_text(HERO.replace("share: 50", "share: 20", 1).replace("share: 50", "share: 80", 1))
    assert run("activities", "lock", folder).exit_code == 0
    assert '"sale": {"id": 1, "windows": [[2000, 10000]]}' in (folder / "targetry.lock").read_text()
    path.write_text(HERO)
    assert run("activities", "lock", folder).exit_code == 0
    assert '"sale": {"id": 1, "windows": [[2000, 7000]]}' in (folder / "targetry.lock").read_text()
    assert run("activities", "lock", folder, "--relayout", "hero").exit_code == 0
    assert '"everyday": {"id": 0, "windows": [[0, 5000]]}' in (folder / "targetry.lock").read_text()
    assert "is up to date" in run("activities", "lock", folder, width=300).stderr
    assert run("activities", "lock", folder, "--relayout", "other").exit_code == 2
    assert run("activities", "lock", folder, "--release", "other").exit_code == 2


def test_lock_of_a_revision_resolves_a_conflict(folder: Path) -> None:
    git = git_in(folder)
    assert run("activities", "lock", folder).exit_code == 0
    text = (folder / "targetry.lock").read_text()
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (folder / "targetry.lock").write_text("<<<<<<< ours\n")
    assert run("activities", "lock", folder).exit_code == 1
    assert run("activities", "lock", folder, "--base", "HEAD").exit_code == 0
    assert (folder / "targetry.lock").read_text() == text
    for revision in ("missing", "--help", ""):
        assert run("activities", "lock", folder, "--base", revision).exit_code == 1


def test_slice_of_a_former_member_is_released(folder: Path) -> None:
    members = "[{activity: hero, share: 50}, {activity: b, share: 50}]"
    group = f"{SETTINGS}groups: {{g: {{members: {members}}}}}\n"
    files = {"targetry.yaml": group, "b.yaml": "key: b\ntype: xt\nexperiences: [{key: x}]\n"}
    write_files(folder, files)
    assert run("activities", "lock", folder).exit_code == 0
    alone = group.replace(", {activity: b, share: 50}", "").replace("share: 50", "share: 100")
    (folder / "targetry.yaml").write_text(alone)
    (folder / "b.yaml").unlink()
    assert "--release KEY" in run("activities", "lock", folder, width=300).stderr
    assert run("activities", "lock", folder, "--release", "b").exit_code == 0
    assert '"rest": {}' in (folder / "targetry.lock").read_text()


def test_schema_is_written_and_printed(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    assert run("activities", "schema", "-O", path).exit_code == 0
    assert path.read_text() == schema_text() == text_output("activities", "schema")
