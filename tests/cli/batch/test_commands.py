"""Commands for tables of visitors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from support.cli import json_output, run, text_output, write_artifact
from support.device import mboxes_of, rule, window

IDS = [f"visitor-{number}" for number in range(500)]


def split(at: int, content: str = "hello") -> Any:
    return mboxes_of(
        rule(1, window(0, at), content=content), rule(1, window(at, 99.99), experience=1, content="bye")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pa.parquet.write_table(pa.table({"tnt_id": IDS, "crm_id": range(500)}), tmp_path / "in.parquet")
    for name, document in (("a", split(50)), ("b", split(60)), ("c", split(50, "new"))):
        write_artifact(tmp_path, document, f"{name}.json")
    return tmp_path


def arguments(folder: Path, before: str, after: str) -> list[str | Path]:
    artifacts = ["--before", folder / f"{before}.json", "--after", folder / f"{after}.json"]
    return ["diff", folder / "in.parquet", *artifacts, "--mbox", "hero"]


def test_decide_writes_the_decisions(folder: Path) -> None:
    out = folder / "out.parquet"
    more = ["--keep", "crm_id", "--write", "experience_id", "--out", out]
    found = json_output("decide", folder / "in.parquet", "-a", folder / "a.json", "-m", "hero", *more)
    assert (found["rows"], found["rows_written"], found["missing"]) == (500, 500, [])
    table = pa.parquet.read_table(out)
    assert table.column_names == ["row", "crm_id", "location", "experience_id"]
    assert {*table["experience_id"].to_pylist()} == {"0", "1"}


def test_decide_reports_missing_columns(folder: Path) -> None:
    write_artifact(folder, mboxes_of(rule(1, {"==": [{"var": "mbox.plan"}, "gold"]})), "d.json")
    base = [
        "decide",
        folder / "in.parquet",
        "-a",
        folder / "d.json",
        "-m",
        "hero",
        "--out",
        folder / "out.csv",
    ]
    result = run(*base)
    assert result.exit_code == 0
    assert "mbox.plan" in result.stderr
    assert run(*base, "-p", "plan=crm_id").stderr == ""
    assert run(*base, "--strict").exit_code == 1


def test_options_name_columns(folder: Path) -> None:
    pa.parquet.write_table(pa.table({"who": IDS}), folder / "other.parquet")
    base = ["forecast", folder / "other.parquet", "-a", folder / "a.json", "-m", "hero"]
    assert run(*base).exit_code == 1
    assert json_output(*base, "--column", "tnt_id=who")["rows"] == 500
    assert "there is no 'who'" in run(*base, "--column", "who=tnt_id").stderr.replace("\n", " ")


def test_diff_exits_with_two_if_something_changes(folder: Path) -> None:
    assert run(*arguments(folder, "a", "a")).exit_code == 0
    result = run(*arguments(folder, "a", "b"))
    assert result.exit_code == 2
    assert "split of Experience 1, 50–99.99 % → 60–99.99 %" in result.stdout
    assert run(*arguments(folder, "a", "b"), "--at-most", "20%").exit_code == 0
    assert run(*arguments(folder, "a", "c")).exit_code == 2
    assert run(*arguments(folder, "a", "c"), "--allow", "content,gained").exit_code == 0


WRONG: dict[str, list[str]] = {
    "no such file": ["nope.parquet"],
    "unknown option": ["--nope"],
    "unknown kind": ["--allow", "everything"],
    "no percentage": ["--at-most", "much"],
    "table and visitors": ["in.parquet", "--visitors", "5"],
    "neither": [],
}


@pytest.mark.parametrize("more", WRONG.values(), ids=WRONG)
def test_diff_exits_with_one_for_an_error(folder: Path, more: list[str]) -> None:
    base = ["diff", "--before", folder / "a.json", "--after", folder / "b.json", "-m", "hero"]
    result = run(*base, *(folder / one if one.endswith("parquet") else one for one in more))
    assert result.exit_code == 1, result.output
    assert result.stderr


def test_diff_of_made_up_visitors_compares_splits(folder: Path) -> None:
    base = ["diff", "--visitors", "2000", "--before", folder / "a.json", "--after", folder / "b.json"]
    result = run(*base, "-m", "hero", "-o", "json")
    assert result.exit_code == 2
    assert "made up" in result.stderr
    found = json.loads(result.stdout)
    assert found["rows"] == 2000
    assert found.keys() == {
        "rows",
        "rows_with_error",
        "changes",
        "missing",
        "unknown_locations",
        "share_changed",
    }


def test_diff_as_markdown_is_a_table(folder: Path) -> None:
    result = run(*arguments(folder, "a", "b"), "-o", "markdown")
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert {line.count(" | ") for line in lines} == {7}


def test_diff_writes_the_rows_that_change(folder: Path) -> None:
    run(*arguments(folder, "a", "b"), "--changed", folder / "changed.parquet")
    assert pa.parquet.read_table(folder / "changed.parquet").num_rows > 10


def test_forecast_counts_experiences(folder: Path) -> None:
    base = ["forecast", folder / "in.parquet", "-a", folder / "a.json", "-m", "hero"]
    assert json_output(*base)["overlap"] == {"1": 500}
    assert "Experience 1" in text_output(*base)
    assert "| Location |" in text_output(*base, "-o", "markdown")


def test_diff_draws_who_moves(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    run(*arguments(folder, "a", "b"), "--plot", folder / "moves.svg")
    drawn = (folder / "moves.svg").read_text("utf-8")
    assert ">hero<" in drawn
    assert ">of 500 rows<" in drawn
    assert re.search(r">\d+\.\d\d %, \d+ rows: experience<", drawn)
    assert run(*arguments(folder, "a", "a"), "--plot", folder / "same.png").exit_code == 1


def test_forecast_draws_shares_with_those_of_the_windows(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    base = ["forecast", folder / "in.parquet", "-a", folder / "a.json", "-m", "hero"]
    assert run(*base, "--plot", folder / "shares.svg").exit_code == 0
    assert ">of 500 rows; line: by the windows<" in (folder / "shares.svg").read_text("utf-8")
    wrong = run(*base, "--plot", folder / "shares.pdf")
    assert (wrong.exit_code, wrong.stdout) == (2, "")


def test_table_is_not_replaced_by_its_output(folder: Path) -> None:
    table, one = folder / "in.parquet", folder / "a.json"
    content = table.read_bytes()
    for form in (table, folder / "*.parquet"):
        result = run("decide", form, "-a", one, "-m", "hero", "--out", table)
        assert (result.exit_code, "is a file of the table" in result.stderr) == (1, True)
    result = run(*arguments(folder, "a", "b"), "--changed", table)
    assert result.stderr.startswith("error: --changed: ")
    assert table.read_bytes() == content


def test_exposures_need_a_time_and_have_fixed_columns(folder: Path) -> None:
    base = ["decide", folder / "in.parquet", "-a", folder / "a.json", "-m", "hero", "--exposures"]
    base += ["--out", folder / "log.parquet"]
    assert run(*base).stderr.startswith("error: --time: is needed: exposures have a time")
    for option, more in (("--wide", []), ("--write", ["reason"]), ("--keep", ["crm_id"])):
        result = run(*base, "--time", "2026-11-27", option, *more)
        assert result.stderr.startswith(f"error: {option}: has no effect on exposures")
    assert run(*base, "--time", "2026-11-27").exit_code == 0


@pytest.mark.parametrize("command", ["decide", "diff", "forecast"])
def test_location_that_no_artifact_has_is_noted(folder: Path, command: str) -> None:
    one = folder / "a.json"
    artifacts = ["--before", one, "--after", one] if command == "diff" else ["-a", one]
    out = ["--out", folder / "out.csv"] if command == "decide" else []
    result = run(command, folder / "in.parquet", *artifacts, "-m", "heros", "--view", "home", *out)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "note: location 'heros' is not in the artifact",
        "note: location 'view:home' is not in the artifact",
    ]


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ([], "--mbox: no location is given"),
        (["-m", "hero", "--write", "score"], "--write: there is no output 'score'"),
        (["-m", "hero", "--keep", "score"], "--keep: the table has no column 'score'"),
        (["-m", "hero", "--out", "out.txt"], "--out: unknown format '.txt'"),
    ],
    ids=lambda value: value[-2:] if isinstance(value, list) else "",
)
def test_errors_name_the_option_of_the_command(folder: Path, options: list[str], start: str) -> None:
    result = run(
        "decide", folder / "in.parquet", "-a", folder / "a.json", "--out", folder / "o.csv", *options
    )
    assert result.stderr.startswith(f"error: {start}")


def test_artifact_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "b.json").write_text('"a text"')
    assert run(*arguments(folder, "a", "b")).stderr.startswith(f"error: {folder / 'b.json'}: ")


@pytest.mark.parametrize(("command", "status"), [("decide", 2), ("forecast", 2), ("diff", 1), ("shadow", 1)])
def test_wrong_usage_is_1_only_where_2_has_a_meaning(command: str, status: int) -> None:
    assert run(command, "--no-such-option").exit_code == status
