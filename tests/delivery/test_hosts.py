from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.delivery.hosts import (
    DeliveryAddress,
    artifact_url,
    cluster_number,
    cluster_of_device_id,
    cluster_of_edge_host,
    configured_cluster,
    geo_url,
    is_adobe_cdn,
    is_custom_domain,
)

any_text = st.text(alphabet=st.characters(), max_size=60)


def delivery_url(
    client: str, organization: str, session_id: str, cluster: str | None = None, **options: Any
) -> str:
    return DeliveryAddress(client=client, organization_id=organization, **options).url(session_id, cluster)


DELIVERY_HOSTS = [
    ("client code", {}, "https://acme.tt.omtrdc.net"),
    ("cluster", {"cluster": "35"}, "https://mboxedge35.tt.omtrdc.net"),
    ("server domain", {"server_domain": "target.acme.com"}, "https://target.acme.com"),
    ("server domain with a port", {"server_domain": "localhost:8080"}, "https://localhost:8080"),
    (
        "cluster before server domain",
        {"cluster": "35", "server_domain": "t.acme.com"},
        "https://mboxedge35.tt.omtrdc.net",
    ),
    ("empty texts are absent", {"cluster": "", "server_domain": ""}, "https://acme.tt.omtrdc.net"),
    ("not secure", {"secure": False}, "http://acme.tt.omtrdc.net"),
    ("only False is not secure", {"secure": None}, "https://acme.tt.omtrdc.net"),
    ("zero is secure", {"secure": 0}, "https://acme.tt.omtrdc.net"),
]


@each_case("options, expected", [row[1:] for row in DELIVERY_HOSTS], ids=[row[0] for row in DELIVERY_HOSTS])
def test_delivery_host_follows_from_cluster_domain_and_client(options: dict, expected: str) -> None:
    url = delivery_url("acme", "org", "s1", **options)

    assert url == f"{expected}/rest/v1/delivery?imsOrgId=org&sessionId=s1"


def test_query_values_are_form_encoded_in_their_order() -> None:
    url = delivery_url("acme", "0DD9@AdobeOrg", "a b/c", version="2.11.1")

    assert url.partition("?")[2] == "imsOrgId=0DD9%40AdobeOrg&sessionId=a+b%2Fc&version=2.11.1"


@pytest.mark.parametrize("version", [None, ""])
def test_absent_version_is_left_out(version: str | None) -> None:
    assert "version" not in delivery_url("acme", "org", "s1", version=version)


@settings(deadline=None)
@given(session_id=any_text)
def test_any_session_id_stays_inside_its_query_value(session_id: str) -> None:
    query = urlsplit(delivery_url("acme", "org", session_id)).query
    expected = session_id.encode("utf-8", "replace").decode("utf-8")

    assert parse_qsl(query, keep_blank_values=True) == [("imsOrgId", "org"), ("sessionId", expected)]


ARTIFACTS = [
    ("defaults", {}, "https://assets.adobetarget.com/acme/production/v1/rules.json"),
    ("environment", {"environment": "staging"}, "https://assets.adobetarget.com/acme/staging/v1/rules.json"),
    (
        "environment lower-cased",
        {"environment": "QA2"},
        "https://assets.adobetarget.com/acme/qa2/v1/rules.json",
    ),
    (
        "empty environment",
        {"environment": ""},
        "https://assets.adobetarget.com/acme/production/v1/rules.json",
    ),
    (
        "property",
        {"property_token": "f3-5"},
        "https://assets.adobetarget.com/acme/production/v1/f3-5/rules.json",
    ),
    (
        "empty property",
        {"property_token": ""},
        "https://assets.adobetarget.com/acme/production/v1/rules.json",
    ),
    ("obfuscated", {"artifact_format": "bin"}, "https://assets.adobetarget.com/acme/production/v1/rules.bin"),
    ("plain", {"artifact_format": "json"}, "https://assets.adobetarget.com/acme/production/v1/rules.json"),
    (
        "CDN production",
        {"cdn_environment": "production"},
        "https://assets.adobetarget.com/acme/production/v1/rules.json",
    ),
    (
        "CDN staging",
        {"cdn_environment": "staging"},
        "https://assets.staging.adobetarget.com/acme/production/v1/rules.json",
    ),
    (
        "CDN development",
        {"cdn_environment": "development"},
        "https://assets.staging.adobetarget.com/acme/production/v1/rules.json",
    ),
    (
        "CDN unknown",
        {"cdn_environment": "moon"},
        "https://assets.adobetarget.com/acme/production/v1/rules.json",
    ),
    (
        "CDN of the customer",
        {"cdn_base_path": "cdn.acme.com"},
        "https://cdn.acme.com/acme/production/v1/rules.json",
    ),
    (
        "own CDN before its environment",
        {"cdn_base_path": "cdn.acme.com", "cdn_environment": "staging"},
        "https://cdn.acme.com/acme/production/v1/rules.json",
    ),
    (
        "own CDN, slash",
        {"cdn_base_path": "cdn.acme.com/t/"},
        "https://cdn.acme.com/t/acme/production/v1/rules.json",
    ),
    ("own CDN, scheme", {"cdn_base_path": "http://[::1]:8/"}, "http://[::1]:8/acme/production/v1/rules.json"),
    ("location", {"artifact_location": "http://x/rules.json"}, "http://x/rules.json"),
    (
        "location before all",
        {
            "artifact_location": "http://x/r",
            "cdn_base_path": "cdn",
            "environment": "qa",
            "artifact_format": "bin",
        },
        "http://x/r",
    ),
    (
        "odd characters",
        {"environment": "a/b?c"},
        "https://assets.adobetarget.com/acme/a%2Fb%3Fc/v1/rules.json",
    ),
]


