"""Verdicts of a report in words."""

from __future__ import annotations

from typing import Any

from support.cases import each_case
from targetry.report.verdicts import describe_cap, describe_largest_part, describe_verdict

VERDICTS: dict[str, tuple[str, dict[str, Any]]] = {
    "better: ship": ("better", {"guardrails": ["safe"]}),
    "better: wait for the guardrails": ("better", {"guardrails": ["safe", "not yet"]}),
    "guardrail is harmed: stop": ("better", {"guardrails": ["harmed", "safe"]}),
    "worse: stop": ("worse", {"guardrails": ["not yet"]}),
    "split is broken": ("split is broken", {"guardrails": ["harmed"]}),
    "too early: 7 of 20": ("too early", {"counted": 7, "least": 20}),
    "no difference above 2 %": ("no difference", {"margin": 0.02}),
    "not yet: go on": ("not yet", {}),
    "not yet: go on, 1 day": ("not yet", {"days_left": 1}),
    "not yet: go on, 1,200 days": ("not yet", {"days_left": 1200}),
    "not yet: plan is reached": ("not yet", {"days_left": 0}),
}


@each_case("words", VERDICTS)
def test_verdict_says_what_to_do(words: str) -> None:
    verdict, facts = VERDICTS[words]
    assert describe_verdict(verdict, **facts) == words


def test_sentences_about_money() -> None:
    assert (
        describe_cap(1, 1234.5) == "1 visitor has more revenue than the cap; 1,234.50 of it is not compared"
    )
    assert describe_largest_part(0.124).startswith("one visitor made 12 % of an experience's revenue; ")
