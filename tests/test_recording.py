"""Log of requests and responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from targetry import TargetClient
from targetry.errors import OptionError
from targetry.models import DeliveryRequest, VisitorId
from targetry.recording import RequestLog, RequestRecorder
from targetry.testing import activity, artifact, edge

REQUEST = DeliveryRequest(id=VisitorId(tnt_id="t", third_party_id="p"))
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
                "request": {"id": {"tntId": "t", "thirdPartyId": "p"}},
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
        log.record(1, DeliveryRequest(id=VisitorId(tnt_id=name)), RESPONSE)
    log.close()
    first, second, third = (one["request"]["id"]["tntId"] for one in lines(tmp_path / "log.jsonl"))
    assert first == second != third
    assert first != "t"
    assert all(one["hashed"] and "id" not in one["response"] for one in lines(tmp_path / "log.jsonl"))


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
