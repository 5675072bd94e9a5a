"""Metrics of clients: evaluations, durations, notifications, artifact, HTTP requests."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from targetry._client.decisions.evaluations import error_code
from targetry.hooks import CallEnded, ClientHandle
from targetry.otel.settings import SCHEMA_URL, SCOPE, SCOPE_VERSION

MOST_KEYS: Final = 1000
OTHER_KEY: Final = "_other"
_HTTP_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_DECISION_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, *_HTTP_BOUNDS_S)

Label = tuple[str, tuple[tuple[str, str], ...]]
"""Name of a metric, and its attributes."""

_PENDING: Final[Label] = ("targetry.notifications.pending", ())
_AGE: Final[Label] = ("targetry.artifact.age", ())


class ClientMetrics:
    """Instruments of one hook, for all clients that have it."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter(SCOPE, SCOPE_VERSION, provider, SCHEMA_URL)
        self._keys: set[str] = set()
        self._totals = ClientTotals()
        self.http = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP requests.",
            explicit_bucket_boundaries_advisory=_HTTP_BOUNDS_S,
        )
        self._evaluations = meter.create_counter(
            "targetry.evaluations", unit="{evaluation}", description="Evaluations of mboxes, views and flags."
        )
        self._decisions = meter.create_histogram(
            "targetry.decision.duration",
            unit="s",
            description="Duration of calls that decide.",
            explicit_bucket_boundaries_advisory=_DECISION_BOUNDS_S,
        )
        observed = {
            "targetry.notifications": ("{notification}", "Notifications, by what became of them."),
            "targetry.artifact.polls": ("{poll}", "Requests for the artifact, by their outcome."),
        }
        for name, (unit, description) in observed.items():
            meter.create_observable_counter(name, [self._callback(name)], unit, description)
        gauges = {
            "targetry.notifications.pending": ("{notification}", "Notifications that wait to be sent."),
            "targetry.artifact.age": ("s", "Age of the oldest rules that a client decides by."),
        }
        for name, (unit, description) in gauges.items():
            meter.create_observable_gauge(name, [self._callback(name)], unit, description)

    def observe(self, client: ClientHandle) -> None:
        """Observe the counts of a client until it is garbage-collected."""
        self._totals.add(client)

    def record(self, call: CallEnded) -> None:
        """Record a call that ended."""
        if call.kind == "send_notifications":
            return
        method = call.decided_by or call.method
        attributes = {"targetry.decisioning_method": str(method)}
        if call.error is not None:
            attributes["error.type"] = error_code(call.error).lower()
        self._decisions.record(call.duration_s, attributes)
        for one in call.evaluations:
            counted = {
                "feature_flag.key": self._bounded(one.key),
                "feature_flag.result.reason": one.reason.lower(),
            }
            if one.variant is not None:
                counted["feature_flag.result.variant"] = one.variant
            self._evaluations.add(1, counted)

    def _bounded(self, key: str) -> str:
        """Return the key, or one for all keys beyond the limit."""
        if key in self._keys:
            return key
        if len(self._keys) >= MOST_KEYS:
            return OTHER_KEY
        self._keys.add(key)
        return key

    def _callback(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return self._totals.observations(name)

        return observe


class _Observed:
    """A client, with the counts that were last read."""

    def __init__(self, client: ClientHandle) -> None:
        self.reference = weakref.ref(client)
        self.last: Counter[Label] = Counter()


class ClientTotals:
    """Sums over clients. The counts of those that are gone remain: no counter decreases."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._clients: list[_Observed] = []
        self._gone: Counter[Label] = Counter()

    def add(self, client: ClientHandle) -> None:
        """Add a client."""
        self._clients.append(_Observed(client))

    def observations(self, name: str) -> list[Observation]:
        """Return the values of a metric, one for each combination of attributes."""
        if self._pid != os.getpid():  # the counts of a forked child start at 0
            self._pid = os.getpid()
            self._gone.clear()
            for client in self._clients:
                client.last.clear()
        current = self._current().items()
        return [
            Observation(value, dict(attributes)) for (metric, attributes), value in current if metric == name
        ]

    def _current(self) -> Counter[Label]:
        total: Counter[Label] = Counter()
        for client in self._clients.copy():
            handle = client.reference()
            if handle is None:
                with suppress(ValueError):  # another thread has removed it
                    self._clients.remove(client)
                    self._gone.update(client.last)
                continue
            stats = handle.stats()
            client.last = Counter(dict(_counts(stats)))
            total.update(client.last)
            total[_PENDING] += stats.notifications.pending
            if stats.artifact is not None and stats.artifact.age_s is not None:
                total[_AGE] = max(total[_AGE], stats.artifact.age_s)
        total.update(self._gone)
        return total


def _counts(stats: Any) -> Iterator[tuple[Label, int]]:
    notifications, artifact = stats.notifications, stats.artifact
    for outcome in ("accepted", "sent"):
        yield _label("targetry.notifications", outcome), getattr(notifications, outcome)
    for reason, count in notifications.dropped.items():
        yield _label("targetry.notifications", "dropped", reason), count
    if artifact is None:
        return
    failed = sum(artifact.failures.values())
    yield _label("targetry.artifact.polls", "unchanged"), artifact.not_modified
    changed = artifact.attempts - artifact.not_modified - failed
    yield _label("targetry.artifact.polls", "changed"), max(0, changed)
    for reason, count in artifact.failures.items():
        yield _label("targetry.artifact.polls", reason), count


def _label(name: str, outcome: str, reason: str | None = None) -> Label:
    attributes = (("outcome", outcome),)
    return name, attributes if reason is None else (*attributes, ("reason", reason))
