"""Builder of the Delivery API requests that report impressions and telemetry."""

from __future__ import annotations

from collections.abc import Callable

from targetry._runtime.ids import new_id
from targetry.delivery.telemetry import TelemetryStore
from targetry.models import DeliveryRequest
from targetry.notifications.queue_entry import NotificationSource


class RequestBuilder:
    """Builder of requests; one that reports impressions also gets the waiting telemetry."""

    def __init__(self, telemetry: TelemetryStore, new_id: Callable[[], str] = new_id) -> None:
        self._telemetry = telemetry
        self._new_id = new_id

    def build(self, source: NotificationSource) -> DeliveryRequest:
        """Return the request of a source; a second call would not contain the same telemetry."""
        request = source.build_request(self._new_id)
        if source.count:
            self._telemetry.attach(request)
        return request
