"""Ledger events of a delivery request: impressions, displays, clicks, orders.

An event's id is a digest of its kind, the visitor, the caller's id of the request, impression,
notification or order, and the token. So a retry is recorded once, and so is an impression that two
requests share by their `impressionId`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from targetry.device.decide import Impression
from targetry.device.logic.facts import bucketing_id
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.artifacts.token_index import UNKNOWN
from targetry.ledger.event import Kind, LedgerEvent
from targetry.models import (
    DeliveryRequest,
    MboxRequest,
    MetricType,
    Notification,
    Order,
    RequestDetails,
    ViewRequest,
)

_SHOWN: Final = "shown"  # an impression of an execute request and a display can have the same id


def delivery_events(
    request: DeliveryRequest,
    impressions: Sequence[Impression],
    artifact: LoadedArtifact,
    *,
    session_id: str,
    now_ms: int,
) -> Sequence[LedgerEvent]:
    """Return the events of a decided request and its executed impressions.

    `now_ms` (epoch milliseconds) is the time of orders outside of notifications.
    """
    if request.execute is None and request.notifications is None and request.prefetch is None:
        return ()
    factory = _EventFactory(request, artifact, session_id)
    return [*factory.impressions(impressions), *factory.notifications(), *factory.orders(now_ms)]


class _EventFactory:
    def __init__(self, request: DeliveryRequest, artifact: LoadedArtifact, session_id: str) -> None:
        self._request = request
        self._served = artifact
        self._session_id = session_id
        self._visitor = bucketing_id(request.id)

    def impressions(self, impressions: Sequence[Impression]) -> Iterator[LedgerEvent]:
        """Yield the executed impressions; a token at two locations counts at both."""
        key = self._request.impression_id or self._request.request_id or ""
        for impression in impressions:
            location = impression.name or ""
            for token in impression.tokens:
                identity = (_SHOWN, key, location, token)
                yield self._event("impression", identity, location, impression.timestamp, token)

    def notifications(self) -> Iterator[LedgerEvent]:
        """Yield an event for each token of a notification; one without tokens has one event."""
        for notification in self._request.notifications or ():
            kind: Kind = "click" if notification.type == MetricType.CLICK else "display"
            location, when = _location(notification), notification.timestamp or 0
            identity: tuple[str, str] = (kind, notification.id or "")
            if kind == "display" and notification.impression_id:
                identity = (_SHOWN, notification.impression_id)
            for token in dict.fromkeys(notification.tokens or ("",)):
                yield self._event(kind, (*identity, location, token), location, when, token)

    def orders(self, now_ms: int) -> Iterator[LedgerEvent]:
        """Yield the orders; one without an id is identified by its request or notification."""
        for location, details in _locations(self._request):
            if details.order is not None:
                yield self._order(details.order, self._request.request_id or "", location, now_ms)
        for notification in self._request.notifications or ():
            if notification.order is not None:
                when = notification.timestamp or 0
                yield self._order(notification.order, notification.id or "", _location(notification), when)

    def _order(self, order: Order, source: str, location: str, timestamp_ms: int) -> LedgerEvent:
        """Return an event without an activity, which counts for all activities of the visitor."""
        identity = ("order", order.id) if order.id else ("order of", source, location)
        return self._event("order", identity, location, timestamp_ms, "", order)

    def _event(
        self,
        kind: Kind,
        identity: tuple[str, ...],
        location: str,
        timestamp_ms: int,
        token: str,
        order: Order | None = None,
    ) -> LedgerEvent:
        artifact = self._served
        owner = artifact.tokens.find(token, artifact.client, self._visitor) if token else UNKNOWN
        return LedgerEvent(
            id=_digest(artifact.client, self._visitor, *identity),
            kind=kind,
            visitor=self._visitor,
            activity_id=owner.activity_id,
            experience_id=owner.experience_id,
            location=location,
            token=token,
            timestamp_ms=timestamp_ms,
            session_id=self._session_id,
            order_id=order.id if order is not None else None,
            order_total=order.total if order is not None else None,
        )


def _locations(request: DeliveryRequest) -> Iterator[tuple[str, RequestDetails | MboxRequest | ViewRequest]]:
    """Yield executed and prefetched details with the names of mboxes and views, "" for a page."""
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
