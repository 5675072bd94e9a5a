"""Directory of edge clusters: health of the clusters that requests are sent to.

The cluster of a request comes from a visitor's cookie, and a forged cookie can name any cluster. A
cluster that has not responded yet is therefore on trial: its first failure routes all requests to
the client's own host for five minutes, and at most sixteen clusters are on trial at a time. A
cluster that has responded is avoided for a minute after three consecutive failures.

There are no locks: concurrent threads can try a cluster once more than necessary.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from targetry.delivery.retry import was_unreachable
from targetry.errors import ApiException

# Statuses of the Delivery API itself; another status can come from a host that is not a cluster.
_ANSWERS_OF_THE_API = frozenset({400, 401, 408, 413, 429, 500})
_NOT_SERVED = frozenset({403, 404, 421})  # the request was not processed
_MAX_KNOWN = 32
_MAX_TRIALS = 16
_MAX_FAILURES = 3  # in a row, of a cluster that has answered before
_AVOID_S = 60.0
_TRIAL_S = 300.0


class _Known(msgspec.Struct):
    failures: int = 0
    avoid_until: float | None = None


class _Trial(msgspec.Struct):
    expires_at: float
    failed: bool = False


class ClusterDirectory:
    """Record of the clusters that answer. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._trials: dict[str, _Trial] = {}

    def add(self, cluster: str) -> None:
        """Register a cluster that the client options or the service have named."""
        if cluster not in self._known:
            self._trials.pop(cluster, None)
            for oldest in list(self._known)[: 1 - _MAX_KNOWN]:
                self._known.pop(oldest, None)
            self._known[cluster] = _Known()

    def choose(self, cluster: str | None) -> str | None:
        """Return the cluster to send a request to, None for the client's own host."""
        if cluster is None:
            return None
        known = self._known.get(cluster)
        if known is None:
            return cluster if self._start_trial(cluster) else None
        if known.avoid_until is None:
            return cluster
        if self._clock() < known.avoid_until:
            return None
        known.avoid_until, known.failures = None, _MAX_FAILURES - 1
        return cluster

    def is_known(self, cluster: str) -> bool:
        """Return whether the cluster has answered, or was registered by `add`."""
        return cluster in self._known

    def record_response(self, cluster: str) -> None:
        """Record a response of the Delivery API that came from the cluster."""
        known = self._known.get(cluster)
        if known is None:
            self.add(cluster)
        elif known.failures:
            known.failures, known.avoid_until = 0, None

    def record_error(self, cluster: str, error: Exception) -> bool:
        """Record a failed call. Return whether to send the request to the own host instead."""
        status = error.status if isinstance(error, ApiException) else 0
        is_known = self.is_known(cluster)
        unreachable = isinstance(error, ApiException) and was_unreachable(error)
        if unreachable or (status not in _ANSWERS_OF_THE_API and not is_known):
            self.record_failure(cluster, unreachable=unreachable)
        return unreachable or (status in _NOT_SERVED and not is_known)

    def record_failure(self, cluster: str, *, unreachable: bool) -> None:
        """Record a failed call; if `unreachable`, the request did not reach the API."""
        known = self._known.get(cluster)
        if known is None:
            self._trials[cluster] = _Trial(self._clock() + _TRIAL_S, failed=True)
            self._expire_trials()
        elif unreachable:
            known.failures += 1
            if known.failures >= _MAX_FAILURES:
                known.avoid_until = self._clock() + _AVOID_S

    def _start_trial(self, cluster: str) -> bool:
        now = self._clock()
        tried = self._trials.get(cluster)
        if tried is not None and now < tried.expires_at:
            return not tried.failed
        self._expire_trials()
        if len(self._trials) >= _MAX_TRIALS:
            return False
        self._trials[cluster] = _Trial(now + _TRIAL_S)
        return True

    def _expire_trials(self) -> None:
        """Remove trials that have expired, and the oldest beyond `_MAX_TRIALS`."""
        now = self._clock()
        tried = sorted(self._trials.items(), key=lambda item: item[1].expires_at)
        for cluster, one in tried:
            if one.expires_at <= now or len(self._trials) > _MAX_TRIALS:
                self._trials.pop(cluster, None)
