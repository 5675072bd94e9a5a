"""The turns of an artifact source on a clock that is moved by hand; rows F1 to F6, F11 and F12 of RELIABILITY."""

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
    """A refresh and the world around it."""

    def __init__(
        self, *answers: Answer, folder: Path | None = None, interval_s: float = 300, url: str = URL
    ) -> None:
        self.compiler = compile_rules
        self.network = Network(*answers)
        self.clock, self.now = Clock(), Clock(1_790_000_000)
        self.told, self.lines = Listener(), Lines()
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
            emit=self.told,
            log=log,
            schedule=PollSchedule(interval_s, lambda: 0.5),
            disk=disk,
            max_bytes=1000,
            timeout_s=5,
            on_outcome=self._outcome,
            on_ready=lambda: self.ready_after.append(self.told.names[:]),
            on_download=None,
            clock=self.clock,
            now=self.now,
        )

    def _compile(self, body: bytes) -> Rules:
        self.compiled.append(body)
        return self.compiler(body)

    def _outcome(self, result: RefreshResult | None) -> None:
        self.outcomes.append(self.told.names[:])
        self.results.append(result)

    @property
    def version(self) -> str | None:
        return self.refresh.current.name if self.refresh.current else None

    def turn(self, *answers: Answer, force: bool = False) -> float | None:
        if answers:
            self.network.then(*answers)
        return self.refresh.run_once(force=force)

    def run(self, seconds: float) -> Iterator[float]:
        """Turn after turn for a while, yielding after each how long is waited then."""
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


def test_a_download_is_compiled_and_taken_into_use() -> None:
    source = Source(answer(200, V1))
    source.turn()
    assert source.version == "v1"
    assert (source.refresh.origin, source.refresh.counters.retrievals) == ("network", 1)
    assert source.refresh.counters.last_retrieved == 1_790_000_000


def test_a_download_is_told_then_its_geo_then_that_the_client_is_ready() -> None:
    source = Source(answer(200, V1, x_geo_city="Rome", x_geo_latitude="41.9"))
    source.turn()
    assert source.told.names == ["artifact_download_succeeded", "geo_location_updated"]
    assert source.ready_after == [source.told.names]
    assert source.told.last("artifact_download_succeeded") == {
        "artifact_location": URL,
        "artifact_payload": {"parsed": V1},
    }
    assert source.told.last("geo_location_updated")["geo_context"] == {
        "ipAddress": None,
        "latitude": 41.9,
        "longitude": None,
        "countryCode": None,
        "stateCode": None,
        "city": "Rome",
    }


def test_what_became_of_an_attempt_is_clear_before_it_is_told() -> None:
    source = Source(answer(200, V1), answer(500))
    source.turn()
    source.turn()
    succeeded = ["artifact_download_succeeded", "geo_location_updated"]
    assert source.outcomes == [[], succeeded]
    assert source.told.names == [*succeeded, "artifact_download_failed"]


def test_ready_is_told_once() -> None:
    source = Source(answer(200, V1), answer(200, V2))
    source.turn()
    source.turn()
    assert source.version == "v2"
    assert len(source.ready_after) == 1


def test_the_next_request_carries_the_etag_and_a_304_changes_nothing() -> None:
    source = Source(answer(200, V1, etag='"1"'), answer(304))
    source.turn()
    events = source.told.names[:]
    assert source.turn() == 285
    assert source.network.requests[1].headers == {"if-none-match": '"1"'}
    assert (source.version, source.told.names) == ("v1", events)
    assert (source.refresh.counters.not_modified, source.refresh.counters.retrievals) == (1, 1)


def test_the_same_bytes_again_are_told_but_not_compiled_again() -> None:
    source = Source(answer(200, V1))
    source.turn()
    first = source.refresh.current
    source.turn()
    assert source.refresh.current is first
    assert source.compiled == [V1]
    assert source.told.names.count("artifact_download_succeeded") == 2


def test_what_arrives_after_the_source_was_closed_is_dropped() -> None:
    source = Source()

    def closed_meanwhile(_: object) -> object:
        source.refresh.is_cancelled = True
        return answer(200, V1)

    assert source.turn(closed_meanwhile) is None  # type: ignore[arg-type]
    assert (source.version, source.told.events) == (None, [])


