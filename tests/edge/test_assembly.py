"""Assembly of an edge: options that need another one, and options of its artifact."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.device import artifact, rule
from targetry.edge.assembly import check_edge_options, open_edge
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError


@each_case(
    "option, value, needed, advice",
    [
        ("segments", ["browser"], {"data": "ledger"}, "give --data or --ledger"),
        ("zone", "Europe/Berlin", {"data": "ledger"}, "give --data or --ledger"),
        ("keep_days", 30, {"ledger": "postgresql://db/targetry"}, "give --data or --ledger"),
        ("max_size", 2_000_000, {"data": "ledger"}, "give --data or --ledger"),
        ("record_share", 0.5, {"record_requests": "log"}, "give --record-requests"),
        ("record_max_size", 1_000, {"record_requests": "log"}, "give --record-requests"),
        ("record_hashed_ids", True, {"record_requests": "log"}, "give --record-requests"),
        ("ofrep_tokens", ["t"], {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_targeting_key", "ecid", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_targeting_key_parameter", "key", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_impressions", "none", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_reasons", "strict", {"ofrep": True}, "leave --no-ofrep out"),
    ],
)
def test_option_without_effect_is_an_error(
    option: str, value: Any, needed: dict[str, Any], advice: str
) -> None:
    given = {"ofrep": False, option: value}
    with pytest.raises(OptionError, match=advice) as caught:
        check_edge_options(EdgeOptions(**given))
    assert caught.value.path == option
    check_edge_options(EdgeOptions(**given | needed))


def test_empty_list_is_no_option_without_effect() -> None:
    check_edge_options(EdgeOptions(segments=[], ofrep_tokens=[], ofrep=False))


@pytest.mark.parametrize(
    ("given", "served", "status"),
    [
        ({}, "targetry", 404),
        ({"client": "shop"}, "shop", 404),
        ({"organization_id": "ABC@AdobeOrg"}, "targetry", 200),
    ],
    ids=["neither", "client", "organization"],
)
def test_artifact_is_served_for_the_client_and_organization_of_the_options(
    given: dict[str, str], served: str, status: int, tmp_path: Path
) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(msgspec.json.encode({**artifact({"hero": [rule(1)]}), "meta": {}}))
    edge = open_edge(EdgeOptions(artifacts=[file], **given), logging.getLogger("edge"))
    answer = TestClient(edge.application).get(f"/{served}/production/v1/rules.bin")
    edge.close()
    assert list(edge.clients) == [served]
    assert answer.status_code == status


def test_origin_of_the_options_gets_credentials() -> None:
    edge = open_edge(EdgeOptions(allow_origins=["https://shop.example"]), logging.getLogger("edge"))
    answer = TestClient(edge.application).get("/v1/geo", headers={"origin": "https://shop.example"})
    edge.close()
    assert answer.headers["access-control-allow-credentials"] == "true"
