"""Hosts that notifications are sent to: retry state and calls under way.

A queue belongs to an edge cluster or to the client's own host. Its entries go to the cluster as
long as that answers, and else to the own host; so several queues can share a host.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from targetry.delivery.clusters import ClusterDirectory
from targetry.notifications.queue.retry_policy import RetryPolicy, RetryState

_MAX_DESTINATIONS = 64


class Destination:
    """Retry state of one host, with the numbers of calls under way and of successes."""

    __slots__ = ("calls", "retry_state", "successes")

    def __init__(self, retry_state: RetryState) -> None:
        self.retry_state = retry_state
        self.calls = 0
        self.successes = 0


class Destinations:
    """Destinations by host; the host None is the client's own. To be used under the queue's lock.

    One host gets at most three quarters of the calls. Hosts that fail or have never answered get
    one call each, and together an eighth, so that they cannot delay the deliveries to others.

    Args:
        policy: Retry policy of each host.
        random: Source of random numbers in [0, 1).
        clusters: Directory of edge clusters, which decides where a cluster's entries go.
        max_calls: Calls under way at a time, to all hosts together.
        clock: Monotonic time in seconds.
        used: Clusters that have a queue; their destinations are never discarded.
    """

    def __init__(
        self,
        *,
        policy: RetryPolicy,
        random: Callable[[], float],
        clusters: ClusterDirectory,
        max_calls: int,
        clock: Callable[[], float],
        used: Container[str | None],
    ) -> None:
        self._policy = policy
        self._random = random
        self._clusters = clusters
        self._max_calls_per_host = max_calls - max_calls // 4
        self._max_suspect_calls = max(1, max_calls // 8)
        self._clock = clock
        self._used = used
        self.own = Destination(RetryState(policy, random))
        self._by_host: dict[str | None, Destination] = {None: self.own}

    def host_of(self, cluster: str | None) -> str | None:
        """Return the host that entries of a cluster go to now."""
        return None if cluster is None else self._clusters.choose(cluster)

    def of_host(self, host: str | None) -> Destination:
        """Return the destination of a host, a new one if there is none."""
        destination = self._by_host.get(host)
        if destination is None:
            self._discard_oldest()
            destination = self._by_host[host] = Destination(RetryState(self._policy, self._random))
        return destination

    def of_cluster(self, cluster: str | None) -> Destination:
        """Return the destination of the host that entries of a cluster go to now."""
        return self.of_host(self.host_of(cluster))

    def is_failing(self, cluster: str | None) -> bool:
        """Return whether the host of a cluster is suspect or must not be called yet."""
        host = self.host_of(cluster)
        destination = self.of_host(host)
        return self._is_suspect(host, destination) or destination.retry_state.wait(self._clock()) > 0

    def may_call(self, host: str | None) -> bool:
        """Return whether one more call to the host leaves enough calls for other hosts."""
        destination = self.of_host(host)
        if not self._is_suspect(host, destination):
            return destination.calls < self._max_calls_per_host
        if destination.calls:
            return False  # the call under way is the probe
        return host is None or self._suspect_calls() < self._max_suspect_calls

    def skip_backoff(self) -> None:
        """End the waits after failures, except those that a server asked for. Take no lock."""
        for destination in list(self._by_host.values()):
            destination.retry_state.skip_backoff()

    def _is_suspect(self, host: str | None, destination: Destination) -> bool:
        if destination.retry_state.is_suspect:
            return True
        return host is not None and not self._clusters.is_known(host)

    def _suspect_calls(self) -> int:
        return sum(
            one.calls
            for host, one in self._by_host.items()
            if host is not None and one.calls and self._is_suspect(host, one)
        )

    def _discard_oldest(self) -> None:
        """Discard the state of the oldest host without calls and waits, if there are too many."""
        if len(self._by_host) < _MAX_DESTINATIONS:
            return
        now = self._clock()
        for host, destination in self._by_host.items():
            is_idle = not destination.calls and destination.retry_state.wait(now) <= 0
            if host is not None and host not in self._used and is_idle:
                del self._by_host[host]
                return
