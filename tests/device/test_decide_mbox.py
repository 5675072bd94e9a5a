"""One mbox decided alone gives the same as in a request.

Options, metrics, impressions, failures.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.test_matching import case
from support.cases import each_case
from support.device import CLIENT, NOW_MS, mboxes_of, rule, window
from targetry.device.decide import decide
from targetry.device.decide_mbox import MboxOutcome, VisitorFacts, decide_mbox, visitor_facts
from targetry.device.logic.facts import bucketing_id
from targetry.device.logic.javascript import UNDEFINED, EvaluationError
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.models import (
    Address,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    VisitorId,
)
from targetry.models.response import merged_content

SEEDS = st.integers(0, 2**32 - 1)


def visitor(request: DeliveryRequest, parameters: dict[str, Any] | None = None) -> VisitorFacts:
    token = request._property.token if request._property is not None else None
    return visitor_facts(bucketing_id(request.id), request.context or Context(), CLIENT, parameters, token)


def by_request(
    rules: RuleSet, base: DeliveryRequest, name: str, parameters: dict[str, Any] | None, now_ms: int
) -> dict[str, Any] | None:
    """Return the decision of `decide` for a request with one mbox in `execute`."""
    request = DeliveryRequest(
        id=base.id,
        context=base.context,
        _property=base._property,
        execute=ExecuteRequest(mboxes=[MboxRequest(index=0, name=name, parameters=parameters)]),
    )
    decision = decide(rules, request, CLIENT, now_ms, lambda: "id")
    if decision.remote_mboxes:
        return None
    assert decision.response.execute is not None
    mboxes = decision.response.execute.mboxes or []
    return {
        "options": [option for mbox in mboxes for option in mbox.options or ()],
        "metrics": [metric for mbox in mboxes for metric in mbox.metrics or ()],
        "analytics": next((mbox.analytics for mbox in mboxes if mbox.analytics), None),
        "impressions": [(one.name, list(one.tokens), one.timestamp) for one in decision.impressions],
        "failures": [(one.activity_id, one.reason) for one in decision.failures],
    }


def alone(outcome: MboxOutcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    assert outcome.content == merged_content(outcome.options, UNDEFINED)
    assert outcome.has_impressions == bool(outcome.impressions)
    return {
        "options": outcome.options,
        "metrics": outcome.metrics,
        "analytics": outcome.analytics,
        "impressions": [(one.name, list(one.tokens), one.timestamp) for one in outcome.impressions],
        "failures": [(one.activity_id, one.reason) for one in outcome.failures],
    }


@given(SEEDS)
def test_mbox_alone_gets_what_a_request_gets(seed: int) -> None:
    document, request, now_ms = case(seed)
    rng = random.Random(seed)
    rules = compile_artifact(document)
    request_for = (request.execute and request.execute.mboxes) or []
    parameters = next((mbox.parameters for mbox in request_for if mbox.parameters), None)
    with_own, bare = visitor(request, parameters), visitor(request)
    names = [*rules.mboxes, *rules.remote_mboxes, rules.global_mbox, "unknown"]
    for moment in (now_ms, now_ms + rng.randrange(10**9)):
        for name in names:
            expected = by_request(rules, request, name, parameters, moment)
            assert alone(decide_mbox(rules, name, with_own, None, moment)) == expected
            assert alone(decide_mbox(rules, name, bare, parameters or {}, moment)) == expected


def test_time_is_that_of_each_decision() -> None:
    late = {">=": [{"var": "current_timestamp"}, NOW_MS + 1000]}
    rules = compile_artifact(mboxes_of(rule(1, late, content="late"), rule(2, content="early")))
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    contents = []
    for moment in (NOW_MS, NOW_MS + 1000, NOW_MS):
        outcome = decide_mbox(rules, "hero", someone, None, moment)
        assert outcome is not None
        contents.append(outcome.options[0].content)
    assert contents == ["early", "late", "early"]


def test_prepared_visitor_uses_a_new_artifact() -> None:
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    for content in ("first", "second"):
        document = mboxes_of(rule(1, window(0, 99.99), content=content))
        outcome = decide_mbox(compile_artifact(document), "hero", someone, None, NOW_MS)
        assert outcome is not None
        assert outcome.options[0].content == content


@pytest.mark.parametrize("own", [True, False])
def test_page_of_the_context_is_read(own: bool) -> None:
    home = {"==": [{"var": "page.path"}, "/home"]}
    rules = compile_artifact(mboxes_of(rule(1, home, content="home")))
    context = Context(channel="web", address=Address(url="https://shop.example/home"))
    someone = visitor_facts("t", context, CLIENT)
    outcome = decide_mbox(rules, "hero", someone, None if own else {"a": "b"}, NOW_MS)
    assert outcome is not None
    assert outcome.options[0].content == "home"


def test_property_token_admits_its_rules_only() -> None:
    rules = compile_artifact(mboxes_of(rule(1, content="mine", propertyTokens=["p"]), rule(2, content="all")))
    contents = {}
    for token in ("p", "q", None):
        request = DeliveryRequest(
            id=VisitorId(tnt_id="t"), _property=ModelProperty(token=token) if token else None
        )
        outcome = decide_mbox(rules, "hero", visitor(request), None, NOW_MS)
        assert outcome is not None
        contents[token] = outcome.options[0].content
    assert contents == {"p": "mine", "q": "all", None: "all"}


def test_content_of_a_decision_is_a_copy() -> None:
    rules = compile_artifact(mboxes_of(rule(1, content={"a": {"b": 1}}, kind="json")))
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    first = decide_mbox(rules, "hero", someone, None, NOW_MS)
    assert first is not None
    first.options[0].content["a"]["b"] = 2
    second = decide_mbox(rules, "hero", someone, None, NOW_MS)
    assert second is not None
    assert second.options[0].content == {"a": {"b": 1}}


HOME = {"==": [{"var": "mbox.page"}, "home"]}


@each_case(
    "rules, reason",
    [
        ([rule(1)], "static"),
        ([rule(1, window(0, 99.99))], "static"),  # a window that admits everybody
        ([rule(1, HOME)], "targeting_match"),
        ([rule(1, window(0, 50)), rule(1, window(50, 99.99), experience=1)], "split"),
        ([rule(1, {"and": [HOME, *window(0, 99.98)["and"]]})], "split"),
        ([rule(1, {"<": [{"var": "allocation"}, {"var": "current_timestamp"}]})], "targeting_match"),
        ([rule(1, {"==": [{"var": "mbox.page"}, "cart"]}), rule(2)], "default"),
        ([rule(1, propertyTokens=["other"]), rule(2)], "static"),  # its only rule for this property
    ],
)
def test_reason_says_why_a_rule_matched(rules: list[dict[str, Any]], reason: str) -> None:
    request = DeliveryRequest(id=VisitorId(tnt_id="t"))
    for token in (None, "unknown", "p"):
        someone = visitor_facts(bucketing_id(request.id), Context(), CLIENT, {"page": "home"}, token)
        outcome = decide_mbox(compile_artifact(mboxes_of(*rules)), "hero", someone, None, NOW_MS)
        assert outcome is not None
        assert outcome.rule is not None
        assert outcome.location.reason(outcome.rule, token) == reason


def outcome_of(*rules: dict[str, Any]) -> MboxOutcome:
    """Return the decision of the global mbox, where all rules match."""
    document = mboxes_of(*rules, mbox="target-global-mbox")
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    outcome = decide_mbox(compile_artifact(document), "target-global-mbox", someone, None, NOW_MS)
    assert outcome is not None
    return outcome


UNREPORTED = {"name": "hero", "options": [{"type": "html", "content": "x"}]}


@each_case(
    "rules, reported",
    [
        ([], False),
        ([rule(1, consequence=UNREPORTED)], False),
        ([rule(1)], True),
        ([rule(1), rule(2, consequence=UNREPORTED)], True),
        ([rule(1, consequence=UNREPORTED), rule(2)], True),
        ([rule(1, consequence=UNREPORTED), rule(2, consequence=UNREPORTED)], False),
    ],
)
def test_content_with_an_event_token_has_impressions(rules: list[dict[str, Any]], reported: bool) -> None:
    outcome = outcome_of(*rules)
    assert outcome.has_impressions is reported
    assert bool(outcome.impressions) is reported


def test_variant_is_that_of_the_first_rule() -> None:
    assert outcome_of(rule(1, experience=5), rule(2, experience=6)).variant == "Experience 5"
    assert outcome_of().variant is None


# Too much work for one decision: 1,000 steps, each of which compares a thousand items.
COSTLY = {"map": [list(range(1000)), {"in": ["x", list(range(1000))]}]}
FAILURE = ("1", "more work than a decision may cost")


@each_case("own", [True, False])
@each_case("others", [[], [rule(2)]])
def test_rule_that_fails_is_a_failure_of_the_decision(others: list[dict[str, Any]], own: bool) -> None:
    rules = compile_artifact(mboxes_of(rule(1, COSTLY), *others))
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    for _ in range(2):  # the work of one decision is not that of the next
        outcome = decide_mbox(rules, "hero", someone, None if own else {}, NOW_MS)
        assert outcome is not None
        assert [(one.activity_id, one.reason) for one in outcome.failures] == [FAILURE]
        assert (outcome.rule is not None) is bool(others)


@each_case("own", [True, False])
def test_work_of_all_rules_of_a_decision_is_counted_together(own: bool) -> None:
    parts = [
        {"!": {"map": [list(range(600 + number)), {"in": ["x", list(range(100))]}]}} for number in range(2)
    ]
    rules = compile_artifact(mboxes_of(*(rule(number, part) for number, part in enumerate(parts))))
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")))
    outcome = decide_mbox(rules, "hero", someone, None if own else {}, NOW_MS)
    assert outcome is not None
    assert [one.activity_id for one in outcome.failures] == ["1"]
    following = outcome_of(rule(1))
    following.facts.spend(200_000)
    with pytest.raises(EvaluationError):
        following.facts.spend(1)


@each_case(
    "own, given, content",
    [
        ({"page": "home"}, None, "home"),
        (None, {"page": "home"}, "home"),
        ({"page": "home"}, {}, "else"),
        (None, None, "else"),
    ],
)
def test_parameters_of_the_call_replace_those_of_the_visitor(own: Any, given: Any, content: str) -> None:
    rules = compile_artifact(mboxes_of(rule(1, HOME, content="home"), rule(2, content="else")))
    someone = visitor(DeliveryRequest(id=VisitorId(tnt_id="t")), own)
    outcome = decide_mbox(rules, "hero", someone, given, NOW_MS)
    assert outcome is not None
    assert outcome.content == content


@each_case("is_unlocated", [True, False])
@each_case("uses_geo", [True, False])
def test_unlocated_visitor_is_remote_if_rules_use_geo(is_unlocated: bool, uses_geo: bool) -> None:
    rules = compile_artifact(mboxes_of(rule(1), geoTargetingEnabled=uses_geo))
    someone = visitor_facts("t", Context(), CLIENT, is_unlocated=is_unlocated)
    outcome = decide_mbox(rules, "hero", someone, None, NOW_MS)
    assert (outcome is None) is (is_unlocated and uses_geo)
