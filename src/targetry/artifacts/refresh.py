"""One turn of getting the artifact: from disk if that is all there is, from its source, compiled, taken into use, told.

No thread and no waiting in here; `ArtifactSource` has both. A turn never raises. New rules are compiled beside the
old ones and take their place by one assignment; what cannot be used leaves the old ones alone (spec/decisioning.md §2).
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

import mmh3
import msgspec

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

_CLOCK_TOLERANCE_S: Final = (
    300.0  # an artifact dated this far ahead is not from the future: this clock may be slow
)
_OLDER_ANSWERS_UNTIL_ROLLBACK: Final = 3


class RefreshResult(msgspec.Struct, frozen=True):
    """The result of one request for the artifact.

    `outcome` is `updated` (a different artifact is in use now), `unchanged` (the source has the one that is in use),
    `failed` (the rules that were in use stay; `reason` says why), or `pending` (not known within the time given).
    """

    outcome: Literal["updated", "unchanged", "failed", "pending"]
    reason: str | None = None


class RefreshCounters(msgspec.Struct):
    """What has happened so far. `retrievals` counts artifacts taken into use: the payload or disk copy at the
    start, then each 200; `last_retrieved` is when the last of them was downloaded, in epoch seconds."""

    attempts: int = 0
    retrievals: int = 0
    not_modified: int = 0
    last_retrieved: float | None = None
    last_error: str | None = None
    failures: dict[str, int] = {}


class ArtifactRefresher(Generic[Rules]):
    """Keeps `current`, the newest usable rules, by a `turn` now and then.

    `on_outcome` is called with the result of a request as soon as it is known, before handlers of events are called,
    and with None when rules come from the caller or from disk.
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
        self._digest: int | None = None
        self._older_answers = 0  # in a row
        self._unusable: tuple[int, ArtifactError] | None = None  # digest of the last one, and why
        self._told_stale = False
        self.current: Rules | None = None
        self.origin: str | None = None
        self.freshness = Freshness(schedule.interval_s, clock)
        self.tally = RefreshCounters()
        self.retry_is_pointless = False  # the last failure is not of the kind that passes in a moment
        self.abandoned = False  # set from outside: what a turn under way still learns is to be dropped

    def begin_with(self, rules: Rules) -> None:
        """Take rules that the user brought."""
        self._take(rules, "payload", self._now())
        self.freshness.confirm()
        self._on_outcome(None)
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
            past_caches=force,
        )
        if self.abandoned:
            return None
        if isinstance(outcome, Failed):
            return self._failed(outcome)
        if isinstance(outcome, NotModified):
            self._log.debug("LD.ArtifactProvider artifact received - status=304")
            self.tally.not_modified += 1
            delay = self._succeeded()
            self._on_outcome(RefreshResult("unchanged"))
            return delay
        self._log.debug("LD.ArtifactProvider artifact received - status=200")
        return self._downloaded(outcome, force)

    def _downloaded(self, answer: Downloaded, force: bool) -> float | None:
        if self._on_download is not None:
            self._on_download(answer)
        digest = mmh3.hash128(answer.body)
        rules = self.current if digest == self._digest else None  # the same bytes need no second compilation
        if rules is None:
            if self._unusable is not None and digest == self._unusable[0]:
                return self._refused(answer.body, self._unusable[1], _reason(self._unusable[1]))
            try:
                rules = self._compile(answer.body)
            except Exception as error:
                if isinstance(error, ArtifactError):
                    self._unusable = digest, error
                return self._refused(answer.body, _invalid(error), _reason(error))
            if not force and (text := self._refused_as_older(rules, answer)) is not None:
                return self._refused(answer.body, ArtifactError(text), "older")
        is_first, is_new = self.current is None, self.current is not rules
        self._etag, self._digest = answer.etag, digest
        self._last_modified = answer.headers.get("last-modified")
        self._take(rules, "network", self._now())
        delay = self._succeeded()
        self._on_outcome(RefreshResult("updated" if is_new else "unchanged"))
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
        self._on_outcome(None)
        self._on_ready()

    def _take(self, rules: Rules, origin: str, retrieved_at: float) -> None:
        self.current = rules
        self.origin = origin
        self.tally.retrievals += 1
        self.tally.last_retrieved = retrieved_at

    def _refused_as_older(self, offered: Rules, answer: Downloaded) -> str | None:
        """Return why rules are refused as older than those in use, or None when they are to be used.

        Caches of a CDN may give out what they had before. But dates in artifacts may be wrong, and publishers do go
        back. So the date does not count when the one in use lies in the future, when the server modified the offered
        one later, or when it has given nothing newer several times in a row.
        """
        ours, theirs = _generated(self.current), _generated(offered)
        if ours is None or theirs is None or theirs >= ours:
            return None
        if ours.timestamp() > self._now() + _CLOCK_TOLERANCE_S:
            return None
        if _is_later(answer.headers.get("last-modified"), self._last_modified):
            return None
        self._older_answers += 1
        if self._older_answers >= _OLDER_ANSWERS_UNTIL_ROLLBACK:
            return None
        return (
            f"The artifact was generated at {theirs.isoformat()}, before the one in use ({ours.isoformat()})"
        )

    def _succeeded(self) -> float | None:
        is_first = not self.freshness.confirmed
        self.freshness.confirm()
        if self._told_stale:
            self._told_stale = False
            self._emit(ARTIFACT_FRESH, artifact_location=self._shown, age_s=0.0)
        self._older_answers = 0
        return self._schedule.after_success(first=is_first)

    def _tell(self, answer: Downloaded) -> None:
        self._emit(
            ARTIFACT_DOWNLOAD_SUCCEEDED,
            artifact_location=self._shown,
            artifact_payload=LazyValue(functools.partial(self._parse, answer.body)),
        )
        self._emit(GEO_LOCATION_UPDATED, geo_context=location_from_headers(answer.headers).to_context())

    def _refused(self, body: bytes, error: ArtifactError, reason: str) -> float:
        if self._disk is not None:
            self._disk.keep_refused(body)
        return self._failed(Failed(error, reason, Pace.POLL))

    def _failed(self, failure: Failed) -> float:
        self.retry_is_pointless = failure.pace is not Pace.RETRY
        failures = self.tally.failures
        failures[failure.reason] = failures.get(failure.reason, 0) + 1
        self.tally.last_error = str(failure.error)
        self._on_outcome(RefreshResult("failed", str(failure.error)))
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
