"""Descriptions of an explanation: the facts, the cause of each rule, the parts of its condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import Explanation, RuleExplanation, Verdict
from targetry.humanize.expression import expression, is_leaf, value_text


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
    names = (values.get(f"{word}.name", values.get(f"{word}.id")) for word in ("activity", "experience"))
    return " › ".join(str(name) for name in names if name is not None)


def describe_reason(rule: RuleExplanation) -> str:
    """Describe why a rule matched, or why it did not."""
    if rule.verdict is not Verdict.MATCHED:
        return rule.reason
    if rule.window is not None:
        return f"the allocation {rule.allocation:g} is in {rule.window[0]:g} to {rule.window[1]:g}"
    is_unconditional = rule.condition is not None and is_leaf(rule.condition)
    return "it is for every visitor" if is_unconditional else "its condition holds"


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
