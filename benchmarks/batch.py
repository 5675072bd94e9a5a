"""Tables of visitors: the columnar engine, `decide` and `get_offers`, by turns in one process.

    scripts/bench batch [--quick | --rounds N]
    scripts/bench batch --rows 10000000

The program prints a table with a goal for each line and exits with 1 if one is missed. Times are
processor time, the best of all rounds; ratios compare within one round. With `--rows` it measures
the memory of a run over so many rows of Parquet, instead.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from memory import resident_mb
from targetry import TargetClient
from targetry.batch import ArtifactComparison, Decider, write
from targetry.batch.engine.buckets import VisitorBuckets
from targetry.device.decide import decide
from targetry.device.logic.allocation import bucket
from targetry.device.ruleset import compile_artifact
from targetry.models import DeliveryRequest

CLIENT = "acme"
FEW = 500  # rows that are decided one by one
MBOXES = ["hero", "promo", "search", "basket", "late"]
BROWSERS = ("Chrome/{}.0.0.0 Safari/537.36", "Version/{}.0 Safari/605.1.15")
NOW_MS = 1_760_000_000_000


def rule(activity: int, experience: int, condition: Any, name: str) -> dict[str, Any]:
    low, high = (0, 50) if experience == 0 else (50, 100)
    edge = "<=" if low == 0 else "<"
    window = {"and": [{edge: [low, {"var": "allocation"}]}, {">=": [high, {"var": "allocation"}]}]}
    return {
        "ruleKey": str(activity),
        "activityId": activity,
        "condition": {"and": [window, condition]},
        "consequence": {
            "name": name,
            "options": [{"type": "html", "content": f"<p>{experience}</p>", "eventToken": "t"}],
        },
        "meta": {"activity.id": activity, "activity.type": "ab", "experience.id": experience},
    }


def document(mboxes: dict[str, Any], pages: int = 0) -> dict[str, Any]:
    """Return an artifact with one split activity for each mbox, and some for the page load."""
    rules: dict[str, list[Any]] = {
        name: [rule(1000 + 37 * n, e, condition, name) for e in (0, 1)]
        for n, (name, condition) in enumerate(mboxes.items())
    }
    rules["target-global-mbox"] = [
        rule(500_000 + n, e, {"in": [var("mbox.p0"), five_values(n)]}, "target-global-mbox")
        for n in range(pages)
        for e in (0, 1)
    ]
    return {
        "version": "1.0.0",
        "meta": {},
        "globalMbox": "target-global-mbox",
        "responseTokens": [],
        "localMboxes": list(rules),
        "rules": {"mboxes": rules, "views": {}},
    }


def five_values(n: int) -> list[str]:
    """Return five of the hundred values of a parameter, so that one activity in twenty matches."""
    return [f"v{(n + 20 * k) % 100}" for k in range(5)]


def var(path: str) -> dict[str, Any]:
    return {"var": path}


AUDIENCES = {
    "hero": {
        "and": [
            {"==": [var("user.browserType"), "chrome"]},
            {"in": [var("geo.country"), [f"C{n}" for n in range(25)]]},
        ]
    },
    "promo": {"and": [{"==": [var("mbox.p0"), "v7"]}, {"in": ["v1", var("mbox.p1")]}]},
    "search": {"or": [{"in": ["/3", var("page.path")]}, {"==": [var("mbox.p2_lc"), "v9"]}]},
    "basket": {"in": [var("mbox.p3"), [f"v{n}" for n in range(40)]]},
    "late": {
        "and": [
            {"<=": ["0800", var("current_time"), "2000"]},
            {"in": [var("current_day"), [1, 2, 3, 4, 5]]},
            {">": [var("user.browserVersion"), 50]},
        ]
    },
}


def table(count: int, *, urls: int = 500, unique: bool = False, seed: int = 7) -> Any:
    """Return visits; `unique` parameters differ in every row."""
    rng = random.Random(seed)
    agents = [
        "Mozilla/5.0 (Windows NT 10.0) " + rng.choice(BROWSERS).format(rng.randint(20, 140))
        for _ in range(200)
    ]
    columns: dict[str, Any] = {
        "tnt_id": [f"{rng.getrandbits(128):032x}" for _ in range(count)],
        "user_agent": rng.choices(agents, k=count),
        "country_code": rng.choices([f"C{n}" for n in range(50)], k=count),
        "url": [
            f"https://shop.example/{rng.randrange(20)}?q={rng.randrange(urls // 20)}" for _ in range(count)
        ],
        "time_ms": [NOW_MS + rng.randrange(10**9) for _ in range(count)],
    }
    for n in range(5):
        columns[f"mbox.p{n}"] = (
            [f"V{n} {row}" for row in range(count)]
            if unique
            else [f"v{rng.randrange(100)}" for _ in range(count)]
        )
    return pa.record_batch(columns)


def requests_of(batch: Any, locations: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows as requests."""
    return [
        {
            "id": {"tntId": row["tnt_id"]},
            "context": {
                "channel": "web",
                "userAgent": row["user_agent"],
                "address": {"url": row["url"]},
                "geo": {"countryCode": row["country_code"]},
            },
            "execute": {
                name: [{**one, "parameters": parameters(row)} for one in of]
                if isinstance(of, list)
                else {"parameters": parameters(row)}
                for name, of in locations.items()
            },
        }
        for row in batch.to_pylist()
    ]


