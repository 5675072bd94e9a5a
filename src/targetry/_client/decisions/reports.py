"""Reports of a client to the Delivery API: impressions, notifications, telemetry.

Telemetry is sent with the next call of the Delivery API. On-device decisions that only prefetch
make no such call; their entries are submitted a minute after the first one, when there are 100, and
when the client is flushed or closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec.structs import replace

from targetry._runtime.periodic_task import PeriodicTask
from targetry.delivery.prepare import PreparedRequest
from targetry.delivery.telemetry import Entries, TelemetryStore, to_entries
from targetry.device.decide import Impression
from targetry.device.decide_mbox import impressions_of
from targetry.device.personalize import Template
from targetry.models import DeliveryRequest, Telemetry
from targetry.visitor import VisitorLike

INTERVAL_S: Final = 60.0
MAX_WAITING: Final = 100

Submit = Callable[[PreparedRequest, Entries], object]


class _Report(msgspec.Struct, frozen=True, eq=False):
    """Report for the visitor and session of a prepared request."""

    prepared: PreparedRequest

    @property
    def visitor(self) -> VisitorLike | None:
        """The visitor of the call."""
        return self.prepared.visitor

    @property
    def session_id(self) -> str:
        """The session of the call."""
        return self.prepared.session_id


class ImpressionReport(_Report, frozen=True, eq=False):
    """The `count` impressions of one decision, or `telemetry` alone, for edge cluster `cluster`.

    The decision only stores the parts; the notifier's thread builds the request. Reports with the
    same `batch` are merged while they are pending.
    """

    impressions: list[Impression]
    count: int
    cluster: str | None
    telemetry: Entries | None = None
    batch: object = None

    def merge(self, others: Sequence[ImpressionReport]) -> ImpressionReport:
        """Return a report with the impressions of others for the same `batch`."""
        impressions = [one for report in (self, *others) for one in report.impressions]
        return replace(self, impressions=impressions, count=len(impressions))

    def build_request(self, new_id: Callable[[], str]) -> DeliveryRequest:
        """Return the request of the same visitor, property and environment as the decision."""
        decided = self.prepared.request
        request = DeliveryRequest(
            request_id=new_id(),
            id=decided.id,
            environment_id=decided.environment_id,
            _property=decided._property,
            context=decided.context,
        )
        if self.telemetry is not None:
            request.telemetry = Telemetry(to_entries(self.telemetry))
        else:
            request.experience_cloud = decided.experience_cloud
            request.notifications = [one.notification(new_id) for one in self.impressions]
        return request


class ReportedVisitor(Protocol):
    """A visitor that decisions were made for."""

    @property
    def _prepared(self) -> PreparedRequest: ...


class DecisionReport(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The impressions of one decision for a prepared visitor, which the notifier's thread makes.

    `cluster` is the edge cluster that they are sent to. Reports of one visitor, `batch`, are merged
    while they are pending.
    """

    templates: tuple[Template, ...]
    moment_ms: float
    cluster: str | None
    batch: ReportedVisitor

    @property
    def session_id(self) -> str:
        """The session of the visitor."""
        return self.batch._prepared.session_id

    @property
    def count(self) -> int:
        """Number of impressions."""
        return 1 if len(self.templates) == 1 else len(impressions_of(self.templates, self.moment_ms))

    def resolve(self) -> ImpressionReport:
        """Return a report with the impressions."""
        impressions = impressions_of(self.templates, self.moment_ms)
        return ImpressionReport(
            self.batch._prepared, impressions, len(impressions), self.cluster, None, self.batch
        )

    def merge(self, others: Sequence[ImpressionReport | DecisionReport]) -> ImpressionReport:
        """Return a report with the impressions of others for the same visitor."""
        return self.resolve().merge(
            [one.resolve() if isinstance(one, DecisionReport) else one for one in others]
        )

    def build_request(self, new_id: Callable[[], str]) -> DeliveryRequest:
        """Return the request of the visitor."""
        return self.resolve().build_request(new_id)


class NotificationReport(_Report, frozen=True, eq=False):
    """A prepared request of `send_notifications` that is sent in the background."""

    @property
    def cluster(self) -> str | None:
        """The edge cluster of the visitor."""
        return self.prepared.cluster

    @property
    def batch(self) -> None:
        """None: the caller's request is sent as it is."""

    def merge(self, _: Sequence[object]) -> NotificationReport:
        """Return the report; it is never merged."""
        return self

    @property
    def count(self) -> int:
        """Number of notifications."""
        return len(self.prepared.request.notifications or ())

    def build_request(self, _: Callable[[], str]) -> DeliveryRequest:
        """Return the request, which was complete when it was enqueued."""
        return self.prepared.request


Report: TypeAlias = ImpressionReport | DecisionReport | NotificationReport
"""A report that the notifier sends."""


class TelemetryReports:
    """Submitter of waiting telemetry entries, for the visitor of the last prepared call.

    `submit` must not block. While `has_backlog`, entries stay in the store, which is bounded:
    telemetry never takes the place of notifications that wait for the Delivery API.
    """

    def __init__(
        self,
        store: TelemetryStore,
        submit: Submit,
        has_backlog: Callable[[], bool],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._submit = submit
        self._has_backlog = has_backlog
        self._interval_s = interval_s
        self._prepared: PreparedRequest | None = None
        self._timer = PeriodicTask("targetry-telemetry", self._flush_when_due)
        self.due_at = 1
        """Number of waiting entries at which `note` must be called."""

    def note(self, prepared: PreparedRequest) -> None:
        """Submit the waiting entries, or schedule that within a minute. Never blocks or raises."""
        self._prepared = prepared
        if len(self._store) >= MAX_WAITING:
            self.flush()
            return
        self.due_at = MAX_WAITING  # before the timer can set it back
        if not self._timer.schedule(self._interval_s):
            self.due_at = 1

    def flush(self) -> None:
        """Submit the waiting entries, if a decision was noted since the last submission."""
        prepared = self._prepared
        if prepared is not None and len(self._store) and not self._has_backlog():
            self._submit(prepared, self._store.take())

    def close(self, timeout_s: float) -> None:
        """Submit the waiting entries, and stop. Can be called twice."""
        self.flush()
        self._timer.close(timeout_s)

    def after_fork(self) -> None:
        """Drop the entries in a forked child: they belong to the parent."""
        self._store.clear()
        self._prepared = None
        self.due_at = 1
        self._timer.after_fork()

    def _flush_when_due(self) -> float | None:
        if self._has_backlog():
            return self._interval_s
        self.due_at = 1
        self.flush()
        return None
