"""One turn of getting the artifact: from disk if that is all there is, from its source, compiled, taken into use, told.

No thread and no waiting in here; `ArtifactSource` has both. A turn never raises. New rules are compiled beside the
old ones and take their place by one assignment; what cannot be used leaves the old ones alone (spec/decisioning.md §2).
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import mmh3
import msgspec

from targetry.background.artifact_fetch import Downloaded, Failed, NotModified, fetch
from targetry.background.backoff import Pace, PollSchedule
from targetry.background.freshness import Freshness
from targetry.background.limited_log import LimitedLog
from targetry.background.place import place_of_headers
from targetry.delivery.transport import Transport, shown_url
from targetry.errors import ArtifactError, ArtifactVersionError
from targetry.events import (
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_DOWNLOAD_SUCCEEDED,
    ARTIFACT_STALE,
    GEO_LOCATION_UPDATED,
    Lazy,
)

if TYPE_CHECKING:
    from targetry.background.disk_cache import DiskCache

Emit = Callable[..., None]
Rules = TypeVar("Rules")


class Tally(msgspec.Struct):
    """What has happened so far. `retrievals` counts artifacts taken into use: the payload or disk copy at the
    start, then each 200; `last_retrieved` is when the last of them was downloaded, in epoch seconds."""

    attempts: int = 0
    retrievals: int = 0
    not_modified: int = 0
    last_retrieved: float | None = None
    last_error: str | None = None
    failures: dict[str, int] = {}


class ArtifactRefresh(Generic[Rules]):
    """Keeps `current`, the newest usable rules, by a `turn` now and then.

    `on_outcome` is called when it is clear what became of an attempt, before anybody is told; handlers take their time.
    `on_ready` is called once, after the first rules were told.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        url: str,
        compile: Callable[[bytes], Rules],
        parse: Callable[[bytes], Any],
        emit: Emit,
        log: LimitedLog,
        schedule: PollSchedule,
        disk: DiskCache | None,
        max_bytes: int,
        timeout_s: float,
        on_outcome: Callable[[], object],
        on_ready: Callable[[], object],
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
        self._now = now
        self._etag: str | None = None
        self._digest: int | None = None
        self._told_stale = False
        self.current: Rules | None = None
        self.origin: str | None = None
        self.freshness = Freshness(schedule.interval_s, clock)
        self.tally = Tally()
        self.retry_is_pointless = False  # the last failure is not of the kind that passes in a moment
        self.abandoned = False  # set from outside: what a turn under way still learns is to be dropped

    def begin_with(self, rules: Rules) -> None:
        """Take rules that the user brought."""
        self._take(rules, "payload", self._now())
        self.freshness.confirm()
        self._on_outcome()
        self._on_ready()

    def turn(self, *, force: bool = False) -> float | None:
        """Ask the source once; returns the seconds until it is to be asked again, None for never.

        `force` accepts an artifact that is older than the one in use. Never raises.
        """
        try:
            return self._turn(force)
        except Exception as error:  # a defect of ours must not end the thread, and with it all updates
            return self._failed(Failed(_invalid(error), "internal", Pace.POLL))

    def _turn(self, force: bool) -> float | None:
        if self.current is None and self._disk is not None:
            self._read_disk(self._disk)
        self._log.debug("LD.ArtifactProvider fetching artifact - %s", self._shown)
        self.tally.attempts += 1
        outcome = fetch(
            self._transport,
            self._url,
            etag=None if force else self._etag,
            timeout_s=self._timeout_s,
            max_bytes=self._max_bytes,
            now=self._now(),
        )
        if self.abandoned:
            return None
        if isinstance(outcome, Failed):
            return self._failed(outcome)
        if isinstance(outcome, NotModified):
            self._log.debug("LD.ArtifactProvider artifact received - status=304")
            self.tally.not_modified += 1
            return self._succeeded()
        self._log.debug("LD.ArtifactProvider artifact received - status=200")
        return self._downloaded(outcome, force)

    def _downloaded(self, answer: Downloaded, force: bool) -> float | None:
        digest = mmh3.hash128(answer.body)
        rules = self.current if digest == self._digest else None  # the same bytes need no second compilation
        if rules is None:
            try:
                rules = self._compile(answer.body)
            except Exception as error:
                return self._refused(answer.body, _invalid(error), _reason(error))
            if not force and (text := _older(rules, self.current)) is not None:
                return self._refused(answer.body, ArtifactError(text), "older")
        is_first = self.current is None
        self._etag, self._digest = answer.etag, digest
        self._take(rules, "network", self._now())
        delay = self._succeeded()
        self._on_outcome()
        self._tell(answer)
        if is_first:
            self._on_ready()
        if self._disk is not None:
            self._disk.save(answer.body, answer.etag, self._now())
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
        self._etag, self._digest = saved.etag, mmh3.hash128(saved.body)
        self._take(rules, "disk", saved.saved_at)
        self.freshness.read_from_disk(self._now() - saved.saved_at)
        self._on_outcome()
        self._on_ready()

    def _take(self, rules: Rules, origin: str, retrieved_at: float) -> None:
        self.current = rules
        self.origin = origin
        self.tally.retrievals += 1
        self.tally.last_retrieved = retrieved_at

    def _succeeded(self) -> float | None:
        is_first = not self.freshness.confirmed
        self.freshness.confirm()
        self._told_stale = False
        return self._schedule.after_success(first=is_first)

    def _tell(self, answer: Downloaded) -> None:
        self._emit(
            ARTIFACT_DOWNLOAD_SUCCEEDED,
            artifact_location=self._shown,
            artifact_payload=Lazy(functools.partial(self._parse, answer.body)),
        )
        self._emit(GEO_LOCATION_UPDATED, geo_context=place_of_headers(answer.headers).to_context())

    def _refused(self, body: bytes, error: ArtifactError, reason: str) -> float:
        if self._disk is not None:
            self._disk.keep_refused(body)
        return self._failed(Failed(error, reason, Pace.POLL))

    def _failed(self, failure: Failed) -> float:
        self.retry_is_pointless = failure.pace is not Pace.RETRY
        failures = self.tally.failures
        failures[failure.reason] = failures.get(failure.reason, 0) + 1
        self.tally.last_error = str(failure.error)
        self._on_outcome()
        self._log.error(failure.reason, "Failed to retrieve artifact: %s", failure.error)
        self._emit(ARTIFACT_DOWNLOAD_FAILED, artifact_location=self._shown, error=failure.error)
        self._tell_stale()
        return self._schedule.after_failure(
            failure.pace, has_rules=self.current is not None, retry_after=failure.retry_after_s
        )

    def _tell_stale(self) -> None:
        if self._told_stale or not self.freshness.stale:
            return
        self._told_stale = True
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


def _older(offered: object, current: object) -> str | None:
    """Why rules are not taken, if they were generated before the current ones; what does not say is not older."""
    ours, theirs = _generated(current), _generated(offered)
    if ours is None or theirs is None or theirs >= ours:
        return None
    return f"The artifact was generated at {theirs.isoformat()}, before the one in use ({ours.isoformat()})"


def _generated(rules: object) -> datetime.datetime | None:
    text = getattr(rules, "generated_at", None)
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
