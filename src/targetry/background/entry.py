"""A delivery: as it is offered, and as it is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from targetry.models import DeliveryRequest

_WEIGHT = 2048  # of a delivery without its notifications: ids, context, URL
_WEIGHT_OF_NOTIFICATION = 512


class Delivery(msgspec.Struct, frozen=True):
    """One call of the Delivery API that is to be made.

    `url` and `request` are complete; the request is the notifier's from then on, and is written as JSON later. `count` is
    the number of notifications in it, 0 when it holds telemetry only.
    """

    url: str
    request: DeliveryRequest
    count: int


class Entry(msgspec.Struct, eq=False):
    """A delivery on its way. `born`: seconds on the monotonic clock; `size`: bytes, a guess until it is written.

    `row` is its place on disk, if it has one. `seen`: how many deliveries had got through when this one last failed.
    """

    url: str
    request: DeliveryRequest | None
    count: int
    size: int
    born: float
    body: bytes | None = None
    row: int | None = None
    request_id: str | None = None
    strikes: int = 0
    seen: int = -1
    settled: bool = False

    def encode(self) -> Exception | None:
        """Have a `body`; what is wrong, if it cannot be."""
        if self.body is None and self.request is not None:
            try:
                self.body = self.request.to_json().encode()
            except Exception as error:  # of msgspec, or of objects that do not belong in a request
                return error
        return None


class Refused(msgspec.Struct):
    """Notifications that were dropped untried: how many, and some of their deliveries."""

    count: int = 0
    samples: list[Delivery | Entry] = []


def weight(delivery: Delivery) -> int:
    """About how many bytes it takes. Tokens and parameters are measured: they are what may be large."""
    size = _WEIGHT + _WEIGHT_OF_NOTIFICATION * delivery.count
    try:
        for notification in delivery.request.notifications or ():
            for token in notification.tokens or ():
                size += len(token)
            for parameters in (notification.parameters, notification.profile_parameters):
                if parameters:
                    size += sum(len(name) + len(value) for name, value in parameters.items())
    except (TypeError, AttributeError):  # not what it should be; the one who writes it as JSON will say so
        return size
    return size
