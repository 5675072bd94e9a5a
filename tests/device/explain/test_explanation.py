from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential import artifacts
from differential.cases import question
from differential.suites import SUITES
from differential.suites import artifact as suite_artifact
from support.device import (
    CLIENT,
    NEVER,
    NOW_MS,
    artifact,
    decision_of,
    mboxes_of,
    numbered_ids,
    request_for,
    rule,
    window,
)
from support.examples import examples
from support.slow import slow
from targetry import samples
from targetry.delivery.prepare import ensure_visitor_id
from targetry.device.decide import decide
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.explanation import (
    Explanation,
    LocationExplanation,
    LocationMatches,
    RuleExplanation,
    Verdict,
    explain,
    match_locations,
)
from targetry.device.logic.allocation import allocation
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.models import ConstraintError, DeliveryRequest, snapshot

GLOBAL = "target-global-mbox"
IS_GERMAN = {"==": ["DE", {"var": "geo.country"}]}


def explained(
    document: Mapping[str, Any] | bytes, request: DeliveryRequest, budget: ExplainBudget | None = None
) -> Explanation:
    rules = compile_artifact(document)
    budget = budget or ExplainBudget(stopped)
    return explain(rules, request, client_code=CLIENT, now_ms=NOW_MS, budget=budget)


def stopped() -> float:
    """Return the time of a clock that does not advance."""
    return 0.0


def one_location(document: Mapping[str, Any], request: DeliveryRequest) -> LocationExplanation:
    (location,) = explained(document, request).locations
    return location


def verdicts(rules: list[RuleExplanation]) -> list[str]:
    return [rule.verdict.value for rule in rules]


# ── which rule decided, and why not the others ───


def test_rules_after_the_first_match_are_not_reached() -> None:
    location = one_location(mboxes_of(rule(1, NEVER), rule(2), rule(3)), request_for("hero"))

    assert verdicts(location.rules) == ["condition", "matched", "not-reached"]
    assert [rule.meta["activity.id"] for rule in location.matched] == [2]


def test_evaluated_rule_shows_its_condition_with_values() -> None:
    location = one_location(
        mboxes_of(rule(1, IS_GERMAN)),
        request_for("hero", context={"channel": "web", "geo": {"countryCode": "AT"}}),
    )

    (met,) = location.rules
    assert met.condition is not None
    assert [(part.name, part.value) for part in met.condition.operands] == [
        (None, "DE"),
        ("geo.country", "AT"),
    ]


def test_rule_outside_of_its_window_shows_allocation_and_range() -> None:
    here = allocation(CLIENT, 1, "visitor")
    location = one_location(
        mboxes_of(rule(1, window(here, 100)), rule(1, window(0, here))), request_for("hero")
    )

    outside, inside = location.rules
    assert (outside.verdict, outside.allocation, outside.window) == (Verdict.ALLOCATION, here, (here, 100))
    assert outside.reason == f"the allocation {here:g} is not in {here:g} to 100"
    assert (inside.verdict, inside.allocation, inside.window) == (Verdict.MATCHED, here, (0, here))


def test_audience_is_the_cause_if_audience_and_window_fail() -> None:
    nowhere = {"and": [{"<": [200, {"var": "allocation"}]}, IS_GERMAN]}
    location = one_location(mboxes_of(rule(1, nowhere)), request_for("hero"))

    assert verdicts(location.rules) == ["condition"]


@pytest.mark.parametrize(
    ("token", "verdict", "reason"),
    [
        (None, "property", "only for property a, and the request names no property"),
        ("b", "property", "only for property a, and the request is of property b"),
        ("a", "matched", "its content is given"),
    ],
    ids=["no property", "another one", "its own"],
)
def test_rule_of_a_property_is_explained(token: str | None, verdict: str, reason: str) -> None:
    more: dict[str, Any] = {"property": {"token": token}} if token else {}
    location = one_location(mboxes_of(rule(1, propertyTokens=["a"])), request_for("hero", **more))

    (met,) = location.rules
    assert (met.verdict, met.reason, met.property_tokens) == (verdict, reason, ["a"])
    assert (met.condition is None) is (verdict == "property")


