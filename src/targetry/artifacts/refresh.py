"""Refresh of the artifact: fetch or load it from disk, compile it, use it, emit events.

There is no thread and no waiting in this module; `ArtifactSource` has both. A refresh never raises.
New rules are compiled next to the old ones and replace them by one assignment; an artifact that
cannot be used leaves the old rules in place.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import msgspec

from targetry._runtime.lazy_import import importing
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry._runtime.retry import http_date
from targetry.artifacts.fetch import Downloaded, Failed, NotModified, fetch
from targetry.artifacts.freshness import Freshness
from targetry.artifacts.poll_schedule import Pace, PollSchedule
from targetry.errors import ArtifactError, ArtifactVersionError
from targetry.events import (
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_DOWNLOAD_SUCCEEDED,
    ARTIFACT_FRESH,
    ARTIFACT_STALE,
    GEO_LOCATION_UPDATED,
    LazyValue,
)
from targetry.geo.location import location_from_headers
from targetry.http.protocol import Transport, shown_url

if TYPE_CHECKING:
    from targetry.artifacts.disk_cache import DiskCache

Emit = Callable[..., None]
Rules = TypeVar("Rules")

_CLOCK_TOLERANCE_S: Final = 300.0  # an artifact dated less far ahead counts as current
_OLDER_RESPONSES_UNTIL_ROLLBACK: Final = 3


class RefreshResult(msgspec.Struct, frozen=True):
    """The result of one request for the artifact.

    `outcome` is `updated` (a different artifact is in use now), `unchanged` (the source has the one
    that is in use), `failed` (the rules that were in use stay; `reason` says why), or `pending`
    (not known within the time given).
    """

    outcome: Literal["updated", "unchanged", "failed", "pending"]
    reason: str | None = None


class RefreshCounters(msgspec.Struct):
    """Counts of attempts and results.

    `retrievals` counts artifacts that were used: the payload or disk copy at the start, then each
    status 200. `last_retrieved` is the download time of the last of them in epoch seconds.
    """

    attempts: int = 0
    retrievals: int = 0
    not_modified: int = 0
    last_retrieved: float | None = None
    last_error: str | None = None
    failures: dict[str, int] = {}


class ArtifactRefresher(Generic[Rules]):
    """Keeps `current`, the newest usable rules; each `run_once` makes one attempt.

    `on_outcome` is called with the result of a request as soon as it is known, before event
    handlers, and with None for rules from the caller or from disk. `on_download` receives each
    download before it is compiled. `on_ready` is called once, after the events of the first rules.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        url: str,
        compile: Callable[[bytes], Rules],
        parse: Callable[[bytes], Any],
        emit: Emit,
        log: RateLimitedLog,
        schedule: PollSchedule,
        disk: DiskCache | None,
        max_bytes: int,
        timeout_s: float,
        on_outcome: Callable[[RefreshResult | None], object],
        on_ready: Callable[[], object],
        on_download: Callable[[Downloaded], object] | None,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._url = url
        self._shown = shown_url(url)
        self._compile = compile
        self._parse = parse
        self._emit = emit
        self._log = log
        self._schedule = schedule
        self._disk = disk
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._on_outcome = on_outcome
        self._on_ready = on_ready
        self._on_download = on_download
        self._now = now
        self._etag: str | None = None
        self._last_modified: str | None = None  # both of the artifact in use
        self._digest: bytes | None = None
        self._older_responses = 0  # consecutive
        self._unusable: tuple[bytes, ArtifactError] | None = None  # digest and error of the last one
        self._stale_emitted = False
        self.current: Rules | None = None
        self.origin: str | None = None
        self.freshness = Freshness(schedule.interval_s, clock)
        self.counters = RefreshCounters()
        self.retry_is_pointless = False  # the last failure does not pass in a moment
        self.is_cancelled = False  # set by the source: the result of a `run_once` in progress is dropped

    def use_initial(self, rules: Rules) -> None:
        """Use rules that the caller provides instead of a download."""
        self._use(rules, "payload", self._now())
        self.freshness.confirm()
        self._on_outcome(None)
        self._on_ready()

    def run_once(self, *, force: bool = False) -> float | None:
        """Make one attempt. Never raises.

        Args:
            force: Whether to request unconditionally and past caches, and to use even an artifact
                that is older than the one in use.

        Returns:
            The seconds until the next attempt, None for no further attempt.
        """
        try:
            return self._run_once(force)
        except Exception as error:  # a defect must not end the thread and all updates
            return self._failed(Failed(_invalid(error), "internal", Pace.POLL))

    def _run_once(self, force: bool) -> float | None:
        if self.current is None and self._disk is not None:
            self._read_disk(self._disk)
        self._log.debug("LD.ArtifactProvider fetching artifact - %s", self._shown)
        self.counters.attempts += 1
        outcome = fetch(
            self._transport,
            self._url,
            etag=None if force else self._etag,
            timeout_s=self._timeout_s,
            max_bytes=self._max_bytes,
            now=self._now(),
            past_caches=force,
        )
        if self.is_cancelled:
            return None
        if isinstance(outcome, Failed):
            return self._failed(outcome)
        if isinstance(outcome, NotModified):
            self._log.debug("LD.ArtifactProvider artifact received - status=304")
            self.counters.not_modified += 1
            delay = self._succeeded()
            self._on_outcome(RefreshResult("unchanged"))
            return delay
        self._log.debug("LD.ArtifactProvider artifact received - status=200")
        return self._downloaded(outcome, force)

    def _downloaded(self, download: Downloaded, force: bool) -> float | None:
        if self._on_download is not None:
            self._on_download(download)
        digest = _digest(download.body)
        rules = self.current if digest == self._digest else None  # equal bytes are not compiled again
        if rules is None:
            if self._unusable is not None and digest == self._unusable[0]:
                return self._reject(download.body, self._unusable[1], _reason(self._unusable[1]))
            try:
                rules = self._compile(download.body)
            except Exception as error:
                if isinstance(error, ArtifactError):
                    self._unusable = digest, error
                return self._reject(download.body, _invalid(error), _reason(error))
            if not force and (text := self._rejected_as_older(rules, download)) is not None:
                return self._reject(download.body, ArtifactError(text), "older")
        is_first, is_new = self.current is None, self.current is not rules
        self._etag, self._digest = download.etag, digest
        self._last_modified = download.headers.get("last-modified")
        self._use(rules, "network", self._now())
        delay = self._succeeded()
        self._on_outcome(RefreshResult("updated" if is_new else "unchanged"))
        self._emit_success(download)
        if is_first:
            self._on_ready()
        if self._disk is not None:
            self._disk.save(download.body, download.etag, self._now())
        return delay

    def _read_disk(self, disk: DiskCache) -> None:
        saved = disk.load()
        if saved is None:
            return
        try:
            rules = self._compile(saved.body)
        except Exception as error:
            self._log.warning("cache-read", "The artifact copy %s is ignored: %s", disk.path, error)
            return
        self._etag, self._digest = saved.etag, _digest(saved.body)
        self._use(rules, "disk", saved.saved_at)
        self.freshness.read_from_disk(self._now() - saved.saved_at)
        self._on_outcome(None)
        self._on_ready()

    def _use(self, rules: Rules, origin: str, retrieved_at: float) -> None:
        self.current = rules
        self.origin = origin
        self.counters.retrievals += 1
        self.counters.last_retrieved = retrieved_at

    def _rejected_as_older(self, offered: Rules, download: Downloaded) -> str | None:
        """Return the cause if the rules are rejected as older than those in use, else None.

        A CDN cache can respond with an earlier artifact. But dates can be wrong, and publishers
        roll back. So the date is ignored if the artifact in use is dated in the future, if the
        server modified the offered one later, or if several consecutive responses are older.
        """
        ours, theirs = _generated(self.current), _generated(offered)
        if ours is None or theirs is None or theirs >= ours:
            return None
        if ours.timestamp() > self._now() + _CLOCK_TOLERANCE_S:
            return None
        if _is_later(download.headers.get("last-modified"), self._last_modified):
            return None
        self._older_responses += 1
        if self._older_responses >= _OLDER_RESPONSES_UNTIL_ROLLBACK:
            return None
        return (
            f"The artifact was generated at {theirs.isoformat()}, before the one in use ({ours.isoformat()})"
        )

    def _succeeded(self) -> float | None:
        is_first = not self.freshness.confirmed
        self.freshness.confirm()
        if self._stale_emitted:
            self._stale_emitted = False
            self._emit(ARTIFACT_FRESH, artifact_location=self._shown, age_s=0.0)
        self._older_responses = 0
        return self._schedule.after_success(first=is_first)

    def _emit_success(self, download: Downloaded) -> None:
        self._emit(
            ARTIFACT_DOWNLOAD_SUCCEEDED,
            artifact_location=self._shown,
            artifact_payload=LazyValue(functools.partial(self._parse, download.body)),
        )
        self._emit(GEO_LOCATION_UPDATED, geo_context=location_from_headers(download.headers).to_context())

    def _reject(self, body: bytes, error: ArtifactError, reason: str) -> float:
        if self._disk is not None:
            self._disk.save_refused(body)
        return self._failed(Failed(error, reason, Pace.POLL))

    def _failed(self, failure: Failed) -> float:
        self.retry_is_pointless = failure.pace is not Pace.RETRY
        failures = self.counters.failures
        failures[failure.reason] = failures.get(failure.reason, 0) + 1
        self.counters.last_error = str(failure.error)
        self._on_outcome(RefreshResult("failed", str(failure.error)))
        self._log.error(failure.reason, "Failed to retrieve artifact: %s", failure.error)
        self._emit(
            ARTIFACT_DOWNLOAD_FAILED,
            artifact_location=self._shown,
            error=failure.error,
            reason=failure.reason,
        )
        self._emit_stale()
        return self._schedule.after_failure(
            failure.pace, has_rules=self.current is not None, retry_after=failure.retry_after_s
        )

    def _emit_stale(self) -> None:
        if self._stale_emitted or not self.freshness.stale:
            return
        self._stale_emitted = True
        age_s = self.freshness.age_s
        self._log.warning("stale", "The artifact in use is stale, %.0f s old: %s", age_s, self._shown)
        self._emit(ARTIFACT_STALE, artifact_location=self._shown, age_s=age_s)


def _invalid(error: Exception) -> ArtifactError:
    if isinstance(error, ArtifactError):
        return error
    invalid = ArtifactError(f"The artifact cannot be used: {error or type(error).__name__}")
    invalid.__cause__ = error
    return invalid


def _reason(error: Exception) -> str:
    return "version" if isinstance(error, ArtifactVersionError) else "invalid"


def _is_later(offered: str | None, current: str | None) -> bool:
    ours, theirs = http_date(current), http_date(offered)
    return ours is not None and theirs is not None and theirs > ours


def _generated(rules: object) -> datetime.datetime | None:
    text = getattr(rules, "generated_at", None)
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _digest(body: bytes) -> bytes:
    with importing():
        import hashlib  # loads OpenSSL's library, which clients with a payload do not need

    return hashlib.blake2b(body, digest_size=16).digest()
