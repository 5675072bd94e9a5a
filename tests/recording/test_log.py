"""Log of requests and responses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from targetry import TargetClient
from targetry.errors import OptionError
from targetry.models import (
    Context,
    DeliveryRequest,
    ExecuteRequest,
    ExperienceCloud,
    Geo,
    Preview,
    QAMode,
    Trace,
    VisitorId,
)
from targetry.recording import RequestLog, RequestRecorder
from targetry.testing import activity, artifact, edge

REQUEST = DeliveryRequest(id=VisitorId(tnt_id="t", third_party_id="p"), execute=ExecuteRequest())
RESPONSE = b'{"status":200,"id":{"tntId":"t"}}'


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_request_and_response_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        log = RequestLog(path)
        log.record(7, REQUEST, RESPONSE)
        log.close()
        log.close()
    assert (
        lines(path)
        == [
            {
                "time": 7,
                "request": {"id": {"tntId": "t", "thirdPartyId": "p"}, "execute": {}},
                "response": {"status": 200, "id": {"tntId": "t"}},
            }
        ]
        * 2
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_share_of_the_requests_is_recorded(tmp_path: Path) -> None:
    chances = iter([0.1, 0.5, 0.3, 0.9])
    log = RequestLog(tmp_path / "log.jsonl", share=0.4, chance=lambda: next(chances))
    for _ in range(4):
        log.record(1, REQUEST, RESPONSE)
    assert (log.recorded, log.dropped) == (2, 0)
    log.close()


def test_recording_ends_at_the_size(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl", max_bytes=250)
    for _ in range(5):
        log.record(1, REQUEST, RESPONSE)
    assert (log.recorded, log.dropped) == (2, 3)
    log.close()


def test_hashed_ids_are_equal_for_one_visitor_only(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl", hash_ids=True)
    for name in ("t", "t", "u"):
        log.record(1, replace(REQUEST, id=VisitorId(tnt_id=name)), RESPONSE)
    log.close()
    first, second, third = (one["request"]["id"]["tntId"] for one in lines(tmp_path / "log.jsonl"))
    assert first == second != third
    assert first != "t"
    assert all(one["hashed"] and "id" not in one["response"] for one in lines(tmp_path / "log.jsonl"))


def test_log_with_hashed_ids_has_no_other_ids(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl", hash_ids=True)
    context = Context(geo=Geo(ip_address="203.0.113.9", country_code="DE"))
    log.record(1, replace(REQUEST, context=context, experience_cloud=ExperienceCloud()), RESPONSE)
    log.close()
    (line,) = lines(tmp_path / "log.jsonl")
    assert line["request"]["context"]["geo"] == {"countryCode": "DE"}
    assert "experienceCloud" not in line["request"]
    assert context.geo is not None
    assert context.geo.ip_address == "203.0.113.9"


def test_logs_with_one_key_hash_alike(tmp_path: Path) -> None:
    for key in (b"k", b"k", b"other"):
        log = RequestLog(tmp_path / "log.jsonl", hash_ids=True, key=key)
        log.record(1, REQUEST, RESPONSE)
        log.close()
    first, second, third = (one["request"]["id"] for one in lines(tmp_path / "log.jsonl"))
    assert first == second != third


NOT_RECORDED = {
    "no offers are asked for": {"execute": None},
    "trace": {"trace": Trace(authorization_token="secret")},
    "qa mode": {"qa_mode": QAMode()},
    "preview": {"preview": Preview(token="secret")},
}


@pytest.mark.parametrize("fields", NOT_RECORDED.values(), ids=NOT_RECORDED)
def test_request_that_is_no_visit_is_not_recorded(tmp_path: Path, fields: dict[str, Any]) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    log.record(1, replace(REQUEST, **fields), RESPONSE)
    log.close()
    assert (log.recorded, log.dropped, lines(tmp_path / "log.jsonl")) == (0, 0, [])


def test_full_log_is_reported_once_until_it_is_truncated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log.jsonl"
    log = RequestLog(path, max_bytes=300)
    for _ in range(2):
        for _ in range(5):
            log.record(1, REQUEST, RESPONSE)
        path.write_bytes(b"")
    log.close()
    assert caplog.text.count("requests are no longer recorded") == 2


FULL_DISK = """
import resource, sys
from targetry.models import DeliveryRequest, ExecuteRequest
from targetry.recording import RequestLog
log = RequestLog(sys.argv[1])
request = DeliveryRequest(execute=ExecuteRequest())
for limit in (120, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for _ in range(3):
        log.record(1, request, b"{}")
print(log.recorded, log.dropped)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
def test_line_that_a_full_disk_cut_does_not_damage_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "5 1\n"
    assert "a request was not recorded" in done.stderr
    assert [len(line) for line in path.read_text().splitlines()] == [49, 49, 20, 49, 49, 49]


def test_closed_log_drops(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    log.close()
    log.record(1, REQUEST, RESPONSE)
    assert (log.recorded, log.dropped) == (0, 1)


@pytest.mark.parametrize("options", [{"share": 2}, {"share": "x"}, {"max_bytes": -1}, {"path": "/nope/log"}])
def test_wrong_option_is_an_error(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        RequestLog(**{"path": tmp_path / "log.jsonl", **options})


def test_recorder_records_what_the_server_decides(tmp_path: Path) -> None:
    rules = artifact(activity("Hero").ab(A=50, B=50).on("hero", A="Welcome", B="Sale"))
    request = {"id": {"tntId": "t"}, "execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
    with edge(rules) as here:
        for method in ("server-side", "on-device"):
            recorder = RequestRecorder(tmp_path / f"{method}.jsonl", share=1.0)
            options = here.client_options(decisioning_method=method)
            with TargetClient.create(options, hooks=[recorder]) as client:
                client.get_offers(request=request)
            recorder.close()
    (line,) = lines(tmp_path / "server-side.jsonl")
    assert line["request"]["id"] == {"tntId": "t"}
    assert line["response"]["execute"]["mboxes"][0]["options"]
    assert lines(tmp_path / "on-device.jsonl") == []
