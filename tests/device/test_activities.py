"""Activities of an artifact, and the share of visitors that windows cover."""

from __future__ import annotations

from typing import Any

import pytest

from support.device import artifact, rule
from targetry.device.activities import PlacedRule, activities_of, covered_share
from targetry.device.ruleset import RuleSet, compile_artifact


def places(placed: list[PlacedRule]) -> list[tuple[str, str, Any]]:
    return [(one.location_type, one.location, one.rule.meta["experience.id"]) for one in placed]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    unnamed = rule(2, name="home", meta={"activity.id": 2, "experience.id": 0, "activity.name": 7})
    document = artifact(
        {"hero": [rule(3), rule(1)], "footer": [rule(3, experience=1)]},
        views={"home": [unnamed, rule(1, name="home", experience=2)]},
    )
    return compile_artifact(document)


def test_rules_are_grouped_by_activity_in_order_mboxes_first(rules: RuleSet) -> None:
    assert [(one.key, one.id, places(one.rules)) for one in activities_of(rules)] == [
        ("3", 3, [("mbox", "hero", 0), ("mbox", "footer", 1)]),
        ("1", 1, [("mbox", "hero", 0), ("view", "home", 2)]),
        ("2", 2, [("view", "home", 0)]),
    ]


def test_name_and_type_that_are_no_texts_are_none(rules: RuleSet) -> None:
    assert [(one.name, one.type) for one in activities_of(rules)] == [
        ("Activity 3", "ab"),
        ("Activity 1", "ab"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("windows", "share"),
    [
        pytest.param([], 0, id="no window"),
        pytest.param([(0, 50), (50, 80)], 80, id="adjacent"),
        pytest.param([(60, 80), (0, 20)], 40, id="apart and unsorted"),
        pytest.param([(0, 50), (30, 70)], 70, id="overlapping"),
        pytest.param([(0, 90), (10, 20), (30, 95)], 95, id="one inside of another"),
        pytest.param([(0, 100 / 3)], 33.3333, id="rounded to four digits"),
    ],
)
def test_share_counts_each_allocation_once(windows: list[tuple[float, float]], share: float) -> None:
    assert covered_share(windows) == share
