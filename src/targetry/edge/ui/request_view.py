"""View of an answered request: its locations, the returned experiences, and the explanation.

The explanation is that of `targetry explain`, truncated to `_LINES` lines.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from targetry.device.activities import activities_of
from targetry.device.explain.budget import ExplainBudget
from targetry.device.explain.condition_tree import ConditionNode
from targetry.device.explain.explanation import (
    Explanation,
    LocationExplanation,
    LocationMatches,
    RuleExplanation,
    Verdict,
    explain,
    match_locations,
)
from targetry.device.explain.truncation import truncate_text
from targetry.device.logic.facts import bucketing_id
from targetry.device.qa_mode import rules_for
from targetry.device.ruleset import RuleSet
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.ui.request_history import HistoryEntry
from targetry.edge.ui.request_summary import LocationResult, RequestFilter, RequestSummary
from targetry.humanize.explanation import (
    condition_parts,
    describe_experience,
    describe_facts,
    describe_position,
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
_FLAG_VALUE: Final = 60  # characters
_MARKS: Final = {True: "yes", False: "no", None: "none"}


class ConditionLine(msgspec.Struct, frozen=True):
    """Part of a condition. `mark` is `yes`, `no`, or `none` for a value that is not boolean."""

    depth: int
    mark: str
    text: str
    value: str


class RuleView(msgspec.Struct, frozen=True):
    """Rule with the reason why it matched or not, and its condition."""

    title: str
    experience: str
    reason: str
    is_matched: bool
    lines: list[ConditionLine]


class LocationView(msgspec.Struct, frozen=True):
    """Location of a request.

    `given` are the experiences with returned content, `nothing` the text if there are none.
    """

    title: str
    mode: str
    given: list[str]
    nothing: str
    note: str
    parameters: list[tuple[str, str]]
    rules: list[RuleView]
    more: str


class RequestView(msgspec.Struct, frozen=True):
    """Explanation of a request; `note` is the reason for a missing one.

    `sent` are the notifications by type and location.
    """

    visitor: str
    client: str
    facts: list[str]
    sent: list[str]
    locations: list[LocationView]
    more_locations: int
    note: str


def summarize_request(entry: HistoryEntry) -> RequestSummary:
    """Return what the list shows of a request; its cost is about that of two decisions."""
    artifact, request = entry.rules(), entry.request
    if request is None or artifact is None:
        return unexplained_summary(entry, _why_unexplained(entry))
    rules = rules_for(artifact.rules, request)
    locations = match_locations(rules, request, client_code=artifact.client, now_ms=entry.at_ms)
    visitor = bucketing_id(request.id)
    reported = request.notifications or ()
    attributed = [
        artifact.tokens.find(token, artifact.client, visitor).activity_id
        for one in reported
        for token in one.tokens or ()
    ]
    shown = [str(rule.meta.get("activity.id", "")) for one in locations for rule in one.matched]
    return RequestSummary(
        visitor,
        _ids_of(request),
        [
            LocationResult(_title(one), one.mode, _given(one), _nothing(one, rules))
            for one in locations[:_LOCATIONS]
        ],
        max(0, len(locations) - _LOCATIONS),
        _notifications_of(request),
        _note_of(entry),
        _flag_of(entry),
        _place_names(locations, request),
        list(dict.fromkeys(one for one in (*shown, *attributed) if one)),
    )


def experience_names(artifact: LoadedArtifact) -> str:
    """Return the names of an artifact's experiences as summaries have them, one a line."""
    metas = (placed.rule.meta for one in activities_of(artifact.rules) for placed in one.rules)
    return "\n".join(dict.fromkeys(map(_experience, metas))).lower()


def could_be_admitted(
    entry: HistoryEntry, wanted: RequestFilter, is_named: Callable[[LoadedArtifact], bool]
) -> bool:
    """Return False if the summary of a request cannot pass a filter, without deciding the request.

    `is_named` returns whether the filter's text is in the `experience_names` of an artifact.
    """
    artifact, request = entry.rules(), entry.request
    if request is None or artifact is None:
        return True
    visitor, ids = bucketing_id(request.id), _ids_of(request)
    if not wanted.admits_visitor(visitor, ids):
        return False
    places = _places_of(request)
    if not wanted.admits_place(_place_names(places, request)):
        return False
    if is_named(artifact):
        return True
    sent, flag, note = _notifications_of(request), _flag_of(entry), _note_of(entry)
    return wanted.admits_text((visitor, *ids, *map(_title, places), *sent, *flag, note))


