"""A delivery: as it is offered, and as it is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from targetry.models.writing import json_bytes

if TYPE_CHECKING:
    from targetry.models import DeliveryRequest

_WEIGHT = 2048  # of a delivery without its notifications: ids, context, URL
_WEIGHT_OF_NOTIFICATION = 512


class Deliverable(Protocol):
    """One call of the Delivery API that is to be made.

    `count` is the number of notifications in it, 0 when it holds telemetry only; it is read at once. `url` and `request` may
    be properties that make them: they are read later, once, by one of the notifier's threads. The request is the notifier's.
    """

    @property
    def url(self) -> str: ...

    @property
    def request(self) -> DeliveryRequest: ...

    @property
    def count(self) -> int: ...


class Delivery(msgspec.Struct, frozen=True):
    """A `Deliverable` that is complete."""

    url: str
    request: DeliveryRequest
    count: int


class Entry(msgspec.Struct, eq=False):
    """A delivery on its way. `born`: seconds on the monotonic clock; `size`: bytes, a guess until it is written.

    `row` is its place on disk, if it has one. `seen`: how many deliveries had got through when this one last failed.
    """

    source: Deliverable | None
    count: int
    size: int
    born: float
    url: str = ""
    request: DeliveryRequest | None = None
    body: bytes | None = None
    row: int | None = None
    request_id: str | None = None
    strikes: int = 0
    seen: int = -1
    settled: bool = False

    def encode(self) -> Exception | None:
        """Have `url` and `body`; what is wrong, if that cannot be."""
        if self.body is None and self.source is not None:
            try:
                self.url, self.request = self.source.url, self.source.request
                self.body = json_bytes(self.request)
            except Exception as error:  # of msgspec, or of what does not belong in a request
                return error
            self.source = None
        return None if self.body else ValueError("the request has no body")


class Refused(msgspec.Struct):
    """Notifications that were dropped untried: how many, and some of their deliveries."""

    count: int = 0
    samples: list[Deliverable | Entry] = []


def weight(source: Deliverable) -> int:
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
