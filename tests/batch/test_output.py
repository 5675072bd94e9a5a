"""Layouts, columns and sources of decisions for tables."""

from __future__ import annotations

import gc
import json
import os
import re
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from support.cases import each_case
from support.device import NOW_MS, artifact, mboxes_of, rule, window
from targetry.batch import Columns, Decider, decide, write
from targetry.errors import OptionError

CLIENT = "acme"
SPLIT = mboxes_of(rule(1, window(0, 50)), rule(1, window(50, 99.99), experience=1, content="bye"))
PAGE = artifact(
    {
        "hero": [rule(1, content="<b>${user.name}</b>"), rule(2)],
        "target-global-mbox": [rule(3, {"==": [{"var": "mbox.plan"}, "gold"]}), rule(4)],
    },
    {"cart": [rule(5, name="cart")], "pay": [rule(6, name="pay", condition=False)]},
)
PLAN = {"==": [{"var": "mbox.plan"}, "gold"]}


def table(count: int = 4, **columns: list[Any]) -> Any:
    ids = {"tnt_id": [f"visitor-{number}" for number in range(count)]}
    return pa.record_batch({**ids, **columns})


def test_wide_layout_has_a_row_for_each_row() -> None:
    batch = table(3).append_column("mbox.plan", pa.array(["gold", None, "silver"]))
    made = Decider(
        PAGE,
        client=CLIENT,
        mboxes=["hero"],
        page_load=True,
        views=["cart"],
        layout="wide",
        outputs=("activity_id", "error"),
        keep="*",
    )
    found = made.decide(batch)
    assert found.schema.names == ["row", "tnt_id", "mbox.plan", "hero", "page_load", "view:cart", "error"]
    assert found["page_load"].to_pylist() == [
        [{"activity_id": "3"}, {"activity_id": "4"}],
        [{"activity_id": "4"}],
        [{"activity_id": "4"}],
    ]
    assert found["hero"].to_pylist() == [{"activity_id": "1"}] * 3
    assert found["view:cart"].to_pylist() == [[{"activity_id": "5"}]] * 3


def test_long_layout_is_in_the_order_of_rows_and_locations() -> None:
    made = Decider(PAGE, client=CLIENT, mboxes=["hero"], page_load=True, views=True, outputs=("activity_id",))
    found = made.decide(table(2)).select(["row", "location", "activity_id"]).to_pylist()
    one_row = [("hero", "1"), ("target-global-mbox", "4"), ("cart", "5")]
    assert [tuple(one.values()) for one in found] == [(row, *of) for row in (0, 1) for of in one_row]


def test_row_of_a_location_without_match_has_the_reason() -> None:
    made = Decider(PAGE, client=CLIENT, views=["pay"], outputs=("activity_id", "reason"))
    assert made.decide(table(1)).to_pylist() == [
        {"row": 0, "location": "pay", "activity_id": None, "reason": "no_match"}
    ]


def test_macros_are_filled_for_each_row() -> None:
    batch = table(3).append_column("mbox.user.name", pa.array(["Ada", "Bo", None]))
    found = Decider(PAGE, client=CLIENT, mboxes=["hero"]).decide(batch)
    assert found["content"].to_pylist() == ["<b>Ada</b>", "<b>Bo</b>", "<b>${user.name}</b>"]


def test_response_tokens_of_the_place_are_those_of_the_row() -> None:
    document = mboxes_of(rule(7), responseTokens=["activity.id", "geo.country", "geo.latitude"])
    batch = table(2, country_code=["DE", None], latitude=[0.5, None])
    made = Decider(document, client=CLIENT, mboxes=["hero"], outputs=("response_tokens", "options"))
    tokens = [dict(one) for one in made.decide(batch)["response_tokens"].to_pylist()]
    assert tokens[0].items() >= {"activity.id": "7", "geo.country": "DE", "geo.latitude": "0.5"}.items()
    assert "geo.country" not in tokens[1]
    options = [json.loads(one)[0]["responseTokens"] for one in made.decide(batch)["options"].to_pylist()]
    assert options[0]["geo.latitude"] == 0.5
    assert {"country_code", "latitude"} <= set(made.reads)


