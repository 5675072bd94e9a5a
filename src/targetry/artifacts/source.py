"""Where the rules come from: the artifact, downloaded, compiled, kept current, and kept on disk for a bad day.

One `ArtifactSource` per client that decides on device. `current` never waits, and once it holds something it
always will. Failures are counted, told as events, logged once a minute, and asked again; nothing raises into the
application. The times are in `backoff`, one attempt in `artifact_fetch`, what is made of it in `artifact_refresh`.

Only the worker's turns write the state, one at a time, so there is no lock between a decision and its rules. In a forked
child there is no worker until the child first asks for `current`; it then goes on from what its parent had.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Generic

import msgspec

from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.forks import register_fork_handler
from targetry._runtime.ids import uniform
from targetry._runtime.lazy_import import importing
from targetry._runtime.periodic_task import PeriodicTask
from targetry._runtime.rate_limited_log import LogSink, RateLimitedLog
from targetry._runtime.sync_primitives import OneShotEvent
from targetry.artifacts.fetch import Downloaded
from targetry.artifacts.poll_schedule import PollSchedule
from targetry.artifacts.refresh import ArtifactRefresher, Emit, RefreshResult, Rules
from targetry.http.protocol import Transport, shown_url

DEFAULT_TIMEOUT_S: Final = 30.0

DEFAULT_FIRST_ROUND_S: Final = 15.0

# A start without artifact is waited for until so many attempts, or `first_round_s`, were in vain.
_FIRST_ROUND_ATTEMPTS = 4
_RETRY_THREAD_S = 1.0
_HANDLERS_S = 0.1  # for handlers to be called before a start has ended


class ArtifactStats(msgspec.Struct, frozen=True):
    """The state of an artifact source at one moment, for traces and metrics.

    `location` has no user, password, query or fragment.
    `origin` is where the rules in use came from (`payload`, `disk`, `network`; None while there are none).
    `retrieval_count`: the payload or disk copy at the start, then each 200. `last_retrieved`: epoch seconds.
    `age_s`: since the rules were last known to be the latest. `stale`: that is more than two polling intervals
    ago, or they came from disk and were not confirmed yet. `failures`: failed attempts by reason.
    """

    location: str
    origin: str | None
    retrieval_count: int
    last_retrieved: float | None
    age_s: float | None
    stale: bool
    polling_interval_s: float
    polling_halted: bool
    attempts: int
    not_modified: int
    failures: dict[str, int]
    last_error: str | None
    log_lines_suppressed: int


class ArtifactSource(Generic[Rules]):
    """Downloads the artifact at `url`, compiles it, and goes on doing so every `interval_s` seconds.

    `compile` turns the artifact's bytes into rules, or raises `ArtifactError`; `parse` turns them into the
    dict that the event `artifact_download_succeeded` shows, when a handler looks at it. With `interval_s` 0 one
    success is enough. `initial` are rules to begin with instead of a download (option `artifact_payload`).
    `maximum_wait_s` bounds `wait_ready`; None bounds it by the first round of attempts alone. `cache_dir` is a folder for the
    last good copy; processes may share it.
    `on_download` receives each downloaded artifact before it is compiled.
    `on_ready` is called once, when there are rules: by `start` if there is an `initial`, else by the worker's thread.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        url: str,
        compile: Callable[[bytes], Rules],
        emit: Emit,
        log: LogSink,
        interval_s: float,
        parse: Callable[[bytes], Any] = msgspec.json.decode,
        initial: Rules | None = None,
        maximum_wait_s: float | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        max_bytes: int = MAX_DOCUMENT_BYTES,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        first_round_s: float = DEFAULT_FIRST_ROUND_S,
        on_ready: Callable[[], object] | None = None,
        on_download: Callable[[Downloaded], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = uniform,
    ) -> None:
        self._url = url
        self._initial = initial
        self._maximum_wait_s = first_round_s + timeout_s if maximum_wait_s is None else maximum_wait_s
        self._first_round_s = first_round_s
        self._on_ready = on_ready
        self._log = RateLimitedLog(log, clock)
        self._schedule = PollSchedule(interval_s, random)
        disk = None
        if cache_dir is not None:
            with importing():
                from targetry.artifacts.disk_cache import DiskCache

            disk = DiskCache(cache_dir, url, max_bytes=max_bytes, warn=self._log.warning)
        self._refresh = ArtifactRefresher[Rules](
            transport=transport,
            url=url,
            compile=compile,
            parse=parse,
            emit=emit,
            log=self._log,
            schedule=self._schedule,
            disk=disk,
            max_bytes=max_bytes,
            timeout_s=timeout_s,
            on_outcome=self._outcome,
            on_ready=self._ready,
            on_download=on_download,
            clock=clock,
            now=now,
        )
        self._clock = clock
        self._started_at: float | None = None
        self._halted = self._closed = self._asleep = False
        self._refreshes: deque[tuple[bool, Future[RefreshResult]]] = deque()  # forced or not, oldest first
        self._in_turn = 0  # of them, those that the turn under way answers
        self._retry_thread_at = float("-inf")
        self._settled = OneShotEvent()  # rules are there, or not worth waiting for
        self._told = OneShotEvent()  # and the handlers of that have come to an end
        self._worker = PeriodicTask("targetry-artifact", self._step)
        register_fork_handler(self)

    def start(self) -> None:
        """Begin: with the first download, or with the first poll if there was an `initial`. Once; later calls do nothing."""
        if self._started_at is not None or self._closed:
            return
        self._started_at = self._clock()
        delay_s: float | None = 0.0
        if self._initial is not None:
            self._refresh.begin_with(self._initial)
            self._settle()
            delay_s = self._schedule.after_success(first=True)
        self._arm(delay_s)

    @property
    def current(self) -> Rules | None:
        """The rules to decide by; None until there are some. Takes no lock and never waits."""
        current = self._refresh.current
        if self._asleep:
            self._awake()
        return current

    def in_use(self) -> tuple[Rules | None, bool]:
        """`current`, and whether it may no longer be the latest, as `ArtifactStats.stale` says."""
        if self._asleep:
            self._awake()
        refresh = self._refresh
        return refresh.current, refresh.freshness.stale_at < self._clock()

    def wait_ready(self, timeout_s: float | None = None) -> bool:
        """Wait until there are rules, and return whether there are.

        Waits at most `timeout_s` seconds, or `maximum_wait_s` where that is None, whatever the source does. Returns
        earlier when waiting is pointless: the artifact is refused or unusable, or the first round of attempts is
        over (after four attempts, or with the first that ends after `first_round_s`). Polling continues in any case.
        Handlers of the source's events have mostly returned by then; a slow one is not waited for.
        """
        if self._asleep:
            self._awake()
        wait_s = self._maximum_wait_s if timeout_s is None else timeout_s
        ends_at = time.monotonic() + wait_s
        if self._settled.wait(wait_s):
            self._told.wait(min(_HANDLERS_S, max(0.0, ends_at - time.monotonic())))
        elif wait_s > 0:
            self._log.warning(
                "not-ready", "No artifact within %g s: starting without one; polling continues", wait_s
            )
        return self._refresh.current is not None

    def refresh(self, *, force: bool = False) -> Future[RefreshResult]:
        """Request the artifact now instead of at the next poll, also while polling is halted.

        `force` requests it unconditionally and past caches, and uses even one that is older than the one in use.
        Returns the result to wait for; within a handler that this source calls it is `pending`, as nothing is
        requested before the handler has returned.
        """
        result: Future[RefreshResult] = Future()
        if self._started_at is None or self._closed:
            result.set_result(RefreshResult("failed", "there is no polling"))
            return result
        self._asleep = False
        self._refreshes.append((force, result))
        if not self._worker.schedule(0):
            self._resolve(len(self._refreshes), RefreshResult("failed", "there is no thread for the request"))
        elif self._worker.is_current_thread:
            answered: Future[RefreshResult] = Future()
            answered.set_result(RefreshResult("pending"))
            return answered
        return result

    def stop_polling(self) -> None:
        """Stop polling until `resume_polling`; the rules in use stay, and `refresh` still works."""
        self._halted = True
        self._worker.cancel()
        if self._refreshes:
            self._worker.schedule(0)
        self._settle()

    def resume_polling(self) -> None:
        """Undo `stop_polling`; without one it does nothing, so there never are two timers (B-58)."""
        if not self._halted or self._closed:
            return
        self._halted = False
        if self._started_at is not None:
            self._arm(0.0 if self._refresh.freshness.overdue else self._schedule.after_success())

    def close(self, timeout_s: float = 2.0) -> bool:
        """End the thread; `current` stays as it is. Waits at most `timeout_s` for an attempt under way, and says whether
        all has ended. May be called twice, and from a handler of an event."""
        self._closed = True
        self._asleep = False
        self._refresh.abandoned = True
        self._settle()
        self._resolve(len(self._refreshes), RefreshResult("failed", "the client was closed"))
        return self._worker.close(timeout_s)

    def stats(self) -> ArtifactStats:
        """How things stand now."""
        refresh, tally, freshness = self._refresh, self._refresh.tally, self._refresh.freshness
        return ArtifactStats(
            location=shown_url(self._url),
            origin=refresh.origin,
            retrieval_count=tally.retrievals,
            last_retrieved=tally.last_retrieved,
            age_s=freshness.age_s,
            stale=freshness.stale,
            polling_interval_s=self._schedule.interval_s,
            polling_halted=self._halted,
            attempts=tally.attempts,
            not_modified=tally.not_modified,
            failures=tally.failures.copy(),
            last_error=tally.last_error,
            log_lines_suppressed=self._log.suppressed,
        )

    def after_fork(self) -> None:
        """In a child: a fresh lock, and no worker until someone asks for rules (RELIABILITY 6)."""
        self._worker.after_fork()
        settled, self._settled, self._told = self._settled, OneShotEvent(), OneShotEvent()
        if settled.is_set():
            self._settle()
        self._asleep = self._started_at is not None and not self._closed
        self._refreshes.clear()  # of threads of the parent
        self._in_turn = 0

    def _awake(self) -> None:
        if self._clock() < self._retry_thread_at:
            return
        self._asleep = False
        if not self._halted:
            overdue = not self._refresh.freshness.confirmed
            self._arm(0.0 if overdue else self._schedule.after_success(first=True))

    def _arm(self, delay_s: float | None) -> None:
        if delay_s is None or self._worker.schedule(delay_s):
            return
        self._settle()  # there will be no attempt to wait for
        if not self._closed:
            self._log.error(
                "thread", "polling is paused: the system gives no thread; trying again at a later call"
            )
            self._retry_thread_at = self._clock() + _RETRY_THREAD_S
            self._asleep = True

    def _step(self) -> float | None:
        self._in_turn = len(self._refreshes)
        delay_s = self._refresh.turn(force=any(force for force, _ in list(self._refreshes)[: self._in_turn]))
        if self._is_settled():
            self._settle()
        return None if self._halted else delay_s

    def _is_settled(self) -> bool:
        if self._refresh.current is not None:
            return True
        in_vain = self._refresh.tally.attempts >= _FIRST_ROUND_ATTEMPTS or self._refresh.retry_is_pointless
        return in_vain or self._clock() - (self._started_at or 0.0) >= self._first_round_s

    def _outcome(self, result: RefreshResult | None) -> None:
        if self._is_settled():
            self._settled.set()
        if result is not None:
            answered, self._in_turn = self._in_turn, 0
            self._resolve(answered, result)

    def _resolve(self, count: int, result: RefreshResult) -> None:
        """Resolve the `count` refreshes that wait longest."""
        with contextlib.suppress(IndexError):  # the others were resolved by `close`
            for _ in range(count):
                _, waiting = self._refreshes.popleft()
                if waiting.set_running_or_notify_cancel():
                    waiting.set_result(result)

    def _settle(self) -> None:
        self._settled.set()
        self._told.set()

    def _ready(self) -> None:
        self._settle()
        if self._on_ready is None:
            return
        try:
            self._on_ready()
        except Exception as error:  # the client's, and through it perhaps the user's
            self._log.error("on-ready", "The callback of a ready artifact failed: %s", error)
