"""Notifications that the application enqueues, for the notifier."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry.delivery.prepare import PreparedRequest
from targetry.models import DeliveryRequest
from targetry.visitor import VisitorLike


class NotificationReport(msgspec.Struct, frozen=True, eq=False):
    """A prepared request of `send_notifications` that is sent in the background."""

    prepared: PreparedRequest

    @property
    def visitor(self) -> VisitorLike | None:
        """The visitor of the call."""
        return self.prepared.visitor

    @property
    def session_id(self) -> str:
        """The session of the call."""
        return self.prepared.session_id

    @property
    def cluster(self) -> str | None:
        """The edge cluster of the visitor."""
        return self.prepared.cluster

    @property
    def count(self) -> int:
        """Number of notifications."""
        return len(self.prepared.request.notifications or ())

    def build_request(self, _: Callable[[], str]) -> DeliveryRequest:
        """Return the request, which was complete when it was enqueued."""
        return self.prepared.request
