"""Comparison of two artifacts over a table."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch.tables import table as random_table
from differential.artifacts import artifact as random_artifact
from support.cases import each_case
from support.device import artifact, mboxes_of, rule, window
from support.examples import examples
from targetry.batch import ArtifactComparison, Decider, diff, made_up_visitors
from targetry.batch.engine.locations import NO_MATCH
from targetry.errors import OptionError

CLIENT = "acme"
ROWS = 4000
GOLD = {"==": [{"var": "mbox.plan"}, "gold"]}
SILVER = {"==": [{"var": "mbox.plan"}, "silver"]}


def table() -> Any:
    rng = random.Random(7)
    plans = rng.choices(["gold", "silver", None], k=ROWS)
    return pa.table({"tnt_id": [f"{rng.getrandbits(64):x}" for _ in range(ROWS)], "mbox.plan": plans})


def changes(before: Any, after: Any, **options: Any) -> list[tuple[Any, ...]]:
    found = diff(table(), before, after, **{"client": CLIENT, "mboxes": ["hero"], **options})
    return [(one.kind, one.cause, round(one.share, 1)) for one in found.changes]


def split(at: int, activity: int = 1) -> list[Any]:
    return [
        rule(activity, window(0, at)),
        rule(activity, window(at, 99.99), experience=1, content="bye"),
    ]


def test_equal_artifacts_change_nothing() -> None:
    assert changes(mboxes_of(*split(50)), mboxes_of(*split(50))) == []


def test_new_window_moves_visitors_between_experiences() -> None:
    found = diff(table(), mboxes_of(*split(50)), mboxes_of(*split(60)), client=CLIENT, mboxes=["hero"])
    (one,) = found.changes
    assert (one.kind, one.cause) == ("experience", "split")
    assert one.before is not None
    assert one.after is not None
    assert (one.before.experience_id, one.after.experience_id) == ("1", "0")
    assert one.rule_after is not None
    assert one.rule_after.window == (60, 99.99)
    assert 9 < one.share < 11
    assert len(one.examples) == 3
    assert found.share_changed() == one.share
    assert found.share_changed(["experience"]) == 0
    (visitor,) = one.examples[:1]
    batch = pa.record_batch({"tnt_id": [visitor]})
    for at, experience in ((50, "1"), (60, "0")):
        decided = Decider(mboxes_of(*split(at)), client=CLIENT, mboxes=["hero"]).decide(batch)
        assert decided["experience_id"].to_pylist() == [experience]


CASES: dict[str, tuple[Any, Any, set[tuple[str, str]]]] = {
    "content": ([rule(1)], [rule(1, content="new")], {("content", "content")}),
    "condition": ([rule(1, GOLD)], [rule(1, SILVER)], {("gained", "audience"), ("lost", "audience")}),
    "rule added": ([rule(1, GOLD)], [rule(1, GOLD), rule(2)], {("gained", "rule added")}),
    "rule removed": ([rule(1, GOLD), rule(2)], [rule(1, GOLD)], {("lost", "rule removed")}),
    "order": ([rule(1, GOLD), rule(2)], [rule(2), rule(1, GOLD)], {("activity", "order")}),
    "property": ([rule(1)], [rule(1, propertyTokens=["p"])], {("lost", "property")}),
    "name only": ([rule(1)], [rule(1) | {"meta": {**rule(1)["meta"], "activity.name": "new"}}], set()),
    "name in a macro": (
        [rule(1, content="${activity.name}")],
        [rule(1, content="${activity.name}") | {"meta": {**rule(1)["meta"], "activity.name": "new"}}],
        {("content", "content")},
    ),
}


@each_case("before, after, expected", CASES.values(), ids=CASES)
def test_change_has_its_kind_and_cause(before: Any, after: Any, expected: set[tuple[str, str]]) -> None:
    found = changes(mboxes_of(*before), mboxes_of(*after))
    assert {one[:2] for one in found} == expected


def test_location_that_the_server_decides_is_remote() -> None:
    after = mboxes_of(rule(1), remoteMboxes=["hero"])
    assert [one[0] for one in changes(mboxes_of(rule(1)), after)] == ["remote"]


def test_matches_of_a_page_are_compared_by_activity() -> None:
    def page(*rules: Any) -> Any:
        return artifact({"target-global-mbox": list(rules)})

    found = changes(
        page(rule(1), rule(2), rule(3, GOLD)),
        page(rule(2), rule(1, content="new"), rule(4)),
        mboxes=[],
        page_load=True,
    )
    kinds = Counter((kind, cause) for kind, cause, _ in found)
    assert kinds == {("content", "content"): 1, ("lost", "rule removed"): 1, ("gained", "rule added"): 1}


def test_parts_of_a_table_add_up() -> None:
    def compared(tables: list[Any]) -> ArtifactComparison:
        comparison = ArtifactComparison(
            mboxes_of(*split(50)), mboxes_of(*split(60)), client=CLIENT, mboxes=["hero"]
        )
        for one in tables:
            for batch in one.to_batches():
                comparison.add(batch)
        return comparison

    whole, first, second = (compared([t]) for t in (table(), table().slice(0, 1000), table().slice(1000)))
    first.counts.add(second.counts, 3)
    assert first.diff() == whole.diff()


def test_changed_rows_are_those_that_are_counted() -> None:
    comparison = ArtifactComparison(
        mboxes_of(*split(50)), mboxes_of(*split(60)), client=CLIENT, mboxes=["hero"]
    )
    rows = comparison.changed_rows(table()).read_all().to_pylist()
    assert (
        len(rows)
        == diff(table(), mboxes_of(*split(50)), mboxes_of(*split(60)), client=CLIENT, mboxes=["hero"])
        .changes[0]
        .rows
    )
    assert {(one["experience_before"], one["experience_after"]) for one in rows} == {("1", "0")}
    visitors = table()["tnt_id"].to_pylist()
    assert all(visitors[one["row"]] == one["visitor"] for one in rows)


def test_made_up_visitors_compare_splits() -> None:
    found = diff(
        made_up_visitors(3000), mboxes_of(*split(50)), mboxes_of(*split(60)), client=CLIENT, mboxes=["hero"]
    )
    assert found.rows == 3000
    assert 8 < found.share_changed() < 12


def test_number_of_examples_is_checked() -> None:
    with pytest.raises(OptionError, match="examples"):
        ArtifactComparison(mboxes_of(), mboxes_of(), client=CLIENT, mboxes=["hero"], examples=-1)


@settings(max_examples=examples(40))
@given(st.integers(0, 2**32 - 1))
@example(343)
def test_changes_are_those_of_two_decisions(seed: int) -> None:
    """The number of rows with another answer at a location equals that of two runs."""
    rng = random.Random(seed)
    before, after = random_artifact(rng), random_artifact(rng)
    if rng.random() < 0.5:
        after = {**before, "rules": {**before["rules"], "mboxes": after["rules"]["mboxes"]}}
    batch, _, _ = random_table(rng, 40)
    names = [*before["rules"]["mboxes"], *after["rules"]["mboxes"]]
    # The rows of a page load have the name of the global mbox.
    global_mboxes = {one.get("globalMbox", "target-global-mbox") for one in (before, after)}
    mboxes = [name for name in dict.fromkeys(names) if name not in global_mboxes][:4]
    options: dict[str, Any] = {"client": CLIENT, "mboxes": mboxes, "page_load": True}
    found = diff(batch, before, after, **options)
    counted: Counter[str] = Counter()
    for one in found.changes:
        if one.kind in ("gained", "lost", "activity", "experience") and one.location != "page_load":
            counted[one.location] += one.rows
    answers, remote = [], set()
    for document in (before, after):
        made = Decider(document, outputs=("activity_id", "experience_id", "reason"), **options)
        remote |= {one.label for one in made.requested if one.unmatched != NO_MATCH}
        rows = made.decide(batch).to_pylist()
        answers.append({(one["row"], one["location"]): one for one in rows if one["location"] in mboxes})
    expected = Counter(
        key[1]
        for key, one in answers[0].items()
        if (other := answers[1][key])
        and (one["activity_id"], one["experience_id"]) != (other["activity_id"], other["experience_id"])
        and key[1] not in remote
    )
    assert {name: count for name, count in counted.items() if count} == expected
