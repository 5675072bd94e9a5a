from __future__ import annotations

import json
from typing import Any

import pytest

from support.edge import HERO, NOW_MS, QUERY, WEB, ask, experience, response_to, shop_registry
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.geo.location import GeoLocation
from targetry.samples import shop, shop_path

BERLIN = GeoLocation(country_code="DE", city="BERLIN", ip_address="203.0.113.7")


def hero(**changes: Any) -> dict[str, Any]:
    return {**HERO, **changes}


def test_response_has_the_experience_and_the_decisioning_method() -> None:
    answer = response_to(hero(requestId="r1"))
    (mbox,) = answer["execute"]["mboxes"]
    assert (answer["status"], answer["requestId"], answer["client"]) == (200, "r1", "acme")
    assert answer["id"] == {"tntId": "3f9c"}
    assert (mbox["index"], mbox["name"], experience(mbox)) == (0, "hero", "Everyday")
    assert mbox["options"][0]["responseTokens"]["activity.decisioningMethod"] == "server-side"
    assert "eventToken" not in mbox["options"][0]


def test_new_visitor_gets_a_tnt_id_without_a_cluster() -> None:
    answer = response_to({"context": WEB})
    assert "." not in answer["id"]["tntId"]
    assert "edgeHost" not in answer


def test_configured_cluster_is_in_ids_and_edge_host() -> None:
    answer = response_to({"context": WEB}, cluster="35")
    assert answer["id"]["tntId"].endswith(".35_0")
    assert answer["edgeHost"] == "mboxedge35.tt.omtrdc.net"


@pytest.mark.parametrize(
    "known", [{"marketingCloudVisitorId": "3f9c"}, {"thirdPartyId": "3f9c"}, {"tntId": "3f9c.28_0"}]
)
def test_visitor_has_one_experience_for_any_kind_of_id(known: dict[str, str]) -> None:
    answer = response_to(hero(id=known))
    assert answer["id"] == known, "another id would change by which he is bucketed"
    assert experience(answer["execute"]["mboxes"][0]) == experience(response_to(HERO)["execute"]["mboxes"][0])


def test_ecid_has_precedence_over_the_tnt_id() -> None:
    answers = [
        response_to(hero(id={"marketingCloudVisitorId": "3f9c", "tntId": f"visitor-{n}"})) for n in range(20)
    ]
    assert len({experience(answer["execute"]["mboxes"][0]) for answer in answers}) == 1


def test_unknown_mbox_has_no_content() -> None:
    answer = response_to({"context": WEB, "execute": {"mboxes": [{"name": "nowhere"}]}})
    assert answer["status"] == 200
    assert answer["execute"]["mboxes"] == [{"index": 0, "name": "nowhere"}]


def test_prefetch_has_event_tokens_and_records_nothing() -> None:
    answer = ask(
        {"context": WEB, "id": {"tntId": "3f9c"}, "prefetch": {"mboxes": [{"name": "hero"}], "views": [{}]}}
    )
    prefetched = json.loads(answer.body)["prefetch"]
    assert prefetched["mboxes"][0]["options"][0]["eventToken"]
    assert {view["name"] for view in prefetched["views"]} == {"cart", "confirmation"}
    assert answer.events == []


def test_property_selects_the_rules() -> None:
    token = shop()["rules"]["mboxes"]["app-banner"][0]["propertyTokens"][0]
    phone = {"channel": "web", "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)"}
    banner = {"context": phone, "execute": {"mboxes": [{"name": "app-banner"}]}}
    assert "options" not in response_to(banner)["execute"]["mboxes"][0]
    assert "options" in response_to({**banner, "property": {"token": token}})["execute"]["mboxes"][0]


def test_trace_has_the_session_id() -> None:
    trace = response_to(hero(trace={"authorizationToken": "t"}))["execute"]["mboxes"][0]["trace"]
    assert trace["request"]["sessionId"] == "s1"
    assert trace["campaigns"][0]["branchId"] == 0


