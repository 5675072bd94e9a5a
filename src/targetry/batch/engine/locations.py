"""Locations that are decided for each row, and the rules that they can get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from targetry.device.ruleset import EMPTY_LOCATION, Location, RuleSet
from targetry.errors import OptionError

LocationKind = Literal["mbox", "pageLoad", "view"]
REASONS: Final = ("matched", "no_match", "remote", "unknown_location", "no_visitor_id", "error")
MATCHED, NO_MATCH, REMOTE, UNKNOWN_LOCATION, NO_VISITOR_ID, ERROR = range(6)


class Requested(msgspec.Struct, frozen=True):
    """A location that is decided for each row.

    Attributes:
        name: Of the mbox or view; None for the page load and for all views.
        facts_name: The name that macros have.
        index: Of an mbox in the request.
        takes_all: All rules that match count, not only the first.
        unmatched: The reason of a row without a match, `NO_MATCH` unless the server decides.
        matched: The reason of a row with a match.
    """

    kind: LocationKind
    name: str | None
    facts_name: str | None
    index: int | None
    location: Location
    takes_all: bool
    unmatched: int
    matched: int

    @property
    def label(self) -> str:
        """A name for output and reports."""
        if self.kind == "mbox":
            return self.name or ""
        if self.kind == "pageLoad":
            return "page_load"
        return f"view:{self.name}" if self.name is not None else "views"


def requested_locations(
    rules: RuleSet, mboxes: Sequence[str], page_load: bool, views: Sequence[str] | bool
) -> list[Requested]:
    """Return the locations in the order in which `decide` decides them: mboxes, page load, views.

    Raises:
        OptionError: There is no location, one has no name, or one is named twice.
    """
    found = []
    for index, name in enumerate(mboxes):
        _check_name(f"mboxes[{index}]", name, mboxes[:index])
        takes_all = name == rules.global_mbox
        unmatched = _reason(
            name in rules.decidable_mboxes, name in rules.mboxes or name in rules.remote_mboxes
        )
        found.append(_requested("mbox", name, name, index, rules.mbox(name), takes_all, unmatched))
    if page_load:
        name = rules.global_mbox
        is_known = name in rules.mboxes or name in rules.remote_mboxes
        unmatched = _reason(name in rules.decidable_mboxes, is_known)
        found.append(_requested("pageLoad", None, name, None, rules.mbox(name), True, unmatched))
    if views is True:
        unmatched = REMOTE if rules.remote_views else NO_MATCH
        found.append(_requested("view", None, None, None, rules.all_views, True, unmatched))
    elif views:
        for index, name in enumerate(views):
            _check_name(f"views[{index}]", name, views[:index])
            is_decidable = name in rules.local_views and name not in rules.remote_views
            unmatched = _reason(is_decidable, name in rules.views or name in rules.remote_views)
            found.append(
                _requested("view", name, name, None, rules.views.get(name, EMPTY_LOCATION), True, unmatched)
            )
    if not found:
        raise OptionError("mboxes", "no location is given; name an mbox or a view, or decide the page load")
    return found


def _requested(
    kind: LocationKind,
    name: str | None,
    facts_name: str | None,
    index: int | None,
    location: Location,
    takes_all: bool,
    unmatched: int,
) -> Requested:
    matched = MATCHED if unmatched == NO_MATCH else unmatched
    return Requested(kind, name, facts_name, index, location, takes_all, unmatched, matched)


def _reason(is_decidable: bool, is_known: bool) -> int:
    return NO_MATCH if is_decidable else REMOTE if is_known else UNKNOWN_LOCATION


def _check_name(path: str, name: Any, others: Sequence[str]) -> None:
    if not isinstance(name, str) or not name:
        raise OptionError(path, "must be a name")
    if name in others:
        raise OptionError(path, f"{name!r} is given twice")
