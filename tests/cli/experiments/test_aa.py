"""`targetry aa` and `targetry selftest`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from support import cli
from support.activities import HERO, write_files
from support.cli import write_artifact
from support.device import mboxes_of, rule
from support.ledger import ACTIVITY, outcome
from targetry import samples
from targetry.device.logic.allocation import bucket
from targetry.ledger.ledger import Ledger

pytest.importorskip("scipy")


def run(command: str, *more: str | Path) -> Result:
    return cli.run(*command.split(), *more, width=120)


def message_of(result: Result) -> str:
    return " ".join(result.stderr.replace("│", " ").split())


FEW = "aa --activities 10 --visitors 200"


def test_tests_of_a_report_are_tried_on_equal_experiences() -> None:
    result = run(FEW)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("10 A/A tests of 200 visitors\nTest ")
    assert "\nbuckets are even: p = " in result.stdout
    assert "\nactivities are independent: p = " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("sound: ")
    assert run(FEW).stdout == result.stdout


OPTIONS = ("--seed 2", "--rate 40%", "--shares 80,20", "--client acme")


@pytest.mark.parametrize("option", OPTIONS)
def test_option_of_aa_acts(option: str) -> None:
    assert run(f"{FEW} {option} -o json").stdout != run(f"{FEW} -o json").stdout


def test_aa_prints_json() -> None:
    made = json.loads(run(FEW + " -o json").stdout)
    assert (made["activities"], made["visitors"], made["isSound"]) == (10, 200, True)
    assert made["tests"][0]["alarms"]["name"] == "conversion"


def test_aa_takes_the_activities_of_a_folder(tmp_path: Path) -> None:
    folder = write_files(
        tmp_path / "activities", {"hero.yaml": HERO.replace("50", "80", 1).replace("50", "20", 1)}
    )
    made = json.loads(run(f"{FEW} -o json", folder).stdout)
    assert made != json.loads(run(f"{FEW} --client acme -o json").stdout)
    artifact = tmp_path / "rules.json"
    assert run("activities compile", folder, "--output", artifact).exit_code == 0
    assert json.loads(run(f"{FEW} -o json", artifact).stdout) == json.loads(
        run(f"{FEW} -o json", folder).stdout
    )
    result = run(FEW, artifact, "--environment", "production")
    assert result.exit_code == 2
    assert "--environment is for a folder of activities" in message_of(result)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(FEW, empty).exit_code != 0


def test_aa_takes_client_ids_and_shares_of_an_artifact() -> None:
    made = run(f"{FEW} -o json", samples.shop_path())
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) != json.loads(run(FEW + " -o json").stdout)


def test_aa_reads_the_ids_of_visitors_from_a_file(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"visitor-{n}\n" for n in range(150)) + "\nvisitor-0\n")
    made = json.loads(run("aa --activities 10 -o json --visitors", ids).stdout)
    assert made["visitors"] == 150


def test_allocation_that_is_not_even_ends_with_status_3(tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    visitors = (f"visitor-{n}" for n in range(5_000))
    ids.write_text("\n".join(one for one in visitors if bucket("acme", "482910", one) < 1_000))
    result = run("aa --activities 10 --visitors", ids, samples.shop_path())
    assert result.exit_code == 3
    assert "\nbuckets are not even: p < 0.0001\n" in result.stdout
    assert result.stdout.endswith("not sound: more false alarms, or less even than chance explains\n")


MISTAKES = {
    "aa --visitors 20": "--visitors must be at least 100, not 20",
    "aa --visitors no-such-file": "--visitors no-such-file: No such file or directory",
    "aa --rate 0": "--rate must be above 0 and below 100 %, not '0'",
    "aa --shares half": "'--shares': must be numbers like 50,50, not 'half'",
    "aa --activity 1": "--activity is for a ledger, whose outcomes are split again",
    "aa --environment test": "--environment and --organization-id are for an artifact or a folder",
    "aa --organization-id a@AdobeOrg": "--environment and --organization-id are for an artifact or a folder",
    f"aa {samples.shop_path()} --shares 50,50": "an artifact has the shares; leave it or --shares out",
    "aa --shares 50": "'--shares': must be two or more numbers above 0",
    "aa --activities 2": "Input should be greater than or equal to 10",
    "selftest statistics --runs 1": "Input should be greater than or equal to 10",
}


@pytest.mark.parametrize(("command", "message"), MISTAKES.items(), ids=MISTAKES)
def test_mistake_is_named(command: str, message: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert message in message_of(result)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    with Ledger.open(folder, sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record([*outcome("0", 100, 10), *outcome("1", 100, 90), *outcome("0", 9, 3, activity="2")])
    return folder


def test_outcomes_of_a_ledger_are_split_again(ledger: Path) -> None:
    """Compare experiences that differ in the ledger, but not after another split."""
    made = json.loads(run(f"aa --activities 10 --activity {ACTIVITY.name} -o json --data", ledger).stdout)
    assert (made["visitors"], made["isSound"]) == (200, True)
    orders = [one for one in made["tests"] if one["alarms"]["name"] == "orders"]
    assert {one["alarms"]["wrong"] for one in orders} == {0}


LEDGER_MISTAKES = {
    "--visitors 200 --activity 1": "a ledger has the visitors and the rate; leave --visitors and --rate out",
    "--rate 5% --activity 1": "a ledger has the visitors and the rate",
    "": "a ledger needs --activity, the id or name of an activity of the ledger",
    "--activity 7": "activity '7' has no visitors in the ledger",
    "--activity 2": "A/A tests need at least 100",
}


@pytest.mark.parametrize(("options", "message"), LEDGER_MISTAKES.items(), ids=LEDGER_MISTAKES)
def test_mistake_with_a_ledger_is_named(ledger: Path, options: str, message: str) -> None:
    result = run(f"aa --activities 10 {options} --data", ledger)
    assert result.exit_code == 2
    assert message in message_of(result)


def test_artifact_without_a_split_is_rejected(tmp_path: Path) -> None:
    path = write_artifact(tmp_path, mboxes_of(rule()))
    assert "has no A/B activity with two experiences" in message_of(run(FEW, path))


def test_self_test_prints_error_rates_next_to_their_limits() -> None:
    result = run("selftest statistics --runs 10")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "false alarm: conversion of 50 %" in result.stdout


@pytest.mark.slow
def test_self_test_prints_json() -> None:
    made = json.loads(run("selftest statistics --runs 10 --seed 2 -o json").stdout)
    assert {one["runs"] for one in made} == {10, 40}
