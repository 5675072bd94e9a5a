"""Explanation of a client's decision of one mbox: `client.explain`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from targetry._client.decisions.visitor_decisions import (
    PreparedVisitor,
    VisitorDecisions,
    checked_mbox_parameters,
    checked_name,
    merge_parameters,
)
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.explanation import LocationExplanation, RuleExplanation, explain
from targetry.errors import NotReadyError
from targetry.humanize.explanation import describe_changes, describe_location
from targetry.messages import DECISIONING_ENGINE_NOT_READY
from targetry.models import ExecuteRequest, MboxRequest


class DecisionExplanation(msgspec.Struct, frozen=True):
    """Explanation of what `client.decide` decides for a visitor at this moment.

    `str()` of it is a text of several lines, which holds no id of the visitor.

    Attributes:
        name: The mbox.
        context: The facts that rules ask for: browser, page, geo location and time.
        location: The rules of the mbox with verdict, condition, allocation and window.
        changes: The conditions that the answer depends on, one line for each rule.
    """

    name: str
    context: dict[str, Any]
    location: LocationExplanation
    changes: list[str]

    @property
    def rules(self) -> list[RuleExplanation]:
        """The rules in the artifact's order; a condition is a tree with the value of each part."""
        return self.location.rules

    @property
    def matched(self) -> RuleExplanation | None:
        """The rule that decides; None if no rule matches."""
        return next(iter(self.location.matched), None)

    @property
    def is_remote(self) -> bool:
        """Whether only the Delivery API can decide the mbox."""
        return self.location.is_remote

    def __str__(self) -> str:
        lines = describe_location(self.location)
        if self.changes:
            lines += ["The answer depends on:", *(f"  - {change}" for change in self.changes)]
        return "\n".join(lines)


def explain_decision(
    decisions: VisitorDecisions, name: str, visitor: PreparedVisitor, parameters: Mapping[str, Any] | None
) -> DecisionExplanation:
    """Explain the decision of one mbox. Raises as `VisitorDecisions.decide`."""
    decisions.check_visitor(visitor)
    name = checked_name(name)
    rules, _ = decisions.rules_in_use()
    if rules is None:
        raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
    given = merge_parameters(visitor, checked_mbox_parameters(parameters) if parameters else {})
    mbox = MboxRequest(index=0, name=name, parameters=given or None)
    explanation = explain(
        decisions.rules_for(rules, visitor, (name,)),
        replace(visitor._prepared.request, execute=ExecuteRequest(mboxes=[mbox])),
        client_code=decisions.client_code,
        now_ms=int(time.time() * 1000),
        budget=ExplainBudget(time.thread_time),
    )
    [location] = explanation.locations
    return DecisionExplanation(name, explanation.context, location, describe_changes(location))