@each_case("options, expected", [row[1:] for row in ARTIFACTS], ids=[row[0] for row in ARTIFACTS])
def test_artifact_url_follows_from_the_options(options: dict, expected: str) -> None:
    assert artifact_url("acme", **options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "https://assets.adobetarget.com/v1/geo"),
        ({"cdn_environment": "staging"}, "https://assets.staging.adobetarget.com/v1/geo"),
        ({"cdn_base_path": "cdn.acme.com"}, "https://cdn.acme.com/v1/geo"),
    ],
)
def test_geo_lookup_is_on_the_host_of_the_artifact(options: dict, expected: str) -> None:
    assert geo_url(**options) == expected


@each_case(
    "url, expected",
    [
        ("https://assets.adobetarget.com/acme/production/v1/rules.json", True),
        ("https://assets.staging.adobetarget.com/x", True),
        ("https://ASSETS.AdobeTarget.com:443/x", True),
        ("https://assets.adobetarget.com./x", True),
        ("https://cdn.acme.com/assets.adobetarget.com/x", False),
        ("https://notadobetarget.com/x", False),
        ("http://localhost:8080/rules.json", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_adobe_cdn_is_recognized_by_its_host(url: str, expected: bool) -> None:
    assert is_adobe_cdn(url) is expected


@each_case(
    "server_domain, expected",
    [
        (None, False),
        ("", False),
        ("acme.tt.omtrdc.net", False),
        ("ACME.TT.omtrdc.net:443", False),
        ("tt.omtrdc.net", False),
        ("target.acme.com", True),
        ("localhost:8080", True),
        ("nott.omtrdc.net", True),
    ],
)
def test_custom_domain_is_outside_of_targets_domain(server_domain: str | None, expected: bool) -> None:
    assert is_custom_domain(server_domain) is expected


@each_case(
    "device_id, expected",
    [
        ("abc.35_0", "35"),
        ("abc.35_", "35"),
        (".35_0", "35"),
        ("a.b.35_0", None),
        ("abc.35", None),
        ("abc._0", None),
        ("abc.35_0_1", None),
        ("abc", None),
        ("", None),
        (None, None),
        ("abc.x@2130706433/_0", None),
        ("abc.9_0", "9"),
        ("abc.101_0", "101"),
        ("abc.4711_0", None),
        ("abc.035_0", None),
        ("abc.0_0", None),
        ("abc.zz9_0", None),
        ("abc.+35_0", None),
        ("abc.３５_0", None),
        ("abc.٣٥_0", None),
    ],
)
def test_device_id_names_its_cluster(device_id: str | None, expected: str | None) -> None:
    assert cluster_of_device_id(device_id) == expected


@each_case(
    "edge_host, expected",
    [
        ("mboxedge35.tt.omtrdc.net", "35"),
        ("mboxedge35000.tt.omtrdc.net", None),
        ("foo.tt.omtrdc.net", None),
        ("mboxedge.tt.omtrdc.net", None),
        ("mboxedgeva6.tt.omtrdc.net", None),
        ("35mboxedge.tt.omtrdc.net", None),
        ("mboxedge35.omtrdc.net", None),
        ("mboxedge35.a.tt.omtrdc.net", None),
        (".tt.omtrdc.net", None),
        ("localhost:8080", None),
        ("", None),
        (None, None),
    ],
)
def test_edge_host_names_its_cluster(edge_host: str | None, expected: str | None) -> None:
    assert cluster_of_edge_host(edge_host) == expected


@each_case("hint", ["x@evil/", "35.evil.com", "a b", "35\n", "-", "é", "3" * 33, "", None])
def test_configured_cluster_must_fit_into_a_host_name(hint: str | None) -> None:
    assert configured_cluster(hint) is None


@settings(deadline=None)
@given(text=any_text | st.from_regex(r"[a-z]*\.[^.]*_[0-9]*", fullmatch=True))
def test_no_cookie_routes_outside_of_targets_hosts(text: str) -> None:
    for cluster in (cluster_of_device_id(text), cluster_number(text), configured_cluster(text)):
        host = urlsplit(delivery_url("acme", "org", "s1", cluster=cluster)).hostname
        assert host is not None
        assert host.endswith(".tt.omtrdc.net")


@each_case(
    "server_domain, secure, expected",
    [
        (None, True, True),
        (None, False, True),
        ("other.tt.omtrdc.net", False, True),
        ("own.example", True, True),
        ("own.example", False, False),
        ("localhost:8080", False, False),
    ],
)
def test_cookies_route_away_from_a_custom_domain_only_over_https(
    server_domain: str | None, secure: bool, expected: bool
) -> None:
    address = DeliveryAddress(
        client="acme", organization_id="org", server_domain=server_domain, secure=secure
    )
    assert address.allows_cookie_clusters is expected
