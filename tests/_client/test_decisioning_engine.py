"""On-device engine of a client: sources, readiness, polling, traces."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.background_fakes import Lines
from support.device import artifact, contents, decision_of, request_for, rule
from targetry._client.decisioning_engine import DecisioningEngine
from targetry._client.options import client_settings
from targetry._runtime.logger import Log
from targetry.delivery.telemetry import TelemetryStore
from targetry.errors import ArtifactError, OptionError, TargetryWarning, TransportError
from targetry.events import Events
from targetry.models import DeliveryRequest
from targetry.testing import FakeTransport, answer
from targetry.testing.transports import Scripted

DOCUMENT = artifact(
    {"hero": [rule()]},
    remoteMboxes=["far"],
    meta={"clientCode": "acme", "generatedAt": "2026-01-01T00:00:00Z"},
)
BODY = json.dumps(DOCUMENT).encode()
CDN = "https://assets.adobetarget.com/acme/production/v1/rules.json"
REFUSED = TransportError(reason="connection refused")


class Kept:
    """Engine with its parts; `events` has its events as (name, payload)."""

    def __init__(self, *script: Scripted, telemetry: bool = True, **options: Any) -> None:
        self.transport = FakeTransport(*script)
        self.lines = Lines()
        self.events: list[Any] = []
        self.telemetry = TelemetryStore(enabled=telemetry)
        names = ("artifact_download_succeeded", "artifact_download_failed")
        events = Events(dict.fromkeys(names, self.events.append), self.lines)
        given = {"client": "acme", "organization_id": "A@AdobeOrg", "polling_interval": 0, **options}
        self.engine = DecisioningEngine(
            client_settings(given, {}),
            transport=self.transport,
            events=events,
            log=Log(self.lines),
            telemetry=self.telemetry,
            on_ready=lambda: self.events.append("ready"),
        )

    def started(self) -> DecisioningEngine:
        self.engine.start()
        self.engine.wait_ready()
        return self.engine


@pytest.fixture
def engines() -> Iterator[list[DecisioningEngine]]:
    engines: list[DecisioningEngine] = []
    yield engines
    for engine in engines:
        engine.close(1.0)


def keep(engines: list[DecisioningEngine], *script: Scripted, **options: Any) -> Kept:
    kept = Kept(*script, **options)
    engines.append(kept.engine)
    return kept


def given_payload(engines: list[DecisioningEngine], **options: Any) -> Kept:
    return keep(engines, artifact_payload=DOCUMENT, **options)


# Where the artifact is


@pytest.mark.parametrize(
    ("options", "location"),
    [
        ({}, CDN),
        ({"environment": "Staging"}, "https://assets.adobetarget.com/acme/staging/v1/rules.json"),
        ({"property_token": "p"}, "https://assets.adobetarget.com/acme/production/v1/p/rules.json"),
        (
            {"cdn_environment": "staging"},
            "https://assets.staging.adobetarget.com/acme/production/v1/rules.json",
        ),
        ({"cdn_base_path": "cdn.example"}, "https://cdn.example/acme/production/v1/rules.json"),
        ({"artifact_format": "bin"}, "https://assets.adobetarget.com/acme/production/v1/rules.bin"),
        ({"artifact_location": "https://other.example/x.json"}, "https://other.example/x.json"),
    ],
)
def test_artifact_is_requested_at_the_location_of_the_options(
    engines: list[DecisioningEngine], options: dict[str, Any], location: str
) -> None:
    kept = keep(engines, answer(BODY), **options)
    assert kept.engine.location == location
    assert kept.started().is_ready()
    assert [request.url for request in kept.transport.requests] == [location]


@pytest.mark.parametrize(
    ("options", "interval_ms"),
    [
        ({"polling_interval": 0}, 0),
        ({"polling_interval": 1}, 300_000),
        ({"polling_interval": 300}, 300_000),
        ({"polling_interval": 300_001}, 300_001),
        ({"polling_interval": 600_000}, 600_000),
        ({"polling_interval": 1, "cdn_environment": "staging"}, 300_000),
        ({"polling_interval": 1000, "cdn_base_path": "cdn.example"}, 1000),
        ({"polling_interval": 1500, "artifact_location": "https://other.example/x.json"}, 1500),
        ({"polling_interval": 1500, "artifact_location": CDN}, 300_000),
    ],
)
def test_polling_interval_is_bounded_on_adobes_cdn_only(
    engines: list[DecisioningEngine], options: dict[str, Any], interval_ms: int
) -> None:
    engine = given_payload(engines, **options).engine
    assert engine.trace()["pollingInterval"] == interval_ms
    assert engine.stats().polling_interval_s == interval_ms / 1000


def test_interval_in_seconds_warns_on_other_hosts_than_adobes(
    engines: list[DecisioningEngine],
) -> None:
    with pytest.warns(TargetryWarning, match="did you mean 300000 instead of 300"):
        engine = given_payload(engines, polling_interval=300, cdn_base_path="cdn.example").engine
    assert engine.stats().polling_interval_s == 1


# Rules


def test_payload_is_ready_at_start_without_a_request(engines: list[DecisioningEngine]) -> None:
    kept = given_payload(engines)
    engine = kept.started()
    assert engine.is_ready()
    assert engine.get_raw_artifact() == DOCUMENT
    assert engine.rules is not None
    assert contents(decision_of(engine.rules, request_for("hero"))) == ["hello"]
    assert kept.transport.requests == []
    assert engine.in_use() == (engine.rules, False)


def test_download_emits_events_then_ready_then_telemetry(engines: list[DecisioningEngine]) -> None:
    kept = keep(engines, answer(BODY))
    assert not kept.engine.is_ready()
    assert kept.engine.rules is None
    assert kept.started().is_ready()
    succeeded, ready = kept.events
    assert (succeeded["type"], succeeded["artifact_location"]) == ("artifact_download_succeeded", CDN)
    assert succeeded["artifact_payload"] == DOCUMENT
    assert ready == "ready"
    request = DeliveryRequest()
    kept.telemetry.attach(request)
    assert request.telemetry is not None
    (entry,) = request.telemetry.entries or []
    assert entry.request_id == "ArtifactDownload"
    assert entry.request is not None
    assert entry.request.response_size == len(BODY)
    assert entry.timestamp is not None
    assert abs(entry.timestamp - time.time() * 1000) < 60_000
    assert entry.execution is not None
    assert 0 <= entry.execution < 10_000


def test_download_is_not_measured_without_telemetry(engines: list[DecisioningEngine]) -> None:
    kept = keep(engines, answer(BODY), telemetry=False)
    kept.started()
    assert len(kept.telemetry) == 0


def test_unusable_download_is_reported_and_polling_continues(engines: list[DecisioningEngine]) -> None:
    kept = keep(engines, answer(status=403))
    engine = kept.started()
    assert not engine.is_ready()
    assert engine.get_raw_artifact() is None
    assert [one["type"] for one in kept.events] == ["artifact_download_failed"]
    assert len(kept.telemetry) == 0


def test_unusable_rules_are_logged_in_one_line(engines: list[DecisioningEngine]) -> None:
    unusable = [{}] * 5000 + [rule(condition={"nope": 1})]
    kept = keep(engines, artifact_payload=artifact({"hero": [*unusable, rule()]}))
    (line,) = kept.lines.errors
    assert line.startswith("In the artifact 5001 of 5002 rules are not used: rule 0 of mbox 'hero': ")
    assert "(and 4999 more for that reason); rule 5000 of mbox 'hero': unknown operator 'nope'" in line
    counts = kept.started().unusable_rules()
    assert list(counts.values()) == [5000, 1]
    assert list(counts)[1] == "unknown operator 'nope'"


# Files


def test_file_is_read_when_the_engine_is_made(engines: list[DecisioningEngine], tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(BODY)
    kept = keep(engines, artifact_location=file)
    file.unlink()
    assert kept.started().is_ready()
    assert kept.engine.location == str(file)
    assert kept.transport.requests == []


def test_relative_path_is_read_too(
    engines: list[DecisioningEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.json").write_bytes(BODY)
    assert keep(engines, artifact_location=Path("rules.json")).started().is_ready()
    with pytest.raises(OptionError):
        keep(engines, artifact_location=Path("none.json"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be read by this user"
)
def test_unreadable_file_raises_option_error(engines: list[DecisioningEngine], tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(BODY)
    file.chmod(0)
    with pytest.raises(OptionError) as caught:
        keep(engines, artifact_location=file)
    assert caught.value.path == "artifact_location"


def test_size_of_a_file_is_bounded_exactly(engines: list[DecisioningEngine], tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(BODY)
    assert keep(engines, artifact_location=file, artifact_max_bytes=len(BODY)).started().is_ready()
    with pytest.raises(ArtifactError, match=f"larger than {len(BODY) - 1} bytes"):
        keep(engines, artifact_location=file, artifact_max_bytes=len(BODY) - 1)


# Queries of the official engine


@pytest.mark.parametrize(
    ("wire", "needed"),
    [
        ({"execute": {"mboxes": [{"name": "hero"}]}}, (False, [], [])),
        ({"execute": {"mboxes": [{"name": "far"}, {"name": "hero"}]}}, (True, ["far"], [])),
        ({"prefetch": {"views": [{"name": "home"}]}}, (True, [], ["home"])),
    ],
)
def test_remote_dependency_names_mboxes_and_views(
    engines: list[DecisioningEngine], wire: dict[str, Any], needed: tuple[bool, list[str], list[str]]
) -> None:
    remote = given_payload(engines).started().has_remote_dependency(request_for(**wire))
    assert remote == dict(zip(("remote_needed", "remote_mboxes", "remote_views"), needed, strict=True))


def test_remote_dependency_without_rules_raises(engines: list[DecisioningEngine]) -> None:
    with pytest.raises(ArtifactError, match=r"^The decisioning artifact is not available$"):
        keep(engines, REFUSED).engine.has_remote_dependency(request_for("hero"))


def test_raw_artifact_is_a_copy(engines: list[DecisioningEngine]) -> None:
    engine = given_payload(engines).started()
    raw = engine.get_raw_artifact()
    assert raw is not None
    raw["rules"].clear()
    assert engine.get_raw_artifact() == DOCUMENT


# Traces


def test_trace_describes_a_payload(engines: list[DecisioningEngine]) -> None:
    trace = given_payload(engines).started().trace()
    retrieved = trace.pop("artifactLastRetrieved")
    assert trace == {
        "artifactLocation": "Not Applicable",
        "pollingInterval": 0,
        "pollingHalted": False,
        "artifactVersion": "1.0.0",
        "artifactRetrievalCount": 1,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", retrieved)
    assert abs(datetime.fromisoformat(retrieved).timestamp() - time.time()) < 60


def test_trace_describes_a_download(engines: list[DecisioningEngine]) -> None:
    trace = keep(engines, answer(BODY)).started().trace()
    assert (trace["artifactLocation"], trace["artifactRetrievalCount"]) == (CDN, 1)


def test_trace_without_rules_knows_no_version(engines: list[DecisioningEngine]) -> None:
    trace = keep(engines, REFUSED).engine.trace()
    assert (trace["artifactVersion"], trace["artifactRetrievalCount"]) == ("unknown", 0)
    assert trace["artifactLastRetrieved"].endswith("Z")


def test_trace_shows_whether_polling_is_stopped(engines: list[DecisioningEngine]) -> None:
    engine = given_payload(engines, polling_interval=600_000).started()
    halted = [engine.trace()["pollingHalted"]]
    engine.stop_polling()
    halted.append(engine.trace()["pollingHalted"])
    engine.resume_polling()
    halted.append(engine.trace()["pollingHalted"])
    assert halted == [False, True, False]


def test_closing_twice_is_closing_once(engines: list[DecisioningEngine]) -> None:
    engine = given_payload(engines, polling_interval=600_000).started()
    engine.close(1.0)
    engine.close(1.0)
    assert engine.is_ready()
