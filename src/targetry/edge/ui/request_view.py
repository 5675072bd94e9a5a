"""A request that was answered, as a page shows it: what was asked for, what was given and why.

The explanation is that of `targetry explain`. Of a huge one only the beginning is shown: `_LINES` for a request altogether.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

import msgspec

from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import LocationExplanation, RuleExplanation, Verdict, explain
from targetry.device.logic.facts import bucketing_id
from targetry.device.ruleset import RuleSet
from targetry.edge.delivery.qa_mode import rules_for
from targetry.edge.ui.request_history import HistoryEntry
from targetry.humanize.explanation import (
    condition_lines,
    describe_experience,
    describe_facts,
    describe_reason,
)
from targetry.humanize.text import compact_json
from targetry.models import DeliveryRequest, Notification

_EXPLAIN_SECONDS: Final = 0.4  # of processor time, which visitors wait for
_EXPLAIN_NODES: Final = 20_000
_LINES: Final = 300
_LINES_OF_A_RULE: Final = 40
_LOCATIONS: Final = 20
_RULES: Final = 20
_PARAMETERS: Final = 20
_DEEPEST: Final = 8
_MARKS: Final = {True: "yes", False: "no", None: "none"}


class Line(msgspec.Struct, frozen=True):
    """A part of a condition. `mark`: `yes`, `no`, or `none` for what is neither true nor false."""

    depth: int
    mark: str
    text: str
    value: str


class RuleView(msgspec.Struct, frozen=True):
    title: str
    experience: str
    reason: str
    is_matched: bool
    lines: list[Line]


class LocationView(msgspec.Struct, frozen=True):
    """`given`: the experiences whose content was given; `nothing`: in a word or two, what to say where there is none."""

    title: str
    mode: str
    given: list[str]
    nothing: str
    note: str
    parameters: list[tuple[str, str]]
    rules: list[RuleView]
    more: str


class RequestView(msgspec.Struct, frozen=True):
    """`note` is why there is no explanation, where there is none; `sent` are the notifications, by type and location."""

    number: int
    at_ms: int
    status: int
    visitor: str
    client: str
    facts: list[str]
    sent: list[str]
    locations: list[LocationView]
    more_locations: int
    note: str


def request_view(seen: HistoryEntry) -> RequestView:
    """Explain a request; may take as long as some decisions."""
    served, request = seen.rules(), seen.request
    if request is None or served is None:
        return unexplained(seen, _why_unexplained(seen))
    rules = rules_for(served, request)
    explanation = explain(
        rules,
        request,
        client_code=served.client,
        now_ms=seen.at_ms,
        budget=ExplainBudget(time.thread_time, seconds=_EXPLAIN_SECONDS, nodes=_EXPLAIN_NODES),
    )
    budget = _Budget(_LINES)
    return RequestView(
        number=seen.number,
        at_ms=seen.at_ms,
        status=seen.status,
        visitor=explanation.visitor,
        client=explanation.client_code,
        facts=[
            *describe_facts(explanation),
            *(["QA mode: not recorded"] if request.qa_mode is not None else []),
        ],
        sent=_sent(request),
        locations=[_location(one, rules, budget) for one in explanation.locations[:_LOCATIONS]],
        more_locations=max(0, len(explanation.locations) - _LOCATIONS),
        note=_note_of(seen),
    )


def unexplained(seen: HistoryEntry, note: str) -> RequestView:
    """What is known without a decision."""
    request = seen.request
    visitor, sent = ("", []) if request is None else (bucketing_id(request.id), _sent(request))
    notes = [one for one in (note, _unread(seen)) if one]
    return RequestView(seen.number, seen.at_ms, seen.status, visitor, "", [], sent, [], 0, "; ".join(notes))


def _note_of(seen: HistoryEntry) -> str:
    return seen.refusal or _unread(seen)


def _unread(seen: HistoryEntry) -> str:
    return (
        f"left out, as the form is not understood: {', '.join(seen.ignored_fields)}"
        if seen.ignored_fields
        else ""
    )


def _why_unexplained(seen: HistoryEntry) -> str:
    if seen.refusal is not None:
        return seen.refusal
    if seen.request is None:
        return f"its body of {seen.size:,} bytes is too large to be kept for an explanation"
    return "the rules that decided it have been replaced"


class _Budget:
    """How many lines may still be shown."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def take(self, wanted: int) -> int:
        taken = max(0, min(wanted, self.left))
        self.left -= taken
        return taken


