"""On-device decisions by an artifact from a server: download, refresh, disk cache and faults."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.client.any_client import AnyClient, Connect
from e2e.client.conftest import sync_only
from e2e.client.listener import Listener
from e2e.client.target import ARTIFACT, CLIENT, ORGANIZATION, Target, artifact, artifact_answer
from servers.faulty import (
    HANG,
    Behaviour,
    Close,
    Hang,
    Pause,
    Send,
    answer,
    drip,
    html_answer,
    redirect_to_itself,
)
from support.late import LATE_S
from targetry import (
    ArtifactError,
    ArtifactVersionError,
    ClosedError,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    NotReadyError,
    OptionError,
    PrefetchRequest,
    RefreshResult,
    RequestDetails,
    Trace,
    ViewRequest,
)

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
LOOK = DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))  # reports nothing
OLD = artifact("old", generated_at="2025-01-01T00:00:00Z")
GOOD = answer(200, json.dumps(artifact()).encode())
NEW = artifact("new", generated_at="2026-06-01T00:00:00Z")


def title(client: AnyClient) -> str:
    (mbox,) = client.get_offers(request=LOOK)["response"].prefetch.mboxes
    return str(mbox.options[0].content["title"])


def stats(client: AnyClient) -> Any:
    return client.client.stats().artifact


def obfuscated(document: dict[str, Any], organization: str = ORGANIZATION) -> bytes:
    key = b"0123456789abcdefghijklmnopqrstuv"
    mask = itertools.cycle(organization.encode() + key)
    return b"ATOD:001" + key + bytes(a ^ b for a, b in zip(json.dumps(document).encode(), mask, strict=False))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/acme/production/v1/rules.json"),
        ({"environment": "Staging"}, "/acme/staging/v1/rules.json"),
        ({"property_token": "p/1"}, "/acme/production/v1/p%2F1/rules.json"),
        ({"client": "other"}, "/other/production/v1/rules.json"),
    ],
    ids=["plain", "environment", "property", "client"],
)
def test_artifact_path_depends_on_client_environment_and_property(
    options: dict[str, Any], path: str, on_device: Connect, target: Target
) -> None:
    target.on(path, artifact_answer(artifact()))
    client = on_device(**options)
    assert title(client) == "first"
    assert [(received.method, received.target) for received in target.requests] == [("GET", path)]


@pytest.mark.parametrize("suffix", ["", "/"])
def test_cdn_base_path_can_have_a_path(suffix: str, on_device: Connect, target: Target) -> None:
    target.on(f"/cdn{ARTIFACT}", artifact_answer(artifact()))
    assert title(on_device(cdn_base_path=f"{target.url}/cdn{suffix}")) == "first"


def test_artifact_location_can_be_any_url(on_device: Connect, target: Target) -> None:
    target.on("/mine", artifact_answer(NEW))
    assert title(on_device(artifact_location=f"{target.url}/mine?signed=1", cdn_base_path=None)) == "new"
    assert target.requests[0].target == "/mine?signed=1"


class DebugLog:
    """A logger that records every line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        self.lines.append(message)

    error = warning = debug


