"""An explanation in words: what of the visitor counted, why each rule matched or did not, and each part of its condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import Explanation, RuleExplanation, Verdict
from targetry.humanize.expression import expression, is_leaf, value_text


def describe_facts(explanation: Explanation) -> list[str]:
    """What of the visitor rules go by, as far as it was given."""
    user, page, geo = (explanation.context[name] for name in ("user", "page", "geo"))
    version = f" {user['browserVersion']}" if user["browserVersion"] >= 0 else ""
    facts = [f"browser {user['browserType']}{version}", f"platform {user['platform']}"]
    facts += [f"page {page['url']}"] if page["url"] else []
    facts += [f"{name} {value}" for name, value in geo.items()]
    facts += [f"property {explanation.property_token}"] if explanation.property_token else []
    return facts


def describe_experience(values: Mapping[str, Any]) -> str:
    """`Hero: autumn sale › Everyday`, from the meta of a rule or the response tokens of an option; empty where they name none."""
    names = (values.get(f"{word}.name", values.get(f"{word}.id")) for word in ("activity", "experience"))
    return " › ".join(str(name) for name in names if name is not None)


def describe_reason(rule: RuleExplanation) -> str:
    """Why it matched, or why not."""
    if rule.verdict is not Verdict.MATCHED:
        return rule.reason
    if rule.window is not None:
        return f"the allocation {rule.allocation:g} is in {rule.window[0]:g} to {rule.window[1]:g}"
    for_everybody = rule.condition is not None and is_leaf(rule.condition)
    return "it is for everybody" if for_everybody else "its condition holds"


class ConditionLine(NamedTuple):
    """A part of a condition, `depth` levels below the whole. `holds` is None for what is neither true nor false; `value`
    is told where neither `holds` nor `text` tells it, `error` where there is none."""

    depth: int
    text: str
    holds: bool | None = None
    value: str = ""
    error: str = ""


def condition_lines(condition: ConditionNode | None) -> Iterator[ConditionLine]:
    """Part by part, each before its operands; an operation has a line of its own unless all of its operands are leaves.

    Nothing for a condition that is a literal. Without recursion, since conditions are as deep as they like.
    """
    if condition is None or (is_leaf(condition) and condition.operator is None):
        return
    pending = [(0, condition)]
    while pending:
        depth, node = pending.pop()
        on_one_line = not node.more and all(is_leaf(operand) for operand in node.operands)
        yield _part(depth, node, expression(node) if on_one_line else (node.operator or "list"))
        if node.more:
            yield ConditionLine(depth + 1, f"{node.more:,} more")
        if not on_one_line:
            pending += [(depth + 1, operand) for operand in reversed(node.operands)]


def _part(depth: int, node: ConditionNode, text: str) -> ConditionLine:
    if node.error is not None:
        return ConditionLine(depth, text, error=f"cannot be evaluated: {node.error}")
    if isinstance(node.value, bool):
        return ConditionLine(depth, text, node.value)
    return ConditionLine(depth, text, value="" if is_leaf(node) else value_text(node))
