"""Refreshes of an artifact on a simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.background_fakes import (
    REFUSED,
    Answer,
    Clock,
    Lines,
    Listener,
    Network,
    Rules,
    answer,
    compile_rules,
)
from support.cases import each_case
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.artifacts.disk_cache import DiskCache
from targetry.artifacts.poll_schedule import PollSchedule
from targetry.artifacts.refresh import ArtifactRefresher, RefreshResult
from targetry.errors import ArtifactError, ArtifactVersionError
from targetry.http.protocol import HttpResponse

URL = "https://cdn.example/rules.json"
V1 = b"v1 2026-01-01T00:00:00Z"
V2 = b"v2 2026-02-01T00:00:00Z"


class Source:
    """A refresher with its fake dependencies."""

    def __init__(
        self, *answers: Answer, folder: Path | None = None, interval_s: float = 300, url: str = URL
    ) -> None:
        self.compiler = compile_rules
        self.network = Network(*answers)
        self.clock, self.now = Clock(), Clock(1_790_000_000)
        self.listener, self.lines = Listener(), Lines()
        self.compiled: list[bytes] = []
        self.outcomes: list[list[str]] = []
        self.results: list[RefreshResult | None] = []
        self.ready_after: list[list[str]] = []
        log = RateLimitedLog(self.lines, self.clock)
        disk = DiskCache(folder, URL, max_bytes=1000, warn=log.warning) if folder else None
        self.refresh = ArtifactRefresher[Rules](
            transport=self.network,
            url=url,
            compile=self._compile,
            parse=lambda body: {"parsed": body},
            emit=self.listener,
            log=log,
            schedule=PollSchedule(interval_s, lambda: 0.5),
            disk=disk,
            max_bytes=1000,
            timeout_s=5,
            on_outcome=self._outcome,
            on_ready=lambda: self.ready_after.append(self.listener.names[:]),
            on_download=None,
            clock=self.clock,
            now=self.now,
        )

    def _compile(self, body: bytes) -> Rules:
        self.compiled.append(body)
        return self.compiler(body)

    def _outcome(self, result: RefreshResult | None) -> None:
        self.outcomes.append(self.listener.names[:])
        self.results.append(result)

    @property
    def version(self) -> str | None:
        return self.refresh.current.name if self.refresh.current else None

    def refresh_once(self, *answers: Answer, force: bool = False) -> float | None:
        if answers:
            self.network.then(*answers)
        return self.refresh.run_once(force=force)

    def run(self, seconds: float) -> Iterator[float]:
        """Refresh repeatedly, yielding the delay after each attempt."""
        end = self.clock.time + seconds
        while self.clock.time < end:
            delay = self.refresh.run_once()
            assert delay is not None
            yield delay
            self.pass_time(delay)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.now.advance(seconds)


# A download


def test_download_is_compiled_and_used() -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    assert source.version == "v1"
    assert (source.refresh.origin, source.refresh.counters.retrievals) == ("network", 1)
    assert source.refresh.counters.last_retrieved == 1_790_000_000


def test_download_emits_success_then_geo_then_ready() -> None:
    source = Source(answer(200, V1, x_geo_city="Rome", x_geo_latitude="41.9"))
    source.refresh_once()
    assert source.listener.names == ["artifact_download_succeeded", "geo_location_updated"]
    assert source.ready_after == [source.listener.names]
    assert source.listener.last("artifact_download_succeeded") == {
        "artifact_location": URL,
        "artifact_payload": {"parsed": V1},
    }
    assert source.listener.last("geo_location_updated")["geo_context"] == {
        "ipAddress": None,
        "latitude": 41.9,
        "longitude": None,
        "countryCode": None,
        "stateCode": None,
        "city": "Rome",
    }


def test_result_is_known_before_events_are_emitted() -> None:
    source = Source(answer(200, V1), answer(500))
    source.refresh_once()
    source.refresh_once()
    succeeded = ["artifact_download_succeeded", "geo_location_updated"]
    assert source.outcomes == [[], succeeded]
    assert source.listener.names == [*succeeded, "artifact_download_failed"]


def test_ready_callback_is_called_once() -> None:
    source = Source(answer(200, V1), answer(200, V2))
    source.refresh_once()
    source.refresh_once()
    assert source.version == "v2"
    assert len(source.ready_after) == 1


def test_next_request_carries_the_etag_and_a_304_changes_nothing() -> None:
    source = Source(answer(200, V1, etag='"1"'), answer(304))
    source.refresh_once()
    events = source.listener.names[:]
    assert source.refresh_once() == 285
    assert source.network.requests[1].headers == {"if-none-match": '"1"'}
    assert (source.version, source.listener.names) == ("v1", events)
    assert (source.refresh.counters.not_modified, source.refresh.counters.retrievals) == (1, 1)


def test_same_bytes_are_emitted_and_not_compiled_again() -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    first = source.refresh.current
    source.refresh_once()
    assert source.refresh.current is first
    assert source.compiled == [V1]
    assert source.listener.names.count("artifact_download_succeeded") == 2


def test_response_after_close_is_discarded() -> None:
    source = Source()

    def closed_meanwhile(_: object) -> object:
        source.refresh.is_cancelled = True
        return answer(200, V1)

    assert source.refresh_once(closed_meanwhile) is None  # type: ignore[arg-type]
    assert (source.version, source.listener.events) == (None, [])


def test_urls_in_the_log_show_no_query() -> None:
    source = Source(answer(200, V1), url="https://user:secret@cdn.example/rules.json?token=secret")
    source.refresh_once()
    assert source.lines.debugs[0] == "LD.ArtifactProvider fetching artifact - https://cdn.example/rules.json"
    assert source.lines.debugs[1] == "LD.ArtifactProvider artifact received - status=200"


# Failures


def test_failure_is_counted_logged_and_emitted_and_keeps_the_rules() -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    source.refresh_once(answer(500))
    text = "Non-200 status code response from artifact request: 500"
    assert source.version == "v1"
    assert (source.refresh.counters.failures, source.refresh.counters.last_error) == ({"status_500": 1}, text)
    assert source.lines.errors == [f"Failed to retrieve artifact: {text}"]
    payload = source.listener.last("artifact_download_failed")
    assert (payload["artifact_location"], str(payload["error"])) == (URL, text)


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        (b"garbage", ArtifactError("not an artifact"), "invalid"),
        (b"v9", ArtifactVersionError("version 9"), "version"),
        (b"v9", RecursionError("too deep"), "invalid"),
        (b"v9", MemoryError(), "invalid"),
        (b"v9", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid"),
    ],
    ids=["garbage", "wrong version", "recursion", "memory", "foreign"],
)
def test_unusable_artifact_is_rejected_and_saved_for_inspection(
    body: bytes, error: Exception, reason: str, tmp_path: Path
) -> None:
    source = Source(answer(200, V1), folder=tmp_path)
    source.refresh_once()

    def refuse(_: bytes) -> Rules:
        raise error

    source.compiler = refuse
    assert source.refresh_once(answer(200, body, etag='"bad"')) == 285
    assert source.version == "v1"
    assert source.refresh.counters.failures == {reason: 1}
    assert isinstance(source.listener.last("artifact_download_failed")["error"], ArtifactError)
    assert [path.read_bytes() for path in tmp_path.glob("*.refused")] == [body]


def test_unusable_artifact_is_not_compiled_again() -> None:
    source = Source(answer(200, V1), answer(200, b"garbage"))
    for _ in range(4):
        source.refresh_once()
    assert source.compiled == [V1, b"garbage"]
    assert source.refresh.counters.failures == {"invalid": 3}
    source.refresh_once(answer(200, V2))
    assert source.version == "v2"


def test_artifact_rejected_for_lack_of_memory_is_compiled_again() -> None:
    source = Source(answer(200, V1))
    source.refresh_once()

    def refuse(_: bytes) -> Rules:
        raise MemoryError

    source.compiler = refuse
    source.refresh_once(answer(200, V2))
    source.compiler = compile_rules
    source.refresh_once()
    assert source.version == "v2"


def test_repaired_artifact_is_used_after_a_rejected_one() -> None:
    source = Source(answer(200, V1, etag='"1"'))
    source.refresh_once()
    source.refresh_once(answer(200, b"garbage", etag='"bad"'))
    source.refresh_once(answer(200, V2, etag='"2"'))
    assert source.version == "v2"
    assert [r.headers.get("if-none-match") for r in source.network.requests] == [None, '"1"', '"1"']


def test_unexpected_error_is_counted_and_keeps_the_thread() -> None:
    source = Source(HttpResponse(200, "OK", None, V1))  # type: ignore[arg-type]  from a transport of the user's
    assert source.refresh_once() == 57
    assert source.refresh.counters.failures == {"internal": 1}


# Older and newer


@each_case(
    "current, offered, taken",
    [
        ("v1 2026-02-01T00:00:00Z", "v2 2026-01-31T23:59:59Z", False),
        ("v1 2026-02-01T00:00:00Z", "v2 2026-02-01T00:30:00+01:00", False),
        ("v1 2026-02-01T00:00:00Z", "v2 2026-02-01T00:00:00", True),
        ("v1 2026-02-01T00:00:00Z", "v2 2026-02-01T00:00:01.5Z", True),
        ("v1 2026-02-01T00:00:00Z", "v2", True),
        ("v1 2026-02-01T00:00:00Z", "v2 yesterday", True),
        ("v1", "v2 2026-01-01T00:00:00Z", True),
    ],
    ids=[
        "older",
        "older in another zone",
        "same",
        "newer",
        "says nothing",
        "says nonsense",
        "current says nothing",
    ],
)
def test_artifact_older_than_the_current_one_is_rejected(current: str, offered: str, taken: bool) -> None:
    source = Source(answer(200, current.encode()), answer(200, offered.encode()))
    source.refresh_once()
    source.refresh_once()
    assert source.version == ("v2" if taken else "v1")
    assert source.refresh.counters.failures == ({} if taken else {"older": 1})


FUTURE = "v1 2099-01-01T00:00:00Z"
NOW = "2026-09-21T14:13:20"  # of `Source.now`


@each_case(
    "current, offered",
    [
        (FUTURE, "v2 2026-06-01T00:00:00Z"),
        (FUTURE, "v2 2098-12-31T23:59:59Z"),
        (FUTURE, "v2 1970-01-01T00:00:00Z"),
        (FUTURE, "v2 0001-01-01T00:00:00+14:00"),
        (FUTURE, "v2"),
        (FUTURE, "v2 yesterday"),
        ("v1 9999-12-31T23:59:59-23:00", "v2 2023-11-01T00:00:00Z"),
        ("v1 2099-01-01", "v2 2023-11-01"),
        ("v1 2026-09-21T23:00:00Z", "v2 2026-09-21T22:00:00Z"),
        ("v1 2026-09-21T22:13:20-01:00", "v2 2026-09-21T22:13:20Z"),
    ],
)
def test_artifact_dated_in_the_future_is_replaced_by_a_later_one(current: str, offered: str) -> None:
    source = Source(answer(200, current.encode()), answer(200, offered.encode()))
    source.refresh_once()
    source.refresh_once()
    assert source.version == "v2"
    assert source.refresh.counters.failures == {}


def test_date_slightly_ahead_of_a_slow_clock_is_not_in_the_future() -> None:
    source = Source(answer(200, b"v1 2026-09-21T14:18:19Z"), answer(200, f"v2 {NOW}Z".encode()))
    source.refresh_once()
    source.refresh_once()
    assert source.version == "v1"


def test_copy_on_disk_from_the_future_is_replaced_after_a_restart(tmp_path: Path) -> None:
    saved(tmp_path, FUTURE.encode())
    Source(answer(200, V2), folder=tmp_path).refresh_once()
    restarted = Source(REFUSED, folder=tmp_path)
    restarted.refresh_once()
    assert restarted.version == "v2"


OCTOBER, NOVEMBER = b"v10 2023-10-01T00:00:00Z", b"v11 2023-11-01T00:00:00Z"


def test_older_artifact_is_used_when_the_source_repeats_it() -> None:
    source = Source(answer(200, NOVEMBER), answer(200, OCTOBER))
    versions = []
    for _ in range(4):
        source.refresh_once()
        versions.append(source.version)
    assert versions == ["v11", "v11", "v11", "v10"]
    assert source.refresh.counters.failures == {"older": 2}


@pytest.mark.parametrize("between", [answer(200, NOVEMBER), answer(304)], ids=["current", "not modified"])
def test_older_artifact_is_not_used_when_the_current_one_is_served_between(between: HttpResponse) -> None:
    source = Source(answer(200, NOVEMBER, etag='"1"'))
    source.refresh_once()
    for _ in range(3):
        source.refresh_once(answer(200, OCTOBER))
        source.refresh_once(answer(200, OCTOBER))
        source.refresh_once(between)
    assert source.version == "v11"


@each_case(
    "current, offered, version",
    [
        ("Wed, 01 Nov 2023 00:00:00 GMT", "Thu, 02 Nov 2023 00:00:00 GMT", "v10"),
        ("Wed, 01 Nov 2023 00:00:00 GMT", "Wed, 01 Nov 2023 00:00:00 GMT", "v11"),
        ("Wed, 01 Nov 2023 00:00:00 GMT", "Sun, 01 Oct 2023 00:00:00 GMT", "v11"),
        ("Wed, 01 Nov 2023 00:00:00 GMT", "soon", "v11"),
        ("yesterday", "Thu, 02 Nov 2023 00:00:00 GMT", "v11"),
    ],
)
def test_older_artifact_is_used_when_the_server_modified_it_later(
    current: str, offered: str, version: str
) -> None:
    source = Source(answer(200, NOVEMBER, last_modified=current), answer(200, OCTOBER, last_modified=offered))
    source.refresh_once()
    source.refresh_once()
    assert source.version == version


@each_case(
    "second, result",
    [
        (answer(200, V2), RefreshResult("updated")),
        (answer(200, V1), RefreshResult("unchanged")),
        (answer(304), RefreshResult("unchanged")),
        (REFUSED, RefreshResult("failed", "connection refused")),
        (answer(200, b"garbage"), RefreshResult("failed", "not an artifact")),
    ],
    ids=["new", "same", "not modified", "refused", "unusable"],
)
def test_result_of_a_refresh_is_reported(second: Answer, result: RefreshResult) -> None:
    source = Source(answer(200, V1, etag='"1"'), second)
    source.refresh_once()
    source.refresh_once()
    assert source.results == [RefreshResult("updated"), result]


def test_forced_refresh_uses_an_older_artifact_and_requests_unconditionally() -> None:
    source = Source(answer(200, V2, etag='"2"'), answer(200, V1))
    source.refresh_once()
    source.refresh_once(force=True)
    assert source.version == "v1"
    assert source.network.requests[1].headers == {"cache-control": "no-cache"}


# initial rules


def test_initial_rules_are_used_before_any_request() -> None:
    source = Source(REFUSED)
    source.refresh.use_initial(Rules("v0", None))
    assert (source.version, source.refresh.origin) == ("v0", "payload")
    assert (source.network.requests, source.ready_after) == ([], [[]])
    source.refresh_once()
    assert source.version == "v0"
    assert not source.refresh.freshness.stale


# Disk


def saved(folder: Path, body: bytes = V1, etag: str | None = '"1"', at: float = 1_789_999_000) -> None:
    DiskCache(folder, URL, max_bytes=1000, warn=lambda *_: None).save(body, etag, at)


def test_copy_on_disk_is_used_during_the_first_request(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(folder=tmp_path)
    seen: list[str | None] = []

    def look(_: object) -> object:
        seen.append(source.version)
        return answer(304)

    source.refresh_once(look)  # type: ignore[arg-type]
    assert seen == ["v1"]
    assert source.network.requests[0].headers == {"if-none-match": '"1"'}
    assert source.ready_after == [[]]


def test_copy_on_disk_is_stale_until_a_response_confirms_it(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(REFUSED, folder=tmp_path)
    source.refresh_once()
    assert (source.version, source.refresh.origin, source.refresh.freshness.stale) == ("v1", "disk", True)
    assert source.refresh.freshness.age_s == 1000
    source.refresh_once(answer(304))
    assert (source.refresh.freshness.stale, source.refresh.freshness.age_s) == (False, 0)


def test_stale_is_emitted_once_and_again_after_a_recovery(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(REFUSED, folder=tmp_path)
    source.refresh_once()
    source.refresh_once()
    assert source.listener.names.count("artifact_stale") == 1
    assert source.listener.last("artifact_stale") == {"artifact_location": URL, "age_s": 1000}
    source.refresh_once(answer(304))
    source.pass_time(601)
    source.refresh_once(REFUSED)
    assert source.listener.names.count("artifact_stale") == 2


def test_each_download_is_kept_for_the_next_start(tmp_path: Path) -> None:
    Source(answer(200, V1, etag='"1"'), folder=tmp_path).refresh_once()
    after_restart = Source(REFUSED, folder=tmp_path)
    after_restart.refresh_once()
    assert after_restart.version == "v1"


def test_copy_that_does_not_compile_is_ignored(tmp_path: Path) -> None:
    saved(tmp_path, b"garbage")
    source = Source(answer(200, V1), folder=tmp_path)
    source.refresh_once()
    assert source.network.requests[0].headers == {}
    assert source.version == "v1"
    assert "is ignored: not an artifact" in source.lines.errors[0]


def test_older_download_does_not_displace_the_copy_on_disk(tmp_path: Path) -> None:
    saved(tmp_path, V2)
    source = Source(answer(200, V1), folder=tmp_path)
    source.refresh_once()
    assert source.version == "v2"


def test_copy_from_the_future_has_age_zero(tmp_path: Path) -> None:
    saved(tmp_path, at=1_800_000_000)
    source = Source(REFUSED, folder=tmp_path)
    source.refresh_once()
    assert source.refresh.freshness.age_s == 0


def test_unwritable_folder_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = Source(answer(200, V1), answer(200, V2), folder=tmp_path / "file")
    source.refresh_once()
    source.refresh_once()
    assert source.version == "v2"
    assert len([line for line in source.lines.errors if "cannot be saved" in line]) == 1


# Long faults


def test_source_down_at_the_start_is_used_within_one_poll_of_its_recovery() -> None:
    source = Source(REFUSED)
    list(source.run(60))
    source.network.then(answer(200, V1))
    down_until = source.clock.time
    for _ in source.run(300):
        break
    assert source.version == "v1"
    assert source.clock.time - down_until <= 300
    assert source.ready_after == [source.listener.names]


def test_day_without_source_logs_few_lines() -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    source.network.then(REFUSED)
    ages = [source.refresh.freshness.age_s or 0 for _ in source.run(86_400)]
    assert source.version == "v1"
    assert ages == sorted(ages)
    assert ages[-1] > 86_000
    assert source.refresh.freshness.stale
    assert len(source.lines.errors) <= 86_400 / 60
    assert source.listener.names.count("artifact_stale") == 1


def test_frequent_error_is_logged_once_a_minute() -> None:
    source = Source(REFUSED, interval_s=1)
    list(source.run(600))
    assert len(source.network.requests) >= 600
    assert len(source.lines.errors) <= 11


@each_case("status", [401, 403, 404, 429, 500, 503])
@each_case("retry_after", [None, "120"])
def test_ten_minutes_of_errors_make_few_requests(status: int, retry_after: str | None) -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    source.network.then(answer(status, **({"retry_after": retry_after} if retry_after else {})))
    delays = list(source.run(600))
    assert source.version == "v1"
    assert len(delays) <= 10 + 3
    assert all(delay >= 120 for delay in delays) or retry_after is None
    assert source.refresh_once(answer(200, V2)) == 285
    assert source.version == "v2"
    assert max(delays) <= 3600


def test_artifact_larger_than_allowed_raises(tmp_path: Path) -> None:
    source = Source(answer(200, V1), folder=tmp_path)
    source.refresh_once()
    assert source.refresh_once(answer(200, b"v" * 1001)) == 285
    assert source.version == "v1"
    assert source.refresh.counters.failures == {"too_large": 1}


def test_304_without_an_artifact_is_requested_again_unconditionally() -> None:
    source = Source(answer(304), answer(200, V1))
    source.refresh_once()
    assert source.version == "v1"


@pytest.mark.parametrize("jump", [3600, -3600, -86_400 * 400])
def test_jumps_of_the_wall_clock_change_neither_age_nor_polls(jump: float) -> None:
    source = Source(answer(200, V1))
    source.refresh_once()
    source.now.advance(jump)
    source.clock.advance(10)
    assert source.refresh.freshness.age_s == 10
    assert not source.refresh.freshness.stale
    assert source.refresh_once() == 285
