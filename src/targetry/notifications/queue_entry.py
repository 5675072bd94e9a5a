"""A delivery: as it is offered, and as it is on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from targetry.models.writing import json_bytes

if TYPE_CHECKING:
    from targetry.models import DeliveryRequest

_WEIGHT = 2048  # of a delivery without its notifications: ids, context, URL
_WEIGHT_OF_NOTIFICATION = 512


class NotificationSource(Protocol):
    """What one call of the Delivery API reports, before its request is built.

    `cluster` is the edge cluster of the visitor, `count` the number of notifications, 0 for telemetry only. A thread of
    the notifier calls `build_request` once; the request then belongs to the notifier.
    """

    @property
    def session_id(self) -> str: ...

    @property
    def cluster(self) -> str | None: ...

    @property
    def count(self) -> int: ...

    def build_request(self, new_id: Callable[[], str]) -> DeliveryRequest: ...


BuildRequest = Callable[[NotificationSource], "DeliveryRequest"]


class Delivery(msgspec.Struct, frozen=True):
    """A `NotificationSource` that is complete."""

    session_id: str
    cluster: str | None
    request: DeliveryRequest
    count: int

    def build_request(self, _: Callable[[], str]) -> DeliveryRequest:
        """Return the request."""
        return self.request


class QueueEntry(msgspec.Struct, eq=False):
    """A delivery on its way. `born`: seconds on the monotonic clock; `size`: bytes, a guess until it is written.

    `cluster` names its queue, `host` the cluster that the call under way goes to; None stands for the client's own
    host. `row` is its place on disk, if it has one. `seen`: how many deliveries had got through to the host when this
    one last failed. `is_partial`: some of its notifications are sent, those that `body` does not have.
    """

    source: NotificationSource | None
    count: int
    size: int
    born: float
    session_id: str = ""
    cluster: str | None = None
    host: str | None = None
    request: DeliveryRequest | None = None
    body: bytes | None = None
    row: int | None = None
    request_id: str | None = None
    isolated_failures: int = 0
    seen: int = -1
    is_partial: bool = False
    settled: bool = False

    def encode(self, build_request: BuildRequest) -> Exception | None:
        """Make `session_id` and `body`. Return what is wrong if that is not possible, else None."""
        if self.body is None and self.source is not None:
            try:
                self.session_id, self.request = self.source.session_id, build_request(self.source)
                self.body = json_bytes(self.request)
            except Exception as error:  # of msgspec, or of what does not belong in a request
                return error
            self.source = None
        return None if self.body else ValueError("the request has no body")


class RefusedDeliveries(msgspec.Struct):
    """Notifications that were dropped untried: how many, and some of their deliveries."""

    count: int = 0
    samples: list[NotificationSource | QueueEntry] = []


def weight(source: NotificationSource) -> int:
    """About how many bytes it takes. In a complete one, tokens and parameters are measured: they are what may be large."""
    size = _WEIGHT + _WEIGHT_OF_NOTIFICATION * source.count
    if not isinstance(source, Delivery):
        return size
    try:
        for notification in source.request.notifications or ():
            for token in notification.tokens or ():
                size += len(token)
            for parameters in (notification.parameters, notification.profile_parameters):
                if parameters:
                    size += sum(len(name) + len(value) for name, value in parameters.items())
    except (TypeError, AttributeError):  # not what it should be; the one who writes it as JSON will say so
        return size
    return size
