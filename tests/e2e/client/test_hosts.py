"""Host of a request, and the edge cluster that a client learns.

Edge clusters are Adobe's hosts, so these clients use a proxy, which receives the whole URL.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.client.any_client import AnyClient, Connect
from e2e.client.target import EDGE_HOST, Target, response_to
from servers.faulty import Received, Steps, answer, json_answer
from targetry import DeliveryRequest, ExecuteRequest, MboxRequest, TransportError
from targetry.http import AsyncHttpTransport, HttpTransport

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
FAR = 4_000_000_000  # an expiry in the far future
COOKIE_44 = f"session#s1#{FAR}|PC#abc.44_0#{FAR}"

Through = Callable[..., AnyClient]


@pytest.fixture
def through_proxy(connect: Connect, target: Target) -> Through:
    def new(**options: Any) -> AnyClient:
        return connect(**{"server_domain": None, "proxy": target.url, **options})

    return new


def hosts(target: Target) -> list[str]:
    return [received.target.partition("/rest/")[0] for received in target.requests]


def edge(host: str | None) -> Callable[[Received], Steps]:
    return lambda received: json_answer({**response_to(received.json()), "edgeHost": host})


@pytest.mark.parametrize(
    ("options", "call", "host"),
    [
        ({}, {}, "http://acme.tt.omtrdc.net"),
        ({"server_domain": "target.acme.example"}, {}, "http://target.acme.example"),
        ({"server_domain": "target.acme.example:8080"}, {}, "http://target.acme.example:8080"),
        ({"target_location_hint": "28"}, {}, "http://mboxedge28.tt.omtrdc.net"),
        (
            {"target_location_hint": "28", "server_domain": "own.example"},
            {},
            "http://mboxedge28.tt.omtrdc.net",
        ),
        ({"target_location_hint": "28"}, {"target_location_hint": "35"}, "http://mboxedge35.tt.omtrdc.net"),
        (
            {"server_domain": "own.example"},
            {"target_location_hint": "35"},
            "http://mboxedge35.tt.omtrdc.net",
        ),
        (
            {"target_location_hint": "28"},
            {"target_location_hint": "35", "target_cookie": COOKIE_44},
            "http://mboxedge44.tt.omtrdc.net",
        ),
        ({"server_domain": ""}, {"target_location_hint": ""}, "http://acme.tt.omtrdc.net"),
        ({}, {"target_location_hint": "x@10.0.0.1/"}, "http://acme.tt.omtrdc.net"),
        (
            {},
            {"target_cookie": f"PC#abc.35@evil_0#{FAR}"},
            "http://acme.tt.omtrdc.net",
        ),
        ({}, {"target_cookie": f"PC#abc.zz9_0#{FAR}"}, "http://acme.tt.omtrdc.net"),
        ({}, {"target_location_hint": "zz9"}, "http://acme.tt.omtrdc.net"),
        (
            {"server_domain": "own.example"},
            {"target_cookie": COOKIE_44},
            "http://own.example",
        ),
    ],
    ids=[
        "client code",
        "own domain",
        "own domain with port",
        "configured hint",
        "configured hint before own domain",
        "hint of the call",
        "hint of the call before own domain",
        "cookie before all hints",
        "empty texts",
        "hint that is no cluster",
        "cookie that is no cluster",
        "cookie that is no number",
        "hint of the call that is no number",
        "cookie before own domain without TLS",
    ],
)
def test_host_depends_on_cookie_hint_domain_and_client_code(
    options: dict[str, Any], call: dict[str, Any], host: str, through_proxy: Through, target: Target
) -> None:
    through_proxy(**options).get_offers(request=HERO, **call)
    assert hosts(target) == [host]


@pytest.mark.parametrize("secure", [True, 0], ids=["True", "0"])
@pytest.mark.filterwarnings("ignore:secure")
def test_all_values_of_secure_but_false_use_https(
    secure: Any, through_proxy: Through, target: Target
) -> None:
    target.script(answer(403))
    with pytest.raises(TransportError, match="proxy"):
        through_proxy(secure=secure).get_offers(request=HERO)
    assert [(received.method, received.target) for received in target.requests] == [
        ("CONNECT", "acme.tt.omtrdc.net:443")
    ]


def test_cluster_of_the_first_response_is_used_afterwards(through_proxy: Through, target: Target) -> None:
    client = through_proxy()
    first = client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://acme.tt.omtrdc.net", "http://mboxedge35.tt.omtrdc.net"]
    assert first.target_location_hint_cookie == {
        "name": "mboxEdgeCluster",
        "value": "35",
        "max_age": 1860,
        "maxAge": 1860,
    }


def test_changed_cluster_is_used_afterwards(through_proxy: Through, target: Target) -> None:
    target.script(edge(EDGE_HOST), edge("mboxedge41.tt.omtrdc.net"))
    client = through_proxy()
    for _ in range(3):
        client.get_offers(request=HERO)
    assert hosts(target)[1:] == ["http://mboxedge35.tt.omtrdc.net", "http://mboxedge41.tt.omtrdc.net"]


@pytest.mark.parametrize(
    "call",
    [{"target_cookie": COOKIE_44}, {"target_location_hint": "44"}],
    ids=["target cookie", "hint cookie"],
)
def test_cluster_of_one_visitor_is_not_used_for_others(
    call: dict[str, Any], through_proxy: Through, target: Target
) -> None:
    target.script(edge("mboxedge44.tt.omtrdc.net"))
    client = through_proxy()
    result = client.get_offers(request=HERO, **call)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://mboxedge44.tt.omtrdc.net", "http://acme.tt.omtrdc.net"]
    assert result["target_location_hint_cookie"]["value"] == "44"


@pytest.mark.parametrize(
    "host", [None, "", "acme.tt.omtrdc.net", "mboxedge35x.tt.omtrdc.net", "mboxedge35.evil", "edge35.a.b.c"]
)
def test_host_that_is_no_edge_is_not_learned(
    host: str | None, through_proxy: Through, target: Target
) -> None:
    target.script(edge(host))
    client = through_proxy()
    result = client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://acme.tt.omtrdc.net"] * 2
    assert "target_location_hint_cookie" not in result


def test_own_server_domain_is_not_replaced_by_a_learned_cluster(
    through_proxy: Through, target: Target
) -> None:
    client = through_proxy(server_domain="target.acme.example")
    result = client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    client.get_offers(request=HERO, target_cookie=COOKIE_44)
    assert hosts(target) == ["http://target.acme.example"] * 3
    assert result["target_location_hint_cookie"]["value"] == "35"


def test_adobe_server_domain_is_replaced_by_the_learned_cluster(
    through_proxy: Through, target: Target
) -> None:
    client = through_proxy(server_domain="other.tt.omtrdc.net")
    client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://other.tt.omtrdc.net", "http://mboxedge35.tt.omtrdc.net"]


def test_configured_hint_is_replaced_by_the_cluster_of_responses(
    through_proxy: Through, target: Target
) -> None:
    client = through_proxy(target_location_hint="28")
    client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://mboxedge28.tt.omtrdc.net", "http://mboxedge35.tt.omtrdc.net"]


def test_clients_learn_clusters_independently(through_proxy: Through, target: Target) -> None:
    one, other = through_proxy(), through_proxy(client="other")
    one.get_offers(request=HERO)
    other.get_offers(request=HERO)
    one.get_offers(request=HERO)
    assert hosts(target) == [
        "http://acme.tt.omtrdc.net",
        "http://other.tt.omtrdc.net",
        "http://mboxedge35.tt.omtrdc.net",
    ]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_cluster_that_a_proxy_does_not_reach_is_replaced_by_the_own_host(
    status: int, through_proxy: Through, target: Target
) -> None:
    def reply(received: Received) -> Steps:
        if "mboxedge" in received.target:
            return json_answer({}, status)
        return json_answer(response_to(received.json()))

    target.script(reply)
    client = through_proxy()
    for _ in range(2):
        assert client.get_offers(request=HERO, target_cookie=COOKIE_44)["response"].status == 200
    assert hosts(target) == ["http://mboxedge44.tt.omtrdc.net"] + ["http://acme.tt.omtrdc.net"] * 2


def test_cluster_with_unresolved_name_is_replaced_by_the_own_host(connect: Connect, target: Target) -> None:
    gate, asked = threading.Event(), []

    def lookup(host: str, port: int) -> Any:
        asked.append(host)
        if host.startswith("mboxedge"):
            gate.wait(10)
        return socket.getaddrinfo("127.0.0.1", urlsplit(target.url).port, type=socket.SOCK_STREAM)

    transports = {
        "transport": HttpTransport(lookup=lookup, trust_env=False),
        "async_transport": AsyncHttpTransport(lookup=lookup, trust_env=False),
    }
    client = connect(server_domain=None, timeout=2000, **transports)
    try:
        for _ in range(2):
            result = client.get_offers(request=HERO, target_cookie=COOKIE_44)
            assert result["response"].status == 200
    finally:
        gate.set()
    assert asked[:2] == ["mboxedge44.tt.omtrdc.net", "acme.tt.omtrdc.net"]
    assert asked.count("mboxedge44.tt.omtrdc.net") == 1


def test_failed_call_does_not_change_the_cluster(through_proxy: Through, target: Target) -> None:
    target.script(json_answer({"edgeHost": EDGE_HOST}, 400), edge(None))
    client = through_proxy()
    with pytest.raises(Exception, match="400"):
        client.get_offers(request=HERO)
    client.get_offers(request=HERO)
    assert hosts(target) == ["http://acme.tt.omtrdc.net"] * 2


def test_notifications_go_to_the_learned_cluster(through_proxy: Through, target: Target) -> None:
    client = through_proxy()
    client.get_offers(request=HERO)
    notification = {"id": "n", "timestamp": 1, "type": "click"}
    client.send_notifications(request={"notifications": [notification]})
    assert hosts(target)[1] == "http://mboxedge35.tt.omtrdc.net"


def test_proxy_of_the_environment_is_used_only_if_it_is_trusted(
    connect: Connect, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", target.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    host = f"0.0.0.0:{target.port}"  # leads to the machine, and is no loopback address
    for trust_env in (True, False):
        connect(trust_env=trust_env, server_domain=host).get_offers(request=HERO)
    assert hosts(target) == [f"http://{host}", ""]