@pytest.mark.parametrize("status", [200, 404])
def test_secrets_of_location_appear_nowhere(
    status: int, on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on("/mine", artifact_answer(artifact()) if status == 200 else answer(status))
    log = DebugLog()
    client = on_device(
        artifact_location=f"http://me:p4ssw0rd@{target.host}/mine?token=t0ken#fr4gment",
        cdn_base_path=None,
        events=emitted.handlers,
        logger=log,
    )
    request = DeliveryRequest(trace=Trace(authorization_token="t"), execute=HERO.execute)
    answers = [client.get_offers(request=request)] if status == 200 else []
    name = "artifact_download_succeeded" if status == 200 else "artifact_download_failed"
    assert emitted.last(name)["artifact_location"] == f"{target.url}/mine"
    options = client.client._runtime.options
    shown = [
        *log.lines,
        *(repr(dict(event)) for event in emitted.events),
        *(str(result) + result.to_json() for result in answers),
        repr(stats(client)),
        repr(options),
        repr(client.client),
    ]
    assert target.requests[0].target == "/mine?token=t0ken"
    for secret in ("p4ssw0rd", "t0ken", "fr4gment"):
        assert [text for text in shown if secret in text] == []


def test_artifact_dated_in_the_future_is_replaced_also_after_a_restart(
    on_device: Connect, target: Target, tmp_path: Path
) -> None:
    future = artifact("future", generated_at="2099-01-01T00:00:00Z")
    target.on(ARTIFACT, artifact_answer(future))
    cached = {"artifact_cache_dir": tmp_path}
    first = on_device(**cached)
    assert title(first) == "future"
    first.close()
    target.on(ARTIFACT, artifact_answer(OLD))
    restarted = on_device(**cached)
    restarted.refresh_artifact()
    assert title(restarted) == "old"
    assert stats(restarted).failures == {}


def test_refresh_returns_the_published_artifact_and_its_outcome(on_device: Connect, target: Target) -> None:
    target.on(ARTIFACT, artifact_answer(artifact()))
    client = on_device()
    assert client.refresh_artifact() == RefreshResult("unchanged")
    target.on(ARTIFACT, artifact_answer(OLD))
    refused = client.refresh_artifact()
    assert (refused.outcome, title(client)) == ("failed", "first")
    assert "was generated at 2025-01-01" in (refused.reason or "")
    assert client.refresh_artifact(force=True) == RefreshResult("updated")
    assert title(client) == "old"
    target.on(ARTIFACT, answer(503))
    reason = "Non-200 status code response from artifact request: 503"
    assert client.refresh_artifact() == RefreshResult("failed", reason)


def test_refresh_ends_at_its_timeout(on_device: Connect, target: Target) -> None:
    client = on_device()
    target.on(ARTIFACT, HANG)
    assert client.refresh_artifact(timeout=0.05) == RefreshResult("pending")
    client.close()
    with pytest.raises(ClosedError):
        client.refresh_artifact()


def test_refresh_of_a_server_side_client_raises(connect: Connect) -> None:
    with pytest.raises(OptionError, match="has no artifact to refresh") as caught:
        connect().refresh_artifact()
    assert caught.value.path == "decisioning_method"


def test_decision_makes_no_request(on_device: Connect, target: Target) -> None:
    client = on_device()
    for _ in range(20):
        client.get_offers(request=LOOK)
    assert len(target.requests) == 1


def test_decision_has_the_form_of_a_server_response(on_device: Connect, target: Target) -> None:
    client = on_device(
        target_location_hint="28", artifact_payload=artifact(), polling_interval=0, proxy=target.url
    )
    result = client.get_offers(request=HERO, session_id="s1")
    response = result["response"]
    assert result["meta"] == {"decisioning_method": "on-device", "remote_mboxes": [], "remote_views": []}
    assert response.status == 200
    assert response.client == CLIENT
    assert response.edge_host is None
    assert response.id.tnt_id.endswith(".28_0")
    assert response.request_id == result["request"].request_id
    assert result["response_tokens"] == [{"activity.id": 1, "activity.decisioningMethod": "on-device"}]
    assert result["target_cookie"]["value"].startswith("session#s1#")
    assert f"|PC#{response.id.tnt_id}#" in result["target_cookie"]["value"]
    assert result["target_location_hint_cookie"]["value"] == "28"


def test_page_load_and_views_are_decided(on_device: Connect) -> None:
    request = DeliveryRequest(
        execute=ExecuteRequest(page_load=RequestDetails()),
        prefetch=PrefetchRequest(views=[ViewRequest(name="home")]),
    )
    response = on_device().get_offers(request=request)["response"]
    assert response.execute.page_load.options[0].content == {"title": "page"}
    assert response.prefetch.views[0].options[0].content == {"title": "view"}


def test_trace_describes_the_artifact_download(on_device: Connect, target: Target) -> None:
    request = DeliveryRequest(trace=Trace(authorization_token="t"), execute=HERO.execute)
    (trace,) = on_device().get_offers(request=request)["trace"]
    assert trace["artifact"]["artifactLocation"] == f"{target.url}{ARTIFACT}"
    assert trace["artifact"]["artifactVersion"] == "1.0.0"
    assert trace["artifact"]["artifactRetrievalCount"] == 1
    assert trace["artifact"]["pollingInterval"] == 300_000


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/acme/production/v1/rules.bin", {"artifact_format": "bin"}),
        ("/rules.bin", {"artifact_location": "{url}/rules.bin"}),
        (ARTIFACT, {}),
    ],
    ids=["by format", "by name", "by its first bytes"],
)
def test_obfuscated_artifact_is_read(
    path: str, options: dict[str, str], on_device: Connect, target: Target
) -> None:
    target.on(ARTIFACT, answer(404))
    target.on(path, answer(200, obfuscated(NEW)))
    options = {name: value.format(url=target.url) for name, value in options.items()}
    assert title(on_device(**options)) == "new"


