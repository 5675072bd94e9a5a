"""Memory of the queue: deliveries and bytes that it holds, and the room that is left.

The limit in bytes is one of encoded requests. The path of a decision encodes nothing, so a new
entry counts for the mean of those that were encoded, and for its own size once that is known.
"""

from __future__ import annotations

from targetry.notifications.queue.cluster_queue import ClusterQueue
from targetry.notifications.queue.entry import QueueEntry

_FIRST_ESTIMATE = 2048  # bytes of a request before one was encoded
_NEW_SHARE = 8  # the mean moves by an eighth of the difference to a new size


class QueueMemory:
    """Account of the entries in memory. To be changed under the queue's lock.

    Args:
        limit: Deliveries in memory, those under way included.
        max_bytes: Bytes of their requests as JSON.

    Attributes:
        held: Deliveries in memory.
        size: Their bytes.
        estimate: Bytes that a request counts for before it is encoded.
        room: Number of deliveries that fit in addition.
    """

    __slots__ = ("_has_measured", "estimate", "held", "limit", "max_bytes", "room", "size")

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.limit = limit
        self.max_bytes = max_bytes
        self.held = 0
        self.size = 0
        self.estimate = _FIRST_ESTIMATE
        self.room = min(limit, max_bytes // _FIRST_ESTIMATE)
        self._has_measured = False

    def count(self, queue: ClusterQueue, deliveries: int, size: int) -> None:
        """Add to the deliveries of a queue and their bytes, or subtract negative numbers."""
        self.held += deliveries
        self.size += size
        queue.held += deliveries
        queue.size += size
        room, room_in_bytes = self.limit - self.held, (self.max_bytes - self.size) // self.estimate
        self.room = room if room < room_in_bytes else room_in_bytes  # much faster than `min`

    def measure(self, queue: ClusterQueue, entry: QueueEntry) -> None:
        """Let an encoded entry of a queue count for its size."""
        if entry.body is None or entry.size == len(entry.body):
            return
        size = len(entry.body)
        share = _NEW_SHARE if self._has_measured else 1
        self.estimate = max(1, self.estimate + (size // entry.parts - self.estimate) // share)
        self._has_measured = True
        self.count(queue, 0, size - entry.size)
        entry.size = size
