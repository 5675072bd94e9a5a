"""Comparison of decisions for random tables with those of single requests.

    PYTHONPATH=tests .venv/bin/python -m batch.compare --seed 1 --decisions 1000000

Decides random tables by random artifacts and those of the conformance suites, and each row by
`decide`. Prints the seed and the decision of the first difference and exits with 1, or prints the
number of decisions.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import Any, NamedTuple

from batch.tables import CLIENT, answer_of, table
from differential.artifacts import artifact as random_artifact
from differential.suites import artifact as real_artifact
from differential.suites import artifact_names
from targetry.batch import Columns, Decider
from targetry.device.ruleset import compile_artifact

OUTPUTS = ("rule_key", "options", "reason", "error")
_ORDER = {"mbox": 0, "view": 1, "pageLoad": 2}  # of a prefetch
_SIZES = (1, 30, 300, 3000)  # rows; the last has texts and URLs of single rows


class Compared(NamedTuple):
    """Pairs of row and location that were compared, and rules that matched in them."""

    decisions: int
    matches: int


def compare(document: Any, seed: int, count: int, **options: Any) -> Compared:
    """Compare all rows of a random table with requests.

    Args:
        document: The artifact.
        seed: Of table and locations.
        count: Rows.
        options: Of the `Decider`.

    Raises:
        AssertionError: A decision differs.
    """
    rng = random.Random(seed)
    rules = compile_artifact(document)
    batch, rows, parameters = table(rng, count)
    known = [*rules.mboxes, *rules.remote_mboxes, "unknown"]
    mboxes = [name for name in dict.fromkeys(known) if name and rng.random() < 0.7]
    page_load = rng.random() < 0.5 or not mboxes
    views: Any = rng.choice(((), True, [*rules.views, "unknown"][:3]))
    mode = rng.choice(("execute", "prefetch"))
    with_hero = "hero" in mboxes and "hero_url" in batch.schema.names
    decider = Decider(
        rules,
        client=CLIENT,
        mboxes=mboxes,
        page_load=page_load,
        views=views,
        mode=mode,  # type: ignore[arg-type]
        columns=Columns(addresses={"hero": "hero_url"} if with_hero else {}),
        property_token_column="token" if "token" in batch.schema.names else None,
        outputs=("location_type", *OUTPUTS),
        **options,
    )
    if not with_hero:
        for row in rows:
            row.pop("hero_url", None)
    found: list[list[dict[str, Any]]] = [[] for _ in rows]
    for one in decider.decide(batch).to_pylist():
        found[one["row"]].append(one)
    decisions = matches = 0
    for row, mine in zip(rows, found, strict=True):
        expected = answer_of(rules, row, parameters, mboxes, page_load, views, mode)
        if expected is None:  # the property has no reference; see the test of visitors without id
            continue
        decisions += len(decider.locations)
        if isinstance(expected, str):
            assert {one["error"] and one["error"][: len(expected)] for one in mine} == {expected}, row
            continue
        if mode == "prefetch":
            mine = sorted(mine, key=lambda one: _ORDER[one["location_type"]])
        got = [
            (one["location"], one["rule_key"], one["options"]) for one in mine if one["rule_key"] is not None
        ]
        assert _named(got) == _named(expected), row
        matches += len(got)
    return Compared(decisions, matches)


def _named(answer: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return matches without their locations, which a view of all views does not have."""
    return [one[1:] for one in answer]


def _case(seed: int) -> Compared:
    rng = random.Random(seed)
    names = artifact_names()
    is_real = names and rng.random() < 0.25
    document = real_artifact(rng.choice(names)) if is_real else random_artifact(rng)
    return compare(document, seed, rng.choice(_SIZES))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first table; the next has the next")
    parser.add_argument("--decisions", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    decisions = matches = 0
    seed = chosen.seed
    while decisions < chosen.decisions:
        try:
            one = _case(seed)
        except AssertionError as difference:
            sys.stdout.write(f"seed {seed}: {difference}\n")
            return 1
        decisions += one.decisions
        matches += one.matches
        seed += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{decisions:,} of {chosen.decisions:,}")
    tables = seed - chosen.seed
    sys.stdout.write(f"{decisions:,} decisions of {tables} tables, {matches:,} matches, no difference\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
