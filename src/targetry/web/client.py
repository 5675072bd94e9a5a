"""Interface of a client, as visits use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from targetry.delivery.prepare import WarningLog
from targetry.models import Context, DecisioningMethod, VisitorId


class HeldImpressions(Protocol):
    """Impressions of one request that wait for the status of its response."""

    def submit(self) -> None:
        """Send them, and later ones at once."""

    def drop(self) -> None:
        """Drop and count them; later ones are sent at once."""

    def discard(self) -> None:
        """Discard them and later ones, uncounted."""


class Services:
    """Clock, ids, log and counters of a client, for visits.

    Args:
        organization_id: Of the client, as `client_code` and `method`.
        client_code: Of the client.
        method: Its decisioning method.
        has_geo_database: Whether it looks places up without a call.
        clock: Returns epoch seconds.
        new_id: Returns a new id.
        edge_cluster: Returns the edge cluster of visitors that have none of their own.
        held_reports: Returns a holder of impressions.
        holder: The one that holds the impressions of the current decision; None to send them.
        make_visitor: Returns the prepared visitor of checked values; None if the client's method
            `visitor` has to be called.
        log: Logs one warning of a kind a minute.
        track: Enqueues the notification of a tracking event.
    """

    def __init__(
        self,
        *,
        organization_id: str,
        client_code: str,
        method: DecisioningMethod,
        has_geo_database: bool,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        edge_cluster: Callable[[], str | None],
        held_reports: Callable[[], HeldImpressions],
        holder: ContextVar[Any],
        make_visitor: Callable[[VisitorId, str, Context, dict[str, Any] | None], Any],
        log: WarningLog,
        track: Callable[[str, Mapping[str, Any], float | None, Mapping[str, Any]], bool],
    ) -> None:
        self.organization_id = organization_id
        self.client_code = client_code
        self.method = method
        self.has_geo_database = has_geo_database
        self.clock = clock
        self.new_id = new_id
        self.edge_cluster = edge_cluster
        self.held_reports = held_reports
        self.holder = holder
        self.make_visitor = make_visitor
        self.track = track
        self.faults: Counter[str] = Counter()
        self._log = log

    def note_fault(self, kind: str, message: str, *args: object) -> None:
        """Count a fault that a page was served in spite of, and log one of its kind a minute."""
        self.faults[kind] += 1
        self._log.warning(f"web {kind}", message, *args)


class VisitClient(Protocol):
    """`TargetClient` or `AsyncTargetClient`; results of calls that wait can be awaitable."""

    @property
    def _visit_services(self) -> Services: ...

    def decide(
        self, name: str, visitor: Any, *, parameters: Mapping[str, Any] | None = ..., shown: bool = ...
    ) -> Any: ...

    @property
    def visitor(self) -> Any: ...
    @property
    def get_offers(self) -> Any: ...
    @property
    def send_notifications(self) -> Any: ...
