"""Outcomes of flags: value, variant, reason and metadata, on device and server-side."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import each_case
from support.device import CLIENT, NOW_MS, mboxes_of, rule, window
from targetry.device.decide_mbox import decide_mbox, visitor_facts
from targetry.device.logic.javascript import UNDEFINED
from targetry.device.ruleset import compile_artifact
from targetry.flags.errors import FlagError
from targetry.flags.evaluation import (
    FlagEvaluation,
    evaluate_on_device,
    evaluate_response,
    failed,
    not_decided,
)
from targetry.flags.key import parse_key
from targetry.flags.value import FlagType
from targetry.models import Context, MboxResponse, Option

HOME = {"==": [{"var": "mbox.page"}, "home"]}
CART = {"==": [{"var": "mbox.page"}, "cart"]}
NO_OPTIONS = {"consequence": {"name": "hero", "options": []}}


def evaluated(
    document: dict[str, Any],
    key: str = "hero",
    wanted: FlagType | None = None,
    *,
    visitor: str | None = "v",
    is_stale: bool = False,
) -> FlagEvaluation:
    rules = compile_artifact(document)
    parsed = parse_key(key)
    facts = visitor_facts(visitor, Context(), CLIENT, {"page": "home"})
    outcome = decide_mbox(rules, parsed.mbox, facts, None, NOW_MS)
    if outcome is None:
        raise not_decided(parsed.mbox)
    return evaluate_on_device(key, parsed, wanted, outcome, is_stale)


@each_case(
    "rules, value, variant, reason",
    [
        ([rule(1, CART)], UNDEFINED, None, "DEFAULT"),
        ([rule(1, window(0, 99.98))], "hello", "Experience 0", "SPLIT"),
        ([rule(1, HOME)], "hello", "Experience 0", "TARGETING_MATCH"),
        ([rule(1)], "hello", "Experience 0", "STATIC"),
        ([rule(1, CART), rule(2, experience=3)], "hello", "Experience 3", "DEFAULT"),
        ([rule(1, HOME, **NO_OPTIONS)], UNDEFINED, "Experience 0", "TARGETING_MATCH"),
        ([rule(1, **NO_OPTIONS)], UNDEFINED, "Experience 0", "STATIC"),
    ],
)
def test_outcome_on_device(rules: list[dict[str, Any]], value: Any, variant: str | None, reason: str) -> None:
    evaluation = evaluated(mboxes_of(*rules))
    assert (evaluation.value, evaluation.variant, evaluation.reason) == (value, variant, reason)
    assert evaluation.error_code is None


@pytest.mark.parametrize("rules", [[rule(1)], [rule(1, CART)], [rule(1, **NO_OPTIONS)]])
def test_stale_rules_become_the_reason_and_the_other_reason_metadata(rules: list[dict[str, Any]]) -> None:
    document = mboxes_of(*rules)
    stale, fresh = evaluated(document, is_stale=True), evaluated(document)
    assert stale.reason == "STALE"
    assert stale.metadata["reason"] == fresh.reason
    assert (stale.value, stale.variant) == (fresh.value, fresh.variant)


@each_case(
    "rules, key, visitor, code",
    [
        ([rule(1)], "other", "v", "FLAG_NOT_FOUND"),
        ([rule(1, {"nonsense": []})], "hero", "v", "FLAG_NOT_FOUND"),
        ([rule(1, content={"a": 1}, kind="json")], "hero:b", "v", "FLAG_NOT_FOUND"),
        ([rule(1, content={"a": 1}, kind="json")], "hero:a", "v", "TYPE_MISMATCH"),
        ([rule(1, window(0, 99.98))], "hero", None, "TARGETING_KEY_MISSING"),
        ([rule(1, window(0, 0.01)), rule(2)], "hero", None, "TARGETING_KEY_MISSING"),
    ],
)
def test_error_on_device(rules: list[dict[str, Any]], key: str, visitor: str | None, code: str) -> None:
    with pytest.raises(FlagError) as caught:
        evaluated(mboxes_of(*rules), key, "string", visitor=visitor)
    assert caught.value.code == code


def test_visitor_without_id_gets_values_that_need_no_allocation() -> None:
    assert evaluated(mboxes_of(rule(1, HOME)), visitor=None).value == "hello"


def test_metadata_has_activity_experience_and_offer() -> None:
    document = mboxes_of(rule(7, experience=2))
    document["meta"]["generatedAt"] = "2026-11-28T12:00:00.000Z"
    assert evaluated(document).metadata == {
        "activity.id": 7,
        "activity.name": "Activity 7",
        "activity.type": "ab",
        "experience.id": 2,
        "experience.name": "Experience 2",
        "offer.id": 72,
        "offer.name": "/offers/2",
        "decisioningMethod": "on-device",
        "flagSetId": CLIENT,
        "version": "2026-11-28T12:00:00.000Z",
    }


def test_unnamed_variant_is_the_experience_id() -> None:
    plain = rule(1, experience=4)
    del plain["meta"]["experience.name"]
    assert evaluated(mboxes_of(plain)).variant == "4"


def answered(mbox: MboxResponse | None, key: str = "hero", wanted: FlagType | None = None) -> FlagEvaluation:
    options = (mbox.options if mbox is not None else None) or []
    return evaluate_response(key, parse_key(key), wanted, options, flag_set="p-1", method="server-side")


def test_response_with_options_has_a_value() -> None:
    tokens = {"experience.name": "B", "experience.id": 1, "activity.id": 9, "profile.x": "secret"}
    mbox = MboxResponse(options=[Option(type="json", content={"a": True}, response_tokens=tokens)])
    evaluation = answered(mbox, "hero:a", "boolean")
    assert (evaluation.value, evaluation.variant, evaluation.reason) == (True, "B", "UNKNOWN")
    assert evaluation.metadata == {
        "activity.id": 9,
        "experience.id": 1,
        "experience.name": "B",
        "decisioningMethod": "server-side",
        "flagSetId": "p-1",
    }


@pytest.mark.parametrize("mbox", [None, MboxResponse(), MboxResponse(options=[])])
def test_response_without_options_is_the_default(mbox: MboxResponse | None) -> None:
    evaluation = answered(mbox)
    assert (evaluation.value, evaluation.variant, evaluation.reason) == (UNDEFINED, None, "DEFAULT")
    assert evaluation.metadata == {"decisioningMethod": "server-side", "flagSetId": "p-1"}


def test_error_is_the_outcome_of_a_flag_without_a_value() -> None:
    evaluation = failed("hero", not_decided("hero"))
    assert (evaluation.key, evaluation.value, evaluation.variant) == ("hero", UNDEFINED, None)
    assert (evaluation.reason, evaluation.error_code) == ("ERROR", "FLAG_NOT_FOUND")
    assert evaluation.message == "mbox 'hero' is not decided on device"
    assert evaluation.metadata == {}


def test_response_of_another_type_is_a_mismatch() -> None:
    with pytest.raises(FlagError) as caught:
        answered(MboxResponse(options=[Option(content="text")]), wanted="object")
    assert caught.value.code == "TYPE_MISMATCH"