def test_obfuscated_artifact_of_another_organization_is_rejected(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, answer(200, obfuscated(NEW, "other@AdobeOrg")))
    client = on_device(events=emitted.handlers)
    with pytest.raises(NotReadyError):
        title(client)
    assert isinstance(emitted.last("artifact_download_failed").error, ArtifactError)


def test_events_are_emitted_in_order_and_client_ready_last(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    headers = {"X-Geo-City": "ROME", "X-Geo-Latitude": "41.9"}
    target.on(ARTIFACT, artifact_answer(artifact(), headers))
    on_device(events=emitted.handlers)
    emitted.wait_for("client_ready")
    assert emitted.names == ["artifact_download_succeeded", "geo_location_updated", "client_ready"]
    succeeded = emitted.last("artifact_download_succeeded")
    assert succeeded.artifact_location == f"{target.url}{ARTIFACT}"
    assert succeeded.artifact_payload == artifact()
    geo = emitted.last("geo_location_updated").geo_context
    assert (geo["city"], geo["latitude"], geo["countryCode"]) == ("ROME", 41.9, None)


def test_ready_is_emitted_after_create_has_returned(on_device: Connect, target: Target) -> None:
    clients: list[AnyClient] = []
    seen: list[int] = []
    emitted = Listener()

    def on_ready() -> None:
        seen.append(len(clients))
        emitted.handlers["client_ready"]({"type": "client_ready"})  # type: ignore[arg-type]

    clients.append(on_device(events={"client_ready": on_ready}))
    emitted.wait_for("client_ready")
    assert seen == [1]


def test_server_side_client_is_ready_without_a_request(
    connect: Connect, target: Target, emitted: Listener
) -> None:
    connect(events=emitted.handlers)
    emitted.wait_for("client_ready")
    assert emitted.names == ["client_ready"]
    assert target.requests == []


@sync_only
def test_unchanged_artifact_is_not_sent_again(on_device: Connect, target: Target) -> None:
    client = on_device(polling_interval=1000)
    target.wait_for(2, ARTIFACT)
    target.wait_until(lambda: stats(client).not_modified >= 1)
    assert target.requests_to(ARTIFACT)[0].headers.get("if-none-match") is None
    assert target.requests_to(ARTIFACT)[1].headers["if-none-match"].startswith('"')
    assert stats(client).retrieval_count == 1
    assert title(client) == "first"


@sync_only
def test_invalid_artifact_leaves_the_rules_until_a_valid_one(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, artifact_answer(artifact()), html_answer(200), artifact_answer(NEW))
    client = on_device(polling_interval=1000, events=emitted.handlers)
    emitted.wait_for("artifact_download_failed")
    assert title(client) == "first"
    emitted.wait_for("artifact_download_succeeded", 2)
    assert title(client) == "new"
    assert stats(client).failures == {"invalid": 1}
    assert emitted.times("client_ready") == 1


@sync_only
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ((Close(reset=True),), "connection"),
        (answer(500), "status_500"),
        (answer(503), "status_503"),
        (answer(429), "status_429"),
    ],
    ids=["reset", "500", "503", "429"],
)
def test_source_down_at_the_start_is_used_after_recovery(
    behaviour: Behaviour, reason: str, on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, behaviour)
    client = on_device(events=emitted.handlers, maximum_wait_ready=1)
    with pytest.raises(NotReadyError, match="Unable to fulfill request; decisioning engine not ready"):
        client.get_offers(request=HERO)
    emitted.wait_for("artifact_download_failed")
    assert emitted.times("client_ready") == 0
    target.on(ARTIFACT, artifact_answer(artifact()))
    emitted.wait_for("client_ready")
    assert title(client) == "first"
    assert stats(client).failures[reason] >= 1


