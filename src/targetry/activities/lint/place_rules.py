"""Checks of places: which offers compete, cannot be reached, or are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from targetry.activities.expressions.solver import Proposition
from targetry.activities.lint.context import LintContext, Placement
from targetry.activities.model.definitions import ActivityDefinition, Environment
from targetry.activities.model.finding import Finding
from targetry.activities.model.windows import WHOLE, hundredths, merged

_MOST_COMPARED: Final = 200
"""Earlier offers of a place that one is compared with, so that a check takes a bounded time."""


def check_priorities(context: LintContext) -> Iterator[Finding]:
    """Find activities of equal priority in one mbox whose audiences can both hold (TA201)."""
    groups, scopes = _group_of(context), _scopes(context)
    for placements in _by_mbox(context).values():
        first_of = {one.activity_index: one for one in reversed(placements)}
        ordered = list(reversed(first_of.values()))
        audiences: dict[int, set[Proposition]] = {}
        for placement in placements:
            audiences.setdefault(placement.activity_index, set()).add(placement.audience)
        for number, later in enumerate(ordered):
            earlier = next(
                (
                    one
                    for one in ordered[max(0, number - _MOST_COMPARED) : number]
                    if context.priority(one.activity) == context.priority(later.activity)
                    and groups.get(one.activity.key, one.activity.key)
                    != groups.get(later.activity.key, later.activity.key)
                    and scopes[one.activity.key].meets(scopes[later.activity.key])
                    and not _exclude_each_other(
                        audiences[one.activity_index], audiences[later.activity_index]
                    )
                ),
                None,
            )
            if earlier is not None:
                field = "priority" if later.activity.priority is not None else "key"
                yield context.finding(
                    "TA201",
                    f"activities[{later.activity_index}].{field}",
                    f"in the mbox {later.offer.mbox!r} it has the priority of {earlier.activity.key!r}, whose visitors can be the same",
                    "give one of the activities a higher priority",
                )


def _group_of(context: LintContext) -> dict[str, str]:
    return {
        one.activity: f"group {name}"
        for name, group in context.settings.groups.items()
        for one in group.members
    }


def _by_mbox(context: LintContext) -> dict[str, list[Placement]]:
    """Return the offers of each mbox, where the first rule that matches decides.

    The global mbox is left out, as page load gets all its rules that match.
    """
    found: dict[str, list[Placement]] = {}
    for placement in context.placements:
        if placement.offer.mbox not in (None, context.settings.global_mbox):
            found.setdefault(str(placement.offer.mbox), []).append(placement)
    return found


def _exclude_each_other(first: set[Proposition], second: set[Proposition]) -> bool:
    return all(left.excludes(right) for left in first for right in second)


class _Scope(NamedTuple):
    """Environments and properties of an activity; None for all properties."""

    environments: frozenset[str]
    properties: frozenset[str] | None

    def meets(self, other: _Scope) -> bool:
        """Return whether one artifact has both activities, and one request can see both."""
        mine, theirs = self.properties, other.properties
        share_property = mine is None or theirs is None or not mine.isdisjoint(theirs)
        return share_property and not self.environments.isdisjoint(other.environments)

    def covers(self, other: _Scope) -> bool:
        """Return whether the activity applies to every request that the other applies to."""
        mine, theirs = self.properties, other.properties
        has_properties = mine is None or (theirs is not None and theirs <= mine)
        return has_properties and other.environments <= self.environments


def _scopes(context: LintContext) -> dict[str, _Scope]:
    """Return the scope of each activity by its key."""
    return {one.key: _scope(context, one) for one in context.activities.activities}


def _scope(context: LintContext, activity: ActivityDefinition) -> _Scope:
    settings = context.settings
    environments = frozenset(
        name
        for name, value in (settings.environments or {"production": None}).items()
        if (one := value or Environment()) is not None
        and activity.key not in one.except_
        and (one.only is None or activity.key in one.only)
    )
    own = settings.defaults.properties if activity.properties is None else activity.properties
    tokens = frozenset(settings.properties.get(name, name) for name in own) if own else None
    return _Scope(environments, tokens)


def check_reachability(context: LintContext) -> Iterator[Finding]:
    """Find offers that an earlier one hides from every visitor (TA202)."""
    scopes = _scopes(context)
    implies = _Implications()
    for placements in _competing(context):
        for number, placement in enumerate(placements):
            earlier = placements[max(0, number - _MOST_COMPARED) : number]
            covering = _covering(scopes, implies, earlier, placement)
            if covering is not None:
                own = covering.activity_index == placement.activity_index
                what = f"the experience {covering.experience.key!r}" if own else f"{covering.activity.key!r}"
                yield context.finding(
                    "TA202",
                    placement.path,
                    f"the offer cannot be reached: {what} takes every visitor before it",
                )


def _competing(context: LintContext) -> Iterator[list[Placement]]:
    """Yield lists of offers of which a request gets the first that matches."""
    yield from _by_mbox(context).values()
    by_key: dict[tuple[Any, ...], list[Placement]] = {}
    for placement in context.placements:
        is_collected = placement.offer.mbox in (None, context.settings.global_mbox)
        if is_collected and placement.offer.rule_key is None:
            by_key.setdefault((placement.activity_index, *placement.place), []).append(placement)
    yield from by_key.values()


class _Implications(dict[tuple[Proposition, Proposition], bool]):
    """Whether an audience implies another; offers of one activity share theirs."""

    def __missing__(self, pair: tuple[Proposition, Proposition]) -> bool:
        self[pair] = found = pair[0].implies(pair[1])
        return found


def _covering(
    scopes: dict[str, _Scope], implies: _Implications, earlier: list[Placement], placement: Placement
) -> Placement | None:
    """Return an offer that, with the others of its activity, takes every visitor of a later one."""
    taken: dict[int, list[tuple[int, int]]] = {}
    needed = [(0, WHOLE)]
    for one in earlier:
        same = one.activity_index == placement.activity_index
        if not same and not scopes[one.activity.key].covers(scopes[placement.activity.key]):
            continue
        if not implies[placement.audience, one.audience]:
            continue
        spans = taken.setdefault(one.activity_index, [])
        spans += (new := _spans(one))
        if not new:
            continue
        wanted = _spans(placement) if same else needed
        if wanted and all(
            any(low <= first and last <= high for low, high in merged(spans)) for first, last in wanted
        ):
            return one
    return None


def _spans(placement: Placement) -> list[tuple[int, int]]:
    if placement.windows is None:
        return [(0, WHOLE)]
    return merged((hundredths(low), hundredths(high)) for low, high in placement.windows)


def check_local_places(context: LintContext) -> Iterator[Finding]:
    """Find places that are local and remote, and group members that miss each other (TA206)."""
    settings = context.settings
    for kind, field in (("mbox", "mboxes"), ("view", "views")):
        remote: list[str] = getattr(settings.remote, field)
        local = {*getattr(settings.local, field)}
        local |= {name for one in context.placements for field_, name, _ in [one.place] if field_ == kind}
        for index, name in enumerate(remote):
            if name in local:
                message = f"the {kind} {name!r} is remote, and activities or `local` have it too"
                hint = "the Delivery API decides it, and the activities have no effect there"
                yield context.finding("TA206", f"remote.{field}[{index}]", message, hint)
    yield from _check_group_properties(context)


def _check_group_properties(context: LintContext) -> Iterator[Finding]:
    by_key = {one.key: one for one in context.activities.activities}
    scopes = _scopes(context)
    places: dict[str, set[tuple[str, str, int]]] = {}
    for placement in context.placements:
        places.setdefault(placement.activity.key, set()).add(placement.place)
    for name, group in context.settings.groups.items():
        members = [
            (index, by_key[one.activity]) for index, one in enumerate(group.members) if one.activity in by_key
        ]
        for position, (index, member) in enumerate(members):
            for _, other in members[:position]:
                meet = places.get(member.key, set()) & places.get(other.key, set())
                if meet and scopes[member.key].properties != scopes[other.key].properties:
                    path = f"groups.{name}.members[{index}].activity"
                    message = f"it meets {other.key!r} at one place and has other properties"
                    yield context.finding("TA206", path, message)
                    break


def check_missing_offers(context: LintContext) -> Iterator[Finding]:
    """Find experiences without an offer at a place of their siblings (TA212)."""
    by_activity: dict[int, list[Placement]] = {}
    for placement in context.placements:
        by_activity.setdefault(placement.activity_index, []).append(placement)
    for index, placements in by_activity.items():
        every = dict.fromkeys(one.place for one in placements)
        for number, experience in enumerate(placements[0].activity.experiences):
            own = {one.place for one in placements if one.number == number}
            absent = [place for place in every if place not in own]
            if absent:
                kind, name, _ = absent[0]
                where = "at page load" if kind == "page_load" else f"in the {kind} {name!r}"
                yield context.finding(
                    "TA212",
                    f"activities[{index}].experiences[{number}]",
                    f"the experience {experience.key!r} has no offer {where}, and others have",
                    "add an offer; without content it is the default content",
                )
