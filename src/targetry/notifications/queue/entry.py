"""Queue entries: one request of notifications, from its submission to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from targetry.models.writing import json_bytes

if TYPE_CHECKING:
    from targetry.models import DeliveryRequest


MAX_BATCH: Final = 50  # notifications


class NotificationSource(Protocol):
    """Data of one call of the Delivery API, before its request is built.

    `cluster` is the edge cluster of the visitor, `count` the number of notifications, 0 for
    telemetry only. Sources with an equal `batch`, which is not None, may be merged: `merge` returns
    a source with the notifications of others, too. A thread of the notifier calls `build_request`
    once; the request belongs to the notifier.
    """

    @property
    def session_id(self) -> str: ...

    @property
    def cluster(self) -> str | None: ...

    @property
    def count(self) -> int: ...

    @property
    def batch(self) -> object: ...

    def merge(self, others: Sequence[Any]) -> NotificationSource: ...

    def build_request(self, new_id: Callable[[], str]) -> DeliveryRequest: ...


BuildRequest = Callable[[NotificationSource], "DeliveryRequest"]


class QueueEntry(msgspec.Struct, eq=False):
    """A delivery in the queue.

    Attributes:
        source: Data of the request; None once it is encoded.
        count: Number of notifications in it, 0 for telemetry only.
        size: Bytes that it counts for: of its body, before that the mean of other bodies.
        born: Time of its submission on the monotonic clock, in seconds.
        session_id: Session of the visitor; empty before it is encoded.
        cluster: Cluster of its queue, None for the client's own host.
        host: Cluster that the call under way goes to, None for the client's own host.
        body: JSON of the request.
        error: Error of the encoding.
        request: The request, if it could be built and not be encoded.
        row: Row in the spool.
        request_id: `X-Request-Id` of its calls.
        calls: Number of its calls that were made.
        isolated_failures: Failures of it while others succeeded.
        seen: Deliveries that had succeeded at its host when it last failed.
        batch: Batch that takes more sources; None once it is encoded or under way.
        others: More sources of the batch; empty once they are encoded.
        parts: Number of sources.
        is_split: Whether its notifications are sent one by one, the first of `body` next.
        part: Body of the call for that one.
        is_partial: Whether some notifications are sent, which `body` no longer contains.
        settled: Whether it is sent or dropped.
    """

    source: NotificationSource | None
    count: int
    size: int
    born: float
    session_id: str = ""
    cluster: str | None = None
    host: str | None = None
    body: bytes | None = None
    error: Exception | None = None
    request: DeliveryRequest | None = None
    row: int | None = None
    request_id: str | None = None
    calls: int = 0
    isolated_failures: int = 0
    seen: int = -1
    batch: object = None
    others: list[NotificationSource] = []
    parts: int = 1
    is_split: bool = False
    part: bytes | None = None
    is_partial: bool = False
    settled: bool = False

    @property
    def can_be_split(self) -> bool:
        """Whether its notifications can be sent one by one, because one may be at fault."""
        return not self.is_split and 1 < self.count <= MAX_BATCH

    @property
    def is_last_part(self) -> bool:
        """Whether the call under way is for all notifications that are left."""
        return self.part is None or self.count <= 1

    @property
    def is_encoded(self) -> bool:
        """Whether `encode` was called, successfully or not."""
        return self.source is None

    def encode(self, build_request: BuildRequest) -> Exception | None:
        """Build and encode the request unless that is done; return the error if it failed."""
        source, self.source = self.source, None
        if source is not None:
            others, self.others = self.others, []
            try:
                if others:
                    source = source.merge(others)
                self.session_id, self.request = source.session_id, build_request(source)
                self.body = json_bytes(self.request)
                self.request = None
            except Exception as error:  # of msgspec, or of an object that does not belong in a request
                self.error = error
        if self.error is not None:
            return self.error
        return None if self.body else ValueError("the request has no body")


class Dequeued(msgspec.Struct, frozen=True):
    """Result of taking an entry: `entry`, or None and `wait_s`, the seconds until there may be one.

    `wait_s` is infinite if there will be none before the queue changes.
    """

    entry: QueueEntry | None
    wait_s: float = 0.0
