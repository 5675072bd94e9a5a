"""QA mode as a change of rules: which rules of which locations remain."""

from __future__ import annotations

from functools import cache
from typing import Any

from support.cases import each_case
from support.device import artifact, facts, mboxes_of, request_for, rule, window
from targetry.device.matching import all_matches
from targetry.device.qa_mode import listed_activities, qa_rules, rules_for
from targetry.device.ruleset import Location, RuleSet, compile_artifact
from targetry.models import QAMode

INDEX = {"token": "1", "previewIndexes": [{"activityIndex": 1, "experienceIndex": 2}]}
UNCHANGED = ["1/0", "1/1", "2/0"]


def split(experience: int, **more: Any) -> dict[str, Any]:
    low = 50 * experience
    return rule(1, window(low, low + 50), experience=experience, ruleKey=f"1/{experience}", **more)


@cache
def rules() -> RuleSet:
    mboxes = {name: [split(0), split(1), rule(2, ruleKey="2/0")] for name in ("hero", "target-global-mbox")}
    return compile_artifact(artifact(mboxes, {"home": [split(0), split(1), rule(2, ruleKey="2/0")]}))


def left(location: Location) -> list[str]:
    return [one.key for one in location.rules]


def test_request_without_qa_mode_has_the_rules_of_the_artifact() -> None:
    assert rules_for(rules(), request_for("hero")) is rules()
    assert rules_for(rules(), request_for("hero", qaMode={"token": "1"})) is rules()


@each_case(
    "asked_for, changed",
    [
        (request_for("hero", qaMode=INDEX), {"hero"}),
        (request_for("hero", mode="prefetch", qaMode=INDEX), {"hero"}),
        (request_for("other", qaMode=INDEX), set()),
        (request_for(execute={"pageLoad": {}}, qaMode=INDEX), {"target-global-mbox"}),
        (request_for(prefetch={"pageLoad": {}}, qaMode=INDEX), {"target-global-mbox"}),
        (request_for("hero", prefetch={"pageLoad": {}}, qaMode=INDEX), {"hero", "target-global-mbox"}),
        (request_for(prefetch={"views": [{"name": "home"}]}, qaMode=INDEX), {"home", "all views"}),
        (request_for("hero", prefetch={"views": [{}]}, qaMode=INDEX), {"hero", "home", "all views"}),
    ],
)
def test_only_requested_locations_are_changed(asked_for: Any, changed: set[str]) -> None:
    made = rules_for(rules(), asked_for)
    found = {**made.mboxes, **made.views, "all views": made.all_views}
    assert {name: left(one) for name, one in found.items()} == {
        name: ["1/1", "2/0"] if name in changed else UNCHANGED for name in found
    }
    assert left(made.decidable_mboxes["hero"]) == left(made.mboxes["hero"])


def test_views_are_changed_on_demand_only() -> None:
    mode = QAMode(token="2", listed_activities_only=True)
    assert left(qa_rules(rules(), mode, ("hero",)).views["home"]) == UNCHANGED
    assert left(qa_rules(rules(), mode, ("hero",), views=True).views["home"]) == ["2/0"]


@each_case(
    "token, listed",
    [
        ("482910, 482917", ["482910", "482917"]),
        (",".join(["1"] * 100), ["1"] * 100),
        (",".join(["1"] * 101), []),
        ("1,dGhlIHRva2Vu", []),
        ("1,٢", []),
        ("1,,2", []),
        ("", []),
        (None, []),
    ],
)
def test_activities_are_those_of_a_plain_token(token: str | None, listed: list[str]) -> None:
    assert listed_activities(token) == listed


@each_case(
    "position, experience, remaining",
    [
        (1, 1, ["1/0", "2/0"]),
        (1, 2, ["1/1", "2/0"]),
        (1, 3, UNCHANGED),
        (1, 0, UNCHANGED),
        (1, None, UNCHANGED),
        (None, 1, UNCHANGED),
        (0, 1, UNCHANGED),
        (2, 1, UNCHANGED),
    ],
)
def test_preview_index_selects_an_experience(
    position: int | None, experience: int | None, remaining: list[str]
) -> None:
    index = {"activityIndex": position, "experienceIndex": experience}
    mode = {"token": "1", "previewIndexes": [{key: one for key, one in index.items() if one is not None}]}
    changed = rules_for(rules(), request_for("hero", qaMode=mode))
    assert left(changed.mboxes["hero"]) == remaining
    assert (changed is rules()) is (remaining == UNCHANGED)


