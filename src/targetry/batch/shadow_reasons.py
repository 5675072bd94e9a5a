"""Reasons why a decision on device lacks the experience of a response."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import Explanation, LocationExplanation, RuleExplanation, Verdict
from targetry.device.explain.explanation import explain as explain_request
from targetry.device.logic.javascript import to_text
from targetry.device.ruleset import RuleSet
from targetry.models import DeliveryRequest

Given: TypeAlias = tuple[str, str | None]
"""Activity and experience."""

_MOST_SECONDS: Final = 0.5  # of processor time, for a request
_MOST_FACTS: Final = 3


def explained(rules: RuleSet, request: DeliveryRequest, client: str, now_ms: int) -> Explanation:
    """Return the explanation of a decision, in bounded time."""
    budget = ExplainBudget(time.thread_time, seconds=_MOST_SECONDS)
    return explain_request(rules, request, client_code=client, now_ms=now_ms, budget=budget)


def reason(location: LocationExplanation, server: list[Given], device: list[Given]) -> str:
    """Return why the device has not given what the server has.

    Args:
        location: The explained location.
        server: The experiences of the response.
        device: Those of the decision.
    """
    wanted = next((one for one in server if one not in device), None)
    if wanted is None:
        matched = [rule for rule in location.matched if _given(rule) not in server]
        return "; ".join(f"rule {rule.position} matches on device" for rule in matched)
    activity, experience = wanted
    of_activity = [rule for rule in location.rules if _given(rule)[0] == activity]
    if not of_activity:
        return f"the artifact has no rule of activity {activity} here"
    own = [rule for rule in of_activity if _given(rule)[1] == experience]
    if not own:
        return f"the artifact has no rule of experience {experience} of activity {activity} here"
    rule = next((one for one in own if one.verdict is Verdict.ALLOCATION), own[0])
    if rule.verdict is Verdict.NOT_REACHED:
        return "; ".join(
            f"rule {one.position} decides before rule {rule.position}" for one in location.matched
        )
    facts = list(_false_facts(rule.condition)) if rule.verdict is Verdict.CONDITION else []
    listed = f": {', '.join(facts[:_MOST_FACTS])}" if facts else ""
    return f"rule {rule.position}: {rule.reason}{listed}"


def _given(rule: RuleExplanation) -> Given:
    activity, experience = rule.meta.get("activity.id"), rule.meta.get("experience.id")
    return to_text(activity), None if experience is None else to_text(experience)


def _false_facts(node: ConditionNode | None) -> Iterator[str]:
    """Yield the facts of the first part that makes a condition false."""
    while node is not None and node.operator == "and":
        node = next((one for one in node.operands if not one.value), None)
    if node is not None:
        yield from dict.fromkeys(_facts(node))


def _facts(node: ConditionNode) -> Iterator[str]:
    if node.name is not None:
        value = "absent" if node.value in (None, msgspec.UNSET) else msgspec.json.encode(node.value).decode()
        yield f"{node.name} is {value}"
    for one in node.operands:
        yield from _facts(one)
