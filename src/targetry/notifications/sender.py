"""Sender of queued notifications: one delivery at a time, with events and log lines on its outcome.

A sender has no thread. Several threads can call `step` at once; tests call it without any. Nothing
raises out of it: failures of the network appear in the counters, as events, and in the log, at most
a line of each kind a minute. Event handlers run here, outside all locks: one that blocks keeps one
thread from sending, and no other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from targetry._runtime.ids import new_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.retry import http_date, retry_after_s
from targetry.delivery.hosts import DeliveryAddress
from targetry.delivery.response import response_error
from targetry.errors import ApiException, TargetError, TransportError
from targetry.events import (
    NOTIFICATION_FAILED,
    NOTIFICATION_SPOOL_FAILED,
    SEND_NOTIFICATION_ERROR,
    LazyValue,
)
from targetry.http.protocol import HttpRequest, HttpResponse, Transport
from targetry.models import DeliveryRequest
from targetry.notifications.queue.counters import EXPIRED, INVALID, REJECTED, UNPROCESSED, Reason
from targetry.notifications.queue.entry import BuildRequest, QueueEntry
from targetry.notifications.queue.queue import NotificationQueue
from targetry.notifications.response import (
    ResponseMeaning,
    classify_response,
    filter_notifications,
    first_notification,
    notification_ids,
    unprocessed_ids,
    without_first,
)

Emit = Callable[..., None]

_MIN_TIMEOUT_S = 0.05
_MAX_RESPONSE_BYTES = 1024 * 1024
_EMIT_INTERVAL_S = 1.0  # between events on notifications that were dropped without an attempt
_SHOWN_BODY = 500


class NotificationSender:
    """Sends the entries of a queue.

    Args:
        queue: The queue.
        transport: Transport, which is shared and not closed.
        address: Address of the Delivery API.
        build_request: Builder of the requests.
        headers: Headers of each call; an `X-Request-Id` for each delivery is added.
        timeout_s: Timeout of one call in seconds.
        emit: Emitter of events.
        log: Log.
        clock: Monotonic time in seconds.
        now: Time since the epoch in seconds.
        new_id: Source of random ids.
        on_sender_needed: Called before a call if no other thread is free to send to another host.
    """

    def __init__(
        self,
        queue: NotificationQueue,
        transport: Transport,
        *,
        address: DeliveryAddress,
        build_request: BuildRequest,
        headers: Mapping[str, str],
        timeout_s: float,
        emit: Emit,
        log: RateLimitedLog,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_id,
        on_sender_needed: Callable[[], object] = lambda: None,
    ) -> None:
        self.queue = queue
        self._address = address
        self._build_request = build_request
        self._on_sender_needed = on_sender_needed
        self._transport = transport
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._emit = emit
        self._log = log
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._emitted_at = -math.inf

    def step(self) -> float:
        """Send one delivery, or encode some that wait.

        Returns:
            Seconds to wait before the next step; infinite to wait until the queue changes.
        """
        until_events = self._emit_refused()
        taken = self.queue.dequeue(self._clock())
        if taken.entry is not None:
            if self.queue.needs_sender:
                self._on_sender_needed()
            self._deliver(taken.entry)
            return 0.0
        if self.queue.encode_waiting(self._build_request):
            return 0.0
        return min(taken.wait_s, until_events)

    def emit_pending_events(self) -> None:
        """Emit the events that are not emitted yet, because no step follows."""
        self._emitted_at = -math.inf
        self._emit_refused()

    # One delivery

    def _deliver(self, entry: QueueEntry) -> None:
        started = self._clock()
        try:
            self._attempt(entry, started)
        except Exception as error:  # a fault of this package must not lose the delivery
            self._retry(entry, started, error)

    def _attempt(self, entry: QueueEntry, started: float) -> None:
        policy = self.queue.policy
        if (invalid := entry.encode(self._build_request)) is not None:
            return self._drop(entry, INVALID, invalid)
        if started - entry.born > policy.max_age_s:
            return self._drop(entry, EXPIRED, self._expired())
        if entry.is_split and entry.part is None:
            entry.part, entry.request_id = first_notification(entry.body or b"", self._new_id()), None
            entry.calls = 0
        try:
            response = self._send(entry)
        except Exception as error:  # a TransportError, or anything if the transport is the user's
            return self._retry(entry, started, error)
        return self._handle_response(entry, started, response)

    def _send(self, entry: QueueEntry) -> HttpResponse:
        entry.request_id = entry.request_id or self._new_id()
        headers = {**self._headers, "X-Request-Id": entry.request_id}
        url = self._address.url(entry.session_id, entry.host)
        request = HttpRequest("POST", url, headers, entry.part or entry.body, entry.calls)
        entry.calls += 1
        return self._transport.send(request, timeout=self._timeout(), max_bytes=_MAX_RESPONSE_BYTES)

    def _timeout(self) -> float:
        if self.queue.deadline is None:
            return self._timeout_s
        return min(self._timeout_s, max(_MIN_TIMEOUT_S, self.queue.deadline - self._clock()))

    def _handle_response(self, entry: QueueEntry, started: float, response: HttpResponse) -> None:
        match meaning := classify_response(response):
            case ResponseMeaning.SENT:
                self._check_processed(entry, started, response)
            case ResponseMeaning.RETRY:
                self._retry(entry, started, _exception(response), self._retry_after_s(response))
            case ResponseMeaning.REJECTED | ResponseMeaning.DENIED:
                is_denied = meaning is ResponseMeaning.DENIED
                self._reject(entry, started, _exception(response), is_denied=is_denied)
            case _:
                assert_never(meaning)

    def _check_processed(self, entry: QueueEntry, started: float, response: HttpResponse) -> None:
        body = entry.body or b""
        ids = unprocessed_ids(entry.part or body, response)
        if not ids:
            if not entry.is_last_part:
                self.queue.part_sent(entry, started, without_first(body))
            else:
                self.queue.mark_sent(entry, started)
            return
        missing = entry.count if entry.is_split else min(len(ids), entry.count)
        rest = body if entry.is_split else filter_notifications(body, ids)
        if not self.queue.mark_partly_sent(entry, started, missing, rest):
            error = TargetError("the notifications are not processed: no response lists them")
            self._drop(entry, UNPROCESSED, error)

    def _reject(self, entry: QueueEntry, started: float, error: ApiException, *, is_denied: bool) -> None:
        if self._reroute(entry, error):
            return
        if is_denied:
            self.queue.host_failed(entry, started, self._clock(), denied=True)
        elif 400 <= error.status < 500 and entry.can_be_split:
            self.queue.split(entry)
            return
        self._drop(entry, REJECTED, error)

    def _reroute(self, entry: QueueEntry, error: Exception) -> bool:
        """Put the entry back at once if its cluster proves not to exist; the own host is next.

        Notifications that may have been processed are sent again, with the same ids.
        """
        if entry.host is None:
            return False
        self.queue.clusters.record_error(entry.host, error)
        return self.queue.reroute(entry, _line(error))

    def _retry(
        self,
        entry: QueueEntry,
        started: float,
        error: Exception,
        retry_after: float | None = None,
    ) -> None:
        if self._reroute(entry, error):
            return
        now = self._clock()
        self.queue.host_failed(entry, started, now, denied=False, retry_after_s=retry_after)
        if self.queue.mark_failed(entry, _line(error)):
            self._log.error("retry", "notifications are not sent: %s; they are retried", _line(error))
        else:
            self._drop(entry, EXPIRED, error)

    def _retry_after_s(self, response: HttpResponse) -> float | None:
        value = response.headers.get("retry-after")
        # A date is one of the server's clock, which the response may state.
        server_now = http_date(response.headers.get("date")) if value else None
        return retry_after_s(value, server_now or self._now())

    # Outcome

    def _drop(self, entry: QueueEntry, reason: Reason, error: Exception) -> None:
        body, count, request = entry.body, entry.count, entry.request
        if not entry.is_last_part:
            body, count, rest = entry.part, 1, without_first(body or b"")
            is_new = self.queue.drop_part(entry, rest, reason, _line(error))
        else:
            is_new = self.queue.mark_dropped(entry, reason, _line(error))
        if not is_new or not count:
            return
        self._emit_failed(reason, count, error, [] if body is None else notification_ids(body))
        notification = _request(body or b"") if request is None else request
        self._emit_event(SEND_NOTIFICATION_ERROR, notification=notification, error=error)

    def _emit_refused(self) -> float:
        """Emit events for deliveries that were dropped without an attempt, and faults of the disk.

        Return the seconds until more are due, infinite if there are none.
        """
        self._emit_problems()
        if not self.queue.has_refused:
            return math.inf
        due_in = self._emitted_at + _EMIT_INTERVAL_S - self._clock()
        if due_in > 0:
            return due_in
        self._emitted_at = self._clock()
        for reason, refused in self.queue.pop_refused().items():
            ids = [one for body in refused.samples for one in notification_ids(body)]
            self._emit_failed(reason, refused.count, None, ids)
        return math.inf

    def _emit_failed(self, reason: Reason, count: int, error: Exception | None, ids: list[str]) -> None:
        self._emit_event(NOTIFICATION_FAILED, reason=reason, count=count, error=error, notification_ids=ids)
        state = self.queue.counters.state
        totals = ", ".join(f"{n} {name}" for name, n in state.dropped.items())
        self._log.error(
            reason, "notifications were dropped, so far %s: last error %s", totals, state.last_error
        )

    def _emit_problems(self) -> None:
        while self.queue.problems:
            try:
                problem = self.queue.problems.popleft()
            except IndexError:  # another thread took it
                return
            self._log.warning(problem, "%s", problem)
            self._emit_event(NOTIFICATION_SPOOL_FAILED, error=problem)

    def _emit_event(self, name: str, **payload: Any) -> None:
        try:
            self._emit(name, **payload)
        except Exception as error:  # the emitter never raises, but this thread must go on
            self._log.error("emit", "event %s was not emitted: %s", name, error)

    def _expired(self) -> TransportError:
        last, max_age_s = self.queue.counters.state.last_error, self.queue.policy.max_age_s
        return TransportError(reason=f"not delivered within {max_age_s:g} s: {last}")


def _exception(response: HttpResponse) -> ApiException:
    body = response.body[:_SHOWN_BODY].decode("utf-8", "replace")
    return response_error(response, response.reason, body)


def _line(error: Exception) -> str:
    """Return the error in one line, without body and headers of a response."""
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}" if error.status else f"{error.reason}"
    return f"{type(error).__name__}: {error}"


def _request(body: bytes) -> Any:
    """Return the `DeliveryRequest` of a body, decoded when a handler reads it."""
    return LazyValue(lambda: DeliveryRequest.from_json(body))
