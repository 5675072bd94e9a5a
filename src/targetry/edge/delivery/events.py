"""Ledger events of a delivery request: impressions, displays, clicks, orders.

An event's id is a digest of its kind, the visitor, the caller's id of the request, impression,
notification or order, and the token. So a retry is recorded once, and so is an impression that two
requests share by their `impressionId`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from targetry.device.decide import Impression
from targetry.device.logic.facts import bucketing_id
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.artifacts.token_index import UNKNOWN
from targetry.edge.delivery.segments import SegmentReader
from targetry.ledger.event import Kind, LedgerEvent
from targetry.models import (
    DeliveryRequest,
    MetricType,
    Notification,
    Order,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode

_SHOWN: Final = "shown"  # an impression of an execute request and a display can have the same id


def delivery_events(
    request: DeliveryRequest,
    impressions: Sequence[Impression],
    artifact: LoadedArtifact,
    *,
    session_id: str,
    now_ms: int,
    segments: SegmentReader | None = None,
) -> Sequence[LedgerEvent]:
    """Return the events of a decided request and its executed impressions.

    `now_ms` (epoch milliseconds) is the time of orders outside of notifications; an order can have
    an earlier time of its own. `segments` reads the facts of impressions.
    """
    if request.execute is None and request.notifications is None and request.prefetch is None:
        return ()
    factory = _EventFactory(request, artifact, session_id, segments)
    factory.add_impressions(impressions)
    if request.notifications is not None:
        factory.add_notifications(request.notifications)
    factory.add_orders(now_ms)
    return factory.events


class _EventFactory:
    def __init__(
        self,
        request: DeliveryRequest,
        artifact: LoadedArtifact,
        session_id: str,
        segments: SegmentReader | None,
    ) -> None:
        self.events: list[LedgerEvent] = []
        self._request = request
        self._served = artifact
        self._session_id = session_id
        self._visitor = bucketing_id(request.id)
        self._facts = None if segments is None else segments.facts(request)

    def add_impressions(self, impressions: Iterable[Impression]) -> None:
        """Add the executed impressions; a token at two locations counts at both."""
        key = self._request.impression_id or self._request.request_id or ""
        for impression in impressions:
            location = impression.name or ""
            for token in impression.tokens:
                identity = (_SHOWN, key, location, token)
                self._add("impression", identity, location, impression.timestamp, token)

    def add_notifications(self, notifications: Iterable[Notification]) -> None:
        """Add an event for each token of a notification; one without tokens has one event."""
        for notification in notifications:
            kind: Kind = "click" if notification.type == MetricType.CLICK else "display"
            location, when = _location(notification), notification.timestamp or 0
            identity: tuple[str, str] = (kind, notification.id or "")
            if kind == "display" and notification.impression_id:
                identity = (_SHOWN, notification.impression_id)
            for token in dict.fromkeys(notification.tokens or ("",)):
                self._add(kind, (*identity, location, token), location, when, token)

    def add_orders(self, now_ms: int) -> None:
        """Add the orders; one without an id is identified by its request or notification."""
        source = self._request.request_id or ""
        for part in (self._request.execute, self._request.prefetch):
            if part is None:
                continue
            for mbox in part.mboxes or ():
                if mbox.order is not None:
                    self._add_order(mbox.order, source, mbox.name or "", now_ms)
            if part.page_load is not None and part.page_load.order is not None:
                self._add_order(part.page_load.order, source, "", now_ms)
        if self._request.prefetch is not None:
            for view in self._request.prefetch.views or ():
                if view.order is not None:
                    self._add_order(view.order, source, view.name or "", now_ms)
        for notification in self._request.notifications or ():
            if notification.order is not None:
                when = notification.timestamp or 0
                self._add_order(notification.order, notification.id or "", _location(notification), when)

    def _add_order(self, order: Order, source: str, location: str, timestamp_ms: int) -> None:
        """Add an event without an activity, which counts for all activities of the visitor."""
        identity = ("order", order.id) if order.id else ("order of", source, location)
        when = timestamp_ms if order.time is None else _order_ms(order.time, timestamp_ms)
        self._add("order", identity, location, when, "", order.id, order.total)

    def _add(
        self,
        kind: Kind,
        identity: tuple[str, ...],
        location: str,
        timestamp_ms: int,
        token: str,
        order_id: str | None = None,
        order_total: float | None = None,
    ) -> None:
        artifact, visitor = self._served, self._visitor
        activity_id, experience_id = (
            artifact.tokens.find(token, artifact.client, visitor) if token else UNKNOWN
        )
        self.events.append(
            LedgerEvent(
                _digest(artifact.client, visitor, *identity),
                kind,
                visitor,
                activity_id,
                experience_id,
                location,
                token,
                timestamp_ms,
                self._session_id,
                order_id,
                order_total,
                self._facts if kind in ("impression", "display") else None,
            )
        )


def _order_ms(time: datetime, reported_ms: int) -> int:
    """Return the epoch milliseconds of an order: when it was reported, unless it was made before.

    A time without a zone can be one of any zone. One in whole seconds is the last millisecond of
    its second, so that the order does not precede an impression of the same second.
    """
    if time.tzinfo is None:
        return reported_ms
    made_ms = (time - _EPOCH) // timedelta(milliseconds=1)
    return max(0, min(reported_ms, made_ms if time.microsecond else made_ms + 999))


def _location(notification: Notification) -> str:
    named = notification.mbox or notification.view
    return (named.name or "") if named is not None else ""


def _digest(*identity: str) -> str:
    return hashlib.blake2b(_encode(identity), digest_size=16).hexdigest()
