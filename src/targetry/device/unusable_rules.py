"""Counts and causes of the rules of an artifact that cannot be used."""

from __future__ import annotations

from collections import Counter
from typing import Final

from targetry.device.ruleset import RuleSet, UnusableRule

_MOST_CAUSES: Final = 20
_CAUSES_IN_TEXT: Final = 3
OTHER_CAUSES: Final = "other causes"


def count_causes(rules: RuleSet) -> dict[str, int]:
    """Return the number of unusable rules by cause, the most frequent first, rare causes as one."""
    counted = Counter(rule.reason for rule in rules.unusable)
    causes = dict(counted.most_common(_MOST_CAUSES))
    others = counted.total() - sum(causes.values())
    return {**causes, OTHER_CAUSES: others} if others else causes


def describe_unusable_rules(rules: RuleSet) -> str:
    """Return one line about the unusable rules, with an example of each frequent cause."""
    unusable = rules.unusable
    examples: dict[str, UnusableRule] = {}
    for rule in unusable:
        examples.setdefault(rule.reason, rule)
    named = Counter(rule.reason for rule in unusable).most_common(_CAUSES_IN_TEXT)
    causes = [
        str(examples[reason]) if count == 1 else f"{examples[reason]} (and {count - 1} more for that reason)"
        for reason, count in named
    ]
    if len(examples) > len(named):
        causes.append(f"{len(examples) - len(named)} other causes")
    used = sum(len(one.rules) for one in (*rules.mboxes.values(), *rules.views.values()))
    return f"{len(unusable)} of {used + len(unusable)} rules are not used: {'; '.join(causes)}"
