"""Decisions for tables equal those of requests, row by row."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.tables import CLIENT, answer_of, table
from differential.artifacts import artifact as random_artifact
from differential.suites import SUITES, artifact_names
from differential.suites import artifact as real_artifact
from support.examples import examples
from targetry.batch import Columns, Decider
from targetry.device.ruleset import compile_artifact

SEEDS = st.integers(0, 2**32 - 1)
OUTPUTS = ("rule_key", "options", "reason", "error")


def check(document: Any, seed: int, count: int, **options: Any) -> int:
    """Compare all rows of a random table; return the number of matches."""
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
    matches = 0
    for row, mine in zip(rows, found, strict=True):
        expected = answer_of(rules, row, parameters, mboxes, page_load, views, mode)
        if isinstance(expected, str):
            assert {one["error"] and one["error"][: len(expected)] for one in mine} == {expected}
            continue
        if expected is None:  # the property has no reference; see the test of visitors without id
            continue
        if mode == "prefetch":
            mine = sorted(mine, key=lambda one: {"mbox": 0, "view": 1, "pageLoad": 2}[one["location_type"]])
        got = [
            (one["location"], one["rule_key"], one["options"]) for one in mine if one["rule_key"] is not None
        ]
        assert _named(got) == _named(expected)
        matches += len(got)
    return matches


def _named(answer: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return matches without their locations, which a view of all views does not have."""
    return [one[1:] for one in answer]


@settings(max_examples=examples(150))
@given(SEEDS)
def test_table_gets_what_each_row_gets(seed: int) -> None:
    check(random_artifact(random.Random(seed)), seed, 30)


@settings(max_examples=examples(20))
@given(SEEDS)
def test_reference_gets_what_each_row_gets(seed: int) -> None:
    check(random_artifact(random.Random(seed)), seed, 15, exact=True)


@pytest.mark.skipif(not SUITES.is_dir(), reason="the conformance artifacts are not here")
@pytest.mark.parametrize("name", artifact_names())
def test_table_gets_what_each_row_gets_of_conformance_artifacts(name: str) -> None:
    for seed in range(4):
        check(real_artifact(name), seed, 60)