def parameters(row: dict[str, Any]) -> dict[str, Any]:
    return {name[5:]: value for name, value in row.items() if name.startswith("mbox.")}


class Timer:
    """Best processor time of each call, in seconds per row."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def ratio(self, slow: Callable[[], int], fast: Callable[[], int]) -> tuple[float, float, float]:
        """Return the ratio of the best times, and both; each call returns its number of rows."""
        best = [float("inf"), float("inf")]
        for _ in range(self._rounds):
            for place, call in enumerate((slow, fast)):
                started = time.process_time()
                rows = call()
                best[place] = min(best[place], (time.process_time() - started) / rows)
        return best[0] / best[1], best[0], best[1]


def scalar(rules: Any, requests: list[dict[str, Any]], times: list[int]) -> Callable[[], int]:
    def run() -> int:
        for document, now_ms in zip(requests, times, strict=True):
            decide(rules, DeliveryRequest.from_dict(document), CLIENT, now_ms, lambda: "")
        return len(requests)

    return run


def ready(rules: Any, requests: list[dict[str, Any]], times: list[int]) -> Callable[[], int]:
    made = [DeliveryRequest.from_dict(document) for document in requests]

    def run() -> int:
        for request, now_ms in zip(made, times, strict=True):
            decide(rules, request, CLIENT, now_ms, lambda: "")
        return len(made)

    return run


def offers(client: TargetClient, requests: list[dict[str, Any]]) -> Callable[[], int]:
    def run() -> int:
        for document in requests:
            client.get_offers(request=document)
        return len(requests)

    return run


def columnar(decider: Decider, batch: Any) -> Callable[[], int]:
    def run() -> int:
        decider.decide(batch)
        return int(batch.num_rows)

    return run


def hashes(batch: Any, activities: list[str]) -> Callable[[], int]:
    def run() -> int:
        VisitorBuckets(CLIENT, batch["tnt_id"]).prepare(activities)
        return int(batch.num_rows)

    return run


def one_by_one(batch: Any, activities: list[str]) -> Callable[[], int]:
    visitors = batch["tnt_id"].to_pylist()[:FEW]

    def run() -> int:
        for activity in activities:
            for visitor in visitors:
                bucket(CLIENT, activity, visitor)
        return len(visitors)

    return run


def to_parquet(source: Path, folder: Path) -> Callable[[], int]:
    """Return a call that decides a file into another one, with a column for each mbox."""

    def run() -> int:
        written = write(
            str(source),
            folder / "decided.parquet",
            document(AUDIENCES),
            client=CLIENT,
            mboxes=MBOXES,
            layout="wide",
            outputs=("activity_id", "experience_id", "rule_key"),
            keep="*",
        )
        return written.rows_written

    return run


def copied(source: Path, folder: Path) -> Callable[[], int]:
    """Return a call that copies the columns of a file into another one."""

    def run() -> int:
        file = parquet.ParquetFile(source, memory_map=True)
        with parquet.ParquetWriter(folder / "copy.parquet", file.schema_arrow, compression="zstd") as out:
            for batch in file.iter_batches(65_536):
                out.write_batch(batch)
        return int(file.metadata.num_rows)

    return run


def make_file(path: Path) -> None:
    """Write a million visits."""
    parts = [table(50_000, seed=seed) for seed in range(4)]
    with parquet.ParquetWriter(path, parts[0].schema) as out:
        for part in parts * 5:
            out.write_batch(part)


def memory(rows: int) -> bool:
    """Print the memory of a run over files of a million rows; return whether it is bounded."""
    million = 1_000_000
    with tempfile.TemporaryDirectory() as name:
        first = Path(name, "0.parquet")
        maker = multiprocessing.get_context("spawn").Process(target=make_file, args=(first,))
        maker.start()
        maker.join()
        for number in range(1, -(-rows // million)):
            os.link(first, Path(name, f"{number}.parquet"))
        decider = Decider(document(AUDIENCES), client=CLIENT, mboxes=MBOXES)
        used: list[float] = []
        done, started = 0, time.process_time()
        for batch in decider.stream(f"{name}/*.parquet"):
            done += batch.num_rows // len(MBOXES)
            if done >= (len(used) + 1) * million:
                used.append(resident_mb())
        took = time.process_time() - started
    print(f"{done:,} rows of {len(MBOXES)} mboxes: {took:.1f} s of processor time")
    print("MB after each million:", *(f"{one:.0f}" for one in used))
    return max(used) <= 300 and used[-1] <= 1.1 * used[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, help="measure memory over so many rows of Parquet")
    chosen = parser.parse_args()
    if chosen.rows:
        sys.exit(not memory(chosen.rows))
    timer = Timer(3 if chosen.quick else chosen.rounds)
    failed = False

    def line(name: str, ratio: float, goal: float, *, at_most: bool = False, note: str = "") -> None:
        nonlocal failed
        is_met = ratio <= goal if at_most else ratio >= goal
        failed |= not is_met
        sign = "≤" if at_most else "≥"
        print(f"{'✓' if is_met else '✗'} {name:58} {ratio:8.2f}  {sign} {goal:g}  {note}")

    made = document(AUDIENCES)
    rules, batch = compile_artifact(made), table(65_536)
    locations = {"mboxes": [{"index": i, "name": name} for i, name in enumerate(MBOXES)]}
    few = batch.slice(0, FEW)
    requests, times = requests_of(few, locations), few["time_ms"].to_pylist()
    decider = Decider(rules, client=CLIENT, mboxes=MBOXES)
    run = columnar(decider, batch)
    run()
    client = TargetClient.create(
        client=CLIENT,
        organization_id="0@AdobeOrg",
        decisioning_method="on-device",
        artifact_payload=made,
        polling_interval=0,
        send_notification_func=lambda impression: None,
    )
    with client:
        ratio, _, fast = timer.ratio(offers(client, requests), run)
    line("get_offers / table", ratio, 100, note=f"{fast * 1e6:.2f} µs a row of 5 mboxes")
    line("decide, requests ready / table", timer.ratio(ready(rules, requests, times), run)[0], 35)
    activities = [str(1000 + 37 * n) for n in range(5)]
    line("table / its hashes", timer.ratio(run, hashes(batch, activities))[0], 3, at_most=True)
    twenty = [str(7000 + 41 * n) for n in range(20)]
    for hashed, goal in ((activities, 10), (twenty, 15)):
        ratio, _, fast = timer.ratio(one_by_one(batch, hashed), hashes(batch, hashed))
        name = f"hashes one by one / NumPy, {len(hashed)} activities"
        line(name, ratio, goal, note=f"{fast / len(hashed) * 1e9:.1f} ns a hash")

    page = compile_artifact(document({}, pages=1000))
    of_page = requests_of(few.slice(0, 100), {"pageLoad": {}})
    whole = Decider(page, client=CLIENT, page_load=True)
    line(
        "page load of 1,000 activities, 50 of them match: decide / table",
        timer.ratio(scalar(page, of_page, times[:100]), columnar(whole, batch))[0],
        100,
    )

    urls = table(65_536, urls=10_000_000)
    line(
        "every URL different: decide / table",
        timer.ratio(scalar(rules, requests, times), columnar(decider, urls))[0],
        30,
    )
    single = document({name: {"in": ["v7 1", var("mbox.p0_lc")]} for name in ("hero",)})
    texts, alone = table(65_536, unique=True), Decider(single, client=CLIENT, mboxes=["hero"])
    of_hero = {"mboxes": [{"index": 0, "name": "hero"}]}
    of_one = requests_of(texts.slice(0, FEW), of_hero)
    line(
        "a text of its own in every row: decide / table",
        timer.ratio(scalar(compile_artifact(single), of_one, times), columnar(alone, texts))[0],
        20,
    )

    begin, end = NOW_MS + 10**8, NOW_MS + 9 * 10**8
    period = document({"hero": {"<=": [begin, var("current_timestamp"), end]}})
    timed = Decider(period, client=CLIENT, mboxes=["hero"])
    line(
        "a time of its own in every row: decide / table",
        timer.ratio(
            scalar(compile_artifact(period), requests_of(few, of_hero), times), columnar(timed, batch)
        )[0],
        35,
    )

    other = document({**AUDIENCES, "hero": AUDIENCES["basket"]})
    comparison = ArtifactComparison(rules, other, client=CLIENT, mboxes=MBOXES)

    def compare() -> int:
        comparison.add(batch)
        return int(batch.num_rows)

    line("comparison / one decision", timer.ratio(compare, run)[0], 1.3, at_most=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "visits.parquet"
        parquet.write_table(pa.Table.from_batches([batch, *(table(65_536, seed=n) for n in (1, 2))]), source)
        ratio = timer.ratio(to_parquet(source, folder), copied(source, folder))[0]
    line("Parquet to Parquet / a copy of its columns", ratio, 2.5, at_most=True)

    by_row = Decider(rules, client=CLIENT, mboxes=MBOXES, exact=True)
    ratio = timer.ratio(columnar(by_row, few), run)[0]
    print(f"  {'row by row / table':58} {ratio:8.2f}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
