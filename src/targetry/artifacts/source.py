"""Artifact source: the rules of a client, kept current by polling, with a thread and a disk copy.

A client that decides on device has one `ArtifactSource`. `current` never waits, and once it has
rules it always does. Failures are counted, emitted as events, logged once a minute and retried;
none raises into the application. `poll_schedule` has the delays, `fetch` one request, `refresh` the
use of its result.

Only the worker thread writes the state, so there is no lock between a decision and its rules. A
forked child has no worker until it first reads `current`; it then continues from the state of its
parent.
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

# The first round ends after so many failed attempts, or after `first_round_s`.
_FIRST_ROUND_ATTEMPTS = 4
_RETRY_THREAD_S = 1.0
_HANDLERS_S = 0.1  # for event handlers before a start returns


class ArtifactStats(msgspec.Struct, frozen=True):
    """State of an artifact source, for traces and metrics.

    `location` has no user, password, query or fragment. `origin` is the source of the rules in use:
    `payload`, `disk` or `network`, None without rules. `retrieval_count` counts the payload or disk
    copy at the start and each status 200; `last_retrieved` is in epoch seconds. `age_s` is the time
    since the rules were last confirmed as the latest. `stale`: that is more than two polling
    intervals, or the rules come from disk and are not confirmed yet. `failures` counts failed
    attempts by reason.
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
    """Downloads and compiles the artifact at `url` at the start and every `interval_s` seconds.

    Args:
        transport: Sends the requests.
        url: Location of the artifact.
        compile: Compiles the artifact's bytes, or raises `ArtifactError`.
        emit: Emits events.
        log: Rate-limited logger.
        interval_s: Polling interval; 0 stops after the first success.
        parse: Parses the artifact's bytes when a handler reads the payload of the event
            `artifact_download_succeeded`.
        initial: Rules to use instead of a first download.
        maximum_wait_s: Limit of `wait_ready`; None limits it by the first round of attempts only.
        cache_dir: Folder for the last usable copy; processes can share it.
        max_bytes: Limit on the size of the artifact.
        timeout_s: Deadline of each request.
        first_round_s: Time after which `wait_ready` returns if an attempt has failed.
        on_ready: Called once when there are rules: by `start` if there is `initial`, else by the
            worker thread.
        on_download: Called with each download before it is compiled.
        clock: Monotonic clock in seconds.
        now: Wall clock in epoch seconds.
        random: Returns numbers from 0 to 1 for jitter.
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
            on_outcome=self._on_refresh_result,
            on_ready=self._on_rules_ready,
            on_download=on_download,
            clock=clock,
            now=now,
        )
        self._clock = clock
        self._started_at: float | None = None
        self._halted = self._closed = self._needs_worker = False
        self._refreshes: deque[tuple[bool, Future[RefreshResult]]] = deque()  # whether forced; oldest first
        self._in_progress = 0  # refreshes that the attempt in progress resolves
        self._retry_thread_at = float("-inf")
        self._first_round_done = OneShotEvent()  # there are rules, or waiting is pointless
        self._handlers_done = OneShotEvent()  # the event handlers of that round have returned
        self._worker = PeriodicTask("targetry-artifact", self._step)
        register_fork_handler(self)

    def start(self) -> None:
        """Start the first download, or polling if there are initial rules.

        Later calls do nothing.
        """
        if self._started_at is not None or self._closed:
            return
        self._started_at = self._clock()
        delay_s: float | None = 0.0
        if self._initial is not None:
            self._refresh.use_initial(self._initial)
            self._end_first_round()
            delay_s = self._schedule.after_success(first=True)
        self._schedule_worker(delay_s)

    @property
    def current(self) -> Rules | None:
        """The rules to decide with, None until there are some. Takes no lock and never waits."""
        current = self._refresh.current
        if self._needs_worker:
            self._restart_worker()
        return current

    def in_use(self) -> tuple[Rules | None, bool]:
        """Return the rules to decide with, and whether they are stale as in `ArtifactStats`."""
        if self._needs_worker:
            self._restart_worker()
        refresh, clock = self._refresh, self._clock
        return refresh.current, refresh.freshness.stale_at < clock()

    def wait_ready(self, timeout_s: float | None = None) -> bool:
        """Wait until there are rules, and return whether there are.

        Returns earlier if waiting is pointless: the artifact is refused or unusable, or the first
        round is over (after four attempts, or with the first that ends after `first_round_s`).
        Polling continues in any case. Event handlers have usually returned by then; a slow one is
        not waited for.

        Args:
            timeout_s: Limit in seconds; None uses `maximum_wait_s`.
        """
        if self._needs_worker:
            self._restart_worker()
        wait_s = self._maximum_wait_s if timeout_s is None else timeout_s
        ends_at = time.monotonic() + wait_s
        if self._first_round_done.wait(wait_s):
            self._handlers_done.wait(min(_HANDLERS_S, max(0.0, ends_at - time.monotonic())))
        elif wait_s > 0:
            self._log.warning(
                "not-ready", "No artifact within %g s: starting without one; polling continues", wait_s
            )
        return self._refresh.current is not None

    def refresh(self, *, force: bool = False) -> Future[RefreshResult]:
        """Request the artifact now instead of at the next poll, also while polling is stopped.

        Args:
            force: Whether to request unconditionally and past caches, and to use even an artifact
                that is older than the one in use.

        Returns:
            The result to wait for. In an event handler of this source it is `pending` at once, as
            the request is sent after the handler has returned.
        """
        result: Future[RefreshResult] = Future()
        if self._started_at is None or self._closed:
            result.set_result(RefreshResult("failed", "there is no polling"))
            return result
        self._needs_worker = False
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
        self._end_first_round()

    def resume_polling(self) -> None:
        """Resume polling after `stop_polling`; otherwise do nothing."""
        if not self._halted or self._closed:
            return
        self._halted = False
        if self._started_at is not None:
            self._schedule_worker(0.0 if self._refresh.freshness.overdue else self._schedule.after_success())

    def close(self, timeout_s: float = 2.0) -> bool:
        """Stop the worker thread; `current` stays. Can be called twice, and from an event handler.

        Args:
            timeout_s: Limit in seconds for the attempt in progress.

        Returns:
            Whether the thread has ended.
        """
        self._closed = True
        self._needs_worker = False
        self._refresh.is_cancelled = True
        self._end_first_round()
        self._resolve(len(self._refreshes), RefreshResult("failed", "the client was closed"))
        return self._worker.close(timeout_s)

    def stats(self) -> ArtifactStats:
        """Return the current state."""
        refresh, counters, freshness = self._refresh, self._refresh.counters, self._refresh.freshness
        return ArtifactStats(
            location=shown_url(self._url),
            origin=refresh.origin,
            retrieval_count=counters.retrievals,
            last_retrieved=counters.last_retrieved,
            age_s=freshness.age_s,
            stale=freshness.stale,
            polling_interval_s=self._schedule.interval_s,
            polling_halted=self._halted,
            attempts=counters.attempts,
            not_modified=counters.not_modified,
            failures=counters.failures.copy(),
            last_error=counters.last_error,
            log_lines_suppressed=self._log.suppressed,
        )

    def after_fork(self) -> None:
        """Create new locks in a child process; the worker starts when the rules are first read."""
        self._worker.after_fork()
        settled, self._first_round_done, self._handlers_done = (
            self._first_round_done,
            OneShotEvent(),
            OneShotEvent(),
        )
        if settled.is_set():
            self._end_first_round()
        self._needs_worker = self._started_at is not None and not self._closed
        self._refreshes.clear()  # those of the parent's threads
        self._in_progress = 0

    def _restart_worker(self) -> None:
        if self._clock() < self._retry_thread_at:
            return
        self._needs_worker = False
        if not self._halted:
            overdue = not self._refresh.freshness.confirmed
            self._schedule_worker(0.0 if overdue else self._schedule.after_success(first=True))

    def _schedule_worker(self, delay_s: float | None) -> None:
        if delay_s is None or self._worker.schedule(delay_s):
            return
        self._end_first_round()  # no attempt will follow
        if not self._closed:
            self._log.error(
                "thread", "polling is paused: the system refuses a thread; trying again at a later call"
            )
            self._retry_thread_at = self._clock() + _RETRY_THREAD_S
            self._needs_worker = True

    def _step(self) -> float | None:
        self._in_progress = len(self._refreshes)
        delay_s = self._refresh.run_once(
            force=any(force for force, _ in list(self._refreshes)[: self._in_progress])
        )
        if self._is_first_round_over():
            self._end_first_round()
        return None if self._halted else delay_s

    def _is_first_round_over(self) -> bool:
        if self._refresh.current is not None:
            return True
        is_over = self._refresh.counters.attempts >= _FIRST_ROUND_ATTEMPTS or self._refresh.retry_is_pointless
        return is_over or self._clock() - (self._started_at or 0.0) >= self._first_round_s

    def _on_refresh_result(self, result: RefreshResult | None) -> None:
        if self._is_first_round_over():
            self._first_round_done.set()
        if result is not None:
            answered, self._in_progress = self._in_progress, 0
            self._resolve(answered, result)

    def _resolve(self, count: int, result: RefreshResult) -> None:
        """Resolve the `count` oldest refreshes."""
        with contextlib.suppress(IndexError):  # `close` resolved the others
            for _ in range(count):
                _, waiting = self._refreshes.popleft()
                if waiting.set_running_or_notify_cancel():
                    waiting.set_result(result)

    def _end_first_round(self) -> None:
        self._first_round_done.set()
        self._handlers_done.set()

    def _on_rules_ready(self) -> None:
        self._end_first_round()
        if self._on_ready is None:
            return
        try:
            self._on_ready()
        except Exception as error:  # a callback of the client, perhaps of the user
            self._log.error("on-ready", "The callback of a ready artifact failed: %s", error)