def test_one_rule_of_each_key_matches_on_the_global_mbox() -> None:
    document = mboxes_of(rule(1), rule(2), rule(1), rule(3), mbox=GLOBAL)

    assert verdicts(one_location(document, request_for(GLOBAL)).rules) == [
        "matched",
        "matched",
        "rule-key",
        "matched",
    ]


def test_page_load_is_explained_by_the_rules_of_the_global_mbox() -> None:
    location = one_location(mboxes_of(rule(1), rule(2), mbox=GLOBAL), request_for(execute={"pageLoad": {}}))

    assert (location.type, location.name, verdicts(location.rules)) == ("pageLoad", GLOBAL, ["matched"] * 2)


def test_unusable_rule_is_shown_at_its_position_with_its_cause() -> None:
    rules = [rule(1, NEVER), rule(2, {"guess": []}), 7, rule(3)]
    location = one_location(artifact({"hero": rules}), request_for("hero"))

    assert verdicts(location.rules) == ["condition", "quarantined", "quarantined", "matched"]
    assert [rule.position for rule in location.rules] == [0, 1, 2, 3]
    assert location.rules[1].reason == "unknown operator 'guess'"
    assert location.rules[1].meta["activity.id"] == 2
    assert location.rules[2].meta == {}
    assert location.is_remote


def test_rule_that_cannot_be_evaluated_has_a_failed_verdict() -> None:
    doubled: Any = "x" * 1_000
    for _ in range(11):
        doubled = {"cat": [doubled, doubled]}
    location = one_location(mboxes_of(rule(1, {"==": [doubled, ""]}), rule(2)), request_for("hero"))

    failed, second = location.rules
    assert failed.verdict is Verdict.FAILED
    assert failed.reason.startswith("its condition cannot be evaluated: ")
    assert second.verdict is Verdict.MATCHED


def busy(size: int, *, answer: bool) -> dict[str, Any]:
    """Return a condition with a loop over a list in a loop."""
    numbers = list(range(size))
    return {"!" if answer else "!!": [{"some": [numbers, {"some": [numbers, {"==": [{"var": ""}, -1]}]}]}]}


def test_rule_fails_when_earlier_rules_used_up_the_work_of_the_decision() -> None:
    # Each takes about two thirds of the steps that a location is allowed.
    rules = [rule(1, busy(190, answer=False)), rule(2, busy(190, answer=True))]
    first, second = one_location(mboxes_of(*rules), request_for("hero")).rules

    assert (first.verdict, second.verdict) == (Verdict.CONDITION, Verdict.FAILED)
    assert second.reason == "earlier rules have used up the work that a decision may cost"


# ── which locations ───


def test_locations_are_executed_first_and_by_kind() -> None:
    request = request_for(
        execute={"pageLoad": {}, "mboxes": [{"index": 0, "name": "hero"}]},
        prefetch={"views": [{"name": "home"}, {}], "mboxes": [{"index": 0, "name": "hero"}]},
    )
    explanation = explained(artifact({"hero": [rule()]}, {"home": [rule(name="home")]}), request)

    assert [(location.mode, location.type, location.name) for location in explanation.locations] == [
        ("execute", "mbox", "hero"),
        ("execute", "pageLoad", GLOBAL),
        ("prefetch", "mbox", "hero"),
        ("prefetch", "view", "home"),
        ("prefetch", "view", None),
    ]


def test_view_without_a_name_is_every_view() -> None:
    document = artifact(
        views={"home": [rule(1, name="home")], "cart": [rule(2, NEVER, name="cart"), rule(1, name="cart")]}
    )
    location = one_location(document, request_for(prefetch={"views": [{}]}))

    assert [(one.location, one.position, one.verdict.value) for one in location.rules] == [
        ("home", 0, "matched"),
        ("cart", 0, "condition"),
        ("cart", 1, "rule-key"),
    ]