def test_later_preview_indexes_apply_after_unknown_ones() -> None:
    mode = {"token": "1,2", "previewIndexes": [{"activityIndex": 9, "experienceIndex": 1}]}
    mode["previewIndexes"] += INDEX["previewIndexes"]
    assert left(rules_for(rules(), request_for("hero", qaMode=mode)).mboxes["hero"]) == ["1/1", "2/0"]


@each_case(
    "mode, remaining",
    [
        ({"token": "2", "listedActivitiesOnly": True}, ["2/0"]),
        ({"token": "2", "listedActivitiesOnly": False}, UNCHANGED),
        ({"token": "dGhlIHRva2Vu", "listedActivitiesOnly": True}, UNCHANGED),
    ],
)
def test_listed_activities_can_be_the_only_ones(mode: Any, remaining: list[str]) -> None:
    assert left(rules_for(rules(), request_for("hero", qaMode=mode)).mboxes["hero"]) == remaining


HOME = {"==": [{"var": "mbox.page"}, "home"]}


@each_case(
    "audiences, mode, matching",
    [
        ([5, 6], {"evaluateAsTrueAudienceIds": [5, 6, 7]}, ["a", "b"]),
        ([5, 6], {"evaluateAsTrueAudienceIds": [5]}, ["b"]),
        ([], {"evaluateAsTrueAudienceIds": [5]}, ["b"]),
        ("5", {"evaluateAsTrueAudienceIds": [5]}, ["b"]),
        ([True], {"evaluateAsTrueAudienceIds": [1]}, ["b"]),
        ([5, "x"], {"evaluateAsTrueAudienceIds": [5]}, ["a", "b"]),
        ([5, 6], {"evaluateAsTrueAudienceIds": [5, 6], "evaluateAsFalseAudienceIds": [6]}, ["b"]),
        ([5], {"evaluateAsFalseAudienceIds": [5]}, ["b"]),
    ],
)
def test_audiences_count_as_true_or_false(audiences: Any, mode: Any, matching: list[str]) -> None:
    rules = compile_artifact(
        mboxes_of(
            rule(1, HOME, ruleKey="a", meta={"experience.id": 0, "audience.ids": audiences}),
            rule(2, ruleKey="b"),
        )
    )
    changed = rules_for(rules, request_for("hero", qaMode=mode))
    runs = changed.mboxes["hero"].unrestricted
    assert [one.key for one in all_matches(runs, facts())] == matching


def test_rule_excluded_by_a_false_audience_never_matches() -> None:
    rules = compile_artifact(mboxes_of(rule(1, meta={"experience.id": 0, "audience.ids": [5]})))
    changed = rules_for(rules, request_for("hero", qaMode={"evaluateAsFalseAudienceIds": [5]}))
    assert left(changed.mboxes["hero"]) == []


def test_window_ends_with_the_choice_and_stays_with_a_true_audience() -> None:
    meta = {"experience.id": 1, "audience.ids": [5]}
    document = mboxes_of(split(0), rule(1, {"and": [HOME, *window(50, 99)["and"]]}, experience=1, meta=meta))
    rules = compile_artifact(document)

    def of(mode: dict[str, Any]) -> tuple[bool, bool, frozenset[str]]:
        changed = rules_for(rules, request_for("hero", qaMode=mode)).mboxes["hero"].rules[-1]
        return changed.has_window, changed.audience is not None, changed.tokens

    assert of(INDEX) == (False, True, frozenset())
    assert of({"evaluateAsTrueAudienceIds": [5]}) == (True, False, frozenset())
    assert of({**INDEX, "evaluateAsTrueAudienceIds": [5]}) == (False, False, frozenset())
