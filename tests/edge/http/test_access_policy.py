from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.edge import HERO, QUERY
from support.edge_process import address, process
from support.edge_sockets import OpenEdge, open_edge, statuses
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.assembly import check_edge_options
from targetry.edge.http.access_policy import AccessPolicy, normalized_origin, parse_authority
from targetry.edge.in_process import GivenArtifact, MemoryLedger, edge
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError
from targetry.samples import shop_path

DELIVERY = f"/rest/v1/delivery?{QUERY}"
RULES = "/acme/production/v1/rules.json"
PUBLIC = [DELIVERY, RULES, "/v1/geo"]
OPERATOR = ["/", "/recent", "/report.json", "/plot.svg", "/readyz", "/healthz", "/metrics", "/nowhere"]
EVIL = "https://evil.example"
ORDER = {
    "id": "o1",
    "type": "click",
    "timestamp": 1,
    "mbox": {"name": "hero"},
    "order": {"id": "o", "total": 1},
}
ORDERED = {"context": {"channel": "web"}, "id": {"tntId": "a"}, "notifications": [ORDER]}
LOOPBACK_ORIGINS = [
    "http://localhost",
    "http://localhost:3000",
    "https://LOCALHOST:3000",
    "http://localhost.:3000",
    "http://app.localhost:3000",
    "http://127.0.0.1:5173",
    "http://127.9.9.9",
    "http://[::1]:8080",
    "http://[::ffff:127.0.0.1]",
]
FOREIGN_ORIGINS = [
    EVIL,
    "null",
    "",
    "localhost",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example:localhost",
    "http://localhost@evil.example",
    "http://evil.example/localhost",
    "http://evillocalhost",
    "http://[::2]",
    "http://0.0.0.0:3000",
    "http://128.0.0.1",
    "file://localhost",
    "http://localhost, https://evil.example",
]


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def cors(self) -> dict[str, str]:
        return {
            name: value for name, value in self.headers.items() if name.startswith("access-control-allow")
        }


def ask(here: OpenEdge, path: str, method: str = "", body: Any = None, **fields: str) -> Answer:
    """Send a request over a new connection; `sec_fetch_site` is the field `sec-fetch-site`."""
    connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=10)
    is_post = path.startswith("/rest") and body is not None
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method or ("POST" if is_post else "GET"), path, text, headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def edges() -> Iterator[dict[str, OpenEdge]]:
    policies = {
        "default": (),
        "named": ("https://shop.example", "http://localhost:4000"),
        "any": ("*", "https://shop.example"),
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(open_edge(access=AccessPolicy(origins)))
            for name, origins in policies.items()
        }


@pytest.fixture
def default(edges: dict[str, OpenEdge]) -> OpenEdge:
    return edges["default"]


@pytest.mark.parametrize("origin", LOOPBACK_ORIGINS)
def test_loopback_origin_is_allowed_without_credentials(default: OpenEdge, origin: str) -> None:
    answer = ask(default, DELIVERY, body=HERO, origin=origin, content_type="text/plain")
    assert answer.status == 200
    assert answer.cors() == {"access-control-allow-origin": origin}
    assert "Origin" in answer.headers["vary"]