def test_urls_in_the_log_show_no_query() -> None:
    source = Source(answer(200, V1), url="https://user:secret@cdn.example/rules.json?token=secret")
    source.turn()
    assert source.lines.debugs[0] == "LD.ArtifactProvider fetching artifact - https://cdn.example/rules.json"
    assert source.lines.debugs[1] == "LD.ArtifactProvider artifact received - status=200"


# Failures


def test_a_failure_is_counted_logged_and_told_and_keeps_the_rules() -> None:
    source = Source(answer(200, V1))
    source.turn()
    source.turn(answer(500))
    text = "Non-200 status code response from artifact request: 500"
    assert source.version == "v1"
    assert (source.refresh.counters.failures, source.refresh.counters.last_error) == ({"status_500": 1}, text)
    assert source.lines.errors == [f"Failed to retrieve artifact: {text}"]
    payload = source.told.last("artifact_download_failed")
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
def test_an_artifact_that_cannot_be_used_is_refused_and_kept_for_inspection(
    body: bytes, error: Exception, reason: str, tmp_path: Path
) -> None:
    source = Source(answer(200, V1), folder=tmp_path)
    source.turn()

    def refuse(_: bytes) -> Rules:
        raise error

    source.compiler = refuse
    assert source.turn(answer(200, body, etag='"bad"')) == 285
    assert source.version == "v1"
    assert source.refresh.counters.failures == {reason: 1}
    assert isinstance(source.told.last("artifact_download_failed")["error"], ArtifactError)
    assert [path.read_bytes() for path in tmp_path.glob("*.refused")] == [body]


def test_unusable_artifact_is_not_compiled_again() -> None:
    source = Source(answer(200, V1), answer(200, b"garbage"))
    for _ in range(4):
        source.turn()
    assert source.compiled == [V1, b"garbage"]
    assert source.refresh.counters.failures == {"invalid": 3}
    source.turn(answer(200, V2))
    assert source.version == "v2"


def test_artifact_refused_for_want_of_memory_is_compiled_again() -> None:
    source = Source(answer(200, V1))
    source.turn()

    def refuse(_: bytes) -> Rules:
        raise MemoryError

    source.compiler = refuse
    source.turn(answer(200, V2))
    source.compiler = compile_rules
    source.turn()
    assert source.version == "v2"


def test_after_a_refused_artifact_a_mended_one_is_taken() -> None:
    source = Source(answer(200, V1, etag='"1"'))
    source.turn()
    source.turn(answer(200, b"garbage", etag='"bad"'))
    source.turn(answer(200, V2, etag='"2"'))
    assert source.version == "v2"
    assert [r.headers.get("if-none-match") for r in source.network.requests] == [None, '"1"', '"1"']


def test_what_nobody_thought_of_ends_in_a_count_not_in_the_thread() -> None:
    source = Source(HttpResponse(200, "OK", None, V1))  # type: ignore[arg-type]  from a transport of the user's
    assert source.turn() == 57
    assert source.refresh.counters.failures == {"internal": 1}


# Older and newer


