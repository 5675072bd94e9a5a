"""Carries deliveries to the Delivery API, one at a time, and tells what became of them. Has no thread of its own.

`turn` is one step: several threads may take turns at once, and tests may take them without any thread. Nothing raises out
of it: what the network does is told in the books, by events, and in the log, at most a line of a kind a minute.
Handlers of events are called here, outside all locks: one that blocks keeps one courier from work, and nobody else.
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
from targetry.notifications.response import Verdict, classify_response, notification_ids, only, unprocessed

Emit = Callable[..., None]

_LEAST_TIMEOUT_S = 0.05
_MOST_ANSWER_BYTES = 1024 * 1024
_TELL_EVERY_S = 1.0
_SHOWN_BODY = 500


class NotificationSender:
    """Sends what is in `outbox` with `transport`; `headers` go with every call, and an `X-Request-Id` with each delivery.

    `on_short_handed` is called before a call, when no other courier is free and deliveries to another host wait.
    """

    def __init__(
        self,
        outbox: NotificationQueue,
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
        on_short_handed: Callable[[], object] = lambda: None,
    ) -> None:
        self.outbox = outbox
        self._address = address
        self._build_request = build_request
        self._on_short_handed = on_short_handed
        self._transport = transport
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._emit = emit
        self._log = log
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._told_at = float("-inf")

    def turn(self) -> float | None:
        """Try one delivery. Returns the seconds to wait before the next turn; None: until the bell rings."""
        until_telling = self._tell_refused()
        taken = self.outbox.take(self._clock())
        if isinstance(taken, QueueEntry):
            if self.outbox.short_handed:
                self._on_short_handed()
            self._carry(taken)
            return 0.0
        waits = [wait for wait in (taken, until_telling) if wait is not None]
        return min(waits) if waits else None

    def last_words(self) -> None:
        """Tell what has not been told yet: nobody will take a turn after this."""
        self._told_at = float("-inf")
        self._tell_refused()

    # One delivery

    def _carry(self, entry: QueueEntry) -> None:
        started = self._clock()
        try:
            self._try(entry, started)
        except (
            Exception
        ) as error:  # nothing is expected here; and whatever it is, the delivery must not get lost
            self._try_again(entry, started, error)

    def _try(self, entry: QueueEntry, started: float) -> None:
        policy = self.outbox.policy
        if (wrong := entry.encode(self._build_request)) is not None:
            return self._give_up(entry, INVALID, wrong)
        if started - entry.born > policy.max_age_s:
            return self._give_up(entry, EXPIRED, self._too_old())
        try:
            answer = self._send(entry)
        except Exception as error:  # TransportError; but a transport may be the user's own
            return self._try_again(entry, started, error)
        return self._judge(entry, started, answer)

    def _send(self, entry: QueueEntry) -> HttpResponse:
        entry.request_id = entry.request_id or self._new_id()
        headers = {**self._headers, "X-Request-Id": entry.request_id}
        url = self._address.url(entry.session_id, entry.host)
        request = HttpRequest("POST", url, headers, entry.body)
        return self._transport.send(request, timeout=self._timeout(), max_bytes=_MOST_ANSWER_BYTES)

    def _timeout(self) -> float:
        if self.outbox.deadline is None:
            return self._timeout_s
        return min(self._timeout_s, max(_LEAST_TIMEOUT_S, self.outbox.deadline - self._clock()))

    def _judge(self, entry: QueueEntry, started: float, answer: HttpResponse) -> None:
        match meaning := classify_response(answer):
            case Verdict.SENT:
                self._check_processed(entry, started, answer)
            case Verdict.AGAIN:
                self._try_again(entry, started, _exception(answer), self._retry_after(answer))
            case Verdict.REJECTED | Verdict.DENIED:
                self._refused(entry, started, _exception(answer), is_denied=meaning is Verdict.DENIED)
            case _:
                assert_never(meaning)

    def _check_processed(self, entry: QueueEntry, started: float, answer: HttpResponse) -> None:
        body = entry.body or b""
        missing = unprocessed(body, answer)
        if not missing:
            self.outbox.sent(entry, started)
        elif not self.outbox.partly_sent(entry, started, min(len(missing), entry.count), only(body, missing)):
            self._give_up(entry, UNPROCESSED, TargetError("The answers do not list them as processed."))

    def _refused(self, entry: QueueEntry, started: float, error: ApiException, *, is_denied: bool) -> None:
        if self._go_elsewhere(entry, error):
            return
        if is_denied:
            self.outbox.doubted(entry, started, self._clock(), denied=True)
        self._give_up(entry, REJECTED, error)

    def _go_elsewhere(self, entry: QueueEntry, error: Exception) -> bool:
        """Put the entry back at once if its cluster has just proved to be none: it goes to the own host then.

        What may have been processed is sent again, with the same ids.
        """
        if entry.host is None:
            return False
        self.outbox.clusters.record_error(entry.host, error)
        return self.outbox.rerouted(entry, _line(error))

    def _try_again(
        self, entry: QueueEntry, started: float, error: Exception, retry_after: float | None = None
    ) -> None:
        if self._go_elsewhere(entry, error):
            return
        self.outbox.doubted(entry, started, self._clock(), denied=False, retry_after=retry_after)
        if not self.outbox.failed(entry, _line(error)):
            self._give_up(entry, EXPIRED, error)
        else:
            self._log.error("trying", "Notifications cannot be sent now, trying again: %s", _line(error))

    def _retry_after(self, answer: HttpResponse) -> float | None:
        asked = answer.headers.get("retry-after")
        # A date is meant on the server's clock, which the answer may tell.
        server_now = retry_after_s(answer.headers.get("date"), 0.0) if asked else None
        return retry_after_s(asked, server_now or self._now())

    # What became of it

    def _give_up(self, entry: QueueEntry, reason: Reason, error: Exception) -> None:
        if not self.outbox.dropped(entry, reason, _line(error)) or not entry.count:
            return
        self._tell_failed(reason, entry.count, error, _ids(entry))
        self._tell(SEND_NOTIFICATION_ERROR, notification=_request(entry), error=error)

    def _tell_refused(self) -> float | None:
        """Tell what was dropped untried, and what is wrong with the disk; seconds until that is due, None if never."""
        self._tell_trouble()
        if not self.outbox.has_refused:
            return None
        due_in = self._told_at + _TELL_EVERY_S - self._clock()
        if due_in > 0:
            return due_in
        self._told_at = self._clock()
        for reason, refused in self.outbox.take_refused().items():
            ids = [one for source in refused.samples for one in _ids(source)]
            self._tell_failed(reason, refused.count, None, ids)
        return None

    def _tell_failed(self, reason: Reason, count: int, error: Exception | None, ids: list[str]) -> None:
        self._tell(NOTIFICATION_FAILED, reason=reason, count=count, error=error, notification_ids=ids)
        state = self.outbox.ledger.state
        totals = ", ".join(f"{n} {name}" for name, n in state.dropped.items())
        self._log.error(
            reason, "Notifications were dropped, so far: %s. Last error: %s", totals, state.last_error
        )

    def _tell_trouble(self) -> None:
        while self.outbox.trouble:
            try:
                trouble = self.outbox.trouble.popleft()
            except IndexError:  # another courier was faster
                return
            self._log.warning(trouble, "%s", trouble)
            self._tell(NOTIFICATION_SPOOL_FAILED, error=trouble)

    def _tell(self, name: str, **payload: Any) -> None:
        try:
            self._emit(name, **payload)
        except Exception as error:  # it never does; but then this is a thread that must go on
            self._log.error("emit", "Event %s could not be told: %s", name, error)

    def _too_old(self) -> TransportError:
        last = self.outbox.ledger.state.last_error
        return TransportError(reason=f"not delivered within {self.outbox.policy.max_age_s:g} s: {last}")


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
