from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
import pytest

from differential.artifacts import artifact as random_artifact
from differential.suites import artifact as suite_artifact
from differential.suites import artifact_names
from support.slow import slow
from targetry import samples
from targetry.activities.compile.activity_set import ActivitySet
from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.decompile import Decompiled, decompile
from targetry.activities.compile.rule_parts import same_json
from targetry.activities.model.definitions import ActivityDefinition, WorkspaceSettings
from targetry.activities.model.documents import documents
from targetry.activities.model.yaml_values import parse_yaml
from targetry.device.artifact import artifact_text, read_json


def compiled_again(decompiled: Decompiled) -> Any:
    """Return the artifact of the files' texts."""
    texts = documents(decompiled.settings, decompiled.activities)
    values = {name: parse_yaml(text).value for name, text in texts.items()}
    settings = msgspec.convert(values.pop("targetry.yaml"), WorkspaceSettings)
    activities = [msgspec.convert(value, ActivityDefinition) for value in values.values()]
    result = compile_activities(ActivitySet(settings, activities))
    assert result.findings == []
    return next(iter(result.artifacts.values()))


@pytest.mark.parametrize("seeds", [range(8), *slow(range(8, 500))], ids=str)
def test_any_artifact_comes_back_from_its_files(seeds: range) -> None:
    for seed in seeds:
        artifact = read_json(artifact_text(json.dumps(random_artifact(random.Random(seed)))))
        assert same_json(compiled_again(decompile(artifact)), artifact), seed


def test_sample_shop_comes_back_without_verbatim_rules() -> None:
    result = decompile(samples.shop())
    assert result.verbatim == []
    assert same_json(compiled_again(result), samples.shop())
    assert [one.key for one in result.activities][:2] == ["hero-autumn-sale", "checkout-flags"]
    assert result.settings.audiences["audience_8"] == msgspec.convert(
        {"where": 'user.platform == "iOS"', "id": 3104450},
        type(result.settings.audiences["audience_8"]),
    )


@pytest.mark.parametrize("name", artifact_names())
def test_real_artifact_comes_back_without_verbatim_rules(name: str) -> None:
    artifact = suite_artifact(name)
    result = decompile(artifact)
    assert result.verbatim == []
    assert same_json(compiled_again(result), artifact)


def changed(place: str, number: int, **changes: Any) -> dict[str, Any]:
    """Return the sample with changed fields of one rule."""
    artifact = copy.deepcopy(samples.shop())
    artifact["rules"]["mboxes"][place][number] |= changes
    return artifact


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "x"},
        {"ruleKey": 7},
        {"activityId": 1},
        {"propertyTokens": ["a"]},
        {"consequence": {"name": "x", "options": [], "metrics": []}},
        {"meta": {}},
    ],
    ids=str,
)
def test_rule_of_another_shape_is_kept_verbatim_with_its_location(changes: dict[str, Any]) -> None:
    artifact = changed("hero", 1, **changes)
    result = decompile(artifact)
    assert result.verbatim == [("mboxes", "hero")]
    assert same_json(compiled_again(result), artifact)


def test_interleaved_rules_of_two_activities_are_kept_verbatim() -> None:
    artifact = copy.deepcopy(samples.shop())
    rules = artifact["rules"]["mboxes"]
    moved = copy.deepcopy(rules["checkout-flags"][0])
    moved["meta"]["location.name"] = moved["consequence"]["name"] = "hero"
    rules["hero"].insert(1, moved)
    result = decompile(artifact)
    assert result.verbatim == [("mboxes", "hero")]
    assert same_json(compiled_again(result), artifact)


def test_priorities_follow_the_order_at_locations() -> None:
    artifact = copy.deepcopy(samples.shop())
    rules = artifact["rules"]["mboxes"]
    for rule in (moved := copy.deepcopy(rules["checkout-flags"])):
        rule["meta"]["location.name"] = rule["consequence"]["name"] = "hero"
    rules["hero"] = moved + rules["hero"]
    result = decompile(artifact)
    assert result.verbatim == []
    priorities = {one.key: one.priority or 0 for one in result.activities}
    assert priorities["checkout-flags"] > priorities["hero-autumn-sale"]


def test_one_value_and_a_list_of_it_are_different_json() -> None:
    assert same_json({"a": [1, None]}, {"a": [1.0, None]})
    assert not same_json({"a": 1}, {"a": True})
    assert not same_json([0], [False])
    assert not same_json({"a": None}, {})
