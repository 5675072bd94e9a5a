"""Fakes for notifications: deliveries with ids, an API, and a sender without a thread."""

from __future__ import annotations

import contextlib
import itertools
import math
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from support.background_fakes import Clock, Lines, Listener, answer
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.hosts import DeliveryAddress
from targetry.delivery.telemetry import TelemetryStore
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import DeliveryRequest, MetricType, Notification
from targetry.notifications.queue.counters import NotifierStats
from targetry.notifications.queue.queue import NotificationQueue
from targetry.notifications.queue.retry_policy import RetryPolicy
from targetry.notifications.request_builder import RequestBuilder
from targetry.notifications.sender import NotificationSender

ADDRESS = DeliveryAddress(client="acme", organization_id="org", server_domain="acme.example")
URL = ADDRESS.url("s1")
OK = answer(200)
DOWN = answer(503, reason="Service Unavailable")
build_request = RequestBuilder(TelemetryStore(enabled=False)).build
LONG_S = 30.0  # time limit of waits that must succeed

_numbers = itertools.count()

Reply = HttpResponse | Exception


def address_of(url: str) -> DeliveryAddress:
    """Return the delivery address of a client of a server on this machine."""
    return DeliveryAddress(
        client="acme", organization_id="org", server_domain=url.removeprefix("http://"), secure=False
    )


class Delivery(msgspec.Struct, frozen=True):
    """A `NotificationSource` with a given request."""

    session_id: str
    cluster: str | None
    request: DeliveryRequest
    count: int
    batch: object = None

    def merge(self, others: Sequence[Delivery]) -> Delivery:
        """Return a delivery with all notifications."""
        notifications = [one for each in (self, *others) for one in each.request.notifications or ()]
        request = msgspec.structs.replace(self.request, notifications=notifications)
        return Delivery(self.session_id, self.cluster, request, len(notifications))

    def build_request(self, new_id: object) -> DeliveryRequest:
        """Return the request."""
        return self.request


def delivery(*ids: str, cluster: str | None = None) -> Delivery:
    """Return a delivery of notifications with these ids, by default of one with a new id."""
    ids = ids or (f"n{next(_numbers)}",)
    notifications = [
        Notification(id=one, impression_id=f"i-{one}", type=MetricType.DISPLAY, timestamp=1, tokens=["token"])
        for one in ids
    ]
    request = DeliveryRequest(request_id=f"r-{ids[0]}", notifications=notifications)
    return Delivery("s1", cluster, request, len(ids))


def telemetry_only() -> Delivery:
    return Delivery("s1", None, DeliveryRequest(request_id="telemetry"), 0)


def write_format_1(folder: Path, *urls: str) -> None:
    """Write a file in the spool's first format, as a killed process leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / "1-old.lock").touch(mode=0o600)
    file = folder / "1-old.db"
    file.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, "
            "body BLOB NOT NULL, count INTEGER NOT NULL, born REAL NOT NULL)"
        )
        connection.execute("PRAGMA user_version=1")
        for url in urls:
            connection.execute(
                "INSERT INTO delivery (url, body, count, born) VALUES (?, ?, 2, 1.0)", (url, b"{}")
            )


def ids_in(body: bytes | None) -> list[str]:
    return [one["id"] for one in msgspec.json.decode(body or b"{}").get("notifications", [])]


def counters_add_up(stats: NotifierStats) -> bool:
    return stats.accepted == stats.sent + stats.pending + sum(stats.dropped.values()) and stats.pending >= 0


class Api:
    """A transport that returns `reply`, or its result for a request, and counts what it accepts."""

    def __init__(self, reply: Reply | Callable[[HttpRequest], Reply] = OK) -> None:
        self.reply = reply
        self.requests: list[HttpRequest] = []
        self.timeouts: list[float] = []
        self.received: Counter[str] = Counter()
        self._changed = threading.Condition()

    def send(self, request: HttpRequest, *, timeout: float, max_bytes: int | None = None) -> HttpResponse:
        with self._changed:
            self.requests.append(request)
            self.timeouts.append(timeout)
            self._changed.notify_all()
        reply = self.reply(request) if callable(self.reply) else self.reply
        if isinstance(reply, Exception):
            raise reply
        if 200 <= reply.status < 300:
            with self._changed:
                self.received.update(ids_in(request.body))
                self._changed.notify_all()
        return reply

    def close(self) -> None: ...

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, LONG_S), (
                f"the condition never held: {len(self.requests)} requests"
            )


class Replies:
    """Replies of an `Api` in order; the last one repeats."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, request: HttpRequest) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


class SenderHarness:
    """A notification queue and its sender, with a clock that tests move and without a thread."""

    def __init__(
        self,
        reply: Reply | Callable[[HttpRequest], Reply] = OK,
        *,
        limit: int = 1000,
        max_bytes: int = 1 << 30,
        policy: RetryPolicy | None = None,
        random: Callable[[], float] = lambda: 1.0,
        emit: Callable[..., None] | None = None,
    ) -> None:
        self.clock = Clock()
        self.api = Api(reply)
        self.emitted = Listener()
        self.lines = Lines()
        self.clusters = ClusterDirectory(self.clock)
        self.queue = NotificationQueue(
            limit=limit,
            max_bytes=max_bytes,
            policy=policy or RetryPolicy(),
            random=random,
            clusters=self.clusters,
            clock=self.clock,
        )
        self.sender = NotificationSender(
            self.queue,
            self.api,
            address=ADDRESS,
            build_request=build_request,
            headers={"X-EXC-SDK": "Targetry"},
            timeout_s=3.0,
            emit=emit or self.emitted,
            log=RateLimitedLog(self.lines, self.clock),
            clock=self.clock,
            now=lambda: 1_700_000_000.0,
        )

    @property
    def stats(self) -> NotifierStats:
        return self.queue.stats()

    def submit(self, *deliveries: Delivery) -> list[bool]:
        return [self.queue.submit(one) for one in deliveries]

    def work(self, seconds: float = 1e9) -> float:
        """Send until the queue is empty or `seconds` have passed; return the elapsed seconds."""
        began = self.clock()
        while (wait := self.sender.step()) != math.inf:
            left = began + seconds - self.clock()
            self.clock.advance(min(wait, left))
            if wait >= left:
                break
        return self.clock() - began

    def events(self, name: str) -> Sequence[dict[str, Any]]:
        return [payload for emitted, payload in self.emitted.events if emitted == name]