@sync_only
@pytest.mark.parametrize(
    ("behaviour", "reason", "error"),
    [
        (answer(403), "status_403", "not authorized"),
        (answer(404), "status_404", "Non-200 status code response from artifact request: 404"),
        (answer(200, b"{"), "invalid", "not JSON"),
        (answer(200, b"{}"), "version", "version"),
        (answer(200, json.dumps(artifact(version="2.0")).encode()), "version", "version"),
        (html_answer(200), "invalid", "not JSON"),
        (answer(200, b"[" * 200_000), "invalid", ""),
        (answer(200, b" " * 20_000), "too_large", "larger"),
    ],
    ids=["403", "404", "broken", "empty", "version 2", "HTML", "deep", "too large"],
)
def test_permanent_failure_does_not_delay_the_start(
    behaviour: Behaviour, reason: str, error: str, on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, behaviour)
    started = time.monotonic()
    client = on_device(
        events=emitted.handlers, artifact_max_bytes=10_000 if reason == "too_large" else 1 << 20
    )
    assert time.monotonic() - started < LATE_S
    with pytest.raises(NotReadyError):
        title(client)
    assert stats(client).failures == {reason: 1}
    failed = emitted.last("artifact_download_failed")
    assert failed.artifact_location == f"{target.url}{ARTIFACT}"
    assert isinstance(failed.error, ArtifactVersionError if reason == "version" else ArtifactError)
    assert error in str(failed.error)


@sync_only
def test_start_ends_at_maximum_wait_ready(on_device: Connect, target: Target, emitted: Listener) -> None:
    target.on(ARTIFACT, (Pause(0.3), *GOOD))
    client = on_device(maximum_wait_ready=20, events=emitted.handlers)
    with pytest.raises(NotReadyError):
        title(client)
    emitted.wait_for("client_ready")
    assert title(client) == "first"


UNHELPFUL = {
    "silent": HANG,
    "silent and deaf": (Hang(deaf=True),),
    "dripping": drip(GOOD, every=0.05),
    "dripping its head": (Send(b"HTTP/1.1 200 OK\r\nx-a: b" * 1000, every=0.05),),
    "interim answers": (Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, every=0.01, size=25),),
    "redirects": redirect_to_itself,
    "endless body": (Send(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10_000, every=0.01, size=100),),
}


@pytest.mark.parametrize("behaviour", UNHELPFUL.values(), ids=UNHELPFUL)
def test_create_returns_in_time_for_any_fault_of_the_artifact_host(
    behaviour: Behaviour, on_device: Connect, target: Target
) -> None:
    target.on(ARTIFACT, behaviour)
    started = time.monotonic()
    client = on_device(decisioning_method="hybrid", maximum_wait_ready=200)
    assert time.monotonic() - started < LATE_S
    assert client.get_offers(request=HERO)["meta"]["decisioning_method"] == "server-side"
    with pytest.raises(NotReadyError):
        client.get_offers(request=HERO, decisioning_method="on-device")
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < LATE_S


def test_create_without_an_artifact_logs_it_once(on_device: Connect, target: Target) -> None:
    target.on(ARTIFACT, HANG)
    log = DebugLog()
    on_device(maximum_wait_ready=20, logger=log)
    waited = [line for line in log.lines if "starting without one" in line]
    assert waited == ["No artifact within 0.02 s: starting without one; polling continues"]