@pytest.mark.parametrize(
    ("name", "is_remote"),
    [("hero", False), ("footer", True), ("unknown", True)],
    ids=["local", "remote", "unknown"],
)
def test_location_shows_whether_it_is_remote(name: str, is_remote: bool) -> None:
    document = mboxes_of(rule(), localMboxes=["hero", "footer"], remoteMboxes=["footer"])

    assert one_location(document, request_for(name)).is_remote is is_remote


def test_location_without_rules_shows_none() -> None:
    assert one_location(mboxes_of(rule()), request_for("unknown")).rules == []


# ── the whole ───


def test_explanation_shows_the_facts_of_the_request() -> None:
    request = request_for(
        "hero", property={"token": "p"}, context={"channel": "web", "geo": {"countryCode": "de"}}
    )
    explanation = explained(mboxes_of(rule()), request)

    assert (explanation.visitor, explanation.client_code, explanation.property_token, explanation.now_ms) == (
        "visitor",
        CLIENT,
        "p",
        NOW_MS,
    )
    assert explanation.context["geo"] == {"country": "DE"}
    assert "mbox" not in explanation.context


def test_location_shows_its_parameters() -> None:
    request = request_for(execute={"mboxes": [{"index": 0, "name": "hero", "parameters": {"plan": "gold"}}]})

    assert one_location(mboxes_of(rule()), request).parameters == {"plan": "gold"}


def test_explanation_is_camel_case_json() -> None:
    explanation = msgspec.to_builtins(explained(mboxes_of(rule(1, window(0, 100))), request_for("hero")))

    (location,) = explanation["locations"]
    (met,) = location["rules"]
    assert set(explanation) == {"clientCode", "visitor", "propertyToken", "nowMs", "context", "locations"}
    assert met["ruleKey"] == "1"
    assert met["verdict"] == "matched"
    assert met["condition"]["operands"][0] == {
        "operator": "<=",
        "value": True,
        "operands": [{"value": 0}, {"operator": "var", "name": "allocation", "value": met["allocation"]}],
    }


# ── an explanation and a decision are one ───


def marked(document: dict[str, Any]) -> dict[str, Any]:
    """Return the artifact with the position of each rule as its content."""
    for kind, locations in document["rules"].items():
        for name, rules in locations.items():
            for position, one in enumerate(rules):
                if isinstance(one, dict):
                    content = f"{kind} {name} {position}"
                    options = [{"type": "json", "content": content, "eventToken": content}]
                    one["consequence"] = {"name": name, "options": options, "metrics": []}
    return document


def decided_places(rules: RuleSet, request: DeliveryRequest, now_ms: int) -> list[list[Any]]:
    """Return the positions of the rules that decided, by mode and location."""
    response = decide(rules, request, client_code=CLIENT, now_ms=now_ms, new_id=numbered_ids()).response
    places = []
    for answer in (response.execute, response.prefetch):
        mboxes = [
            option.content for mbox in (answer and answer.mboxes) or () for option in mbox.options or ()
        ]
        page_load = answer.page_load if answer is not None else None
        places += [mboxes, [option.content for option in (page_load.options if page_load else None) or ()]]
    views = response.prefetch.views if response.prefetch is not None else None
    return [*places, sorted(option.content for view in views or () for option in view.options or ())]


def explained_places(explanation: Explanation) -> list[list[Any]]:
    def of(kind: str, *modes: str) -> Iterator[str]:
        for location in explanation.locations:
            if location.type == kind and location.mode in modes:
                places = "views" if kind == "view" else "mboxes"
                yield from (f"{places} {one.location} {one.position}" for one in location.matched)

    by_mode = [list(of(kind, mode)) for mode in ("execute", "prefetch") for kind in ("mbox", "pageLoad")]
    return [*by_mode, sorted(of("view", "prefetch"))]


def places_of(location: LocationExplanation | LocationMatches) -> list[Any]:
    """Return what an explanation and its short form have in common."""
    experiences = sorted(str(one.meta.get("experience.id")) for one in location.matched)
    return [location.mode, location.type, location.name, location.is_remote, experiences]


