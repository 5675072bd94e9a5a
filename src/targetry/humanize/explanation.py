"""Descriptions of an explanation: the facts, the cause of each rule, the parts of its condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import (
    Explanation,
    LocationExplanation,
    RuleExplanation,
    Verdict,
    explain,
)
from targetry.device.ruleset import RuleSet
from targetry.humanize.expression import expression, is_leaf, value_text
from targetry.humanize.text import truncate_text
from targetry.models import DeliveryRequest

_MARKS: Final = {True: "✓", False: "✗", None: "·"}


def describe_facts(explanation: Explanation) -> list[str]:
    """Describe the facts of the request that rules use, as far as they are given."""
    user, page, geo = (explanation.context[name] for name in ("user", "page", "geo"))
    version = f" {user['browserVersion']}" if user["browserVersion"] >= 0 else ""
    facts = [f"browser {user['browserType']}{version}", f"platform {user['platform']}"]
    facts += [f"page {page['url']}"] if page["url"] else []
    facts += [f"{name} {value}" for name, value in geo.items()]
    facts += [f"property {explanation.property_token}"] if explanation.property_token else []
    return facts


def describe_experience(values: Mapping[str, Any]) -> str:
    """Return the names of activity and experience, such as `Hero: autumn sale › Everyday`.

    Args:
        values: Meta of a rule, or response tokens of an option; without names the result is empty.
    """
    activity = values.get("activity.name", values.get("activity.id"))
    experience = values.get("experience.name", values.get("experience.id"))
    return " › ".join([str(name) for name in (activity, experience) if name is not None])


def describe_reason(rule: RuleExplanation) -> str:
    """Describe why a rule matched, or why it did not."""
    if rule.verdict is not Verdict.MATCHED:
        return rule.reason
    if rule.window is not None:
        return f"the allocation {rule.allocation:g} is in {rule.window[0]:g} to {rule.window[1]:g}"
    is_unconditional = rule.condition is not None and is_leaf(rule.condition)
    return "it is for every visitor" if is_unconditional else "its condition holds"


def describe_place(location: LocationExplanation) -> str:
    """Return the type and the name of a location, such as `mbox hero`."""
    return "every view" if location.name is None else f"{location.type} {location.name}"


def describe_position(rule: RuleExplanation, location: LocationExplanation) -> str:
    """Return the position of a rule, with its view if the location is every view."""
    return f"rule {rule.position}" if location.name is not None else f"{rule.location} rule {rule.position}"


def describe_location(location: LocationExplanation) -> list[str]:
    """Describe the rules of a location in lines: the result, then each rule with its condition."""
    matched = "; ".join(dict.fromkeys(_named(rule) for rule in location.matched))
    nothing = "nothing matched" if location.rules or location.more else "no rules"
    lines = [truncate_text(f"{describe_place(location)}: {matched or nothing}")]
    if location.is_remote:
        lines.append("  only the Delivery API can decide all of it")
    for rule in location.rules:
        if rule.verdict is Verdict.NOT_REACHED:
            lines.append(truncate_text(f"  · {describe_position(rule, location)}: not reached"))
            continue
        mark = _MARKS[rule.verdict is Verdict.MATCHED]
        lines.append(truncate_text(f"  {mark} {describe_position(rule, location)}: {_named(rule)}"))
        lines.append(truncate_text(f"      {describe_reason(rule)}"))
        for part in condition_parts(rule.condition):
            text = " ".join(one for one in (_MARKS[part.holds], part.text, part.value, part.error) if one)
            lines.append(truncate_text("      " + "  " * part.depth + text))
    if location.more:
        lines.append(f"  {location.more:,} more that did not match, left out")
    return lines


def describe_decision(
    rules: RuleSet, request: DeliveryRequest, *, client_code: str, now_ms: int, budget: ExplainBudget
) -> list[str]:
    """Describe the decision of a request in lines; the arguments are those of `explain`."""
    explanation = explain(rules, request, client_code=client_code, now_ms=now_ms, budget=budget)
    return [line for location in explanation.locations for line in ("", *describe_location(location))]


def describe_changes(location: LocationExplanation) -> list[str]:
    """Describe what the result of a location depends on, one line for each rule."""
    lines = (f"rule {rule.position} ({_named(rule)}) {_cause(rule)}" for rule in _decisive_rules(location))
    return [truncate_text(line) for line in lines]


def _decisive_rules(location: LocationExplanation) -> Iterator[RuleExplanation]:
    return (rule for rule in location.rules if rule.verdict is not Verdict.NOT_REACHED)


def _cause(rule: RuleExplanation) -> str:
    is_match = rule.verdict is Verdict.MATCHED
    if rule.window is not None and rule.verdict in (Verdict.MATCHED, Verdict.ALLOCATION):
        low, high = rule.window
        return f"matches an allocation in {low:g} to {high:g}; this visitor has {rule.allocation:g}"
    if not is_match and rule.verdict is not Verdict.CONDITION:
        return f"does not match: {rule.reason}"
    decisive = "; ".join(part.text for part in _decisive_parts(rule) if part.holds is is_match)
    if is_match:
        return f"matches because this is true: {decisive}" if decisive else "matches every visitor"
    return f"does not match because this is false: {decisive or 'its condition'}"


def _decisive_parts(rule: RuleExplanation) -> Iterator[ConditionPart]:
    """Yield the parts of a condition that have no parts of their own in lines below them."""
    parts = list(condition_parts(rule.condition))
    for part, following in zip(parts, [*parts[1:], None], strict=False):
        if following is None or following.depth <= part.depth:
            yield part


def _named(rule: RuleExplanation) -> str:
    return describe_experience(rule.meta) or "without a name"


class ConditionPart(NamedTuple):
    """A part of a condition, `depth` levels below the whole.

    `holds` is None for a part that is neither true nor false; `value` is set if neither `holds` nor
    `text` has it, `error` if the part cannot be evaluated.
    """

    depth: int
    text: str
    holds: bool | None = None
    value: str = ""
    error: str = ""


def condition_parts(condition: ConditionNode | None) -> Iterator[ConditionPart]:
    """Yield the parts of a condition, each before its operands; none for a literal.

    An operation whose operands are all leaves is one line. There is no recursion, as conditions can
    be deeply nested.
    """
    if condition is None or (is_leaf(condition) and condition.operator is None):
        return
    pending = [(0, condition)]
    while pending:
        depth, node = pending.pop()
        on_one_line = not node.more and all(is_leaf(operand) for operand in node.operands)
        yield _part(depth, node, expression(node) if on_one_line else (node.operator or "list"))
        if node.more:
            yield ConditionPart(depth + 1, f"{node.more:,} more")
        if not on_one_line:
            pending += [(depth + 1, operand) for operand in reversed(node.operands)]


def _part(depth: int, node: ConditionNode, text: str) -> ConditionPart:
    if node.error is not None:
        return ConditionPart(depth, text, error=f"cannot be evaluated: {node.error}")
    if isinstance(node.value, bool):
        return ConditionPart(depth, text, node.value)
    return ConditionPart(depth, text, value="" if is_leaf(node) else value_text(node))
