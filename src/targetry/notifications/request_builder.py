"""Builder of the Delivery API requests that report impressions and telemetry."""

from __future__ import annotations

from collections.abc import Callable

from targetry._runtime.ids import new_id
from targetry.delivery.telemetry import TelemetryStore
from targetry.models import DeliveryRequest
from targetry.notifications.queue_entry import NotificationSource


class RequestBuilder:
    """Builds the request of a source; one that reports impressions also carries the waiting telemetry."""

    def __init__(self, telemetry: TelemetryStore, new_id: Callable[[], str] = new_id) -> None:
        self._telemetry = telemetry
        self._new_id = new_id

    def build(self, source: NotificationSource) -> DeliveryRequest:
        """Return a new request; to be called once for each source, since it takes telemetry out of the store."""
        request = source.build_request(self._new_id)
        if source.count:
            self._telemetry.attach(request)
        return request