def test_allocation_is_that_of_the_split() -> None:
    found = Decider(SPLIT, client=CLIENT, mboxes=["hero"], outputs=("allocation", "experience_id")).decide(
        table(50)
    )
    for one in found.to_pylist():
        assert (one["allocation"] <= 50) == (one["experience_id"] == "0")


def test_prefetch_has_event_tokens_in_its_options() -> None:
    for mode in ("execute", "prefetch"):
        made = Decider(SPLIT, client=CLIENT, mboxes=["hero"], outputs=("options",), mode=mode)  # type: ignore[arg-type]
        assert ("eventToken" in made.decide(table(1))["options"][0].as_py()) == (mode == "prefetch")


def test_map_of_parameters_is_read_as_columns_are() -> None:
    maps = [[("plan", "gold"), ("x", "1")], None, [], [("plan", "silver"), ("plan", "gold")]]
    kind = pa.map_(pa.string(), pa.string())
    batch = table(4).append_column("parameters", pa.array(maps, kind)).slice(0)
    made = Decider(mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"], outputs=("reason",))
    expected = ["matched", "no_match", "no_match", "matched"]
    assert made.decide(batch)["reason"].to_pylist() == expected
    assert made.decide(batch.slice(2))["reason"].to_pylist() == expected[2:]
    assert made.missing == []


def test_parameters_of_a_map_are_never_missing_columns() -> None:
    kind = pa.map_(pa.string(), pa.string())
    batch = table(2).append_column("parameters", pa.array([[], None], kind))
    made = Decider(mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"], strict=True)
    assert made.decide(batch)["reason"].to_pylist() == ["no_match"] * 2
    assert made.missing == []


def test_struct_of_parameters_is_read_as_columns_are() -> None:
    batch = table(2).append_column("parameters", pa.array([{"plan": "gold"}, {"plan": None}]))
    made = Decider(mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"], outputs=("reason",))
    assert made.decide(batch)["reason"].to_pylist() == ["matched", "no_match"]


def test_named_columns_are_read() -> None:
    batch = pa.record_batch({"visitor": ["a", "b"], "crm_plan": ["gold", "silver"]})
    columns = Columns(tnt_id="visitor", parameters={"plan": "crm_plan"})
    made = Decider(
        mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"], columns=columns, outputs=("reason",)
    )
    assert "crm_plan" in made.reads
    assert made.decide(batch)["reason"].to_pylist() == ["matched", "no_match"]


def test_missing_column_is_noted_or_an_error() -> None:
    made = Decider(mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"])
    made.decide(table())
    assert made.missing == ["mbox.plan"]
    with pytest.raises(OptionError, match=r"mbox\.plan"):
        Decider(mboxes_of(rule(1, PLAN)), client=CLIENT, mboxes=["hero"], strict=True).decide(table())


def test_row_with_an_error_does_not_end_the_run() -> None:
    batch = pa.record_batch(
        {
            "tnt_id": ["a", "x" * 129, "c", "d"],
            "mbox.n": [1.0, 2.0, float("nan"), 4.0],
            "time": pa.array([1, 2, 3, None], pa.timestamp("s")),
        }
    )
    late = {">": [{"var": "current_timestamp"}, 0]}
    made = Decider(mboxes_of(rule(1, late)), client=CLIENT, mboxes=["hero"])
    found = made.decide(batch)
    assert found["reason"].to_pylist() == ["matched", "error", "error", "error"]
    assert found["error"].to_pylist() == [
        None,
        "request.id.tnt_id: must have at most 128 characters, has 129",
        "request.execute.mboxes[0].parameters['n']: must be a finite number",
        "time: must not be null, unless all rows are decided at one time",
    ]
    assert made.stats.rows_with_error == 3


def test_row_with_too_many_parameters_is_an_error() -> None:
    columns = {f"mbox.p{number}": ["x", None if number else "x"] for number in range(51)}
    batch = pa.record_batch({"tnt_id": ["a", "b"], **columns})
    found = Decider(SPLIT, client=CLIENT, mboxes=["hero"]).decide(batch)
    assert found["reason"].to_pylist() == ["error", "matched"]


WRONG: dict[str, tuple[dict[str, Any], dict[str, list[Any]], str]] = {
    "no location": ({"mboxes": []}, {}, "mboxes: no location"),
    "mbox twice": ({"mboxes": ["hero", "hero"]}, {}, r"mboxes\[1\]: 'hero' is given twice"),
    "mboxes as text": ({"mboxes": "hero"}, {}, "mboxes: must be a list"),
    "mode": ({"mode": "fetch"}, {}, "mode: must be"),
    "layout": ({"layout": "tall"}, {}, "layout: must be"),
    "output": ({"outputs": ["contents"]}, {}, "outputs: there is no output 'contents'"),
    "time": ({"as_of": 7}, {}, "as_of: must be a datetime"),
    "client": ({"client": ""}, {}, "client: must be"),
    "kept column": ({"keep": ["crm"]}, {}, "keep: the table has no column 'crm'"),
    "kept name of an output": (
        {"keep": ["reason"]},
        {"reason": ["x"]},
        "keep: the output has two columns 'reason'",
    ),
    "column of a parameter": ({"columns": Columns(parameters={"a": "b"})}, {}, "the table has no column 'b'"),
    "type of a text": ({}, {"url": [1]}, r"table\['url'\]: must be text, not int64"),
    "type of a number": ({}, {"latitude": ["x"]}, r"table\['latitude'\]: must be a number"),
    "type of a parameter": ({}, {"mbox.a": [[1]]}, r"table\['mbox.a'\]: must be text, integers"),
    "column of properties": ({"property_token_column": "p"}, {}, "the table has no column 'p'"),
}


@each_case("options, columns, message", WRONG.values(), ids=WRONG)
def test_wrong_option_is_an_error_with_its_path(
    options: dict[str, Any], columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        Decider(SPLIT, **{"client": CLIENT, "mboxes": ["hero"], **options}).decide(table(1, **columns))


def test_table_without_visitor_ids_is_an_error() -> None:
    with pytest.raises(OptionError, match="no column of visitor ids"):
        Decider(SPLIT, client=CLIENT, mboxes=["hero"]).decide(pa.record_batch({"url": ["x"]}))


def test_time_is_needed_if_a_rule_reads_it() -> None:
    late = {">": [{"var": "current_timestamp"}, NOW_MS]}
    made = Decider(mboxes_of(rule(1, late)), client=CLIENT, mboxes=["hero"])
    with pytest.raises(OptionError, match="as_of: is needed: a rule reads the time"):
        made.decide(table(1))
    moment = datetime.fromtimestamp(NOW_MS / 1000 + 1, UTC)
    made = Decider(
        mboxes_of(rule(1, late)), client=CLIENT, mboxes=["hero"], as_of=moment, outputs=("reason",)
    )
    assert made.decide(table(1))["reason"].to_pylist() == ["matched"]


# ── sources ───

SOURCES: dict[str, Callable[[Any], Any]] = {
    "table": lambda table: table,
    "batches": lambda table: table.to_batches(max_chunksize=7),
    "polars": lambda table: import_module("polars").from_arrow(table),
    "pandas": lambda table: table.to_pandas(),
    "DuckDB": lambda table: import_module("duckdb").connect().from_arrow(table),
    "reader": lambda table: pa.RecordBatchReader.from_batches(
        table.schema, table.to_batches(max_chunksize=3)
    ),
}


def rows_of(source: Any) -> list[Any]:
    options: dict[str, Any] = {"client": CLIENT, "mboxes": ["hero"], "keep": ["tnt_id"]}
    found: list[Any] = decide(source, SPLIT, **options).read_all().to_pylist()
    return found


def big_table() -> Any:
    ids = [f"visitor-{number}" for number in range(100)]
    return pa.table({"tnt_id": ids, "url": ["https://shop.example/", None] * 50})


@pytest.mark.parametrize("convert", SOURCES.values(), ids=SOURCES)
def test_source_of_any_library_gets_the_same(convert: Callable[[Any], Any]) -> None:
    assert rows_of(convert(big_table())) == rows_of(big_table())
    assert [one["row"] for one in rows_of(convert(big_table()))] == list(range(100))


def test_file_of_any_format_gets_the_same(tmp_path: Path) -> None:
    import pandas

    table, options = big_table(), {"client": CLIENT, "mboxes": ["hero"], "keep": ["tnt_id"]}
    pa.parquet.write_table(table, tmp_path / "in.parquet")
    table.to_pandas().to_csv(tmp_path / "in.csv", index=False)
    table.to_pandas().to_json(tmp_path / "in.jsonl", orient="records", lines=True)
    with pa.ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table)
    pa.parquet.write_table(table.slice(0, 60), tmp_path / "part-1.parquet")
    pa.parquet.write_table(table.slice(60), tmp_path / "part-2.parquet")
    expected = rows_of(table)
    for name in ("in.parquet", "in.csv", "in.jsonl", "in.arrow", "part-*.parquet"):
        assert rows_of(str(tmp_path / name)) == expected, name
    assert rows_of([tmp_path / "part-1.parquet", str(tmp_path / "part-*.parquet")]) == expected
    for suffix in (".parquet", ".arrow", ".csv", ".jsonl"):
        out = tmp_path / f"out{suffix}"
        totals = write(tmp_path / "in.parquet", out, SPLIT, **options)
        assert totals.rows_written == 100
        frame = {
            ".parquet": lambda path: pa.parquet.read_table(path).to_pandas(),
            ".arrow": lambda path: pa.ipc.open_file(path).read_all().to_pandas(),
            ".csv": lambda path: pandas.read_csv(path, dtype=str),
            ".jsonl": lambda path: pandas.read_json(path, lines=True, dtype=False),
        }[suffix](out)
        assert [*frame["content"]] == [one["content"] for one in expected], suffix
    assert not list(tmp_path.glob(".*")), "no unfinished file is left"


def test_numeric_ids_of_a_csv_file_are_texts(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("tnt_id\n007\n42\n")
    found = decide(tmp_path / "in.csv", SPLIT, client=CLIENT, mboxes=["hero"], keep=["tnt_id"]).read_all()
    assert found["tnt_id"].to_pylist() == ["007", "42"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_times_of_texts_can_have_fractions_and_zones(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targetry.batch.stream._HEAD", 1000)
    late = {"<": [1_767_258_000_000, {"var": "current_timestamp"}]}
    # The first block of a file has no fractions.
    times = [*["2026-01-01T09:00:00Z"] * 200, "2026-01-01T09:00:00.001Z", "2026-01-01T11:00:00.5+02:00"]
    csv = "".join(f"visitor,{time}\n" for time in times)
    lines = "".join(f'{{"tnt_id": "visitor", "time": "{time}"}}\n' for time in times)
    (tmp_path / f"in{suffix}").write_text(f"tnt_id,time\n{csv}" if suffix == ".csv" else lines)
    options: dict[str, Any] = {"client": CLIENT, "mboxes": ["hero"], "outputs": ("content",)}
    found = decide(tmp_path / f"in{suffix}", mboxes_of(rule(1, late)), **options).read_all()
    assert [one is not None for one in found["content"].to_pylist()[-3:]] == [False, True, True]


def test_exposures_have_the_columns_of_an_assignment_log(tmp_path: Path) -> None:
    batch = pa.record_batch({"tnt_id": ["a.28_0", None], "time": pa.array([1, 2], pa.timestamp("s"))})
    out = tmp_path / "out.parquet"
    write(batch, out, mboxes_of(rule(1)), client=CLIENT, mboxes=["hero"], as_exposures=True)
    assert pa.parquet.read_table(out).to_pylist() == [
        {
            "unit_id": "a",
            "timestamp": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            "experiment_id": "1",
            "variation_id": "0",
            "location": "hero",
        }
    ]


def test_interrupted_run_leaves_no_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write(big_table(), out, SPLIT, client=CLIENT, mboxes=["hero"], progress=interrupt)
    assert out.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.parquet"]


def test_next_day_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    abandoned, fresh, other = (tmp_path / f".{name}.unfinished" for name in ("o.csv.1", "o.csv.2", "x.csv.1"))
    for file, age in ((abandoned, 90_000), (fresh, 0), (other, 90_000)):
        file.write_bytes(b"rows")
        os.utime(file, (time.time() - age,) * 2)
    write(big_table(), tmp_path / "o.csv", SPLIT, client=CLIENT, mboxes=["hero"])
    assert {file.name for file in tmp_path.iterdir()} == {"o.csv", fresh.name, other.name}


def test_progress_reports_rows_and_their_number(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    write(
        big_table(),
        tmp_path / "out.csv",
        SPLIT,
        client=CLIENT,
        mboxes=["hero"],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(100, 100)]


BAD_SOURCES: dict[str, Any] = {
    "no file": "nope.parquet",
    "number": 7,
    "nothing": [],
    "no batches": [1, 2],
    "unknown format": __file__,
}


@each_case("source", BAD_SOURCES.values(), ids=BAD_SOURCES)
def test_source_that_is_no_table_is_an_error(source: Any) -> None:
    with pytest.raises(OptionError, match="source"):
        decide(source, SPLIT, client=CLIENT, mboxes=["hero"])


def test_damaged_file_is_an_error(tmp_path: Path) -> None:
    for suffix in (".parquet", ".arrow", ".jsonl"):
        path = tmp_path / f"in{suffix}"
        path.write_bytes(b"{ damaged")
        with pytest.raises(OptionError, match="source"):
            decide(path, SPLIT, client=CLIENT, mboxes=["hero"]).read_all()


BAD_LINES: dict[str, tuple[str, str]] = {
    "types": (
        '{"x":1}\n{"x":"a"}',
        "row 2 has a text as 'x', not a number; give the field one type in all rows",
    ),
    "types inside": (
        '{"x":{"y":[1,"a"]}}',
        "row 1 has a text as 'x.y[]', not a number; give the field one type in all rows",
    ),
    "number as id": (
        '{"tnt_id":5}',
        "a row has a number as 'tnt_id', not a text; give the field one type in all rows; columns and types",
    ),
    "array": ("[]", "row 1 is a list, not an object; write one object per line"),
    "not JSON": (
        '{"x":1}\n{"x"}',
        "row 2 is not JSON: missing a colon after a name of object member; write one object per line",
    ),
    "empty": ("", "the file is empty"),
}


@pytest.mark.parametrize(("text", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_error_of_json_lines_names_row_and_field(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text)
    with pytest.raises(OptionError, match=re.escape(f"source: {path}: {reason}")):
        decide(path, SPLIT, client=CLIENT, mboxes=["hero"]).read_all()


OTHER_COLUMNS = {
    "missing": ("tnt_id\nb\n", "has no column 'n'"),
    "additional": ("tnt_id,n,more\nb,1,2\n", "has no column 'more'"),
    "of another type": ("tnt_id,n\nb,text\n", "2.csv has other types than the files before: .*int64"),
}


@pytest.mark.parametrize(("text", "message"), OTHER_COLUMNS.values(), ids=OTHER_COLUMNS)
def test_file_with_other_columns_is_an_error_that_names_them(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("tnt_id,n\na,1\n")
    (tmp_path / "2.csv").write_text(text)
    with pytest.raises(OptionError, match=message):
        rows_of(str(tmp_path / "*.csv"))


EMPTY: dict[str, tuple[str, ...]] = {
    ".csv": ("tnt_id,n,none\na,,\n", "tnt_id,n,none\nb,2,\n"),
    ".jsonl": ('{"tnt_id": "a", "none": null}\n', '{"tnt_id": "b", "n": 2}\n'),
}


@pytest.mark.parametrize("suffix", [*EMPTY, ".parquet", ".arrow"])
def test_columns_can_be_empty_in_some_files(tmp_path: Path, suffix: str) -> None:
    for place, n in enumerate((None, 2)):
        path = tmp_path / f"{place}{suffix}"
        table = pa.table({"tnt_id": ["ab"[place]], "n": [n], "none": pa.nulls(1)})
        if suffix in EMPTY:
            path.write_text(EMPTY[suffix][place])
        elif suffix == ".parquet":
            pa.parquet.write_table(table, path)
        else:
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
    found = decide(f"{tmp_path}/*{suffix}", SPLIT, client=CLIENT, mboxes=["hero"], keep="*").read_all()
    assert found.select(["tnt_id", "n", "none"]).to_pydict() == {
        "tnt_id": ["a", "b"],
        "n": [None, 2],
        "none": [None, None],
    }


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_first_block_of_a_file_can_have_no_values_in_a_column(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targetry.batch.stream._HEAD", 1000)
    count = 200
    if suffix == ".csv":
        text = "tnt_id,coupon\n" + "visitor-1,\n" * count + "visitor-2,AUTUMN\n"
    else:
        text = '{"tnt_id":"visitor-1","coupon":null}\n' * count + '{"tnt_id":"visitor-2","coupon":"AUTUMN"}\n'
    (tmp_path / f"in{suffix}").write_text(text)
    reader = Decider(SPLIT, client=CLIENT, mboxes=["hero"]).reader(tmp_path / f"in{suffix}")
    coupons = [one for batch in reader for one in batch["coupon"].drop_null().to_pylist()]
    assert coupons == ["AUTUMN"]


def test_columns_can_appear_and_change_their_type_in_the_first_megabytes(tmp_path: Path) -> None:
    first = '{"tnt_id":"visitor","n":1,"parameters":{"plan":"gold"}}\n'
    last = '{"tnt_id":"late","n":1.5,"parameters":{"plan":"gold","tier":"a"},"coupon":"AUTUMN"}\n'
    (tmp_path / "in.jsonl").write_text(first * 40_000 + last)
    reader = Decider(SPLIT, client=CLIENT, mboxes=["hero"]).reader(tmp_path / "in.jsonl")
    assert [*reader][-1].to_pylist()[-1:] == [
        {"tnt_id": "late", "n": 1.5, "parameters": {"plan": "gold", "tier": "a"}, "coupon": "AUTUMN"}
    ]


def test_column_that_json_lines_lack_is_missing(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"tnt_id":"visitor"}\n')
    rules = mboxes_of(rule(1, {"==": [{"var": "geo.country"}, "DE"]}))
    decider = Decider(rules, client=CLIENT, mboxes=["hero"])
    decider.stream(tmp_path / "in.jsonl").read_all()
    assert decider.missing == ["country_code"]


def test_type_that_changes_late_is_an_error_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targetry.batch.stream._HEAD", 1000)
    (tmp_path / "in.csv").write_text("tnt_id,n\n" + "visitor,1\n" * 500 + "visitor,1.5\n")
    with pytest.raises(OptionError, match=r"1\.5.*; columns and types .* convert to Parquet$"):
        rows_of(str(tmp_path / "in.csv"))


def test_file_with_two_columns_of_one_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("tnt_id,tnt_id\na,b\n")
    with pytest.raises(OptionError, match="two columns 'tnt_id'"):
        rows_of(str(tmp_path / "in.csv"))


def test_files_can_have_their_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("tnt_id,n\na,1\n")
    (tmp_path / "2.csv").write_text("n,tnt_id\n2,b\n")
    found = decide(f"{tmp_path}/*.csv", SPLIT, client=CLIENT, mboxes=["hero"], keep="*").read_all()
    assert (found["tnt_id"].to_pylist(), found["n"].to_pylist()) == (["a", "b"], [1, 2])


@pytest.mark.parametrize(
    ("name", "message"), [("no/o.csv", "does not exist"), ("is.csv", "is a folder"), ("o.txt", "unknown")]
)
def test_output_that_cannot_be_made_is_an_error_before_the_run(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "is.csv").mkdir()
    seen: list[Any] = []
    with pytest.raises(OptionError, match=message):
        write(
            big_table(),
            tmp_path / name,
            SPLIT,
            client=CLIENT,
            mboxes=["hero"],
            progress=lambda *counts: seen.append(counts),
        )
    assert seen == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".jsonl"])
def test_full_disk_is_an_error_in_plain_words(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f".o{suffix}.{os.getpid()}.unfinished").symlink_to("/dev/full")
    with pytest.raises(OptionError, match=r"o[.][a-z]* cannot be written: No space left on device$"):
        write(big_table(), tmp_path / f"o{suffix}", SPLIT, client=CLIENT, mboxes=["hero"])
    assert not list(tmp_path.iterdir())


def test_parquet_has_large_row_groups_whatever_the_size_of_batches(tmp_path: Path) -> None:
    write(table(40_000), tmp_path / "out.parquet", SPLIT, client=CLIENT, mboxes=["hero"], layout="wide")
    file = pa.parquet.ParquetFile(tmp_path / "out.parquet")
    assert (file.num_row_groups, file.metadata.num_rows) == (1, 40_000)


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
def test_parquet_with_row_groups_of_any_size_is_read_whole(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targetry.batch.stream._ROWS_OF_GROUPS", 20)
    whole = big_table().slice(0, rows)
    pa.parquet.write_table(whole, tmp_path / "in.parquet", row_group_size=7)
    assert rows_of(str(tmp_path / "in.parquet")) == rows_of(whole)


def test_dictionaries_inside_columns_can_differ_between_batches(tmp_path: Path) -> None:
    def batch(first: int) -> Any:
        texts = [f"text-{first}", f"text-{first + 1}"]
        coded = pa.array(texts).dictionary_encode()
        nested = pa.StructArray.from_arrays([coded], ["text"])
        return pa.record_batch({"tnt_id": texts, "nested": nested, "kept": pa.array([[texts[0]], None])})

    options: dict[str, Any] = {"client": CLIENT, "mboxes": ["hero"], "layout": "wide", "keep": "*"}
    write([batch(0), batch(2)], tmp_path / "out.arrow", SPLIT, **options)
    found = pa.ipc.open_file(tmp_path / "out.arrow").read_all()
    assert found["nested"].to_pylist() == [{"text": f"text-{number}"} for number in range(4)]
    assert found.schema.field("hero").type.field("content").type == pa.string()


def test_batch_is_freed_without_the_garbage_collector() -> None:
    decider = Decider(PAGE, client=CLIENT, mboxes=["hero"], page_load=True, outputs=("options",))
    rows, errors = decider.rows(table())
    decider.entries(rows, errors)
    freed = weakref.ref(rows)
    gc.disable()
    try:
        del rows
        assert freed() is None
    finally:
        gc.enable()


def test_columns_of_polars_are_read_and_kept_whatever_their_type(tmp_path: Path) -> None:
    import polars

    texts = ["visitor-0", "visitor-1", "visitor-0"]
    plain = polars.DataFrame({"tnt_id": texts, "kept": [{"a": one, "b": [one]} for one in texts]})
    kind = polars.Categorical()
    coded = plain.with_columns(
        tnt_id=plain["tnt_id"].cast(kind),
        kept=plain["kept"].cast(polars.Struct({"a": kind, "b": polars.List(kind)})),
    )
    options: dict[str, Any] = {"client": CLIENT, "mboxes": ["hero"], "keep": "*"}
    expected = decide(plain, SPLIT, **options).read_all().to_pylist()
    assert decide(coded, SPLIT, **options).read_all().to_pylist() == expected
    for suffix, read in ((".parquet", pa.parquet.read_table), (".arrow", _read_arrow)):
        write(coded, tmp_path / f"out{suffix}", SPLIT, **options)
        assert read(tmp_path / f"out{suffix}").to_pylist() == expected


def _read_arrow(path: Path) -> Any:
    return pa.ipc.open_file(path).read_all()


def test_rows_of_a_late_batch_have_their_position() -> None:
    first = 2**33  # more than 32 bits
    for options in ({"page_load": True}, {"mboxes": ["hero"]}):
        found = Decider(PAGE, client=CLIENT, **options).decide(table(2), first_row=first)  # type: ignore[arg-type]
        assert {first, first + 1} == set(found.column("row").to_pylist())
