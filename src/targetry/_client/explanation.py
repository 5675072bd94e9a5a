"""Explanations of a client's decisions: `client.explain` and `client.explain_request`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from targetry._client.decisions.call_settings import RequestInput, checked_copy
from targetry._client.decisions.visitor_decisions import (
    PreparedVisitor,
    VisitorDecisions,
    checked_mbox_parameters,
    checked_name,
    merge_parameters,
)
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.explanation import LocationExplanation, RuleExplanation, explain
from targetry.device.logic.facts import bucketing_id
from targetry.device.ruleset import RuleSet
from targetry.errors import NotReadyError, OptionError
from targetry.humanize.explanation import describe_changes, describe_location
from targetry.messages import DECISIONING_ENGINE_NOT_READY
from targetry.models import DeliveryRequest, ExecuteRequest, MboxRequest, ModelProperty

_PROCESSOR_TIME: Final = getattr(time, "thread_time", time.process_time)  # browsers have no threads


class DecisionExplanation(msgspec.Struct, frozen=True):
    """Explanation of what a client decides for a visitor at one location at this moment.

    `str()` of it is a text of several lines, which holds no id of the visitor.

    Attributes:
        name: The mbox or view; the global mbox for the page load, empty for all views.
        context: The facts that rules ask for: browser, page, geo location and time.
        location: The rules of the location with verdict, condition, allocation and window.
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
        """The rule that decides, the first one of a page load or view; None if no rule matches."""
        return next(iter(self.location.matched), None)

    @property
    def is_remote(self) -> bool:
        """Whether only the Delivery API can decide all of the location."""
        return self.location.is_remote

    def __str__(self) -> str:
        lines = describe_location(self.location)
        if self.changes:
            lines += ["The answer depends on:", *(f"  - {change}" for change in self.changes)]
        return "\n".join(lines)


class RequestExplanation(msgspec.Struct, frozen=True):
    """Explanation of what a client decides for a request at this moment.

    `str()` of it is a text of several lines, which holds no id of the visitor.

    Attributes:
        context: The facts that rules ask for: browser, page, geo location and time.
        locations: The executed locations, then the prefetched ones; in each mode mboxes, the page
            load, and views.
    """

    context: dict[str, Any]
    locations: list[DecisionExplanation]

    def __str__(self) -> str:
        return "\n".join(map(str, self.locations))


def explain_decision(
    decisions: VisitorDecisions, name: str, visitor: PreparedVisitor, parameters: Mapping[str, Any] | None
) -> DecisionExplanation:
    """Explain the decision of one mbox. Raises as `VisitorDecisions.decide`."""
    decisions.check_visitor(visitor)
    name = checked_name(name)
    rules = _rules_of(decisions)
    given = merge_parameters(visitor, checked_mbox_parameters(parameters) if parameters else {})
    mbox = MboxRequest(index=0, name=name, parameters=given or None)
    request = replace(visitor._prepared.request, execute=ExecuteRequest(mboxes=[mbox]))
    [explained] = _explain(decisions, decisions.rules_for(rules, visitor, (name,)), request).locations
    return explained


def explain_request(decisions: VisitorDecisions, request: RequestInput) -> RequestExplanation:
    """Explain the decisions of a request.

    Raises:
        OptionError: A field is wrong, the request has no id of a visitor, or the client decides
            nothing on device.
        NotReadyError: There are no rules yet.
    """
    decisions.check_method()
    checked = checked_copy(request, wire=False)
    if not bucketing_id(checked.id):
        raise OptionError(
            "request.id", "has no id of a visitor, on which the decisions depend; give that of a result"
        )
    token = checked._property.token if checked._property is not None else None
    if not token and decisions.property_token:
        checked = replace(checked, _property=ModelProperty(decisions.property_token))
    return _explain(decisions, decisions.rules_for_request(_rules_of(decisions), checked), checked)


def _rules_of(decisions: VisitorDecisions) -> RuleSet:
    rules, _ = decisions.rules_in_use()
    if rules is None:
        raise NotReadyError(DECISIONING_ENGINE_NOT_READY)
    return rules


def _explain(decisions: VisitorDecisions, rules: RuleSet, request: DeliveryRequest) -> RequestExplanation:
    explanation = explain(
        rules,
        request,
        client_code=decisions.client_code,
        now_ms=int(time.time() * 1000),
        budget=ExplainBudget(_PROCESSOR_TIME),
    )
    context = explanation.context
    return RequestExplanation(
        context,
        [
            DecisionExplanation(one.name or "", context, one, describe_changes(one))
            for one in explanation.locations
        ],
    )