def test_foreign_origin_writes_nothing() -> None:
    ledger = MemoryLedger()
    with open_edge(ledger=ledger) as here:

        @each_case("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
        @each_case("origin", FOREIGN_ORIGINS)
        def check(kind: str, origin: str) -> None:
            answer = ask(here, DELIVERY, body=ORDERED, origin=origin, content_type=kind)
            assert (answer.status, answer.cors(), ledger.events) == (403, {}, [])

        check()


@pytest.mark.parametrize("path", PUBLIC)
def test_foreign_origin_cannot_read_paths_of_local_pages(default: OpenEdge, path: str) -> None:
    body = HERO if path == DELIVERY else None
    assert ask(default, path, body=body, origin=EVIL).status == 403
    assert ask(default, path, body=body, origin="http://localhost:3000").status == 200
    assert ask(default, path, body=body).status == 200


@pytest.mark.parametrize(
    ("edge_", "origin", "granted"),
    [
        ("named", "https://shop.example", {"origin": "https://shop.example", "credentials": "true"}),
        ("named", "HTTPS://Shop.Example:443", {"origin": "HTTPS://Shop.Example:443", "credentials": "true"}),
        ("named", "http://localhost:4000", {"origin": "http://localhost:4000", "credentials": "true"}),
        ("named", "http://localhost:4001", {"origin": "http://localhost:4001"}),
        ("named", "http://shop.example", None),
        ("named", "https://shop.example:8443", None),
        ("named", "https://www.shop.example", None),
        ("any", EVIL, {"origin": "*"}),
        ("any", "null", {"origin": "*"}),
        ("any", "https://shop.example", {"origin": "https://shop.example", "credentials": "true"}),
    ],
)  # fmt: skip
def test_named_origin_is_answered_with_credentials(
    edges: dict[str, OpenEdge], edge_: str, origin: str, granted: dict[str, str] | None
) -> None:
    answer = ask(edges[edge_], DELIVERY, body=HERO, origin=origin)
    assert answer.status == (403 if granted is None else 200)
    assert answer.cors() == {f"access-control-allow-{name}": value for name, value in (granted or {}).items()}


@pytest.mark.parametrize("path", OPERATOR)
@pytest.mark.parametrize("edge_", ["default", "named", "any"])
def test_operator_path_rejects_other_origins(edges: dict[str, OpenEdge], edge_: str, path: str) -> None:
    here = edges[edge_]
    for origin in (EVIL, "https://shop.example", "http://localhost:3000", "null"):
        answer = ask(here, path, origin=origin)
        assert (answer.status, answer.cors()) == (403, {})
    own = ask(here, path, origin=f"http://127.0.0.1:{here.port}")
    assert own.status == ask(here, path).status != 403
    assert own.cors() == {}


@pytest.mark.parametrize("path", PUBLIC)
def test_preflight_of_an_allowed_origin_is_allowed(edges: dict[str, OpenEdge], path: str) -> None:
    fields = {
        "origin": "https://shop.example",
        "access_control_request_method": "POST",
        "access_control_request_headers": "content-type,x-request-id",
    }
    answer = ask(edges["named"], path, "OPTIONS", **fields)
    assert answer.status == 200
    assert answer.cors() == {
        "access-control-allow-origin": "https://shop.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "content-type,x-request-id",
    }
    fields["access_control_request_method"] = "DELETE"
    assert ask(edges["named"], path, "OPTIONS", **fields).status == 400


@pytest.mark.parametrize("path", [*PUBLIC, *OPERATOR])
def test_preflight_of_a_foreign_origin_is_rejected(default: OpenEdge, path: str) -> None:
    answer = ask(default, path, "OPTIONS", origin=EVIL, access_control_request_method="POST")
    assert (answer.status, answer.cors()) == (403, {})


def test_allowed_origin_can_read_a_rejection(default: OpenEdge) -> None:
    answer = ask(default, DELIVERY, body=[], origin="http://localhost:3000")
    assert answer.status == 400
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


@pytest.mark.parametrize("fields", [{"origin": "http://localhost:3000"}, {}], ids=["origin", "no origin"])
def test_responses_vary_by_origin(default: OpenEdge, fields: dict[str, str]) -> None:
    for path in (*PUBLIC, "/metrics"):
        answer = ask(default, path, body=HERO if path == DELIVERY else None, **fields)
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("path", [*PUBLIC, *OPERATOR])
def test_cross_site_request_without_origin_is_rejected(default: OpenEdge, path: str) -> None:
    body = HERO if path == DELIVERY else None
    assert ask(default, path, body=body, sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status == 403
    for own in ("same-origin", "none"):
        assert ask(default, path, body=body, sec_fetch_site=own).status != 403


def test_cross_site_request_without_origin_writes_nothing() -> None:
    ledger = MemoryLedger()
    with open_edge(ledger=ledger) as here:
        assert ask(here, DELIVERY, body=ORDERED, sec_fetch_site="cross-site").status == 403
    assert ledger.events == []


def test_link_of_another_site_opens_the_page_only(default: OpenEdge) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(default, "/", **link).status == 200
    assert ask(default, "/", **{**link, "sec_fetch_dest": "iframe"}).status == 403
    assert ask(default, "/metrics", **link).status == 403


def test_several_origins_are_rejected(default: OpenEdge) -> None:
    body = json.dumps(HERO)
    sent = (
        f"POST {DELIVERY} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\norigin: {EVIL}\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )
    assert statuses(default.send_and_read(sent.encode())) == [400]


OWN_HOSTS = ["localhost", "LOCALHOST", "localhost.", "shop.localhost", "127.0.0.1", "127.1.2.3", "[::1]"]
FOREIGN_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0",
    "10.0.0.1",
    "[::2]",
    "evil",
    "localhost..",
    "127.1",
]


@pytest.mark.parametrize("path", [DELIVERY, "/readyz", "/metrics", "/", RULES])
@pytest.mark.parametrize("host", [*OWN_HOSTS, *FOREIGN_HOSTS])
def test_loopback_edge_accepts_only_its_names(default: OpenEdge, path: str, host: str) -> None:
    expected = 200 if host in OWN_HOSTS else 403
    body = HERO if path == DELIVERY else None
    for port in ("", f":{default.port}"):
        assert ask(default, path, body=body, host=host + port).status == expected
    assert ask(default, path, body=body, host=f"{host}:1").status == 403


def test_foreign_host_writes_nothing() -> None:
    ledger = MemoryLedger()
    with open_edge(ledger=ledger) as here:
        assert ask(here, DELIVERY, body=ORDERED, host="evil.example").status == 403
        assert ask(here, DELIVERY, body=ORDERED).status == 200
        assert ask(here, DELIVERY, body=ORDERED, host="evil.example").status == 403
    assert len(ledger.events) == 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET /healthz HTTP/1.0\r\n", 200),
        ("GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET HTTP://LOCALHOST/healthz HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET /healthz HTTP/1.1\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost:\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\nHost: evil.example\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: a@localhost\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost/x\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost:port\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost:99999\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost evil.example\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nhost: [localhost]\r\n", 400),
        ("GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n", 400),
        ("GET http://localhost@evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n", 400),
        ("GET http://localhost?@evil.example/healthz HTTP/1.1\r\nhost: evil.example\r\n", 400),
        ("GET http://localhost:1/healthz HTTP/1.1\r\nhost: localhost\r\n", 400),
        ("GET http://localhost/healthz HTTP/1.0\r\n", 400),
    ],
)
def test_request_names_its_host_once(default: OpenEdge, head: str, status: int) -> None:
    sent = head.encode() + b"connection: close\r\n\r\n"
    assert statuses(default.send_and_read(sent)) == [status]


