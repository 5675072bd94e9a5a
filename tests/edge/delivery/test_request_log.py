"""Requests and responses that an edge records."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from support.edge import HERO, NOW_MS, QUERY, WEB, web_client
from targetry.batch import shadow
from targetry.edge.assembly import open_edge
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.recording import RequestLog
from targetry.samples import shop_path

NOT_RECORDED: dict[str, Any] = {
    "a notification": {
        "context": WEB,
        "notifications": [{"id": "n", "type": "display", "timestamp": NOW_MS, "tokens": ["t"]}],
    },
    "a beacon": {**HERO, "context": {**WEB, "beacon": True}},
    "a trace": {**HERO, "trace": {"authorizationToken": "t"}},
    "an invalid request": {**HERO, "context": 5},
}


def ask(client: TestClient, request: Any) -> int:
    response = client.post(f"/rest/v1/delivery?{QUERY}", content=json.dumps(request))
    return response.status_code


def test_recorded_request_is_the_one_that_was_decided(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    client = web_client(request_log=log, now=lambda: NOW_MS / 1000)
    without_id = {name: value for name, value in HERO.items() if name != "id"}
    assert [ask(client, one) for one in (HERO, without_id)] == [200, 200]
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert (first["time"], first["request"]["id"]) == (NOW_MS, {"tntId": "3f9c"})
    assert first["response"]["execute"]["mboxes"][0]["options"]
    assert second["request"]["id"]["tntId"] == second["response"]["id"]["tntId"]
    found = shadow(tmp_path / "log.jsonl", shop_path(), client=first["response"]["client"])
    assert (found.lines, found.agreed_share) == (2, 100)


@pytest.mark.parametrize("request_", NOT_RECORDED.values(), ids=NOT_RECORDED)
def test_request_without_offers_of_a_visitor_is_not_recorded(tmp_path: Path, request_: Any) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    ask(web_client(request_log=log), request_)
    assert (log.recorded, (tmp_path / "log.jsonl").read_bytes()) == (0, b"")


def test_log_that_cannot_be_written_is_counted_and_hurts_no_response(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    client = web_client(request_log=log)
    assert ask(client, HERO) == 200
    log.close()
    assert ask(client, HERO) == 200
    metrics = client.get("/metrics").text.splitlines()
    assert "targetry_edge_requests_recorded_total 1.0" in metrics
    assert "targetry_edge_requests_dropped_total 1.0" in metrics
    assert "a request was not recorded" in caplog.text


def test_edge_records_as_its_options_say(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    for options in (
        {},
        {"record_share": 0.0},
        {"record_max_size": 1},
        {"record_hashed_ids": True},
    ):
        edge = open_edge(EdgeOptions(record_requests=file, **options), logging.getLogger("targetry.edge"))  # type: ignore[arg-type]
        assert ask(TestClient(edge.application), HERO) == 200
        edge.close()
    plain, hashed = map(json.loads, file.read_text().splitlines())
    assert plain["request"]["id"] == {"tntId": "3f9c"}
    assert hashed["hashed"]
    assert hashed["request"]["id"] != plain["request"]["id"]


WRONG: dict[str, dict[str, Any]] = {
    "record_requests": {"record_requests": "/no/such/folder/log.jsonl"},
    "record_share": {"record_share": 1.5},
    "record_max_size": {"record_max_size": -1},
}


@pytest.mark.parametrize(("option", "given"), WRONG.items(), ids=WRONG)
def test_error_has_the_name_of_the_option(option: str, given: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        open_edge(EdgeOptions(**given), logging.getLogger("targetry.edge"))
    assert caught.value.path == option
