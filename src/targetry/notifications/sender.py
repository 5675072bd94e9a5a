"""Carries deliveries to the Delivery API, one at a time, and tells what became of them. Has no thread of its own.

`turn` is one step: several threads may take turns at once, and tests may take them without any thread. Nothing raises out
of it: what the network does is told in the books, by events, and in the log, at most a line of a kind a minute.
Handlers of events are called here, outside all locks: one that blocks keeps one sender from work, and nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from targetry._runtime.ids import new_id
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.retry import retry_after_s
from targetry.delivery.hosts import DeliveryAddress
from targetry.delivery.response import response_error
from targetry.errors import ApiException, TargetError, TransportError
from targetry.events import NOTIFICATION_FAILED, NOTIFICATION_SPOOL_FAILED, SEND_NOTIFICATION_ERROR, LazyValue
from targetry.http.protocol import HttpRequest, HttpResponse, Transport
from targetry.models import DeliveryRequest
from targetry.notifications.counters import EXPIRED, INVALID, REJECTED, UNPROCESSED, Reason
from targetry.notifications.queue import NotificationQueue
from targetry.notifications.queue_entry import BuildRequest, Delivery, NotificationSource, QueueEntry
from targetry.notifications.response import (
    ResponseMeaning,
    classify_response,
    keep_notifications,
    notification_ids,
    unprocessed_ids,
)

Emit = Callable[..., None]

_LEAST_TIMEOUT_S = 0.05
_MOST_ANSWER_BYTES = 1024 * 1024
_EMIT_INTERVAL_S = 1.0
_SHOWN_BODY = 500


class NotificationSender:
    """Sends what is in `queue` with `transport`; `headers` go with every call, and an `X-Request-Id` with each delivery.

    `on_sender_needed` is called before a call, when no other sender is free and deliveries to another host wait.
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
        self._emitted_at = float("-inf")

    def step(self) -> float | None:
        """Try one delivery. Returns the seconds to wait before the next turn; None: until the wakeup rings."""
        until_telling = self._emit_refused()
        taken = self.queue.take(self._clock())
        if isinstance(taken, QueueEntry):
            if self.queue.needs_sender:
                self._on_sender_needed()
            self._deliver(taken)
            return 0.0
        waits = [wait for wait in (taken, until_telling) if wait is not None]
        return min(waits) if waits else None

    def emit_pending_events(self) -> None:
        """Tell what has not been told yet: nobody will take a turn after this."""
        self._emitted_at = float("-inf")
        self._emit_refused()

    # One delivery

    def _deliver(self, entry: QueueEntry) -> None:
        started = self._clock()
        try:
            self._attempt(entry, started)
        except (
            Exception
        ) as error:  # nothing is expected here; and whatever it is, the delivery must not get lost
            self._retry(entry, started, error)

    def _attempt(self, entry: QueueEntry, started: float) -> None:
        policy = self.queue.policy
        if (wrong := entry.encode(self._build_request)) is not None:
            return self._drop(entry, INVALID, wrong)
        if started - entry.born > policy.max_age_s:
            return self._drop(entry, EXPIRED, self._too_old())
        try:
            answer = self._send(entry)
        except Exception as error:  # TransportError; but a transport may be the user's own
            return self._retry(entry, started, error)
        return self._handle_response(entry, started, answer)

    def _send(self, entry: QueueEntry) -> HttpResponse:
        entry.request_id = entry.request_id or self._new_id()
        headers = {**self._headers, "X-Request-Id": entry.request_id}
        url = self._address.url(entry.session_id, entry.host)
        request = HttpRequest("POST", url, headers, entry.body)
        return self._transport.send(request, timeout=self._timeout(), max_bytes=_MOST_ANSWER_BYTES)

    def _timeout(self) -> float:
        if self.queue.deadline is None:
            return self._timeout_s
        return min(self._timeout_s, max(_LEAST_TIMEOUT_S, self.queue.deadline - self._clock()))

    def _handle_response(self, entry: QueueEntry, started: float, answer: HttpResponse) -> None:
        match meaning := classify_response(answer):
            case ResponseMeaning.SENT:
                self._check_processed(entry, started, answer)
            case ResponseMeaning.RETRY:
                self._retry(entry, started, _exception(answer), self._retry_after(answer))
            case ResponseMeaning.REJECTED | ResponseMeaning.DENIED:
                self._refused(entry, started, _exception(answer), is_denied=meaning is ResponseMeaning.DENIED)
            case _:
                assert_never(meaning)

    def _check_processed(self, entry: QueueEntry, started: float, answer: HttpResponse) -> None:
        body = entry.body or b""
        missing = unprocessed_ids(body, answer)
        if not missing:
            self.queue.mark_sent(entry, started)
        elif not self.queue.mark_partly_sent(
            entry, started, min(len(missing), entry.count), keep_notifications(body, missing)
        ):
            self._drop(entry, UNPROCESSED, TargetError("The answers do not list them as processed."))

    def _refused(self, entry: QueueEntry, started: float, error: ApiException, *, is_denied: bool) -> None:
        if self._reroute(entry, error):
            return
        if is_denied:
            self.queue.host_failed(entry, started, self._clock(), denied=True)
        self._drop(entry, REJECTED, error)

    def _reroute(self, entry: QueueEntry, error: Exception) -> bool:
        """Put the entry back at once if its cluster has just proved to be none: it goes to the own host then.

        What may have been processed is sent again, with the same ids.
        """
        if entry.host is None:
            return False
        self.queue.clusters.record_error(entry.host, error)
        return self.queue.reroute(entry, _line(error))

    def _retry(
        self, entry: QueueEntry, started: float, error: Exception, retry_after: float | None = None
    ) -> None:
        if self._reroute(entry, error):
            return
        self.queue.host_failed(entry, started, self._clock(), denied=False, retry_after=retry_after)
        if not self.queue.mark_failed(entry, _line(error)):
            self._drop(entry, EXPIRED, error)
        else:
            self._log.error("trying", "Notifications cannot be sent now, trying again: %s", _line(error))

    def _retry_after(self, answer: HttpResponse) -> float | None:
        asked = answer.headers.get("retry-after")
        # A date is meant on the server's clock, which the answer may tell.
        server_now = retry_after_s(answer.headers.get("date"), 0.0) if asked else None
        return retry_after_s(asked, server_now or self._now())

    # What became of it

    def _drop(self, entry: QueueEntry, reason: Reason, error: Exception) -> None:
        if not self.queue.mark_dropped(entry, reason, _line(error)) or not entry.count:
            return
        self._emit_failed(reason, entry.count, error, _ids(entry))
        self._tell(SEND_NOTIFICATION_ERROR, notification=_request(entry), error=error)

    def _emit_refused(self) -> float | None:
        """Tell what was dropped untried, and what is wrong with the disk; seconds until that is due, None if never."""
        self._emit_problems()
        if not self.queue.has_refused:
            return None
        due_in = self._emitted_at + _EMIT_INTERVAL_S - self._clock()
        if due_in > 0:
            return due_in
        self._emitted_at = self._clock()
        for reason, refused in self.queue.take_refused().items():
            ids = [one for source in refused.samples for one in _ids(source)]
            self._emit_failed(reason, refused.count, None, ids)
        return None

    def _emit_failed(self, reason: Reason, count: int, error: Exception | None, ids: list[str]) -> None:
        self._tell(NOTIFICATION_FAILED, reason=reason, count=count, error=error, notification_ids=ids)
        state = self.queue.counters.state
        totals = ", ".join(f"{n} {name}" for name, n in state.dropped.items())
        self._log.error(
            reason, "Notifications were dropped, so far: %s. Last error: %s", totals, state.last_error
        )

    def _emit_problems(self) -> None:
        while self.queue.problems:
            try:
                problems = self.queue.problems.popleft()
            except IndexError:  # another sender was faster
                return
            self._log.warning(problems, "%s", problems)
            self._tell(NOTIFICATION_SPOOL_FAILED, error=problems)

    def _tell(self, name: str, **payload: Any) -> None:
        try:
            self._emit(name, **payload)
        except Exception as error:  # it never does; but then this is a thread that must go on
            self._log.error("emit", "Event %s could not be told: %s", name, error)

    def _too_old(self) -> TransportError:
        last = self.queue.counters.state.last_error
        return TransportError(reason=f"not delivered within {self.queue.policy.max_age_s:g} s: {last}")


def _exception(answer: HttpResponse) -> ApiException:
    body = answer.body[:_SHOWN_BODY].decode("utf-8", "replace")
    return response_error(answer, answer.reason, body)


def _line(error: Exception) -> str:
    """The error in one line, without the answer's body and headers."""
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}" if error.status else f"{error.reason}"
    return f"{type(error).__name__}: {error}"


def _ids(source: NotificationSource | QueueEntry) -> list[str]:
    """The ids of its notifications; none if they have not been made yet, and then they never will be."""
    if isinstance(source, QueueEntry):
        if source.body is not None:
            return notification_ids(source.body)
        return [] if source.source is None else _ids(source.source)
    if not isinstance(source, Delivery):
        return []
    try:
        return [one.id for one in source.request.notifications or () if one.id is not None]
    except (TypeError, AttributeError):  # not what it should be
        return []


def _request(entry: QueueEntry) -> Any:
    """The `DeliveryRequest`; one that comes from the disk is read when somebody looks at it."""
    if entry.request is not None:
        return entry.request
    body = entry.body or b""
    return LazyValue(lambda: DeliveryRequest.from_json(body))