def unexplained_summary(entry: HistoryEntry, note: str) -> RequestSummary:
    """Return the summary of a request without an explanation; `note` is the reason."""
    request = entry.request
    visitor, ids, sent = (
        ("", [], [])
        if request is None
        else (bucketing_id(request.id), _ids_of(request), _notifications_of(request))
    )
    return RequestSummary(visitor, ids, [], 0, sent, _joined(note, _ignored(entry)), _flag_of(entry))


def request_view(entry: HistoryEntry) -> RequestView:
    """Return the view of a request with its explanation, which costs as much as some decisions."""
    artifact, request = entry.rules(), entry.request
    if request is None or artifact is None:
        sent = [] if request is None else _notifications_of(request)
        visitor = "" if request is None else bucketing_id(request.id)
        note = _joined(_why_unexplained(entry), _ignored(entry))
        return RequestView(visitor, "", [], sent, [], 0, note)
    rules = rules_for(artifact.rules, request)
    budget = ExplainBudget(time.thread_time, seconds=_EXPLAIN_SECONDS, nodes=_EXPLAIN_NODES)
    explanation = _explain(entry, artifact, request, budget)
    lines = _LineBudget(_LINES)
    return RequestView(
        visitor=explanation.visitor,
        client=explanation.client_code,
        facts=[
            *describe_facts(explanation),
            *(["QA mode: not recorded"] if request.qa_mode is not None else []),
        ],
        sent=_notifications_of(request),
        locations=[_location(one, rules, lines) for one in explanation.locations[:_LOCATIONS]],
        more_locations=max(0, len(explanation.locations) - _LOCATIONS),
        note=_note_of(entry),
    )


def _explain(
    entry: HistoryEntry, artifact: LoadedArtifact, request: DeliveryRequest, budget: ExplainBudget
) -> Explanation:
    return explain(
        rules_for(artifact.rules, request),
        request,
        client_code=artifact.client,
        now_ms=entry.at_ms,
        budget=budget,
    )


def _ids_of(request: DeliveryRequest) -> list[str]:
    given = request.id
    if given is None:
        return []
    ids = (given.tnt_id, given.third_party_id, given.marketing_cloud_visitor_id)
    return [one for one in ids if one]


def _joined(*notes: str) -> str:
    return "; ".join(one for one in notes if one)


def _flag_of(entry: HistoryEntry) -> list[str]:
    """Return the key of a flag, its value, and the reason; or how many flags all flags are."""
    flag = entry.flag
    if flag is None:
        return []
    if flag.key is None:
        return ["all flags"] if flag.value is None else ["all flags", str(flag.value)]
    if flag.reason is None:
        return [flag.key]
    value = "the application's default" if flag.value is None else _value(flag.value)
    shown = value if len(value) <= _FLAG_VALUE else f"{value[: _FLAG_VALUE - 1]}…"
    return [flag.key, shown, flag.reason]


def _note_of(entry: HistoryEntry) -> str:
    return entry.rejection or _ignored(entry)


def _ignored(entry: HistoryEntry) -> str:
    return (
        f"left out, as the form is not understood: {', '.join(entry.ignored_fields)}"
        if entry.ignored_fields
        else ""
    )


def _why_unexplained(entry: HistoryEntry) -> str:
    if entry.rejection is not None:
        return entry.rejection
    if entry.request is None:
        return f"not explained: its body of {entry.size:,} bytes is too large to be stored"
    return "not explained: its rules have been replaced"


