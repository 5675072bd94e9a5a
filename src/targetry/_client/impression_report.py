"""Report of one on-device decision, for the notifier."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry.delivery.prepare import PreparedRequest
from targetry.delivery.telemetry import Entries, written
from targetry.device.decide import Impression
from targetry.models import DeliveryRequest, Telemetry
from targetry.visitor import VisitorLike


class ImpressionReport(msgspec.Struct, frozen=True, eq=False):
    """The `count` impressions of one decision, or `telemetry` alone, for edge cluster `cluster`.

    The decision only stores what it has at hand; the notifier's thread builds the request.
    """

    prepared: PreparedRequest
    impressions: list[Impression]
    count: int
    cluster: str | None
    telemetry: Entries | None = None

    @property
    def visitor(self) -> VisitorLike | None:
        """The visitor of the decision."""
        return self.prepared.visitor

    @property
    def session_id(self) -> str:
        """The session of the decision."""
        return self.prepared.session_id

    def build_request(self, new_id: Callable[[], str]) -> DeliveryRequest:
        """Return the request of the same visitor, property and environment as the decision."""
        decided = self.prepared.request
        request = DeliveryRequest(
            request_id=new_id(),
            id=decided.id,
            environment_id=decided.environment_id,
            _property=decided._property,
            context=decided.context,
        )
        if self.telemetry is not None:
            request.telemetry = Telemetry(written(self.telemetry))
        else:
            request.experience_cloud = decided.experience_cloud
            request.notifications = [one.notification(new_id) for one in self.impressions]
        return request
