"""Recorded requests with their responses, and the locations that both have in common."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from targetry.models.request import DeliveryRequest, MboxRequest
from targetry.models.response import (
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    Option,
    PrefetchMboxResponse,
    PrefetchResponse,
)
from targetry.models.snapshot import snapshot
from targetry.models.visitor import VisitorId


class RecordedRequest(msgspec.Struct, frozen=True):
    """Line of a log of requests.

    Attributes:
        time: Time of the decision: epoch milliseconds, or a text in ISO 8601.
        request: The request in JSON.
        response: The response in JSON.
        hashed: Whether the ids of the visitor are hashes, which split differently.
    """

    time: int | float | str
    request: dict[str, Any]
    response: dict[str, Any]
    hashed: bool = False

    @property
    def time_ms(self) -> int:
        """The time in epoch milliseconds. Raises `ValueError`, `OverflowError`."""
        time = self.time
        if isinstance(time, str):
            moment = datetime.fromisoformat(time)
            time = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000
        return int(time)

    def read(self) -> tuple[DeliveryRequest, DeliveryResponse]:
        """Return the request, with the id that the response gave the visitor, and the response.

        Raises:
            ConstraintError: A field is wrong.
        """
        request = snapshot(self.request, wire=False)
        response = DeliveryResponse.from_dict(self.response)
        known = request.id
        if known is None or not (known.tnt_id or known.marketing_cloud_visitor_id or known.third_party_id):
            request.id = response.id or VisitorId()
        request.trace = None
        return request, response


decode_recorded = msgspec.json.Decoder(RecordedRequest).decode
"""Decode a line of a log. Raises `msgspec.MsgspecError`."""


class RequestedLocation(NamedTuple):
    """Location that a request asks for: an mbox, the page load, or a view (all without a name)."""

    mode: Literal["execute", "prefetch"]
    kind: Literal["mbox", "page_load", "view"]
    name: str | None = None
    position: int | None = None

    @property
    def label(self) -> str:
        """Name of the location in a report."""
        if self.kind == "mbox":
            return self.name or ""
        return "page_load" if self.kind == "page_load" else f"view:{self.name or '*'}"

    def options(self, response: DeliveryResponse) -> list[Option]:
        """Return the options that a response has for the location."""
        part: ExecuteResponse | PrefetchResponse | None = getattr(response, self.mode)
        if part is None:
            return []
        if self.kind == "page_load":
            return list(part.page_load.options or ()) if part.page_load is not None else []
        if self.kind == "mbox":
            return [option for one in part.mboxes or () if self._is_of(one) for option in one.options or ()]
        views = (part.views if isinstance(part, PrefetchResponse) else None) or ()
        return [
            option
            for one in views
            if self.name is None or one.name == self.name
            for option in one.options or ()
        ]

    def _is_of(self, mbox: MboxResponse | PrefetchMboxResponse) -> bool:
        return mbox.index == self.position and (self.position is not None or mbox.name == self.name)


def requested_locations(request: DeliveryRequest) -> Iterator[RequestedLocation]:
    """Yield the locations that a request asks for."""
    if request.execute is not None:
        yield from _mboxes("execute", request.execute.mboxes)
        if request.execute.page_load is not None:
            yield RequestedLocation("execute", "page_load")
    if request.prefetch is not None:
        yield from _mboxes("prefetch", request.prefetch.mboxes)
        if request.prefetch.page_load is not None:
            yield RequestedLocation("prefetch", "page_load")
        for view in request.prefetch.views or ():
            yield RequestedLocation("prefetch", "view", view.name)


def _mboxes(
    mode: Literal["execute", "prefetch"], mboxes: list[MboxRequest] | None
) -> Iterator[RequestedLocation]:
    for details in mboxes or ():
        yield RequestedLocation(mode, "mbox", details.name, details.index)
