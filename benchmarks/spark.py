"""Data frames of Spark: decisions and a function that returns what it gets, by turns.

    scripts/bench spark [--rows N] [--rounds N]

Times are wall-clock times in one session of `local[2]`, the best of all rounds after one that warms
up: on a machine with other work only the ratios mean something. Each job reads the same Parquet and
writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import SparkSession

from batch import AUDIENCES, CLIENT, MBOXES, document, table
from targetry.batch import Decider
from targetry.spark import decide

DEFAULT, LARGE = 10_000, 65_536  # rows of a batch: Spark's, and one for which decisions are fast
GOAL = 1.6


def session() -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def identity(batches: Iterator[Any]) -> Iterator[Any]:
    yield from batches


def run(frame: Any) -> None:
    frame.write.format("noop").mode("overwrite").save()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    made = document(AUDIENCES)
    spark = session()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as name:
        for number in range(2):  # one for each core
            visits = table(chosen.rows // 2, seed=number)
            parquet.write_table(pa.Table.from_batches([visits]), Path(name, f"{number}.parquet"))
        frame = spark.read.parquet(name)
        read = Decider(made, client=CLIENT, mboxes=MBOXES).columns_read(frame.columns)
        copied = frame.selectExpr(*(f"`{one}` AS c{number}" for number, one in enumerate(read)))
        jobs: dict[str, Callable[[], None]] = {
            "read only": lambda: run(copied),
            "returned as they are": lambda: run(copied.mapInArrow(identity, copied.schema)),
            "decided": lambda: run(decide(frame, made, client=CLIENT, mboxes=MBOXES)),
        }
        best: dict[tuple[str, int], float] = {}
        for turn in range(chosen.rounds + 1):
            for size in (DEFAULT, LARGE):
                spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(size))
                for job, call in jobs.items():
                    started = time.perf_counter()
                    call()
                    took = time.perf_counter() - started
                    if turn:
                        best[job, size] = min(best.get((job, size), took), took)
    spark.stop()
    print(f"{chosen.rows:,} rows, {len(read)} columns, {len(MBOXES)} mboxes; seconds")
    print(f"{'rows of a batch':24}{DEFAULT:>10,}{LARGE:>10,}")
    for job in jobs:
        print(f"{job:24}{best[job, DEFAULT]:10.2f}{best[job, LARGE]:10.2f}")
    ratios = [best["decided", size] / best["returned as they are", size] for size in (DEFAULT, LARGE)]
    print(f"{'decided / returned':24}{ratios[0]:10.2f}{ratios[1]:10.2f}  {'✓' if ratios[1] <= GOAL else '✗'}")
    sys.exit(ratios[1] > GOAL)


if __name__ == "__main__":
    main()
