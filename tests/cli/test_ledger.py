from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from support import cli
from support.cases import each_case
from support.ledger import event, first_format, outcome
from targetry.ledger.database import FILE_NAME
from targetry.ledger.event import ActivityDescription
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader

DAY_MS = 86_400_000

run = partial(cli.run, width=200)


def ids(folder: Path) -> list[str]:
    with Reader.open(folder) as reader:
        return [one.id for one in reader.events()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Record two events from 1970 and one from the future."""
    with Ledger.open(tmp_path) as ledger:
        ledger.record([event("a"), event("b", visitor="bob", at=2000), event("z", visitor="eve", at=2**60)])
    return tmp_path


def test_old_events_are_removed_and_counted(folder: Path) -> None:
    result = run("ledger", "prune", "--data", folder, "--keep-days", "30")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 events removed\n")
    assert ids(folder) == ["z"]
    assert {file.name for file in folder.iterdir()} >= {FILE_NAME}


def test_dry_run_removes_nothing(folder: Path) -> None:
    result = run("ledger", "prune", "--data", folder, "--keep-days", "30", "--dry-run")
    assert result.stdout.startswith("2 events would be removed (about)\n")
    assert ids(folder) == ["a", "b", "z"]


def test_oldest_events_are_removed_until_the_file_is_small(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        for start in range(0, 4000, 1000):
            ledger.record(
                [event(f"{n}", visitor=f"v{n}", location="x" * 500) for n in range(start, start + 1000)]
            )
    assert (tmp_path / FILE_NAME).stat().st_size > 2_000_000
    assert run("ledger", "prune", "--data", tmp_path, "--max-size", "1MB").exit_code == 0
    left = ids(tmp_path)
    assert 500 < len(left) < 3000
    assert left[-1] == "3999"
    assert (tmp_path / FILE_NAME).stat().st_size <= 1_100_000


def test_visitor_is_erased(folder: Path) -> None:
    result = run("ledger", "erase", "ada", "unknown", "--data", folder)
    assert (result.exit_code, result.stdout) == (0, "1 event removed\n")
    assert "the ledger has no event of 'unknown'; targetry ledger export" in result.stderr
    assert ids(folder) == ["b", "z"]


def test_unknown_visitor_to_erase_is_noted(folder: Path) -> None:
    result = run("ledger", "erase", "Ada", "--data", folder)
    assert (result.exit_code, result.stdout) == (0, "0 events removed\n")
    assert "the ledger has no event of 'Ada'" in result.stderr
    assert ids(folder) == ["a", "b", "z"]


def test_files_that_can_still_hold_erased_events_are_noted(folder: Path) -> None:
    (folder / "ledger-1.corrupt").touch()
    with Ledger.open(folder):
        result = run("ledger", "erase", "ada", "--data", folder)
    assert "ledger.db-wal can still hold events of the visitors: end the edge" in result.stderr
    assert "ledger-1.corrupt can still hold events of the visitors: it is a damaged file" in result.stderr


def test_copy_has_the_events_and_names_of_the_source(folder: Path, tmp_path: Path) -> None:
    with Ledger.open(folder) as ledger:
        ledger.describe([ActivityDescription("1", "Hero")])
    result = run("ledger", "copy", folder, tmp_path / "copy")
    assert result.stdout == "3 events copied, 0 events known before\n"
    again = run("ledger", "copy", folder, tmp_path / "copy")
    assert again.stdout == "0 events copied, 3 events known before\n"
    with Reader.open(tmp_path / "copy") as copied:
        assert [one.id for one in copied.events()] == ["a", "b", "z"]
        assert [one.name for one in copied.activities()] == ["Hero"]


@each_case("target", ["ledger", "./ledger", "other/../ledger"])
def test_copy_of_a_ledger_to_itself_is_a_mistake(target: str) -> None:
    result = run("ledger", "copy", "ledger", target)
    assert result.exit_code == 2
    assert "a ledger cannot be copied to itself" in result.stderr


def test_report_has_its_period_after_a_removal(folder: Path) -> None:
    pytest.importorskip("scipy")
    run("ledger", "prune", "--data", folder, "--keep-days", "30")
    text = run("report", "--data", folder).stdout
    assert "2 events were removed" in text
    period = json.loads(run("report", "--data", folder, "-o", "json").stdout)["period"]
    assert period["removed"] == 2
    assert period["fromMs"] == period["toMs"]


def test_report_upgrades_a_file_of_the_first_format(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    first_format(tmp_path, outcome("0", 20, 5))
    assert "5" in run("report", "--data", tmp_path).stdout
    with Reader.open(tmp_path) as reader:
        assert reader.has_sums


MISTAKES: dict[str, tuple[list[str], str]] = {
    "nothing to keep": ([], "pass --keep-days, --max-size, or both"),
    "no days": (["--keep-days", "0"], "'--keep-days': must be above 0"),
    "not a number of days": (["--keep-days", "nan"], "'--keep-days': must be above 0"),
    "no size": (["--max-size", "much"], "must be a size like 500MB or 2GB, not 'much'"),
    "negative size": (["--max-size", "-5MB"], "must be a size like"),
    "tiny size": (["--max-size", "10kB"], "'--max-size': must be at least 1 MB"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_reported_with_the_option(folder: Path, arguments: list[str], message: str) -> None:
    result = run("ledger", "prune", "--data", folder, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert ids(folder) == ["a", "b", "z"]


def test_folder_without_a_ledger_is_an_error_and_stays_empty(tmp_path: Path) -> None:
    result = run("ledger", "prune", "--data", tmp_path, "--keep-days", "1")
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: there is no ledger in {tmp_path}: no edge has recorded there; check the folder\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.touch()
    for command in (["edge", "--data"], ["report", "--data"]):
        result = run(*command, file)
        assert result.exit_code == 1
        assert f"{file}" in result.stderr
        assert result.stderr.endswith(" is not a folder\n")


EXPORTED = (("events", "parquet", 3), ("exposures", "csv", 3), ("sums", "jsonl", 2))


@pytest.mark.parametrize(("table", "suffix", "count"), EXPORTED)
def test_tables_are_exported_to_files(
    folder: Path, tmp_path: Path, table: str, suffix: str, count: int
) -> None:
    duckdb = pytest.importorskip("duckdb")
    file = tmp_path / f"out.{suffix}"
    result = run("ledger", "export", "--data", folder, "--table", table, "--out", file)
    assert result.stdout == f"{count} rows written to {file}\n", result.output
    reading = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}[suffix]
    assert duckdb.sql(f"SELECT count(*) FROM {reading}('{file}')").fetchall() == [(count,)]


def test_export_into_a_missing_folder_names_the_folder(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    result = run("ledger", "export", "--data", folder, "--out", tmp_path / "missing" / "out.csv")
    assert result.exit_code != 0
    text = " ".join(result.stderr.replace("│", " ").split())
    assert "--out" in text
    assert "does not exist; create it" in text


def test_export_takes_dates_as_utc(folder: Path, tmp_path: Path) -> None:
    for more, count in (
        (["--until", "1970-01-01T00:00:02"], 1),
        (["--since", "1970-01-01T01:00:02+01:00", "--until", "1970-01-02"], 1),
        (["--activity", "9"], 0),
    ):
        result = run("ledger", "export", "--data", folder, "--out", tmp_path / "out.csv", *more)
        assert result.stdout.startswith(f"{count} row"), result.output


NOTES = {
    "--activity nope": "note: --activity nope: the ledger has no activity with this id; targetry report lists the ids",
    "--since 2200-01-01 --until 2200-01-02": "note: no row matches --since, --until and --activity",
    "--until 1970-01-02": "",
}


@pytest.mark.parametrize("arguments", NOTES)
def test_filter_of_an_export_that_matches_nothing_is_noted(
    folder: Path, tmp_path: Path, arguments: str
) -> None:
    result = run("ledger", "export", "--data", folder, "--out", tmp_path / "out.csv", *arguments.split())
    assert (result.exit_code, result.stderr.strip()) == (0, NOTES[arguments])


BAD_EXPORTS = {
    "end before all times": (["--until", "1960-01-01"], "must be after 1970, not '1960-01-01'"),
    "activity": (["--activity", "\udcff"], "activities[0]: is not Unicode"),
    "time": (["--since", "noon"], "'--since': must be a date or a time like"),
    "end": (["--since", "2026-11-27", "--until", "2026-11-26"], "must be after --since 2026-11-27"),
    "suffix": (["--out", "out.xlsx"], "'--out': unknown format '.xlsx'; known are .parquet"),
    "table": (["--table", "all"], "'all' is not one of"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_EXPORTS.values(), ids=BAD_EXPORTS)
def test_wrong_options_of_an_export_are_named(
    folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = run("ledger", "export", "--data", folder, "--out", tmp_path / "out.csv", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out.csv").exists()


def test_failed_export_leaves_the_earlier_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("earlier")
    (folder / FILE_NAME).write_bytes(b"SQLite format 3\x00" + b"?" * 5000)
    assert run("ledger", "export", "--data", folder, "--out", file).exit_code == 1
    assert file.read_text() == "earlier"
    assert [one.name for one in tmp_path.iterdir() if "unfinished" in one.name] == []