def _sent(request: DeliveryRequest) -> list[str]:
    """`3 × click of hero`"""
    counted = Counter(_told_of(one) for one in request.notifications or ())
    return [f"{count} × {what}" if count > 1 else what for what, count in counted.most_common(_LOCATIONS)]


def _told_of(notification: Notification) -> str:
    place = notification.mbox or notification.view
    name = place.name if place is not None else None
    return f"{notification.type} of {name}" if name else str(notification.type)


def _location(location: LocationExplanation, rules: RuleSet, budget: _Budget) -> LocationView:
    met = [rule for rule in location.rules if rule.verdict is not Verdict.NOT_REACHED]
    shown = met[: budget.take(min(_RULES, len(met)))]
    return LocationView(
        title=_title(location),
        mode=location.mode,
        given=list(dict.fromkeys(_experience(rule.meta) for rule in location.matched))[:_LOCATIONS],
        nothing=_nothing(location, rules),
        note=_note(location, rules),
        parameters=[(name, _value(value)) for name, value in [*location.parameters.items()][:_PARAMETERS]],
        rules=[_rule(rule, location, budget) for rule in shown],
        more=_more(len(met) - len(shown) + location.more, len(location.rules) - len(met)),
    )


def _title(location: LocationExplanation) -> str:
    if location.type == "view":
        return "every view" if location.name is None else f"view {location.name}"
    return location.type if location.type == "pageLoad" else location.name or ""


def _nothing(location: LocationExplanation, rules: RuleSet) -> str:
    if _is_remote(location, rules):
        return "remote"
    return "not in the artifact" if location.is_remote else "nothing"


def _note(location: LocationExplanation, rules: RuleSet) -> str:
    if _is_remote(location, rules):
        return "has activities that only Target's own servers decide"
    if location.is_remote:
        return "this artifact knows no such location"
    return "" if location.rules or location.more else "no rules"


def _is_remote(location: LocationExplanation, rules: RuleSet) -> bool:
    """Whether it is known to be decided elsewhere; one that nobody knows counts as remote, too."""
    known = rules.remote_views if location.type == "view" else rules.remote_mboxes
    return bool(known) if location.name is None else location.name in known


def _more(unshown: int, unreached: int) -> str:
    parts = [f"{unshown:,} more not shown"] if unshown else []
    parts += [f"{unreached:,} not reached, since an earlier rule decided"] if unreached else []
    return "; ".join(parts)


def _rule(rule: RuleExplanation, location: LocationExplanation, budget: _Budget) -> RuleView:
    where = f"{rule.location} " if location.name is None else ""
    return RuleView(
        title=f"{where}rule {rule.position}",
        experience=_experience(rule.meta),
        reason=describe_reason(rule),
        is_matched=rule.verdict is Verdict.MATCHED,
        lines=_lines(rule.condition, budget),
    )


def _experience(meta: dict[str, Any]) -> str:
    return describe_experience(meta) or "without a name"


def _lines(condition: ConditionNode | None, budget: _Budget) -> list[Line]:
    allowed = budget.take(_LINES_OF_A_RULE)
    lines: list[Line] = []
    for part in condition_lines(condition):
        if len(lines) == allowed:
            lines.append(Line(0, "none", "…", ""))
            break
        lines.append(Line(min(part.depth, _DEEPEST), _MARKS[part.holds], part.text, part.error or part.value))
    budget.left += max(0, allowed - len(lines))
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) else compact_json(value)
