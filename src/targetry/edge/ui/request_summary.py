"""Summary of a request in the list of the edge's page, and the filter of the list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

import msgspec

_LONGEST_TEXT: Final = 2_000
_STATUSES: Final = {"ok": range(100, 400), "rejected": range(400, 600)}


class LocationResult(msgspec.Struct, frozen=True, gc=False):
    """Location of a request with the experiences whose content it got.

    `nothing` is the text if there are none.
    """

    title: str
    mode: str
    given: list[str]
    nothing: str


class RequestSummary(msgspec.Struct, frozen=True, dict=True):
    """Row of a request.

    `visitor` is the id that allocations are computed from, `ids` are all main ids. `sent` are the
    notifications by type and location. `flag` is the result of an OFREP request, empty for others.
    `places` are the names of mboxes and views, and `pageLoad`; `activities` are the ids of those
    whose content the request got or its notifications report.
    """

    visitor: str
    ids: list[str]
    locations: list[LocationResult]
    more_locations: int
    sent: list[str]
    note: str
    flag: list[str]
    places: list[str] = []
    activities: list[str] = []

    @cached_property
    def text(self) -> str:
        """Everything that the text of a filter is searched in, in lower case."""
        locations = [part for one in self.locations for part in (one.title, *one.given)]
        parts = (self.visitor, *self.ids, *locations, *self.sent, *self.flag, self.note)
        return "\n".join(parts)[:_LONGEST_TEXT].lower()


class RequestFilter(msgspec.Struct, frozen=True):
    """Filter of the list; an empty field admits every request.

    `visitor` is one of the ids, `mbox` a place, `activity` an id, `status` is `ok`,
    `rejected` or a number; `q` is searched in all of the row.
    """

    q: str = ""
    visitor: str = ""
    mbox: str = ""
    activity: str = ""
    status: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> RequestFilter:
        """Return the filter of a query's fields."""
        return cls(*(query.get(name, "").strip() for name in cls.__struct_fields__))

    @property
    def query(self) -> str:
        """The fields that are not empty, as a query."""
        return urlencode({name: value for name, value in msgspec.structs.asdict(self).items() if value})

    @property
    def needs_summary(self) -> bool:
        """Whether more than the status of a request is needed."""
        return bool(self.q or self.visitor or self.mbox or self.activity)

    def admits_status(self, status: int) -> bool:
        if not self.status:
            return True
        known = _STATUSES.get(self.status)
        return status in known if known is not None else str(status) == self.status

    def admits(self, summary: RequestSummary) -> bool:
        """Return whether a request whose status is admitted is shown."""
        return (
            self.admits_visitor(summary.visitor, summary.ids)
            and self.admits_place(summary.places)
            and (not self.activity or self.activity in summary.activities)
            and self.admits_text((summary.text,))
        )

    def admits_visitor(self, visitor: str, ids: list[str]) -> bool:
        return not self.visitor or self.visitor == visitor or self.visitor in ids

    def admits_place(self, places: list[str]) -> bool:
        return not self.mbox or self.mbox in places

    def admits_text(self, parts: Iterable[str]) -> bool:
        """Return whether the text is in one of the parts."""
        wanted = self.q.lower()
        return not wanted or any(wanted in part.lower() for part in parts)