@pytest.mark.parametrize(
    ("current", "offered", "taken"),
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
def test_an_artifact_older_than_the_current_one_is_refused(current: str, offered: str, taken: bool) -> None:
    source = Source(answer(200, current.encode()), answer(200, offered.encode()))
    source.turn()
    source.turn()
    assert source.version == ("v2" if taken else "v1")
    assert source.refresh.counters.failures == ({} if taken else {"older": 1})


FUTURE = "v1 2099-01-01T00:00:00Z"
NOW = "2026-09-21T14:13:20"  # of `Source.now`


@pytest.mark.parametrize(
    ("current", "offered"),
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
def test_artifact_dated_in_the_future_bars_no_later_one(current: str, offered: str) -> None:
    source = Source(answer(200, current.encode()), answer(200, offered.encode()))
    source.turn()
    source.turn()
    assert source.version == "v2"
    assert source.refresh.counters.failures == {}


def test_date_slightly_ahead_of_a_slow_clock_is_not_in_the_future() -> None:
    source = Source(answer(200, b"v1 2026-09-21T14:18:19Z"), answer(200, f"v2 {NOW}Z".encode()))
    source.turn()
    source.turn()
    assert source.version == "v1"


def test_copy_on_disk_from_the_future_is_replaced_after_a_restart(tmp_path: Path) -> None:
    saved(tmp_path, FUTURE.encode())
    Source(answer(200, V2), folder=tmp_path).turn()
    restarted = Source(REFUSED, folder=tmp_path)
    restarted.turn()
    assert restarted.version == "v2"


OCTOBER, NOVEMBER = b"v10 2023-10-01T00:00:00Z", b"v11 2023-11-01T00:00:00Z"


def test_older_artifact_is_used_when_the_source_keeps_serving_it() -> None:
    source = Source(answer(200, NOVEMBER), answer(200, OCTOBER))
    versions = []
    for _ in range(4):
        source.turn()
        versions.append(source.version)
    assert versions == ["v11", "v11", "v11", "v10"]
    assert source.refresh.counters.failures == {"older": 2}


@pytest.mark.parametrize("between", [answer(200, NOVEMBER), answer(304)], ids=["current", "not modified"])
def test_older_artifact_is_not_used_when_the_current_one_is_served_between(between: HttpResponse) -> None:
    source = Source(answer(200, NOVEMBER, etag='"1"'))
    source.turn()
    for _ in range(3):
        source.turn(answer(200, OCTOBER))
        source.turn(answer(200, OCTOBER))
        source.turn(between)
    assert source.version == "v11"


@pytest.mark.parametrize(
    ("current", "offered", "version"),
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
    source.turn()
    source.turn()
    assert source.version == version


@pytest.mark.parametrize(
    ("second", "result"),
    [
        (answer(200, V2), RefreshResult("updated")),
        (answer(200, V1), RefreshResult("unchanged")),
        (answer(304), RefreshResult("unchanged")),
        (REFUSED, RefreshResult("failed", "connection refused")),
        (answer(200, b"garbage"), RefreshResult("failed", "not an artifact")),
    ],
    ids=["new", "same", "not modified", "refused", "unusable"],
)
def test_result_of_a_turn_says_what_came_of_it(second: Answer, result: RefreshResult) -> None:
    source = Source(answer(200, V1, etag='"1"'), second)
    source.turn()
    source.turn()
    assert source.results == [RefreshResult("updated"), result]


def test_a_forced_turn_takes_an_older_artifact_and_asks_without_condition() -> None:
    source = Source(answer(200, V2, etag='"2"'), answer(200, V1))
    source.turn()
    source.turn(force=True)
    assert source.version == "v1"
    assert source.network.requests[1].headers == {"cache-control": "no-cache"}


# What the user brought


def test_rules_that_the_user_brought_are_in_use_before_any_request() -> None:
    source = Source(REFUSED)
    source.refresh.use_initial(Rules("v0", None))
    assert (source.version, source.refresh.origin) == ("v0", "payload")
    assert (source.network.requests, source.ready_after) == ([], [[]])
    source.turn()
    assert source.version == "v0"
    assert not source.refresh.freshness.stale


# Disk


def saved(folder: Path, body: bytes = V1, etag: str | None = '"1"', at: float = 1_789_999_000) -> None:
    DiskCache(folder, URL, max_bytes=1000, warn=lambda *_: None).save(body, etag, at)


def test_a_copy_on_disk_is_in_use_while_the_first_request_is_under_way(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(folder=tmp_path)
    seen: list[str | None] = []

    def look(_: object) -> object:
        seen.append(source.version)
        return answer(304)

    source.turn(look)  # type: ignore[arg-type]
    assert seen == ["v1"]
    assert source.network.requests[0].headers == {"if-none-match": '"1"'}
    assert source.ready_after == [[]]


def test_a_copy_on_disk_is_stale_until_an_answer_confirms_it(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(REFUSED, folder=tmp_path)
    source.turn()
    assert (source.version, source.refresh.origin, source.refresh.freshness.stale) == ("v1", "disk", True)
    assert source.refresh.freshness.age_s == 1000
    source.turn(answer(304))
    assert (source.refresh.freshness.stale, source.refresh.freshness.age_s) == (False, 0)


def test_being_stale_is_told_once_and_again_after_a_recovery(tmp_path: Path) -> None:
    saved(tmp_path)
    source = Source(REFUSED, folder=tmp_path)
    source.turn()
    source.turn()
    assert source.told.names.count("artifact_stale") == 1
    assert source.told.last("artifact_stale") == {"artifact_location": URL, "age_s": 1000}
    source.turn(answer(304))
    source.pass_time(601)
    source.turn(REFUSED)
    assert source.told.names.count("artifact_stale") == 2


def test_each_download_is_kept_for_the_next_start(tmp_path: Path) -> None:
    Source(answer(200, V1, etag='"1"'), folder=tmp_path).turn()
    after_restart = Source(REFUSED, folder=tmp_path)
    after_restart.turn()
    assert after_restart.version == "v1"


def test_a_copy_that_no_longer_compiles_is_ignored(tmp_path: Path) -> None:
    saved(tmp_path, b"garbage")
    source = Source(answer(200, V1), folder=tmp_path)
    source.turn()
    assert source.network.requests[0].headers == {}
    assert source.version == "v1"
    assert "is ignored: not an artifact" in source.lines.errors[0]


def test_an_older_download_does_not_displace_the_copy_on_disk(tmp_path: Path) -> None:
    saved(tmp_path, V2)
    source = Source(answer(200, V1), folder=tmp_path)
    source.turn()
    assert source.version == "v2"


def test_a_copy_from_the_future_has_age_zero(tmp_path: Path) -> None:
    saved(tmp_path, at=1_800_000_000)
    source = Source(REFUSED, folder=tmp_path)
    source.turn()
    assert source.refresh.freshness.age_s == 0


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    source = Source(answer(200, V1), answer(200, V2), folder=tmp_path / "file")
    source.turn()
    source.turn()
    assert source.version == "v2"
    assert len([line for line in source.lines.errors if "cannot be kept" in line]) == 1


# Long faults


def test_a_source_that_is_down_at_the_start_and_back_after_a_minute_is_found_within_one_poll() -> None:
    """F1"""
    source = Source(REFUSED)
    list(source.run(60))
    source.network.then(answer(200, V1))
    down_until = source.clock.time
    for _ in source.run(300):
        break
    assert source.version == "v1"
    assert source.clock.time - down_until <= 300
    assert source.ready_after == [source.told.names]


def test_a_day_without_source_is_survived_quietly() -> None:
    """F2"""
    source = Source(answer(200, V1))
    source.turn()
    source.network.then(REFUSED)
    ages = [source.refresh.freshness.age_s or 0 for _ in source.run(86_400)]
    assert source.version == "v1"
    assert ages == sorted(ages)
    assert ages[-1] > 86_000
    assert source.refresh.freshness.stale
    assert len(source.lines.errors) <= 86_400 / 60
    assert source.told.names.count("artifact_stale") == 1


def test_an_error_every_second_is_logged_once_a_minute() -> None:
    """F2"""
    source = Source(REFUSED, interval_s=1)
    list(source.run(600))
    assert len(source.network.requests) >= 600
    assert len(source.lines.errors) <= 11


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("retry_after", [None, "120"])
def test_ten_minutes_of_an_error_cost_few_requests_and_end_with_it(
    status: int, retry_after: str | None
) -> None:
    """F3"""
    source = Source(answer(200, V1))
    source.turn()
    source.network.then(answer(status, **({"retry_after": retry_after} if retry_after else {})))
    delays = list(source.run(600))
    assert source.version == "v1"
    assert len(delays) <= 10 + 3
    assert all(delay >= 120 for delay in delays) or retry_after is None
    assert source.turn(answer(200, V2)) == 285
    assert source.version == "v2"
    assert max(delays) <= 3600


def test_an_artifact_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    """F5"""
    source = Source(answer(200, V1), folder=tmp_path)
    source.turn()
    assert source.turn(answer(200, b"v" * 1001)) == 285
    assert source.version == "v1"
    assert source.refresh.counters.failures == {"too_large": 1}


def test_a_304_with_nothing_remembered_is_asked_again_without_condition() -> None:
    """F5"""
    source = Source(answer(304), answer(200, V1))
    source.turn()
    assert source.version == "v1"


@pytest.mark.parametrize("jump", [3600, -3600, -86_400 * 400])
def test_jumps_of_the_wall_clock_change_neither_age_nor_polls(jump: float) -> None:
    """F11"""
    source = Source(answer(200, V1))
    source.turn()
    source.now.advance(jump)
    source.clock.advance(10)
    assert source.refresh.freshness.age_s == 10
    assert not source.refresh.freshness.stale
    assert source.turn() == 285