def test_delivery_request_with_two_hosts_writes_nothing() -> None:
    ledger = MemoryLedger()
    body = json.dumps(ORDERED)
    fields = f"host: localhost\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    with open_edge(ledger=ledger) as here:
        assert statuses(here.send_and_read(f"POST {DELIVERY} HTTP/1.1\r\n{fields}".encode())) == [400]
        assert here.times_reached("host") == 1
    assert ledger.events == []


@each_case("host", ["0.0.0.0", "::", "192.0.2.1", "edge.internal"])
@each_case("local", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_remote_edge_guards_operator_paths_on_loopback(host: str, local: str) -> None:
    policy = AccessPolicy(host=host)
    for name in ("evil.example", "evil.example:8080"):
        assert not policy.allows_host(name, (local, 8080), is_public=False)
        assert policy.allows_host(name, (local, 8080), is_public=True)
        assert policy.allows_host(name, ("192.0.2.1", 8080), is_public=False)
    assert policy.allows_host("localhost:8080", (local, 8080), is_public=False)


def test_mapped_ipv4_connection_shows_no_page_under_a_foreign_name() -> None:
    app = EdgeApplication(Edge(GivenArtifact(shop_path(), None), access=AccessPolicy(host="::")))
    client = TestClient(app, base_url="http://[::ffff:127.0.0.1]")
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/", headers={"host": "localhost"}).status_code == 200


def test_edge_accepts_its_configured_host() -> None:
    policy = AccessPolicy(host="Dev.Internal")
    assert policy.allows_host("dev.internal:80", ("127.0.0.1", 80), is_public=False)
    assert not policy.allows_host("other.internal:80", ("127.0.0.1", 80), is_public=False)


@each_case(
    "origin", ["shop.example", "https://", "https://shop.example/", "https://a@b", "null", "", "https://a:x"]
)
def test_invalid_allowed_origin_raises(origin: str) -> None:
    with pytest.raises(OptionError, match="allow_origins"):
        check_edge_options(EdgeOptions(allow_origins=[origin]))


@each_case(
    "text, expected",
    [
        ("HTTPS://Shop.Example.:443", "https://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://[::1]:80", "http://[::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", None),
    ],
)
def test_origin_is_compared_in_one_form(text: str, expected: str | None) -> None:
    assert normalized_origin(text) == expected


@each_case(
    "text, expected",
    [
        ("a:1", ("a", 1)),
        ("[::1]:1", ("::1", 1)),
        ("a:", ("a", None)),
        ("::1", None),
        ("a:1:2", None),
        (".", None),
    ],
)
def test_authority_is_parsed_into_host_and_port(text: str, expected: Any) -> None:
    assert parse_authority(text) == expected


def test_option_of_the_command_line_allows_origins() -> None:
    options = ("--allow-origin", "https://a.example", "--allow-origin", "https://b.example")
    with process(*options) as running:
        port = int(address(running).rpartition(":")[2])
        for origin, status in (("https://a.example", 200), ("https://b.example", 200), (EVIL, 403)):
            assert _asked(port, origin) == status


@pytest.mark.slow
def test_option_from_the_environment_allows_origins() -> None:
    with process(TARGETRY_EDGE_ALLOW_ORIGIN="https://a.example https://b.example") as running:
        port = int(address(running).rpartition(":")[2])
        for origin, status in (("https://a.example", 200), ("https://b.example", 200), (EVIL, 403)):
            assert _asked(port, origin) == status


@pytest.mark.slow
def test_workers_allow_origins() -> None:
    with process("--workers", "2", "--allow-origin", "https://a.example") as running:
        port = int(address(running).rpartition(":")[2])
        assert [_asked(port, origin) for origin in ("https://a.example", EVIL)] == [200, 403]


def test_edge_in_process_allows_origins() -> None:
    with edge(allow_origins=["https://a.example"]) as here:
        port = int(here.url.rpartition(":")[2])
        assert [_asked(port, origin) for origin in ("https://a.example", EVIL)] == [200, 403]
        assert _asked(port, "https://a.example", host="evil.example") == 403


def _asked(port: int, origin: str, **fields: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/v1/geo", headers={"origin": origin, **fields})
        return connection.getresponse().status
    finally:
        connection.close()


def test_no_answer_names_a_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "rules.json", tmp_path / "b" / "rules.json"
    for path in (first, second):
        path.parent.mkdir()
        path.write_bytes(shop_path().read_bytes())
    ledger = tmp_path / "ledger"
    with process(str(first), str(second), "--data", str(ledger)) as running:
        port = int(address(running).rpartition(":")[2])
        first.unlink()
        second.write_text("{")
        (ledger / "ledger.db").write_bytes(b"junk" * 2000)
        texts = [
            _text(port, path) for path in ("/", "/readyz", "/metrics", "/report.json", "/plot.svg", "/x")
        ]
        body = json.dumps({**HERO, "trace": {"authorizationToken": "t"}})
        texts.append(_text(port, DELIVERY, body))
    assert '"rules.json"' in texts[1]
    assert '"rules.json (2)"' in texts[1]
    assert not any(str(tmp_path) in text for text in texts)


def _text(port: int, path: str, body: str | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