def agree(document: dict[str, Any], seed: int) -> None:
    rng = random.Random(seed)
    request_for = question(rng, document)
    try:
        request = snapshot(request_for["request"], wire=False)
    except ConstraintError:
        return
    ensure_visitor_id(request, None, lambda: f"visitor-{seed}")
    rules = compile_artifact(marked(document))

    explanation = explain(
        rules, request, client_code=CLIENT, now_ms=request_for["now"], budget=ExplainBudget(stopped)
    )

    assert explained_places(explanation) == decided_places(rules, request, request_for["now"])
    matches = match_locations(rules, request, client_code=CLIENT, now_ms=request_for["now"])
    assert [places_of(one) for one in matches] == [places_of(one) for one in explanation.locations]
    for location in explanation.locations:
        for one in location.rules:
            if one.condition is not None and one.verdict is not Verdict.FAILED:
                matched = one.verdict is Verdict.MATCHED
                assert bool(one.condition.value or one.condition.value == {}) is matched, one


REAL: dict[str, Callable[[], dict[str, Any]]] = {"the sample shop": samples.shop}
if SUITES.is_dir():
    for path in sorted((SUITES / "artifacts").glob("*.json")):
        REAL[path.stem] = lambda name=path.stem: suite_artifact(name)  # type: ignore[misc]


@pytest.mark.parametrize("load", REAL.values(), ids=REAL)
@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**32))
def test_explained_rules_are_those_of_the_decision(load: Callable[[], dict[str, Any]], seed: int) -> None:
    agree(load(), seed)


@settings(max_examples=examples(150))
@given(seed=st.integers(0, 2**32))
def test_explained_rules_are_those_of_the_decision_for_any_artifact(seed: int) -> None:
    agree(artifacts.artifact(random.Random(seed)), seed)


def test_explanation_does_not_change_the_request() -> None:
    document, request = mboxes_of(rule(1, IS_GERMAN)), request_for("hero")
    before = request.to_json()
    explained(document, request)

    assert request.to_json() == before
    assert decision_of(document, request).response.execute is not None


# ── limits ───


def nobody_of(number: int) -> dict[str, Any]:
    return rule(number, {"==": [{"var": "mbox.n"}, number]})


def test_rules_are_shown_until_the_nodes_are_used_up_and_then_counted() -> None:
    document = mboxes_of(*map(nobody_of, range(1, 300)))
    (location,) = explained(document, request_for("hero"), ExplainBudget(stopped, nodes=100)).locations

    assert 5 < len(location.rules) < 30
    assert len(location.rules) + location.more == 299
    assert verdicts(location.rules) == ["condition"] * len(location.rules)
    assert location.rules[3].condition is not None


def test_rules_are_shown_until_the_time_is_used_up_and_then_counted() -> None:
    document = mboxes_of(*map(nobody_of, range(1, 300)))
    budget = ExplainBudget(itertools.count().__next__, seconds=100)
    (location,) = explained(document, request_for("hero"), budget).locations

    assert 5 < len(location.rules) < 50
    assert len(location.rules) + location.more == 299


@pytest.mark.parametrize("nodes", [0, 10, 100])
def test_matched_rule_is_shown_with_any_budget(nodes: int) -> None:
    document = mboxes_of(*map(nobody_of, range(1, 300)), rule(300), rule(301))
    (location,) = explained(document, request_for("hero"), ExplainBudget(stopped, nodes=nodes)).locations

    assert [rule.meta["activity.id"] for rule in location.matched] == [300]
    assert len(location.rules) + location.more == 301
    assert location.rules[-1].verdict is Verdict.MATCHED


def test_rule_that_matched_keeps_only_its_names_when_the_budget_is_exhausted() -> None:
    meta = {"activity.id": 1, "activity.name": "x" * 5000, "experience.name": ["E"], "many": [1] * 2000}
    document = mboxes_of(rule(1, meta=meta))
    (location,) = explained(document, request_for("hero"), ExplainBudget(stopped, nodes=0)).locations

    (matched,) = location.matched
    assert matched.meta == {
        "activity.id": 1,
        "activity.name": "x" * 1000 + "… (5,000 characters)",
        "experience.name": ["E"],
    }


