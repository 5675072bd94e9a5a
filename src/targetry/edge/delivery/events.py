"""What a request makes happen, as events of the ledger: impressions, displays, clicks, orders.

An event's id is a digest of what makes it the same one when it is sent again: kind, visitor, the id that the caller gave to
request, impression, notification or order, and the token. So a retry is recorded once, and so is an
impression that two requests share by their `impressionId` (spec/models.md §3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from targetry.device.decide import Decision
from targetry.device.logic.facts import bucketing_id
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.artifacts.token_index import UNKNOWN
from targetry.ledger.event import Event, Kind
from targetry.models import (
    DeliveryRequest,
    MboxRequest,
    MetricType,
    Notification,
    Order,
    RequestDetails,
    ViewRequest,
)

_SHOWN: Final = "shown"  # in ids: an impression of an execute request and a display may be one and the same


def delivery_events(
    request: DeliveryRequest, decision: Decision, served: LoadedArtifact, *, session_id: str, now_ms: int
) -> Sequence[Event]:
    """The events of a request that was decided. `now_ms` is the time of orders without one of their own."""
    if request.execute is None and request.notifications is None and request.prefetch is None:
        return ()
    scribe = _Scribe(request, served, session_id)
    return [*scribe.impressions(decision), *scribe.notified(), *scribe.orders(now_ms)]


class _Scribe:
    def __init__(self, request: DeliveryRequest, served: LoadedArtifact, session_id: str) -> None:
        self._request = request
        self._served = served
        self._session_id = session_id
        self._visitor = bucketing_id(request.id)

    def impressions(self, decision: Decision) -> Iterator[Event]:
        """What was executed; a token that a request shows at two locations is counted at both."""
        key = self._request.impression_id or self._request.request_id or ""
        for impression in decision.impressions:
            location = impression.name or ""
            for token in impression.tokens:
                identity = (_SHOWN, key, location, token)
                yield self._event("impression", identity, location, impression.timestamp, token)

    def notified(self) -> Iterator[Event]:
        """One event for each token of a notification; for one without tokens, that the location was visited."""
        for notification in self._request.notifications or ():
            kind: Kind = "click" if notification.type == MetricType.CLICK else "display"
            location, when = _location(notification), notification.timestamp or 0
            known_by: tuple[str, str] = (kind, notification.id or "")
            if kind == "display" and notification.impression_id:
                known_by = (_SHOWN, notification.impression_id)
            for token in dict.fromkeys(notification.tokens or ("",)):
                yield self._event(kind, (*known_by, location, token), location, when, token)

    def orders(self, now_ms: int) -> Iterator[Event]:
        """Orders of pages, mboxes, views and notifications. An order without an id is known by who told of it."""
        for location, details in _asked(self._request):
            if details.order is not None:
                yield self._order(details.order, self._request.request_id or "", location, now_ms)
        for notification in self._request.notifications or ():
            if notification.order is not None:
                when = notification.timestamp or 0
                yield self._order(notification.order, notification.id or "", _location(notification), when)

    def _order(self, order: Order, teller: str, location: str, timestamp_ms: int) -> Event:
        """No activity: an order counts for all that the visitor takes part in."""
        identity = ("order", order.id) if order.id else ("order of", teller, location)
        return self._event("order", identity, location, timestamp_ms, "", order)

    def _event(
        self,
        kind: Kind,
        identity: tuple[str, ...],
        location: str,
        timestamp_ms: int,
        token: str,
        order: Order | None = None,
    ) -> Event:
        served = self._served
        whose = served.tokens.find(token, served.client, self._visitor) if token else UNKNOWN
        return Event(
            id=_digest(served.client, self._visitor, *identity),
            kind=kind,
            visitor=self._visitor,
            activity_id=whose.activity_id,
            experience_id=whose.experience_id,
            location=location,
            token=token,
            timestamp_ms=timestamp_ms,
            session_id=self._session_id,
            order_id=order.id if order is not None else None,
            order_total=order.total if order is not None else None,
        )


def _asked(request: DeliveryRequest) -> Iterator[tuple[str, RequestDetails | MboxRequest | ViewRequest]]:
    """What is executed or prefetched, with the names of mboxes and views; a page has none."""
    for part in (request.execute, request.prefetch):
        if part is not None:
            yield from ((mbox.name or "", mbox) for mbox in part.mboxes or ())
            if part.page_load is not None:
                yield "", part.page_load
    if request.prefetch is not None:
        yield from ((view.name or "", view) for view in request.prefetch.views or ())


def _location(notification: Notification) -> str:
    named = notification.mbox or notification.view
    return (named.name or "") if named is not None else ""


def _digest(*identity: str) -> str:
    return hashlib.blake2b(msgspec.json.encode(identity), digest_size=16).hexdigest()