def test_start_waits_for_a_slow_artifact(on_device: Connect, target: Target) -> None:
    target.on(ARTIFACT, (Pause(0.2), *GOOD))
    assert title(on_device()) == "first"


@sync_only
def test_disk_copy_is_used_until_the_source_recovers(
    on_device: Connect, target: Target, tmp_path: Path
) -> None:
    emitted = Listener()
    options = {
        "artifact_cache_dir": tmp_path / "cache",
        "polling_interval": 1000,
        "events": emitted.handlers,
    }
    first = on_device(**options)
    assert "stale" not in first.get_offers(request=LOOK)["meta"]
    first.close()
    target.on(ARTIFACT, answer(503))
    second = on_device(**options)
    assert title(second) == "first"
    assert second.get_offers(request=LOOK)["meta"]["stale"] is True
    assert stats(second).origin == "disk"
    target.on(ARTIFACT, artifact_answer(NEW))
    emitted.wait_for("artifact_download_succeeded", 2)
    assert second.get_offers(request=LOOK)["meta"].get("stale") is None
    assert title(second) == "new"


@sync_only
def test_unconfirmed_rules_become_stale_and_still_decide(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, artifact_answer(artifact()), answer(500))
    client = on_device(polling_interval=1000, events=emitted.handlers)
    emitted.wait_for("artifact_stale")
    assert client.get_offers(request=LOOK)["meta"]["stale"] is True
    assert title(client) == "first"


@sync_only
@pytest.mark.parametrize("change", [False, True], ids=["304", "200"])
def test_stale_rules_emit_artifact_fresh_when_confirmed(
    on_device: Connect, target: Target, emitted: Listener, change: bool
) -> None:
    target.on(ARTIFACT, artifact_answer(artifact()), answer(500))
    client = on_device(polling_interval=1000, events=emitted.handlers)
    emitted.wait_for("artifact_stale")
    target.on(ARTIFACT, artifact_answer(NEW if change else artifact()))
    emitted.wait_for("artifact_fresh")
    assert "stale" not in client.get_offers(request=LOOK)["meta"]
    assert client.refresh_artifact().outcome == "unchanged"
    (event,) = [event for event in emitted.events if event["type"] == "artifact_fresh"]
    assert event["artifact_location"].endswith("/rules.json")
    assert event["age_s"] == 0


def test_disk_copy_is_revalidated_with_its_etag(on_device: Connect, target: Target, tmp_path: Path) -> None:
    for _ in range(2):
        client = on_device(artifact_cache_dir=tmp_path)
        assert title(client) == "first"
        client.close()
    assert [
        received.headers.get("if-none-match") is not None for received in target.requests_to(ARTIFACT)
    ] == [
        False,
        True,
    ]


def test_damaged_disk_copy_is_ignored(on_device: Connect, target: Target, tmp_path: Path) -> None:
    on_device(artifact_cache_dir=tmp_path).close()
    (copy,) = tmp_path.glob("*.artifact")
    copy.write_bytes(copy.read_bytes()[:-1])
    target.on(ARTIFACT, answer(404))
    with pytest.raises(NotReadyError):
        title(on_device(artifact_cache_dir=tmp_path))


@sync_only
def test_artifact_older_than_the_one_in_use_is_rejected(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, artifact_answer(OLD))
    client = on_device(artifact_payload=NEW, polling_interval=1000, events=emitted.handlers)
    emitted.wait_for("artifact_download_failed")
    assert title(client) == "new"
    assert stats(client).failures["older"] >= 1


@sync_only
def test_payload_is_used_until_a_newer_artifact(
    on_device: Connect, target: Target, emitted: Listener
) -> None:
    target.on(ARTIFACT, artifact_answer(NEW))
    client = on_device(artifact_payload=artifact(), polling_interval=1000, events=emitted.handlers)
    assert title(client) == "first"
    emitted.wait_for("artifact_download_succeeded")
    assert title(client) == "new"


@pytest.mark.parametrize(
    "payload", [artifact(), json.dumps(artifact()), json.dumps(artifact()).encode(), obfuscated(artifact())]
)
def test_payload_accepts_each_form(payload: Any, on_device: Connect, target: Target) -> None:
    client = on_device(artifact_payload=payload, polling_interval=0)
    assert title(client) == "first"
    assert target.requests == []


