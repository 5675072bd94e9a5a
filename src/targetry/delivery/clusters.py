"""Directory of edge clusters: which of them requests are sent to.

The cluster of a request comes from a visitor's cookie, and a forged cookie names any cluster it likes. A cluster
that has not answered yet is therefore only tried: its first failure sends everybody to the client's own host for a
while, and few clusters are tried at a time. A cluster that has answered is avoided after a few failures in a row.

No locks: threads that race may try a cluster once more than necessary.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry.delivery.retry import was_unreachable
from targetry.errors import ApiException

# Statuses of the Delivery API itself; any other comes from a host that may be no cluster.
_ANSWERS_OF_THE_API = frozenset({400, 401, 408, 413, 429, 500})
_NOT_SERVED = frozenset({403, 404, 421})  # the request was not processed
_MAX_KNOWN = 32
_MAX_TRIED = 16
_MAX_FAILURES = 3  # in a row, of a cluster that has answered before
_AVOID_KNOWN_S = 60.0
_AVOID_TRIED_S = 300.0


class _Known(msgspec.Struct):
    failures: int = 0
    avoid_until: float | None = None


class _Tried(msgspec.Struct):
    expires_at: float
    failed: bool = False


class ClusterDirectory:
    """Remembers which clusters answer. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._tried: dict[str, _Tried] = {}

    def add(self, cluster: str) -> None:
        """Register a cluster that the operator or the service has named."""
        if cluster not in self._known:
            self._tried.pop(cluster, None)
            for oldest in list(self._known)[: 1 - _MAX_KNOWN]:
                self._known.pop(oldest, None)
            self._known[cluster] = _Known()

    def choose(self, cluster: str | None) -> str | None:
        """Return the cluster to send a request to, None for the client's own host."""
        if cluster is None:
            return None
        known = self._known.get(cluster)
        if known is None:
            return cluster if self._may_try(cluster) else None
        if known.avoid_until is None:
            return cluster
        if self._clock() < known.avoid_until:
            return None
        known.avoid_until, known.failures = None, _MAX_FAILURES - 1
        return cluster

    def is_known(self, cluster: str) -> bool:
        """Return whether the cluster has answered, or was named by the operator or the service."""
        return cluster in self._known

    def record_response(self, cluster: str) -> None:
        """Record an answer of the Delivery API that came from the cluster."""
        known = self._known.get(cluster)
        if known is None:
            self.add(cluster)
        elif known.failures:
            known.failures, known.avoid_until = 0, None

    def record_error(self, cluster: str, error: Exception) -> bool:
        """Record a failed call. Return whether the same request may go to the client's own host instead."""
        status = error.status if isinstance(error, ApiException) else 0
        is_known = self.is_known(cluster)
        unreachable = isinstance(error, ApiException) and was_unreachable(error)
        if unreachable or (status not in _ANSWERS_OF_THE_API and not is_known):
            self.record_failure(cluster, unreachable=unreachable)
        return unreachable or (status in _NOT_SERVED and not is_known)

    def record_failure(self, cluster: str, *, unreachable: bool) -> None:
        """Record a failed call. `unreachable`: the request did not reach the Delivery API."""
        known = self._known.get(cluster)
        if known is None:
            self._tried[cluster] = _Tried(self._clock() + _AVOID_TRIED_S, failed=True)
            self._expire_tried()
        elif unreachable:
            known.failures += 1
            if known.failures >= _MAX_FAILURES:
                known.avoid_until = self._clock() + _AVOID_KNOWN_S

    def _may_try(self, cluster: str) -> bool:
        now = self._clock()
        tried = self._tried.get(cluster)
        if tried is not None and now < tried.expires_at:
            return not tried.failed
        self._expire_tried()
        if len(self._tried) >= _MAX_TRIED:
            return False
        self._tried[cluster] = _Tried(now + _AVOID_TRIED_S)
        return True

    def _expire_tried(self) -> None:
        """Forget tries that are over, and the oldest of more than `_MAX_TRIED`."""
        now = self._clock()
        tried = sorted(self._tried.items(), key=lambda item: item[1].expires_at)
        for cluster, one in tried:
            if one.expires_at <= now or len(self._tried) > _MAX_TRIED:
                self._tried.pop(cluster, None)
