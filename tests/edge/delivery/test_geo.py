"""A local MaxMind database through the edge, from its option to the decision."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.edge import QUERY, WEB, experience
from support.edge_process import address, process
from support.mmdb_writer import mmdb
from targetry import Context, DeliveryRequest, ExecuteRequest, Geo, MboxRequest, TargetClient
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer
from targetry.errors import OptionError

VIENNA = {
    "city": {"names": {"en": "Vienna"}},
    "country": {"iso_code": "AT"},
    "location": {"latitude": 48.2, "longitude": 16.4},
    "subdivisions": [{"iso_code": "9"}],
}
IN_VIENNA = {"x-forwarded-for": "203.0.113.7"}
NOTE = {"execute": {"mboxes": [{"name": "delivery-note"}]}, "id": {"tntId": "ada"}}
PLACE = {
    "x-geo-latitude": "48.2",
    "x-geo-longitude": "16.4",
    "x-geo-country-code": "AT",
    "x-geo-region-code": "9",
    "x-geo-city": "Vienna",
    "x-forwarded-for": "203.0.113.7",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("geo") / "city.mmdb"
    file.write_bytes(mmdb({"203.0.113.0/24": VIENNA}))
    with process("--geo-database", file) as running:
        yield address(running)


def answered(url: str, headers: dict[str, str], document: Any = None) -> tuple[dict[str, str], Any]:
    body = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}, json.load(answer)


def decided(url: str, geo: dict[str, Any] | None, headers: dict[str, str] | None = None) -> str:
    context = WEB if geo is None else {**WEB, "geo": geo}
    _, answer = answered(f"{url}/rest/v1/delivery?{QUERY}", headers or {}, {**NOTE, "context": context})
    return experience(answer["execute"]["mboxes"][0])


def test_geo_endpoint_returns_the_location(url: str) -> None:
    headers, body = answered(f"{url}/v1/geo", IN_VIENNA)
    assert {name: str(value) for name, value in body.items()} == PLACE
    assert {name: headers[name] for name in PLACE} == PLACE


def test_artifact_response_has_the_location(url: str) -> None:
    headers, _ = answered(f"{url}/acme/production/v1/rules.json", IN_VIENNA)
    assert {name: headers[name] for name in PLACE} == PLACE


def test_decision_uses_the_location_of_the_address(url: str) -> None:
    in_austria, elsewhere = decided(url, {"countryCode": "AT"}), decided(url, {"countryCode": "JP"})
    assert in_austria != elsewhere
    assert decided(url, {"ipAddress": "203.0.113.7"}) == in_austria
    assert decided(url, None, IN_VIENNA) == in_austria
    assert decided(url, {"ipAddress": "198.51.100.1"}, IN_VIENNA) == elsewhere
    assert decided(url, None) == elsewhere, "loopback has no location"


def test_on_device_decision_uses_the_location_of_the_edge(url: str) -> None:
    options = {
        "client": "acme",
        "organization_id": "A@AdobeOrg",
        "server_domain": url.removeprefix("http://"),
    }
    with TargetClient.create(
        options, secure=False, cdn_base_path=url, trust_env=False, decisioning_method="on-device"
    ) as client:
        request = DeliveryRequest(
            context=Context(channel="web", geo=Geo(ip_address="203.0.113.7")),
            execute=ExecuteRequest(mboxes=[MboxRequest(name="delivery-note")]),
        )
        mbox = client.get_offers(request=request)["response"].execute.mboxes[0]
    assert mbox.options[0].response_tokens["experience.name"] == decided(url, {"countryCode": "AT"})


def test_invalid_geo_database_prevents_the_start(tmp_path: Path) -> None:
    file = tmp_path / "city.mmdb"
    with pytest.raises(OptionError, match="there is no file"):
        EdgeServer.open(EdgeOptions(port=0, geo_database=file))
    file.write_bytes(b"no database")
    with pytest.raises(OptionError, match="cannot be used"):
        EdgeServer.open(EdgeOptions(port=0, geo_database=file))
