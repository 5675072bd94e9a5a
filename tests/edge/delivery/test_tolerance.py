"""Tolerance of the edge for requests of SDKs, at.js and Adobe's samples that the schema forbids."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.cases import each_case
from support.edge import NOW_MS, ask, ids, opened_requests, web_client
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.delivery.coercion import coerce
from targetry.edge.delivery.handler import parse_request
from targetry.edge.delivery.request_forms import brand_list
from targetry.edge.in_process import LocalEdge, edge
from targetry.geo.location import GeoLocation
from targetry.models import DeliveryRequest
from targetry.samples import shop, shop_path

QUERY = "client=acme&sessionId=s1"
DELIVERY = f"/rest/v1/delivery?{QUERY}"
REGISTRY = ArtifactRegistry([LoadedArtifact("shop", shop_path().read_bytes())])
WEB = {"channel": "web"}
HERO = {"index": 0, "name": "hero"}
SEEN = {"id": "n", "type": "display", "timestamp": NOW_MS, "tokens": ["t"]}

# Forms that SDKs and pages of documentation use; ids and names are invented.
REAL_BODIES: dict[str, dict[str, Any]] = {
    "iOS, prefetch": {
        "id": {"tntId": "t1", "marketingCloudVisitorId": "m1", "thirdPartyId": "p1", "customerIds": [{"id": "c1", "integrationCode": "crm", "authenticatedState": "authenticated"}]},
        "environmentId": 0,
        "context": {
            "userAgent": "Mozilla/5.0 (iPhone; CPU OS 14_0; en_US)",
            "mobilePlatform": {"deviceName": "My iPhone", "deviceType": "phone", "platformType": "ios"},
            "screen": {"colorDepth": 32, "width": 1125, "height": 2436, "orientation": "portrait"},
            "channel": "mobile",
            "application": {"id": "com.example", "name": "example", "version": "1.2"},
            "timeOffsetInMinutes": 0.0,
        },
        "experienceCloud": {"analytics": {"logging": "client_side"}, "audienceManager": {"blob": "blob", "locationHint": "9"}},
        "prefetch": {"mboxes": [{**HERO, "parameters": {"a.OSVersion": "iOS 14.2"}, "profileParameters": {"age": "20"}, "order": {"id": "o", "total": 344.30, "purchasedProductIds": ["34", "125"]}, "product": {"id": "24D3412", "categoryId": "Books"}}]},
        "property": {"token": ""},
    },
    "iOS, notification": {
        "id": {"tntId": "t1"},
        "context": {"channel": "mobile"},
        "experienceCloud": {"audienceManager": {"locationHint": "9"}},
        "notifications": [{**SEEN, "timestamp": float(NOW_MS), "mbox": {"name": "hero", "state": "s"}, "parameters": {}}],
    },
    "Android, execute": {
        "id": {"tntId": "t1", "customerIds": []},
        "environmentId": 4455,
        "context": {"channel": "mobile", "mobilePlatform": {"deviceName": "", "deviceType": "unknown", "platformType": "android"}, "screen": {"width": "1080", "height": "1920", "orientation": "portrait", "colorDepth": "32"}, "timeOffsetInMinutes": "-480"},
        "experienceCloud": {"audienceManager": {"blob": "", "locationHint": "9"}},
        "execute": {"mboxes": [HERO]},
    },
    "at.js, page": {
        "requestId": "r1",
        "context": {
            "userAgent": "Mozilla/5.0", "clientHints": {"mobile": False, "platform": "macOS", "browserUAWithMajorVersion": "\"Google Chrome\";v=\"119\""},
            "timeOffsetInMinutes": 60, "channel": "web",
            "screen": {"width": 1680, "height": 1050, "orientation": "landscape", "colorDepth": 24, "pixelRatio": 2},
            "window": {"width": 1680, "height": 916}, "browser": {"host": "localhost", "webGLRenderer": "ANGLE"},
            "address": {"url": "http://localhost/", "referringUrl": ""},
        },
        "id": {"tntId": "t1.37_0", "marketingCloudVisitorId": "m1"},
        "property": {"token": None},
        "experienceCloud": {"analytics": {"logging": "server_side", "supplementalDataId": "", "trackingServer": ""}, "audienceManager": {"locationHint": "7"}},
        "execute": {"pageLoad": {"parameters": {"a": 1, "b": True, "c": None, "d": ""}}},
        "prefetch": {"views": [{}]},
        "telemetry": {"entries": [{"requestId": "r0", "timestamp": NOW_MS, "execution": 1.5, "mode": "edge", "features": {"decisioningMethod": "server-side"}}]},
    },
    "at.js, order in a notification": {
        "context": WEB,
        "notifications": [{**SEEN, "type": "click", "order": {"id": "o1", "total": "9.99", "purchasedProductIds": "34"}}],
    },
    "documentation, client hints by header names and without a channel": {
        "context": {
            "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
            "clientHints": {"Sec-CH-UA-Model": "iPhone", "Sec-CH-UA-Mobile": True, "Sec-CH-UA-Platform": "iOS", "Sec-CH-UA": "[{\"brand\": \"Chromium\", \"version\": \"91\"}]", "Sec-CH-UA-Bitness": "64"},
        },
        "execute": {"mboxes": [{"name": "hero", "index": 1}]},
    },
    "documentation, one mbox": {
        "id": {"tntId": "abcdefghijkl00023.1_1"},
        "context": {"channel": "web", "browser": {"host": "demo"}, "address": {"url": "http://demo.example/"}, "screen": {"width": 1200, "height": 1400}},
        "execute": {"mboxes": [{"name": "hero", "index": 1}]},
    },
    "PHP, empty arrays": {
        "id": [], "property": [], "trace": None,
        "context": {"channel": "web", "address": [], "geo": [], "screen": []},
        "execute": {"mboxes": [{"name": "hero", "index": "0", "parameters": [], "order": [], "product": []}]},
        "prefetch": [], "notifications": [],
    },
    "a form": {
        "environmentId": "12",
        "id": {"tntId": 12345, "thirdPartyId": 67.5},
        "context": {"channel": "WEB", "beacon": "false", "screen": {"width": "1200"}, "geo": {"latitude": "41.9", "longitude": "12.5", "zip": 187}},
        "execute": {"mboxes": {"name": "hero", "index": "3", "order": {"id": 12345, "total": "344.30", "time": NOW_MS, "duplicate": "true"}, "product": {"id": 7, "categoryId": 8}}},
    },
    "empty objects": {
        "context": {}, "id": {}, "property": {}, "trace": {}, "experienceCloud": {}, "preview": {}, "qaMode": {}, "telemetry": {},
        "execute": {"mboxes": [{**HERO, "address": {}, "order": {}, "product": {}, "parameters": {}}], "pageLoad": {}},
        "prefetch": {},
    },
    "lists of one": {
        "context": [{"channel": ["web"], "userAgent": ["Mozilla/5.0"]}],
        "execute": [{"mboxes": [{**HERO, "order": [{"id": ["o"], "total": ["9.99"]}]}]}],
    },
    "empty texts": {
        "requestId": "", "impressionId": "", "environmentId": "",
        "id": {"tntId": "", "marketingCloudVisitorId": "", "thirdPartyId": ""},
        "context": {"channel": "", "userAgent": "", "beacon": "", "timeOffsetInMinutes": "", "geo": "", "address": "", "clientHints": "", "mobilePlatform": ""},
        "experienceCloud": {"audienceManager": {"locationHint": "", "blob": ""}, "analytics": {"logging": "", "supplementalDataId": ""}},
        "execute": {"mboxes": [{"name": "hero", "index": "", "order": {"id": "", "total": "", "time": "", "purchasedProductIds": ""}}], "pageLoad": None},
    },
    "nulls": {
        "id": {"tntId": None, "customerIds": None},
        "context": {"channel": None, "geo": None, "screen": {"width": None, "orientation": None}, "clientHints": None, "beacon": None},
        "execute": {"mboxes": [{"name": "hero", "index": None, "order": {"id": None, "total": None}, "parameters": None}], "pageLoad": None},
        "notifications": None,
    },
    "unknown fields": {
        "new": {"a": [1]}, "context": {"channel": "web", "new": 1, "screen": {"new": 1}},
        "execute": {"mboxes": [{**HERO, "new": 1}]},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def here() -> Iterator[LocalEdge]:
    with edge() as running:
        yield running


def asked(here: LocalEdge, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(here.host, timeout=10)
    try:
        connection.request("POST", DELIVERY, body)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
    finally:
        connection.close()


@pytest.mark.parametrize("body", REAL_BODIES.values(), ids=REAL_BODIES)
def test_body_of_a_real_client_is_accepted(here: LocalEdge, body: dict[str, Any]) -> None:
    status, answer = asked(here, json.dumps(body).encode())
    assert (status, answer.get("message")) == (200, None)
    modes = [answer[mode]["mboxes"] for mode in ("execute", "prefetch") if answer.get(mode, {}).get("mboxes")]
    assert all(mbox["options"] for mboxes in modes for mbox in mboxes)


def test_byte_order_mark_is_skipped(here: LocalEdge) -> None:
    body = json.dumps({"context": WEB, "execute": {"mboxes": [HERO]}})
    assert asked(here, body.encode("utf-8-sig"))[0] == 200


def read(**parts: Any) -> tuple[DeliveryRequest, tuple[str, ...]]:
    """Return the parsed request of a body, and its ignored fields."""
    parsed = parse_request(json.dumps({"context": WEB, **parts}).encode(), QUERY, REGISTRY)
    assert not hasattr(parsed, "body"), parsed
    return parsed.request, parsed.ignored_fields  # type: ignore[union-attr]


def mbox_of(**fields: Any) -> Any:
    request, unread = read(execute={"mboxes": [{"name": "hero", **fields}]})
    assert request.execute is not None
    assert request.execute.mboxes is not None
    assert unread == ()
    return request.execute.mboxes[0]


@each_case(
    "given_, expected",
    [
        ({"id": 12345}, {"id": "12345"}),
        ({"id": 12.5}, {"id": "12.5"}),
        ({"id": True}, {"id": "true"}),
        ({"id": ["o"]}, {"id": "o"}),
        ({"total": "9.99"}, {"total": 9.99}),
        ({"total": " 1e2 "}, {"total": 100.0}),
        ({"total": ""}, {"total": None}),
        ({"total": [5]}, {"total": 5.0}),
        ({"purchasedProductIds": "p"}, {"purchased_product_ids": ["p"]}),
        ({"purchasedProductIds": [1, "2", 3.5]}, {"purchased_product_ids": ["1", "2", "3.5"]}),
        ({"experienceLocalId": "1"}, {"experience_local_id": 1}),
        ({"experienceLocalId": 1.0}, {"experience_local_id": 1}),
        ({"experienceLocalId": "1.0"}, {"experience_local_id": 1}),
        ({"duplicate": "TRUE"}, {"duplicate": True}),
        ({"duplicate": 0}, {"duplicate": False}),
        ({"outlier": "?1"}, {"outlier": True}),
    ],
    ids=str,
)
def test_scalar_is_coerced_to_the_type_of_its_field(given_: dict[str, Any], expected: dict[str, Any]) -> None:
    order = mbox_of(order=given_).order
    assert {name: getattr(order, name) for name in expected} == expected


@each_case(
    "time",
    [1_795_804_800_000, "2026-11-27T18:40:00Z", "2026-11-27 18:40:00+00:00", "2026-11-27T19:40+01:00"],
)
def test_time_is_read_in_its_usual_forms(time: Any) -> None:
    assert mbox_of(order={"id": "o", "time": time}).order.time.timestamp() == 1_795_804_800.0


def test_index_as_text_is_returned_as_number() -> None:
    answer = json.loads(ask({"context": WEB, "execute": {"mboxes": {"name": "hero", "index": "7"}}}).body)
    assert [mbox["index"] for mbox in answer["execute"]["mboxes"]] == [7]


def test_parameters_keep_their_types() -> None:
    given_ = {"text": "1", "number": 1, "half": 0.5, "yes": True, "none": None, "huge": 10**30}
    assert mbox_of(index="0", parameters=given_).parameters == {**given_, "huge": str(10**30)}


def test_notification_scalars_of_other_types_are_coerced() -> None:
    request, unread = read(
        notifications={"id": 7, "type": "DISPLAY", "timestamp": "1795800000000", "tokens": "t"}
    )
    (one,) = request.notifications or ()
    assert (one.id, one.type, one.timestamp, one.tokens) == ("7", "display", NOW_MS, ["t"])
    assert unread == ()


@pytest.mark.parametrize(
    ("parts", "unread"),
    [
        ({"context": {"channel": "tv"}}, "context.channel"),
        ({"context": {"channel": "web", "screen": {"width": "wide"}}}, "context.screen.width"),
        ({"context": {"channel": "web", "screen": {"orientation": "square"}}}, "context.screen.orientation"),
        ({"context": {"channel": "web", "beacon": "perhaps"}}, "context.beacon"),
        ({"context": {"channel": "web", "beacon": 2}}, "context.beacon"),
        ({"context": {"channel": "web", "geo": {"ipAddress": "999.1.1.1"}}}, "context.geo.ipAddress"),
        ({"context": {"channel": "web", "geo": {"ipAddress": 17}}}, "context.geo.ipAddress"),
        ({"context": {"channel": "web", "geo": {"ipAddress": "unknown, 1.2.3.4"}}}, "context.geo.ipAddress"),
        ({"context": {"channel": "web", "geo": {"latitude": "north"}}}, "context.geo.latitude"),
        (
            {"context": {"channel": "web", "clientHints": {"browserUAWithMajorVersion": "Chrome 119"}}},
            "context.clientHints.browserUAWithMajorVersion",
        ),
        ({"context": {"channel": "web", "clientHints": {"mobile": "no"}}}, "context.clientHints.mobile"),
        ({"context": {"channel": "web", "mobilePlatform": {"deviceName": "d"}}}, "context.mobilePlatform"),
        ({"experienceCloud": {"audienceManager": {"locationHint": "VA6"}}}, "experienceCloud.audienceManager.locationHint"),
        ({"experienceCloud": {"analytics": {"logging": "both"}}}, "experienceCloud.analytics.logging"),
        ({"environmentId": "prod"}, "environmentId"),
        ({"execute": {"mboxes": [{"name": "hero", "order": {"time": "noon"}}]}}, "execute.mboxes.order.time"),
        ({"execute": {"mboxes": [None, {"name": "hero"}]}}, "execute.mboxes"),
        ({"id": {"customerIds": [{"id": "1", "integrationCode": "c", "authenticatedState": "maybe"}]}}, "id.customerIds.authenticatedState"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)  # fmt: skip
def test_invalid_value_is_ignored_and_counted(parts: dict[str, Any], unread: str) -> None:
    assert unread in read(**parts)[1]
    client = web_client(client="acme")
    assert client.post(DELIVERY, json={"context": WEB, **parts}).status_code in (200, 204)
    assert f'targetry_edge_unread_fields_total{{field="{unread}"}} 1.0' in client.get("/metrics").text
    assert f"left out, as the form is not understood: {unread}" in opened_requests(client)


def test_valid_request_has_no_ignored_fields() -> None:
    client = web_client(client="acme")
    for body in REAL_BODIES.values():
        if body is not REAL_BODIES["Android, execute"]:
            assert client.post(DELIVERY, json=body).status_code == 200
    assert "unread_fields_total{" not in client.get("/metrics").text
    opened = opened_requests(client)
    assert "not understood" not in opened
    assert opened.count("copy as curl") >= len(REAL_BODIES) - 1


ROME = GeoLocation(country_code="IT", city="ROME")
BERLIN = GeoLocation(country_code="DE", city="BERLIN")
PLACES = {"203.0.113.7": ROME, "127.0.0.1": BERLIN, "2001:db8::7": ROME}


def geo_artifact() -> dict[str, Any]:
    """Return the shop with a hero that shows the country."""
    document = shop()
    rules = document["rules"]["mboxes"]["hero"]
    document["geoTargetingEnabled"] = True
    document["rules"]["mboxes"]["hero"] = [
        _shows(rules[0], "IT", {"==": [{"var": "geo.country"}, "IT"]}),
        _shows(rules[0], "DE", {"==": [{"var": "geo.country"}, "DE"]}),
        _shows(rules[0], "nowhere", True),
    ]
    return document


def _shows(rule: dict[str, Any], content: str, condition: Any) -> dict[str, Any]:
    options = [{"type": "html", "content": content}]
    return {**rule, "ruleKey": content, "condition": condition, "consequence": {"name": "hero", "options": options, "metrics": []}}  # fmt: skip


@pytest.fixture(scope="module")
def placed() -> Iterator[LocalEdge]:
    with edge(geo_artifact(), client="acme", places=PLACES) as running:
        yield running


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("203.0.113.7", "IT"),
        (" 203.0.113.7 ", "IT"),
        ("203.0.113.7:4711", "IT"),
        ("203.0.113.7, 127.0.0.1", "IT"),
        (["203.0.113.7", "127.0.0.1"], "IT"),
        ("[2001:db8::7]", "IT"),
        ("[2001:db8::7]:443", "IT"),
        ("2001:db8::7", "IT"),
        ("unknown", "nowhere"),
        ("unknown, 203.0.113.7", "nowhere"),
        ("203.0.113", "nowhere"),
        ("203.0.113.7.9", "nowhere"),
        ("", "nowhere"),
        ([], "nowhere"),
        (7, "nowhere"),
        ({"v4": "203.0.113.7"}, "nowhere"),
        (None, "DE"),
    ],
    ids=str,
)
def test_address_has_its_location_or_none(placed: LocalEdge, address: Any, country: str) -> None:
    context = {"channel": "web", "geo": {"ipAddress": address}}
    status, answer = asked(placed, json.dumps({"context": context, "execute": {"mboxes": [HERO]}}).encode())
    assert status == 200
    assert answer["execute"]["mboxes"][0]["options"][0]["content"] == country


@pytest.mark.parametrize(
    ("geo", "country"), [({}, "DE"), ([], "DE"), (None, "DE"), ({"latitude": "north"}, "nowhere")]
)
def test_empty_location_counts_as_absent(placed: LocalEdge, geo: Any, country: str) -> None:
    context = {"channel": "web", "geo": geo}
    _, answer = asked(placed, json.dumps({"context": context, "execute": {"mboxes": [HERO]}}).encode())
    assert answer["execute"]["mboxes"][0]["options"][0]["content"] == country


@pytest.mark.parametrize(
    ("forwarded", "country"),
    [
        ("203.0.113.7", "IT"),
        ("203.0.113.7:4711, 127.0.0.1", "IT"),
        ("[2001:db8::7]:443", "IT"),
        ("unknown, 203.0.113.7", "nowhere"),
        ("nonsense", "nowhere"),
        ("", "DE"),
    ],
)
def test_forwarded_address_has_its_location_or_none(placed: LocalEdge, forwarded: str, country: str) -> None:
    connection = http.client.HTTPConnection(placed.host, timeout=10)
    body = json.dumps({"context": WEB, "execute": {"mboxes": [HERO]}})
    connection.request("POST", DELIVERY, body, {"x-forwarded-for": forwarded})
    answer = json.loads(connection.getresponse().read())
    assert answer["execute"]["mboxes"][0]["options"][0]["content"] == country
    connection.request("GET", "/v1/geo", headers={"x-forwarded-for": forwarded})
    place = json.loads(connection.getresponse().read())
    assert place.get("x-geo-country-code", "nowhere") == country
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    if country == "nowhere":
        assert 'targetry_edge_unread_fields_total{field="x-forwarded-for"}' in text


CHROME = '"Google Chrome";v="119", "Chromium";v="119", "Not?A_Brand";v="24"'
BRANDS = [
    {"brand": "Google Chrome", "version": "119"},
    {"brand": "Chromium", "version": "119"},
    {"brand": "Not?A_Brand", "version": "24"},
]


@each_case(
    "given_",
    [
        CHROME,
        CHROME.replace(";", "; "),
        CHROME.replace('"', '\\"'),
        BRANDS,
        json.dumps(BRANDS),
        json.dumps(BRANDS, separators=(",", ":")),
        {"brands": BRANDS, "mobile": False, "platform": "macOS"},
        json.dumps({"brands": BRANDS, "mobile": False, "platform": "macOS"}),
        {"brands": [{"brand": "Chromium", "version": "1"}], "fullVersionList": BRANDS},
        [{"brand": one["brand"], "version": int(one["version"])} for one in BRANDS],
    ],
    ids=str,
)
def test_brands_are_read_in_every_published_form(given_: Any) -> None:
    assert brand_list(given_) == CHROME


@each_case("given_", ["Chrome 119", "[", "[1]", '["Chrome"]', "{}", [1], {"a": 1}, 119, True, '"Chrome"'])
def test_brands_in_an_unknown_form_are_ignored(given_: Any) -> None:
    assert brand_list(given_) is None


@each_case(
    "hints",
    [
        {"mobile": True, "platform": "Windows", "browserUAWithMajorVersion": CHROME},
        {"mobile": "?1", "platform": '"Windows"', "browserUAWithFullVersion": CHROME},
        {"mobile": "true", "platform": "Windows", "browserUAWithMajorVersion": json.dumps(BRANDS)},
        {"mobile": True, "platform": "Windows", "brands": BRANDS},
        {"mobile": True, "platform": "Windows", "brands": BRANDS, "fullVersionList": BRANDS},
        {"mobile": True, "platform": "Windows", "fullVersionList": BRANDS, "uaFullVersion": "119.0"},
        {"sec-ch-ua": CHROME, "sec-ch-ua-mobile": "?1", "sec-ch-ua-platform": '"Windows"'},
        {"Sec-CH-UA": json.dumps(BRANDS), "Sec-CH-UA-Mobile": True, "Sec-CH-UA-Platform": "Windows"},
        json.dumps({"mobile": True, "platform": "Windows", "brands": BRANDS}),
        [{"mobile": True, "platform": "Windows", "browserUAWithMajorVersion": CHROME, "browserUAWithFullVersion": ""}],
        {"mobile": True, "platform": "Windows", "browserUAWithMajorVersion": CHROME, "browserUAWithFullVersion": "[]"},
    ],
    ids=lambda hints: json.dumps(hints)[:50],
)  # fmt: skip
def test_client_hints_decide_alike_in_every_published_form(hints: Any) -> None:
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    found = {
        "and": [
            {"==": [{"var": "user.browserType"}, "chrome"]},
            {"==": [{"var": "user.platform"}, "windows"]},
        ]
    }
    rules = [_shows(rule, "found", {"and": [found, {"==": [{"var": "user.browserVersion"}, 119]}]}), _shows(rule, "other", True)]  # fmt: skip
    document["rules"]["mboxes"]["hero"] = rules
    registry = ArtifactRegistry([LoadedArtifact("shop", json.dumps(document).encode())])
    body = {"context": {"channel": "web", "clientHints": hints}, "execute": {"mboxes": [HERO]}}
    answer = json.loads(ask(body, QUERY, registry=registry, new_id=ids()).body)
    assert answer["execute"]["mboxes"][0]["options"][0]["content"] == "found"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["1", "true", "web"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["context", "channel", "geo", "ipAddress", "clientHints", "id", "customerIds", "mboxes", "name", "order", "total", "time"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip
PARTS = ["context", "id", "execute", "prefetch", "notifications", "telemetry", "trace", "property", "qaMode"]


@example({"context": None, "id": {"customerIds": True}})
@given(st.dictionaries(st.sampled_from(PARTS), JSON, max_size=4))
def test_coercion_accepts_any_value(document: dict[str, Any]) -> None:
    coerce(document, [])
    assert ask(json.dumps(document).encode(), QUERY).status in (200, 204, 400)


def test_coercion_keeps_a_valid_request_unchanged() -> None:
    right = {"context": {**WEB, "screen": {"width": 1.5}}, "id": {"tntId": "a"}, "notifications": [SEEN]}
    assert coerce(right, []) == right