@sync_only
def test_file_is_read_again_when_it_changes(
    on_device: Connect, target: Target, tmp_path: Path, emitted: Listener
) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(artifact()))
    client = on_device(artifact_location=file, polling_interval=1000, events=emitted.handlers)
    assert title(client) == "first"
    file.write_text(json.dumps(NEW))
    emitted.wait_for("artifact_download_succeeded")
    assert title(client) == "new"
    assert target.requests == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"artifact_payload": {}}, ArtifactVersionError),
        ({"artifact_payload": "{"}, ArtifactError),
        ({"artifact_location": "/does/not/exist.json"}, OptionError),
    ],
    ids=["no version", "no JSON", "no file"],
)
def test_invalid_artifact_payload_raises_an_option_error(
    options: dict[str, Any], error: type[Exception], on_device: Connect
) -> None:
    with pytest.raises(error):
        on_device(**options)


@sync_only
def test_polling_can_be_stopped_and_resumed(on_device: Connect, target: Target) -> None:
    client = on_device(polling_interval=1000)
    engine = client.client.decisioning_engine
    assert engine is not None
    engine.stop_polling()
    assert stats(client).polling_halted
    asked = len(target.requests_to(ARTIFACT))
    engine.resume_polling()
    target.wait_for(asked + 1, ARTIFACT)
    assert not stats(client).polling_halted


def test_polling_interval_0_disables_polling(on_device: Connect, target: Target) -> None:
    before = set(threading.enumerate())
    client = on_device(polling_interval=0)
    assert stats(client).polling_interval_s == 0
    assert title(client) == "first"
    started = set(threading.enumerate()) - before
    assert "targetry-artifact" not in {thread.name for thread in started}


@pytest.mark.parametrize(("given", "kept_s"), [(1000, 1.0), (1500, 1.5), (300_000, 300.0)])
def test_own_server_can_be_polled_every_second(given: int, kept_s: float, on_device: Connect) -> None:
    assert stats(on_device(polling_interval=given)).polling_interval_s == kept_s


def test_adobe_cdn_is_polled_at_most_every_five_minutes(on_device: Connect) -> None:
    client = on_device(cdn_base_path=None, artifact_payload=artifact(), polling_interval=1000)
    assert stats(client).polling_interval_s == 300.0


@sync_only
def test_hanging_source_does_not_delay_close(on_device: Connect, target: Target) -> None:
    target.on(ARTIFACT, HANG)
    client = on_device(maximum_wait_ready=1)
    target.wait_for(1, ARTIFACT)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < LATE_S


def test_unusable_rule_makes_its_location_remote(on_device: Connect, target: Target) -> None:
    broken = artifact()
    broken["rules"]["mboxes"]["hero"][0]["condition"] = {"launch": ["missiles"]}
    target.on(ARTIFACT, artifact_answer(broken))
    result = on_device(decisioning_method="hybrid").get_offers(request=HERO)
    assert result["meta"]["remote_mboxes"] == ["hero"]
    assert result["response"].execute.mboxes[0].options[0].content == {"title": "remote hero"}


def test_telemetry_includes_the_download(on_device: Connect, target: Target) -> None:
    client = on_device()
    client.get_offers(request=HERO)
    assert client.flush()
    first, second = target.bodies[0]["telemetry"]["entries"]
    size = len(json.dumps(artifact()).encode())
    assert first["requestId"] == "ArtifactDownload"
    assert first["request"] == {"responseSize": size}
    assert "mode" not in first
    assert second["mode"] == "local"
    assert second["features"] == {"decisioningMethod": "on-device", "executeMboxCount": 1}


def test_opted_out_client_sends_no_telemetry_of_downloads(on_device: Connect, target: Target) -> None:
    client = on_device(telemetry_enabled=False)
    client.get_offers(request=HERO)
    assert client.flush()
    assert "telemetry" not in target.bodies[0]
