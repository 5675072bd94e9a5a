"""Responses with encoded mboxes are those of the models, for all visitors and moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from device.test_matching import case
from support.cases import each_case
from support.device import CLIENT, NOW_MS, artifact, mboxes_of, rule
from targetry.device.decide import Match, decide
from targetry.device.encoded_mboxes import EncodedMboxes
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.device.trace import TraceSource
from targetry.models import (
    Context,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    Geo,
    MboxRequest,
    Option,
    PrefetchRequest,
    Trace,
    VisitorId,
)

TOKENS = {"activity.decisioningMethod": "server-side"}


def in_json(rules: RuleSet, request: DeliveryRequest, now_ms: int, encoded: EncodedMboxes | None) -> Any:
    decision = decide(rules, request, CLIENT, now_ms, lambda: "id", encoded=encoded)
    if encoded is None:
        for option in options_of(decision.response):
            assert option.response_tokens is not None
            option.response_tokens.update(TOKENS)
    impressions = [(one.name, list(one.tokens), one.timestamp) for one in decision.impressions]
    return msgspec.json.decode(msgspec.json.encode(decision.response)), impressions


def options_of(response: DeliveryResponse) -> Iterator[Option]:
    for mode in (response.execute, response.prefetch):
        if mode is not None:
            yield from (option for mbox in mode.mboxes or () for option in mbox.options or ())
            yield from (mode.page_load and mode.page_load.options) or ()
    for view in (response.prefetch and response.prefetch.views) or ():
        yield from view.options or ()


@given(st.integers(0, 2**32 - 1))
def test_encoded_response_equals_that_of_the_models(seed: int) -> None:
    document, request, now_ms = case(seed)
    rules, encoded = compile_artifact(document), EncodedMboxes(TOKENS)
    for moment in (now_ms, now_ms + seed % 10**9, now_ms):
        assert in_json(rules, request, moment, encoded) == in_json(rules, request, moment, None)


def asked(index: int, name: str, **parameters: Any) -> DeliveryRequest:
    mboxes = [MboxRequest(index=index, name=name, parameters=parameters)]
    return DeliveryRequest(
        id=VisitorId(tnt_id=f"visitor {index}"),
        context=Context(channel="web", geo=Geo(city="Bern") if index == 2 else None),
        execute=ExecuteRequest(mboxes=mboxes),
        prefetch=PrefetchRequest(mboxes=mboxes),
    )


@each_case(
    "kind, content, is_encoded",
    [
        ("html", "plain", True),
        ("html", "${activity.name}", True),
        ("html", "${mbox.name} ${activity.name}", False),
        ("html", "${user.color}", False),
        ("html", "${}", False),
        ("json", {"a": [1, {"b": "${user.color}"}]}, True),
        ("actions", [{"type": "setHtml", "content": "${campaign.name}"}], True),
        ("actions", [{"type": "setHtml", "content": "${user.color}"}, "other"], False),
        ("redirect", "https://shop.example/?a=${user.color}", True),
        (None, None, True),
    ],
)
def test_content_is_encoded_once_if_it_is_equal_for_all(kind: Any, content: Any, is_encoded: bool) -> None:
    rules = compile_artifact(mboxes_of(rule(content=content, kind=kind), responseTokens=["geo.city"]))
    encoded = EncodedMboxes(TOKENS)
    for index, color in enumerate(("red", "blue", "green", "red")):
        request = asked(index, "hero", **{"user.color": color})
        assert in_json(rules, request, NOW_MS, encoded) == in_json(rules, request, NOW_MS, None)
    assert [len(encoded.execute), len(encoded.prefetch)] == [is_encoded, is_encoded]


def test_rule_without_a_name_gets_that_of_each_mbox() -> None:
    unnamed = rule(consequence={"options": [{"type": "html", "content": "all"}]})
    rules, encoded = compile_artifact(artifact({"a": [unnamed], "b": [unnamed]})), EncodedMboxes(TOKENS)
    for name in ("a", "b"):
        assert in_json(rules, asked(1, name), NOW_MS, encoded) == in_json(rules, asked(1, name), NOW_MS, None)


def test_trace_and_matches_are_not_of_encoded_responses() -> None:
    rules, encoded = compile_artifact(mboxes_of(rule())), EncodedMboxes(TOKENS)
    request = asked(1, "hero")
    request.trace = Trace()
    source, matches = TraceSource("session", CLIENT, {}), list[Match]()
    traced = decide(rules, request, CLIENT, NOW_MS, lambda: "id", source, encoded=encoded)
    matched = decide(rules, request, CLIENT, NOW_MS, lambda: "id", matches=matches, encoded=encoded)
    options = [option.content for decision in (traced, matched) for option in options_of(decision.response)]
    assert options == ["hello"] * 4
    assert [one.location for one in matches] == ["hero", "hero"]
    assert (encoded.execute, encoded.prefetch) == ({}, {})
    request.trace = None
    decide(rules, request, CLIENT, NOW_MS, lambda: "id", source, encoded=encoded)
    assert [len(encoded.execute), len(encoded.prefetch)] == [1, 1]


def test_unreported_decision_has_impressions_in_a_trace_only() -> None:
    rules, request = compile_artifact(mboxes_of(rule())), asked(1, "hero")
    source = TraceSource("session", CLIENT, {})

    def impressions(**options: Any) -> int:
        return len(decide(rules, request, CLIENT, NOW_MS, lambda: "id", **options).impressions)

    assert [impressions(), impressions(is_reported=False), impressions(is_reported=False, trace=source)] == [
        1,
        0,
        0,
    ]
    request.trace = Trace()
    assert impressions(is_reported=False, trace=source) == 1
