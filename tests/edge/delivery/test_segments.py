"""Facts that an edge records with impressions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.edge import HERO, QUERY
from targetry.edge.assembly import open_edge
from targetry.edge.delivery.segments import MAX_VALUES, OTHER, SegmentReader
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.ledger.event import MAX_FACT_LENGTH
from targetry.ledger.ledger import Ledger
from targetry.models import DeliveryRequest

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
TABLET = "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"


def request(parameters: dict[str, str] | None = None, **context: Any) -> DeliveryRequest:
    mboxes = [
        {"index": 0, "name": "hero"},
        {"index": 1, "name": "promo", "parameters": parameters or {}, "profileParameters": {"tier": "gold"}},
    ]
    body = {
        "context": {"channel": "web", **context},
        "property": {"token": "a1b2"},
        "execute": {"mboxes": mboxes},
    }
    return msgspec.convert(body, DeliveryRequest)


READ = {
    "browser": ("browser", {"userAgent": CHROME}, "chrome"),
    "platform": ("platform", {"userAgent": CHROME}, "linux"),
    "desktop": ("device", {"userAgent": CHROME}, "desktop"),
    "phone": ("device", {"userAgent": PHONE}, "mobile"),
    "phone by its client hint": ("device", {"clientHints": {"mobile": True}}, "mobile"),
    "tablet": ("device", {"userAgent": TABLET}, "tablet"),
    "country": ("country", {"geo": {"countryCode": "de"}}, "DE"),
    "region": ("region", {"geo": {"stateCode": "by"}}, "BY"),
    "city": ("city", {"geo": {"city": "Munich"}}, "MUNICH"),
    "property": ("property", {}, "a1b2"),
    "profile parameter": ("profile.tier", {}, "gold"),
}


def test_edge_records_and_offers_the_facts_that_its_option_names(tmp_path: Path) -> None:
    pytest.importorskip("scipy")  # for the links to reports
    options = EdgeOptions(data=tmp_path, segments=["browser"])
    edge = open_edge(options, logging.getLogger("targetry.edge"))
    client = TestClient(edge.application)
    body = {**HERO, "context": {"channel": "web", "userAgent": CHROME}}
    assert client.post(f"/rest/v1/delivery?{QUERY}", json=body).status_code == 200
    page = client.get("/").text
    edge.close()
    with Ledger.open(tmp_path) as ledger:
        assert [one.facts for one in ledger.events()] == [{"browser": "chrome"}]
    assert "?by=browser#report" in page


@each_case("name, context, expected", READ.values(), ids=READ)
def test_fact_is_read_from_the_request(name: str, context: dict[str, Any], expected: str) -> None:
    assert SegmentReader([name]).facts(request(**context)) == {name: expected}


@each_case("name", ["device", "country", "mbox.plan", "profile.plan"])
def test_fact_that_is_unknown_is_left_out(name: str) -> None:
    assert SegmentReader([name]).facts(request()) is None


def test_value_is_bounded_and_has_no_control_characters() -> None:
    reader = SegmentReader(["mbox.plan"])
    assert reader.facts(request({"plan": "a\x00\n\ud800b"})) == {"mbox.plan": "a b"}
    assert reader.facts(request({"plan": "x" * 500})) == {"mbox.plan": "x" * MAX_FACT_LENGTH}


def test_values_beyond_the_first_are_counted_as_other() -> None:
    reader = SegmentReader(["mbox.plan"])
    for number in range(MAX_VALUES):
        assert reader.facts(request({"plan": f"{number}"})) == {"mbox.plan": f"{number}"}
    assert reader.facts(request({"plan": "new"})) == {"mbox.plan": OTHER}
    assert reader.facts(request({"plan": "7"})) == {"mbox.plan": "7"}


@each_case("name", ["age", "mbox.", "mbox.a b", "profile", ""])
def test_name_that_is_no_fact_is_an_option_error(name: str) -> None:
    with pytest.raises(
        OptionError, match=r"segments\[1\]: must be browser, .* or profile\.<parameter>, not "
    ):
        SegmentReader(["browser", name])


def test_location_is_needed_by_places_only() -> None:
    assert SegmentReader(["browser", "city"]).needs_location
    assert not SegmentReader(["browser", "mbox.city"]).needs_location


def test_more_facts_than_an_event_holds_are_refused() -> None:
    with pytest.raises(OptionError, match="must have at most 10 names, not 11"):
        SegmentReader([f"mbox.p{n}" for n in range(11)])