class _LineBudget:
    """Number of lines that the view has left."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def take(self, wanted: int) -> int:
        taken = max(0, min(wanted, self.left))
        self.left -= taken
        return taken


def _notifications_of(request: DeliveryRequest) -> list[str]:
    """Return texts like `3 × click of hero`."""
    if not request.notifications:
        return []
    counted = Counter(map(_describe, request.notifications))
    return [f"{count} × {what}" if count > 1 else what for what, count in counted.most_common(_LOCATIONS)]


def _name(notification: Notification) -> str | None:
    place = notification.mbox or notification.view
    return place.name if place is not None else None


def _describe(notification: Notification) -> str:
    name = _name(notification)
    return f"{notification.type} of {name}" if name else str(notification.type)


def _location(location: LocationExplanation, rules: RuleSet, budget: _LineBudget) -> LocationView:
    met = [rule for rule in location.rules if rule.verdict is not Verdict.NOT_REACHED]
    shown = met[: budget.take(min(_RULES, len(met)))]
    return LocationView(
        title=_title(location),
        mode=location.mode,
        given=_given(location),
        nothing=_nothing(location, rules),
        note=_note(location, rules),
        parameters=[(name, _value(value)) for name, value in [*location.parameters.items()][:_PARAMETERS]],
        rules=[_rule(rule, location, budget) for rule in shown],
        more=_more(len(met) - len(shown) + location.more, len(location.rules) - len(met)),
    )


class _Place(NamedTuple):
    """Requested location; the fields are those of `LocationMatches`."""

    type: str
    name: str | None


def _places_of(request: DeliveryRequest) -> list[_Place]:
    """Return the requested locations."""
    places = []
    for one in (request.execute, request.prefetch):
        if one is not None:
            places += [_Place("mbox", mbox.name) for mbox in one.mboxes or ()]
            places += [_Place("pageLoad", None)] if one.page_load is not None else []
    views = request.prefetch.views if request.prefetch is not None else None
    return [*places, *(_Place("view", view.name or None) for view in views or ())]


def _place_names(places: Sequence[_Place | LocationMatches], request: DeliveryRequest) -> list[str]:
    """Return the names of requested locations, and of those that notifications report."""
    reported = [name for name in map(_name, request.notifications or ()) if name]
    return list(dict.fromkeys([*map(_place, places), *reported]))


_Matched = LocationExplanation | LocationMatches


def _given(location: _Matched) -> list[str]:
    return list(dict.fromkeys(_experience(rule.meta) for rule in location.matched))[:_LOCATIONS]


def _place(location: _Matched | _Place) -> str:
    return location.type if location.type == "pageLoad" else location.name or ""


def _title(location: _Matched | _Place) -> str:
    if location.type == "view":
        return "every view" if location.name is None else f"view {location.name}"
    return _place(location)


def _nothing(location: _Matched, rules: RuleSet) -> str:
    if _is_remote(location, rules):
        return "remote"
    return "not in the artifact" if location.is_remote else "nothing"


def _note(location: LocationExplanation, rules: RuleSet) -> str:
    if _is_remote(location, rules):
        return "has activities that only Target's own servers decide"
    if location.is_remote:
        return "this artifact knows no such location"
    return "" if location.rules or location.more else "no rules"


def _is_remote(location: _Matched, rules: RuleSet) -> bool:
    """Return whether the artifact lists a location as remote; an unknown location is remote too."""
    known = rules.remote_views if location.type == "view" else rules.remote_mboxes
    return bool(known) if location.name is None else location.name in known


def _more(unshown: int, unreached: int) -> str:
    parts = [f"{unshown:,} more not shown"] if unshown else []
    parts += [f"{unreached:,} not reached, since an earlier rule decided"] if unreached else []
    return "; ".join(parts)


def _rule(rule: RuleExplanation, location: LocationExplanation, budget: _LineBudget) -> RuleView:
    return RuleView(
        title=describe_position(rule, location),
        experience=_experience(rule.meta),
        reason=describe_reason(rule),
        is_matched=rule.verdict is Verdict.MATCHED,
        lines=_lines(rule.condition, budget),
    )


def _experience(meta: dict[str, Any]) -> str:
    return truncate_text(describe_experience(meta)) or "without a name"


def _lines(condition: ConditionNode | None, budget: _LineBudget) -> list[ConditionLine]:
    allowed = budget.take(_LINES_OF_A_RULE)
    lines: list[ConditionLine] = []
    for part in condition_parts(condition):
        if len(lines) == allowed:
            lines.append(ConditionLine(0, "none", "…", ""))
            break
        lines.append(
            ConditionLine(min(part.depth, _DEEPEST), _MARKS[part.holds], part.text, part.error or part.value)
        )
    budget.left += max(0, allowed - len(lines))
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) else compact_json(value)