def test_notifications_get_a_response_with_their_ids() -> None:
    notifications = [{"id": f"n{n}", "type": "display", "timestamp": NOW_MS} for n in range(2)]
    answer = ask({"context": WEB, "notifications": notifications})
    assert json.loads(answer.body)["notifications"] == [{"id": "n0"}, {"id": "n1"}]
    assert answer.notifications == 2


def test_telemetry_is_accepted_and_counted() -> None:
    assert (
        ask({"context": WEB, "telemetry": {"entries": [{"requestId": "r", "execution": 1.5}]}}).telemetry == 1
    )


def test_beacon_has_events_and_no_response_body() -> None:
    answer = ask(hero(context={"channel": "web", "beacon": True}))
    assert (answer.status, answer.body, len(answer.events)) == (204, b"", 1)


def note(geo: dict[str, str], **options: Any) -> str:
    request = {"context": {"channel": "web", "geo": geo}, "execute": {"mboxes": [{"name": "delivery-note"}]}}
    return experience(response_to(request, **options)["execute"]["mboxes"][0])


def test_lone_ip_address_is_looked_up() -> None:
    find = {"203.0.113.7": BERLIN}.get
    by_country = note({"countryCode": "DE"})
    assert note({"ipAddress": "203.0.113.7"}, locate=find) == by_country
    assert note({"ipAddress": "203.0.113.8"}, locate=find) != by_country
    assert note({"ipAddress": "203.0.113.7", "countryCode": "JP"}, locate=find) == note({"countryCode": "JP"})


def test_request_without_geo_gets_the_location_of_the_client_address() -> None:
    found = {"locate": {"203.0.113.7": BERLIN}.get, "address": "203.0.113.7"}
    delivery_note = {"context": WEB, "execute": {"mboxes": [{"name": "delivery-note"}]}}
    silent, there = ask(delivery_note, **found), note({"countryCode": "DE"})
    assert experience(json.loads(silent.body)["execute"]["mboxes"][0]) == there
    assert silent.request is not None
    assert silent.request.context.geo.country_code == "DE", "the response shows it"
    assert note({"countryCode": "JP"}, **found) != there
    assert note({"ipAddress": "203.0.113.8"}, **found) != there
    unknown = ask(delivery_note, **{**found, "address": "203.0.113.8"})
    assert unknown.request.context.geo is None


def test_given_client_code_determines_the_allocation() -> None:
    other = shop_registry(client="other")
    visitors = [hero(id={"tntId": f"visitor-{n}"}) for n in range(30)]
    chosen = [
        [experience(response_to(one, registry=registry)["execute"]["mboxes"][0]) for one in visitors]
        for registry in (other, shop_registry())
    ]
    assert chosen[0] != chosen[1]
    assert response_to(HERO, "client=other&sessionId=1", registry=other)["client"] == "other"


def test_client_code_then_organization_select_the_artifact() -> None:
    def served(client: str, **meta: str) -> LoadedArtifact:
        document = shop()
        document["meta"] |= {"clientCode": client, **meta}
        return LoadedArtifact(client, json.dumps(document).encode())

    registry = ArtifactRegistry([served("first"), served("second", organizationId="SECOND@AdobeOrg")])
    assert response_to(HERO, registry=registry)["client"] == "first"
    assert response_to(HERO, "imsOrgId=SECOND@AdobeOrg&sessionId=1", registry=registry)["client"] == "second"
    assert response_to(HERO, "client=second&sessionId=1", registry=registry)["client"] == "second"


def test_no_artifact_is_503() -> None:
    assert response_to(HERO, registry=ArtifactRegistry([])) == {
        "status": 503,
        "message": "no artifact could be loaded yet",
    }


def test_failing_rule_is_reported_and_skipped() -> None:
    document = json.loads(shop_path().read_bytes())
    rules = document["rules"]["mboxes"]["hero"]
    loop = {"reduce": [{"map": [{"var": "mbox.l"}, 1]}, 1, 0]}
    rules.insert(0, {**rules[0], "condition": {"map": [loop, {"unknown_operator": []}]}})
    registry = ArtifactRegistry([LoadedArtifact("broken", json.dumps(document).encode())])
    assert ask(HERO, QUERY, registry=registry).status == 200
