"""Decisions for data frames of Spark equal those for tables.

`scripts/test-spark` runs the tests that need Spark.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from support.device import mboxes_of, rule, window
from support.snippets import run_snippets
from targetry import spark
from targetry.batch import Columns, Decider, diff
from targetry.errors import OptionError, TargetryWarning


def on_spark(test: Any) -> Any:
    """Mark a test that may have to start a cluster first."""
    return pytest.mark.slow(pytest.mark.timeout(600)(test))


OPTIONS: dict[str, Any] = {"client": "acme", "mboxes": ["hero"]}
GOLD = {"==": [{"var": "mbox.member.plan"}, "gold"]}
LATE = {">": [{"var": "current_timestamp"}, 1_764_374_401_000]}
BEFORE, AFTER = (
    mboxes_of(
        rule(1, {"and": [window(0, at), GOLD]}),
        rule(1, {"and": [window(at, 99.99), GOLD]}, experience=1, content="bye"),
        rule(2, LATE, content="late"),
    )
    for at in (50, 60)
)
COUNT = 2000
ROWS: dict[str, list[Any]] = {
    "tnt_id": [f"visitor-{number}" for number in range(COUNT)],
    "mbox.member.plan": ["gold", "silver", None, "gold"] * (COUNT // 4),
    "time": [
        datetime.fromtimestamp(1_764_374_400 + number / 1000, UTC).replace(tzinfo=None)
        for number in range(COUNT)
    ],
    "crm_id": list(range(COUNT)),
    "unread": ["x" * 50] * COUNT,
}
TYPES = "tnt_id string, `mbox.member.plan` string, time timestamp_ntz, crm_id long, unread string"


CONNECT = "connect"  # a server of Spark Connect, which is started last: it stays in the process


@pytest.fixture(scope="module", params=["local[2]", "local-cluster[2,1,1024]", CONNECT])
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    sql = pytest.importorskip(
        "pyspark.sql", reason="PySpark is not installed; scripts/test-spark installs it"
    )
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17 or newer")
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "300",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.ui.enabled": "false",
    }
    if request.param == CONNECT:
        pytest.importorskip("grpc", reason="pyspark[connect] is not installed")
        builder = sql.SparkSession.builder.remote("local[2]")
    else:
        builder = sql.SparkSession.builder.master(request.param).appName("targetry")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        if request.param == CONNECT:  # warns of settings that it takes for its server only
            warnings.simplefilter("ignore")
        spark = builder.getOrCreate()
        yield spark
        spark.stop()


@pytest.fixture(scope="module")
def frame(session: Any) -> Any:
    rows = list(zip(*ROWS.values(), strict=True))
    return session.createDataFrame(rows, TYPES).repartition(3)


@on_spark
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_rows_of_a_frame_get_what_those_of_a_table_get(frame: Any, layout: Any) -> None:
    outputs = ("rule", "allocation", "content", "event_tokens", "response_tokens", "reason", "error")
    options = {**OPTIONS, "keep": ["crm_id"], "layout": layout, "outputs": outputs}
    table = Decider(BEFORE, **options).decide(pa.record_batch(ROWS)).drop_columns(["row"])
    found = spark.decide(frame, BEFORE, **options).toArrow().sort_by("crm_id").to_pylist()
    assert found == table.to_pylist()
    assert "late" in str(found)


@on_spark
def test_timestamps_of_a_zone_are_read(frame: Any) -> None:
    zoned = frame.selectExpr("tnt_id", "`mbox.member.plan`", "to_timestamp(time) AS time", "crm_id")
    shifted = [row["content"] for row in spark.decide(zoned, BEFORE, **OPTIONS).collect()]
    assert shifted.count("late") > 500  # five hours later, in New York


@on_spark
def test_only_columns_that_rules_read_are_transferred(frame: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kept = spark.decide(frame, BEFORE, **OPTIONS, keep=["crm_id"])
    kept.explain()
    plan = capsys.readouterr().out
    above, _, below = plan.partition("MapInArrow")
    assert above
    # The result of Spark Connect is planned from rows that the client sent, without a projection.
    read = next(line for line in below.splitlines()[1:] if "Project" in line or "LocalTableScan" in line)
    assert "crm_id" in read or "c2" in read
    assert "unread" not in read


@on_spark
def test_changes_of_a_frame_are_those_of_a_table(frame: Any) -> None:
    found = spark.diff(frame, BEFORE, AFTER, examples=0, **OPTIONS)
    assert found == diff(pa.table(ROWS), BEFORE, AFTER, examples=0, **OPTIONS)
    assert found.changes


@on_spark
def test_changes_of_a_frame_have_as_many_examples_as_wanted(frame: Any) -> None:
    (change,) = spark.diff(frame, BEFORE, AFTER, examples=2, **OPTIONS).changes
    assert len(change.examples) == 2


@on_spark
def test_missing_column_is_a_warning_or_an_error_before_the_job(frame: Any) -> None:
    without = frame.drop("mbox.member.plan")
    with pytest.warns(TargetryWarning, match=r"lacks columns that rules read: mbox\.member\.plan"):
        spark.decide(without, BEFORE, **OPTIONS)
    with pytest.raises(OptionError, match="lacks columns that rules read"):
        spark.decide(without, BEFORE, strict=True, **OPTIONS)
    assert spark.diff(without, BEFORE, AFTER, **OPTIONS).missing == ["mbox.member.plan"]


@on_spark
def test_map_of_parameters_is_read(frame: Any) -> None:
    maps = frame.selectExpr("tnt_id", "time", "map('member.plan', `mbox.member.plan`) AS parameters")
    found, expected = (
        sorted(row["content"] or "" for row in spark.decide(one, BEFORE, strict=True, **OPTIONS).collect())
        for one in (maps, frame)
    )
    assert found == expected


@on_spark
def test_wrong_columns_and_options_are_errors_before_the_job(frame: Any) -> None:
    with pytest.raises(OptionError, match="must be text"):
        spark.decide(frame.selectExpr("crm_id AS tnt_id", "time"), BEFORE, **OPTIONS)
    with pytest.raises(OptionError, match="the table has no column 'plan'"):
        spark.decide(frame, BEFORE, columns=Columns(parameters={"member.plan": "plan"}), **OPTIONS)
    with pytest.raises(OptionError, match="the table has no column 'nothing'"):
        spark.decide(frame, BEFORE, keep=["nothing"], **OPTIONS)


@on_spark
def test_snippets_of_the_page_run(session: Any) -> None:
    assert run_snippets("docs/spark.md")


def test_frame_of_another_library_is_an_error() -> None:
    for call in (
        lambda: spark.decide([], BEFORE, **OPTIONS),
        lambda: spark.diff([], BEFORE, AFTER, **OPTIONS),
    ):  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="df: must be a data frame of Spark, not list"):
            call()


def test_pickled_decider_decides_the_same() -> None:
    decider = pickle.loads(pickle.dumps(Decider(BEFORE, **OPTIONS, keep=["crm_id"])))
    batch = pa.record_batch(ROWS)
    assert decider.decide(batch).equals(Decider(BEFORE, **OPTIONS, keep=["crm_id"]).decide(batch))
    assert decider.rules is pickle.loads(pickle.dumps(decider)).rules


def test_batches_for_spark_have_no_dictionaries_and_no_rows_without_visitors() -> None:
    decider = Decider(BEFORE, **OPTIONS, outputs=("content", "reason"))
    batch = pa.record_batch(ROWS)
    (found,) = decider.map_in_arrow([batch.slice(0, 0), batch])
    assert found.schema == decider.map_in_arrow_schema(batch.schema)
    assert found.schema == pa.schema(dict.fromkeys(("location", "content", "reason"), pa.string()))
    assert found.to_pylist() == decider.decide(batch).drop_columns(["row"]).to_pylist()