def test_all_locations_share_one_budget() -> None:
    document = mboxes_of(*map(nobody_of, range(1, 30)))
    budget = ExplainBudget(stopped, nodes=100)
    first, second = explained(document, request_for("hero", "hero"), budget).locations

    assert (len(first.rules) + first.more, len(second.rules) + second.more) == (29, 29)
    assert (second.rules, second.more) == ([], 29)


def test_large_location_of_ordinary_rules_is_shown_completely() -> None:
    several = [rule(i, {"and": [window(0, 50), IS_GERMAN]}) for i in range(1, 1001)]
    location = one_location(mboxes_of(*several, mbox=GLOBAL), request_for(GLOBAL))

    assert (len(location.rules), location.more) == (1000, 0)
    assert all(rule.condition is not None and rule.condition.operands for rule in location.rules)


def hostile_rules() -> dict[str, list[dict[str, Any]]]:
    """Return rules whose explanation without limits takes minutes or megabytes, by kind."""
    items = {"map": [list(range(400)), {"var": ""}]}
    looping = {"some": [items, {"some": [items, {"==": [{"var": ""}, -1]}]}]}
    nested: Any = {"==": [{"var": "mbox.n"}, 1]}
    for level in range(90):
        nested = {"and": [{"==": [{"var": "mbox.n"}, level]}] * 20 + [nested]}
    wide = {"or": [{"==": [{"var": "mbox.n"}, i]} for i in range(2_000)]}
    texts = {"!": [{"var": ["mbox.none", ["x" * 1_000] * 2_000]}]}
    return {
        "loops in loops": [rule(i, looping) for i in range(1, 20)],
        "deep conditions": [rule(i, nested) for i in range(1, 4)],
        "wide conditions": [rule(i, wide) for i in range(1, 20)],
        "long texts": [rule(i, texts) for i in range(1, 8)],
        "large metas": [
            rule(i, NEVER, meta={"activity.id": i, "m": ["y" * 900] * 900}) for i in range(1, 20)
        ],
    }


@pytest.mark.parametrize(
    "kind",
    ["loops in loops", "wide conditions", "long texts", *slow("deep conditions", "large metas")],
)
def test_explanation_of_hostile_rules_is_bounded_in_time_and_size(kind: str) -> None:
    seconds, nodes = 0.1, 3_000
    rules = hostile_rules()[kind]
    compiled = compile_artifact(mboxes_of(*rules, rule(100)))
    assert compiled.unusable == ()
    started = time.process_time()
    budget = ExplainBudget(time.process_time, seconds=seconds, nodes=nodes)
    explanation = explain(compiled, request_for("hero"), client_code=CLIENT, now_ms=NOW_MS, budget=budget)

    assert time.process_time() - started < seconds + 2
    assert len(msgspec.json.encode(explanation)) < 300 * nodes
    (location,) = explanation.locations
    assert location.matched[0].meta["activity.id"] == 100
    assert len(location.rules) + location.more == len(rules) + 1


def test_long_meta_is_cut() -> None:
    meta = {"activity.id": 1, "activity.name": "x" * 5000, "experience.name": "E", "many": [1] * 2000}
    document = mboxes_of(rule(1, meta=meta))
    (location,) = explained(document, request_for("hero"), ExplainBudget(stopped, nodes=1000)).locations

    assert location.rules[0].meta["activity.name"] == "x" * 1000 + "… (5,000 characters)"
    assert location.rules[0].meta["experience.name"] == "E"
    assert location.rules[0].meta["many"][-1].endswith("more")


@pytest.mark.parametrize(
    "broken", ['{"meta": {}, "condition": 1e999}', '{"meta": {"activity.name": "A"}, "condition": "\xff"}']
)
def test_rule_that_cannot_be_read_does_not_stop_the_explanation_of_the_others(broken: str) -> None:
    text = json.dumps(mboxes_of(rule(1, NEVER), rule(2))).replace(
        '"mboxes": {"hero": [', '"mboxes": {"hero": [' + broken + ","
    )
    request = request_for("hero", prefetch={"views": [{}]})
    mbox, _ = explained(text.encode("latin-1"), request).locations

    assert verdicts(mbox.rules) == ["quarantined", "condition", "matched"]
    assert mbox.rules[0].meta == {}
