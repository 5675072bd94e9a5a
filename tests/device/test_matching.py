"""Matching of rules: compiled, traced and by a plain reference implementation."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from differential.artifacts import artifact as random_artifact
from differential.cases import question
from differential.suites import SUITES, artifact_names
from differential.suites import artifact as real_artifact
from support import logic_interpreter
from support.cases import each_case
from support.device import CLIENT, contents, decision_of, facts, mboxes_of, request_for, rule, window
from support.examples import examples
from targetry.device.decide import OnDeviceDecision
from targetry.device.logic.allocation import bucket
from targetry.device.logic.facts import Facts, RequestFacts, bucketing_id
from targetry.device.ruleset import compile_artifact
from targetry.models import DeliveryRequest, MboxRequest, RequestDetails, ViewRequest

seeds = st.integers(0, 2**32 - 1)
Document = dict[str, Any]


def case(seed: int) -> tuple[Document, DeliveryRequest, int]:
    """Return an artifact as Target exports them, a request for it, and a time."""
    rng = random.Random(seed)
    names = artifact_names() if SUITES.is_dir() else []
    document = real_artifact(rng.choice(names)) if names and rng.random() < 0.3 else random_artifact(rng)
    asked_for = question(rng, document)
    wire = {"id": {"tntId": f"visitor-{seed}"}, **asked_for["request"]}
    wire.pop("trace", None)
    return document, DeliveryRequest.from_dict(wire), asked_for["now"]


def answer(decision: OnDeviceDecision) -> Any:
    """Return the whole decision without traces."""
    lists = decision.impressions, decision.remote_mboxes, decision.remote_views
    return without_traces(json.loads(decision.response.to_json())), copy.deepcopy(lists)


def without_traces(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: without_traces(value) for key, value in tree.items() if key != "trace"}
    return [without_traces(item) for item in tree] if isinstance(tree, list) else tree


# ── by the letter ───


def numbered_contents(document: Document) -> tuple[Document, list[Document]]:
    """Return the artifact with the position of each rule as its only content."""
    document = copy.deepcopy(document)
    rules = [one for places in document["rules"].values() for rules in places.values() for one in rules]
    for position, one in enumerate(rules):
        name = one["consequence"].get("name")
        one["consequence"] = {
            "name": name,
            "options": [{"type": "json", "content": position, "eventToken": "t"}],
        }
    return document, rules


def by_the_letter(
    document: Document, request: DeliveryRequest, now_ms: int, mode: str
) -> Iterator[tuple[str, list[int]]]:
    """Yield the type of each requested location and the contents of its matches, in order."""
    block = getattr(request, mode)
    if block is None:
        return
    token = request._property.token if request._property is not None else None
    requested = RequestFacts(request.context, bucketing_id(request.id), CLIENT, now_ms)  # type: ignore[arg-type]

    def matches(rules: Iterable[Document], of: Facts) -> Iterator[Document]:
        keys: set[str] = set()
        for one in rules:
            activity = one["meta"]["activity.id"]
            context = of.as_dict(bucket(CLIENT, activity, requested.visitor) / 100)
            if one.get("propertyTokens") and token not in one["propertyTokens"]:
                continue
            if one["ruleKey"] in keys or not logic_interpreter.truthy(
                logic_interpreter.apply(one["condition"], context)
            ):
                continue
            keys.add(one["ruleKey"])
            yield one

    def given(rules: Iterable[Document]) -> list[int]:
        return [one["consequence"]["options"][0]["content"] for one in rules]

    rules = document["rules"]
    global_mbox = document.get("globalMbox", "target-global-mbox")
    for mbox in block.mboxes or ():
        found = matches(rules["mboxes"].get(mbox.name, ()), Facts(requested, mbox, mbox.name))
        yield "mbox", given(found) if mbox.name == global_mbox else given(found)[:1]
    if block.page_load is not None:
        yield (
            "pageLoad",
            given(
                matches(rules["mboxes"].get(global_mbox, ()), Facts(requested, block.page_load, global_mbox))
            ),
        )
    for view in getattr(block, "views", None) or ():
        of_all = [one for of_view in rules["views"].values() for one in of_view]
        found = matches(
            rules["views"].get(view.name, ()) if view.name else of_all, Facts(requested, view, view.name)
        )
        by_name: dict[Any, list[int]] = {}
        for one in found:
            by_name.setdefault(one["consequence"]["name"], []).extend(given([one]))
        yield "view", [content for of_name in by_name.values() for content in of_name]


def engines_choice(decision: OnDeviceDecision, mode: str) -> list[int]:
    block = getattr(decision.response, mode)
    if block is None:
        return []
    parts = [
        *(block.mboxes or ()),
        *([block.page_load] if block.page_load else ()),
        *(getattr(block, "views", None) or ()),
    ]
    return [option.content for part in parts for option in part.options or ()]


@settings(max_examples=examples(150))
@given(seeds)
def test_engine_matches_the_rules_of_the_reference(seed: int) -> None:
    document, request, now_ms = case(seed)
    document, _ = numbered_contents(document)
    rules = compile_artifact(document)
    if rules.unusable:
        return
    for traced in (False, True):
        if traced:
            request = DeliveryRequest.from_dict({**json.loads(request.to_json()), "trace": {}})
        decision = decision_of(rules, request, now_ms=now_ms, traced=traced)
        for mode in ("execute", "prefetch"):
            expected = [content for _, of in by_the_letter(document, request, now_ms, mode) for content in of]
            assert engines_choice(decision, mode) == expected


# ── with and without a trace ───


@settings(max_examples=examples(150))
@given(seeds)
def test_traced_decision_is_the_same_decision(seed: int) -> None:
    document, request, now_ms = case(seed)
    rules = compile_artifact(document)
    traced = DeliveryRequest.from_dict({**json.loads(request.to_json()), "trace": {}})
    with_trace = decision_of(rules, traced, now_ms=now_ms, traced=True)
    for impression in with_trace.impressions:
        impression._notification = None
    assert answer(with_trace) == answer(decision_of(rules, request, now_ms=now_ms))


def test_rule_fails_with_and_without_trace() -> None:
    failing: dict[str, Any] = {"*": []}
    document = mboxes_of(
        rule(1, failing, content="never"),
        rule(2, {"and": [window(0, 100), failing]}, content="nor this"),
        rule(3, {"or": [{"<": [{"var": "allocation"}, 0]}, failing]}, content="nor that"),
        rule(4, content="this"),
    )
    fast = decision_of(document, request_for("hero"))
    traced = decision_of(document, request_for("hero", trace={}), traced=True)
    assert contents(fast) == contents(traced) == ["this"]
    assert [failure.activity_id for failure in fast.failures] == ["1", "3"]
    assert {failure.activity_id for failure in traced.failures} >= {"1", "3"}
    assert all("without operands" in str(failure.error) for failure in fast.failures + traced.failures)
    # which would keep all that the decision held alive
    assert all(failure.error.__traceback__ is None for failure in fast.failures + traced.failures)


def test_expensive_audience_has_the_same_result_with_trace() -> None:
    """Return an audience that takes more than half of the work that a location is allowed."""
    costly = {"!": [{"some": [[0] * 55, {"in": [1, [0] * 1000]}]}]}
    shared = mboxes_of(*(rule(n, costly, content=n) for n in range(3)), mbox="target-global-mbox")
    fast = decision_of(shared, request_for("target-global-mbox"))
    traced = decision_of(shared, request_for("target-global-mbox", trace={}), traced=True)
    assert contents(fast) == [0, 1, 2]
    assert contents(traced) == contents(fast)
    assert traced.failures == fast.failures == []


def test_alternating_audiences_are_evaluated_once_each() -> None:
    costly = {"!": [{"some": [[0] * 55, {"in": [1, [0] * 1000]}]}]}
    turns = [rule(n, costly if n % 2 else {"==": [1, 1]}, content=n) for n in range(5)]
    for name, given_ in [("hero", [0]), ("target-global-mbox", [0, 1, 2, 3, 4])]:
        decision = decision_of(mboxes_of(*turns, mbox=name), request_for(name))
        assert contents(decision) == given_
        assert decision.failures == []


AT = bucket(CLIENT, 1, "visitor") / 100
EDGES = [
    ({"<=": [AT, {"var": "allocation"}, AT]}, True),
    ({"<": [AT, {"var": "allocation"}]}, False),
    ({"<": [{"var": "allocation"}, AT]}, False),
    ({"<=": [AT, {"var": "allocation"}]}, True),
    ({"<=": [{"var": "allocation"}, AT]}, True),
    (window(AT, 100), False),
    (window(0, AT), True),
]


@each_case("condition, holds", EDGES)
@each_case("mbox", ["hero", "target-global-mbox"])
@each_case("traced", [False, True])
def test_visitor_at_the_edge_of_a_window_is_in_one_window(
    condition: Any, holds: bool, mbox: str, traced: bool
) -> None:
    document = mboxes_of(rule(1, condition), mbox=mbox)
    request = request_for(mbox, trace={}) if traced else request_for(mbox)
    assert bool(contents(decision_of(document, request, traced=traced))) is holds


# ── nothing else has an influence ───


@settings(max_examples=examples(60))
@given(seeds, st.randoms())
def test_rules_of_other_locations_change_nothing(seed: int, shuffle: random.Random) -> None:
    document, request, now_ms = case(seed)
    before = answer(decision_of(document, request, now_ms=now_ms))
    others = random_artifact(random.Random(seed + 1))
    changed = copy.deepcopy(document)
    asked_for = {
        mbox.name for block in (request.execute, request.prefetch) if block for mbox in block.mboxes or ()
    }
    asked_for |= {document.get("globalMbox", "target-global-mbox")}
    for name, rules in others["rules"]["mboxes"].items():
        if name not in asked_for:
            changed["rules"]["mboxes"][name] = rules
            changed["localMboxes"].append(name)
    places = list(changed["rules"]["mboxes"].items())
    shuffle.shuffle(places)
    changed["rules"]["mboxes"] = dict(places)
    assert answer(decision_of(changed, request, now_ms=now_ms)) == before


@settings(max_examples=examples(60))
@given(seeds, st.randoms())
def test_order_of_exclusive_experiences_changes_nothing(seed: int, shuffle: random.Random) -> None:
    audience = {"==": [{"var": "user.browserType"}, "safari"]} if seed % 2 else True
    split = [
        rule(1, {"and": [window(low, low + 25), audience]}, content=str(low)) for low in range(0, 100, 25)
    ]
    request = request_for("hero", id={"tntId": str(seed)})
    before = contents(decision_of(mboxes_of(*split), request))
    shuffle.shuffle(split)
    assert contents(decision_of(mboxes_of(*split), request)) == before


@given(st.integers(0, 4))
def test_unrelated_activities_before_do_not_move_a_visitor(count: int) -> None:
    split = [rule(1, window(low, low + 50), content=str(low)) for low in (0, 50)]
    others = [rule(n + 2, window(0, 0.01), content="other") for n in range(count)]
    for number in range(20):
        request = request_for("hero", id={"tntId": f"v{number}"})
        alone = contents(decision_of(mboxes_of(*split), request))
        among = contents(decision_of(mboxes_of(*others, *split), request))
        assert among in (alone, ["other"])


@settings(max_examples=examples(60))
@given(seeds)
@example(0)
def test_decision_leaves_no_trace_in_the_rules_or_the_request(seed: int) -> None:
    document, request, now_ms = case(seed)
    untouched = request.to_json()
    rules = compile_artifact(document)
    unchanged = rules.document()
    first = decision_of(rules, request, now_ms=now_ms)
    before = answer(first)
    spoil(first)
    assert request.to_json() == untouched
    assert answer(decision_of(rules, request, now_ms=now_ms)) == before
    assert rules.document() == unchanged


def spoil(decision: OnDeviceDecision) -> None:
    """Change everything in a decision that can be changed."""
    for block in (decision.response.execute, decision.response.prefetch):
        if block is None:
            continue
        parts: list[Any] = [*(block.mboxes or ()), *(getattr(block, "views", None) or ())]
        parts += [block.page_load] if block.page_load else []
        for part in parts:
            for option in part.options or ():
                spoil_json(option.content)
                spoil_json(option.response_tokens)
                option.content = option.type = None
            for metric in part.metrics or ():
                metric.type = metric.selector = metric.event_token = "spoilt"
            if part.analytics is not None and part.analytics.payload is not None:
                part.analytics.payload.pe = "spoilt"
            part.options = part.metrics = None
    if decision.response.id is not None:
        decision.response.id.tnt_id = "spoilt"
    for impression in decision.impressions:
        impression.name = "spoilt"
    decision.remote_mboxes.append("spoilt")
    decision.remote_views.append("spoilt")


def spoil_json(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            spoil_json(item)
        value["spoilt"] = True
    elif isinstance(value, list):
        for item in value:
            spoil_json(item)
        value.append("spoilt")


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_nested_offer_is_copied_for_each_response(mode: str) -> None:
    offer = {"a": [1, {"b": [2]}], "c": {"d": {}}, "e": []}
    actions = [
        {"type": "setStyle", "content": {"color": {"deep": "red"}}},
        {"type": "setHtml", "content": "${name}"},
        5,
        [1],
    ]
    document = mboxes_of(rule(1, content=offer, kind="json"), mbox="json")
    document["rules"]["mboxes"]["actions"] = [rule(2, content=actions, kind="actions")]
    rules = compile_artifact(document)
    request = request_for("json", "actions", mode=mode)
    first = contents(decision_of(rules, request), mode)
    before = copy.deepcopy(first)
    spoil_json(first)
    assert contents(decision_of(rules, request), mode) == before
    assert before[0] == offer


def test_details_of_every_kind_give_the_same_facts() -> None:
    """Return the three kinds of details with the fields that facts read."""
    for details in (MboxRequest(name="a"), ViewRequest(name="a"), RequestDetails()):
        of = Facts(facts().request, details, "a")
        assert of.as_dict(None)["mbox"] == {}
