"""Builder of the Delivery API requests that report impressions and telemetry."""

from __future__ import annotations

from targetry._runtime.ids import new_ids
from targetry.delivery.telemetry import TelemetryStore
from targetry.models import DeliveryRequest
from targetry.notifications.queue.entry import NotificationSource


class RequestBuilder:
    """Builder of requests; one that reports impressions also gets the waiting telemetry."""

    def __init__(self, telemetry: TelemetryStore) -> None:
        self._telemetry = telemetry

    def build(self, source: NotificationSource) -> DeliveryRequest:
        """Return the request of a source; a second call would not contain the same telemetry."""
        ids = new_ids(1 + 2 * source.count)  # of the request; of a notification and its impression
        request = source.build_request(ids.__next__)
        if source.count:
            self._telemetry.attach(request)
        return request
