"""Dashboard at `/`."""

from __future__ import annotations

import html
import json
import re
import shutil
import weakref
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from support.edge import HERO, NOW_MS, QUERY, SHOP, WEB, ask, web_client
from support.examples import examples
from support.ledger import ACTIVITY, ODD_ROWS, insert_row, outcome, run_sql
from support.slow import slow
from targetry.edge.app import Edge, EdgeApplication
from targetry.edge.delivery.handler import DeliveryResult
from targetry.edge.in_process import GivenArtifact
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer
from targetry.edge.ui.page import Dashboard
from targetry.edge.ui.report_cache import ReportCache
from targetry.edge.ui.request_history import RequestHistory
from targetry.ledger.event import LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.samples import shop, shop_path

DELIVERY = f"/rest/v1/delivery?{QUERY}"
EVIL = "</li></script><script>alert(1)</script><img src=x onerror=\"alert(1)\" a='b'>&amp;"
PARTS = ["/", "/recent", "/report.json", "/plot.svg"]


class Tags(HTMLParser):
    """Collects the elements of a page, and the text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self._is_code = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._is_code = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._is_code else data


class BrokenLedger:
    def record(self, events: Sequence[LedgerEvent]) -> list[bool]:
        raise OSError("the disk is gone")

    def close(self) -> None: ...


def evil_shop() -> dict[str, Any]:
    """Return the shop with a hostile name in each field that has a name."""
    document = shop()
    for rules in document["rules"]["mboxes"].values():
        for rule in rules:
            rule["meta"].update({"activity.name": EVIL, "experience.name": EVIL, "offer.name": EVIL})
            rule["condition"] = {"and": [rule["condition"], {"==": [{"var": f"mbox.{EVIL}"}, EVIL]}]}
    document["rules"]["mboxes"][EVIL] = document["rules"]["mboxes"]["hero"]
    document["localMboxes"].append(EVIL)
    document["remoteMboxes"].append(EVIL)
    return document


def asked(client: TestClient, *mboxes: dict[str, Any], **more: Any) -> None:
    document = {"context": WEB, "id": {"tntId": "3f9c"}, "execute": {"mboxes": list(mboxes)}, **more}
    assert client.post(DELIVERY, json=document).status_code == 200


def opened(client: TestClient) -> str:
    """Return the page of the latest request, which explains it."""
    number = re.findall(r'data-number="(\d+)"', client.get("/recent").text)[0]
    return client.get("/request", params={"number": number}).text


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[TestClient]:
    """Start an edge whose ledger holds two experiences with visitors."""
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record(outcome("0", 60, 20) + outcome("1", 60, 40))
        payload = GivenArtifact(shop_path(), None)
        yield TestClient(EdgeApplication(Edge(payload, ledger=ledger, report_cache=ReportCache(ledger))))


def test_activities_are_shown_with_split_and_audience_in_words() -> None:
    page = Tags(web_client().get("/").text).text
    assert "Hero: autumn sale" in page
    assert "30 %" in page
    assert "browser is one of" in page
    assert "recommendations remote" in " ".join(page.split())


def test_bar_is_as_wide_as_the_shares() -> None:
    page = web_client().get("/").text
    bar = page[page.index('<svg class="bar"') : page.index("</svg>")]
    assert re.findall(r'class="c\d" x="([\d.]+)%" width="([\d.]+)%"', bar) == [
        ("0.0", "50.0"),
        ("50.0", "30.0"),
        ("80.0", "20.0"),
    ]


def test_request_is_shown_with_its_decision_and_explanation() -> None:
    client = web_client()
    asked(client, {"name": "hero"})
    rows = Tags(client.get("/recent").text).text
    assert "Hero: autumn sale › Everyday" in rows
    page = Tags(opened(client)).text
    assert "the allocation " in page
    assert "2 not reached, since an earlier rule decided" in page


def test_remote_locations_differ_from_unknown_ones() -> None:
    client = web_client()
    asked(client, {"name": "recommendations"}, {"name": "heroo"})
    rows = " ".join(Tags(client.get("/recent").text).text.split())
    assert "recommendations remote heroo not in the artifact" in rows
    page = Tags(opened(client)).text
    assert "has activities that only Target's own servers decide" in page
    assert "this artifact knows no such location" in page


def test_rejected_request_is_shown_with_its_reason() -> None:
    client = web_client()
    client.post(DELIVERY, json={"context": {"channel": "web"}, "execute": {"mboxes": [{}]}})
    rows = Tags(client.get("/recent").text).text
    assert "400" in rows
    assert "request.execute.mboxes[0].name: is required" in rows


@pytest.mark.parametrize(
    ("method", "path", "options", "text"),
    [
        ("POST", DELIVERY, {"content": b""}, "400 request: is not JSON: Expecting value at character 0"),
        ("POST", "/rest/v1/delivery?sessionId=s1", {"json": HERO}, "400 query: imsOrgId or client is required"),
        ("POST", DELIVERY, {"content": b"x" * 1_000_001}, "413 the body is larger than 1,000,000 bytes"),
        ("POST", DELIVERY, {"content": b"{}", "headers": {"content-encoding": "br"}}, "415 content-encoding 'br' is not supported; supported: gzip"),
        ("GET", DELIVERY, {}, "405 GET /rest/v1/delivery: Method Not Allowed"),
        ("POST", "/rest/v1/deliver", {}, "404 POST /rest/v1/deliver: Not Found"),
        ("GET", "/shop/production/v1/rules.json", {}, "404 GET /shop/production/v1/rules.json: client 'shop' is not served here; served: acme (option --client)"),
    ],
    ids=["no JSON", "no client", "too large", "encoding", "method", "path", "artifact of another"],
)  # fmt: skip
def test_request_rejected_before_its_decision_is_shown_with_its_reason(
    method: str, path: str, options: dict[str, Any], text: str
) -> None:
    client = web_client()
    client.request(method, path, **options)
    (row,) = re.findall(r"<summary>.*?</summary>", client.get("/recent").text, re.DOTALL)
    assert " ".join(Tags(row).text.split()).partition(" ")[2] == text


def test_rejected_requests_for_the_page_itself_are_not_shown() -> None:
    client = web_client()
    client.get("/", headers={"origin": "https://evil.example"})
    client.get("/report.json")
    client.post("/")
    assert client.get("/recent").status_code == 204


def test_lost_notifications_are_shown_as_rejected() -> None:
    client = web_client(BrokenLedger())
    note = {"id": "n", "type": "click", "timestamp": 1, "mbox": {"name": "hero"}}
    client.post(DELIVERY, json={"context": WEB, "notifications": [note]})
    rows = Tags(client.get("/recent").text).text
    assert "503" in rows
    assert "could not be recorded" in rows


def test_notifications_are_counted_by_type_and_location() -> None:
    client = web_client()
    notes = [
        {"id": str(number), "type": "click", "timestamp": 1, "mbox": {"name": "hero"}} for number in range(3)
    ]
    client.post(DELIVERY, json={"context": WEB, "notifications": notes})
    assert "3 × click of hero" in Tags(client.get("/").text).text


@pytest.mark.parametrize(
    ("path", "context", "parts"),
    [
        (
            "/checkout-flags:oneClick",
            {"targetingKey": "u1"},
            ["OFREP checkout-flags:oneClick", "true", "SPLIT"],
        ),
        ("/checkout-flags", {"targetingKey": "u1"}, ["OFREP checkout-flags", "{…}", "SPLIT"]),
        ("/hero", {"targetingKey": "u1"}, ["OFREP hero", "dat… SPLIT"]),
        ("/greeting", {"targetingKey": "u1"}, ["OFREP greeting", "the application's default", "DEFAULT"]),
        ("/hero", {}, ["OFREP hero", "an activity splits its visitors, and the context names none"]),
        ("/nope", {}, ["OFREP nope", "mbox 'nope' is not decided on device"]),
        ("", {"targetingKey": "u1"}, ["OFREP all flags 9"]),
        ("", [], ["OFREP all flags", "context: must be a JSON object"]),
    ],
    ids=["member", "object", "long", "default", "no id", "unknown", "all", "all rejected"],
)
def test_flag_is_shown_with_its_value_and_reason(path: str, context: Any, parts: list[str]) -> None:
    client = web_client()
    client.post(f"/ofrep/v1/evaluate/flags{path}", json={"context": context})
    shown = " ".join(Tags(client.get("/recent").text).text.split())
    for part in parts:
        assert part in shown


def test_flag_is_explained_by_the_rules_of_its_mbox() -> None:
    client = web_client()
    client.post("/ofrep/v1/evaluate/flags/delivery-note", json={"context": {"targetingKey": "u1", "a": "b"}})
    shown = " ".join(Tags(opened(client)).text.split())
    for part in ("visitor u1", "delivery-note execute", "a = b", "rule 1", "Everybody else"):
        assert part in shown


def test_poll_returns_only_newer_requests() -> None:
    client = web_client()
    asked(client, {"name": "hero"})
    first = re.findall(r'data-number="(\d+)"', client.get("/recent").text)
    assert client.get(f"/recent?after={first[0]}").status_code == 204
    asked(client, {"name": "promo"})
    second = client.get(f"/recent?after={first[0]}").text
    assert "promo" in second
    assert len(re.findall("data-number", second)) == 1


@pytest.mark.parametrize("after", ["", "-1", "x", "٣", "9" * 5000], ids=repr)
def test_invalid_number_returns_all_requests(after: str) -> None:
    client = web_client()
    asked(client, {"name": "hero"})
    assert "hero" in client.get("/recent", params={"after": after}).text


def test_list_continues_with_older_requests() -> None:
    client = web_client()
    for number in range(103):
        client.post(DELIVERY, json={**HERO, "id": {"tntId": f"visitor-{number}"}})
    first = client.get("/recent").text
    assert first.count("data-number") == 100
    (older,) = re.findall(r"before=(\d+)", first)
    rest = client.get("/recent", params={"before": older}).text
    assert re.findall(r"of visitor (visitor-\d+)", rest) == ["visitor-2", "visitor-1", "visitor-0"]
    assert "before=" not in rest


@pytest.mark.parametrize(("path", "status"), [("/recent?after=1", 204), ("/?status=rejected", 200)])
def test_page_and_its_polls_prepare_the_search(path: str, status: int) -> None:
    recent = RequestHistory(1)
    recent.add(ask(HERO), at_ms=NOW_MS, size=0)
    client = TestClient(Starlette(routes=Dashboard(lambda: SHOP, list, recent, longest_s=60).routes()))
    assert client.get(path).status_code == status
    assert recent.between()[0].summary is not None


def test_history_keeps_the_content_of_a_bounded_number_of_bytes() -> None:
    recent = RequestHistory(1, capacity=4, most_stored=250)
    for _ in range(6):
        recent.add(ask(HERO), at_ms=NOW_MS, size=100)
    assert [one.request is None for one in recent.between()] == [False, False, True, True]


def test_large_request_is_listed_without_its_content() -> None:
    client = web_client()
    parameters = {str(number): "x" * 1000 for number in range(40)}
    asked(client, {"name": "hero", "parameters": parameters})
    assert "is too large to be stored" in client.get("/recent").text


def test_history_does_not_keep_replaced_rules_alive() -> None:
    payload = GivenArtifact(shop_path(), None)
    client = TestClient(EdgeApplication(Edge(payload)))
    asked(client, {"name": "hero"})
    rules = weakref.ref(payload.registry.artifacts[0])
    payload.replace(shop_path())
    assert rules() is None
    assert "not explained: its rules have been replaced" in client.get("/recent").text


def test_explanation_is_kept_after_the_rules_are_replaced() -> None:
    payload = GivenArtifact(shop_path(), None)
    client = TestClient(EdgeApplication(Edge(payload)))
    asked(client, {"name": "hero"})
    before = opened(client)
    payload.replace(shop_path())
    assert opened(client) == before


def test_requests_are_explained_on_demand() -> None:
    recent = RequestHistory(1)
    recent.add(DeliveryResult(200), at_ms=0, size=0)
    assert recent.between()[0].summary is None


def test_huge_explanation_is_truncated() -> None:
    document = shop()
    rule = document["rules"]["mboxes"]["target-global-mbox"][0]
    many = {"or": [{"==": [{"var": "mbox.a"}, str(number)]} for number in range(50)]}
    document["rules"]["mboxes"]["target-global-mbox"] = [
        {**rule, "ruleKey": str(number), "condition": many} for number in range(24)
    ]
    client = web_client(artifact=document)
    asked(client, {"name": "target-global-mbox"}, execute={"pageLoad": {}})
    rows = opened(client)
    # At least four of the 24 rules are left out, and more of them on a machine that is busy.
    (omitted,) = re.findall(r"(\d+) more not shown", rows)
    assert int(omitted) >= 4
    assert rows.count("<p>") == 24 - int(omitted)
    assert len(rows) < 100_000


def test_omitted_and_hidden_rules_are_counted_together() -> None:
    document = shop()
    rule = document["rules"]["mboxes"]["hero"][0]
    long = {**rule, "condition": False, "meta": {**rule["meta"], "texts": ["x" * 1000] * 999}}
    document["rules"]["mboxes"]["hero"] = [long] * 20
    client = web_client(artifact=document)
    asked(client, {"name": "hero"}, {"name": "hero"})
    rows = opened(client)
    assert "18 more not shown" in rows
    assert "20 more not shown" in rows
    assert "no rules" not in rows


def test_slow_explanations_are_left_to_the_next_response() -> None:
    recent = RequestHistory(1)
    recent.add(ask(HERO), at_ms=NOW_MS, size=0)
    hurried, patient = (
        Dashboard(lambda: SHOP, list, recent, longest_s=seconds).recent_requests for seconds in (-1, 60)
    )
    client = TestClient(Starlette(routes=[Route("/hurried", hurried), Route("/patient", patient)]))
    assert "not explained yet" in client.get("/hurried").text
    assert "Hero: autumn sale" in client.get("/patient").text


def hostile_client() -> TestClient:
    client = web_client(artifact=evil_shop())
    asked(client, {"name": "hero", "parameters": {EVIL: EVIL}}, id={"tntId": EVIL[:100]})
    asked(client, {"name": EVIL}, context={**WEB, "address": {"url": f"https://x/{EVIL}"}, "userAgent": EVIL})
    asked(client, property={"token": EVIL[:100]}, execute={"mboxes": [{"name": "app-banner"}]})
    notes = [{"id": "n", "type": "click", "timestamp": 1, "mbox": {"name": EVIL}}]
    client.post(DELIVERY, json={"context": WEB, "notifications": notes})
    client.post(DELIVERY, json={"context": {"channel": EVIL}})
    client.post(f"/rest/v1/delivery?client={EVIL[:100]}", json=HERO)
    return client


def test_hostile_names_stay_text() -> None:
    page = hostile_client().get("/").text
    harmless = Tags(web_client().get("/").text)
    tags = Tags(page)
    assert page.count(html.escape(EVIL[:40])) > 10
    assert "img" not in tags.names
    assert tags.names.count("script") == harmless.names.count("script") == 1
    assert "onerror" not in tags.attributes


@settings(max_examples=examples(50), deadline=None)
@example("<b>")
@given(st.text(st.sampled_from("<>/&;\"'=! -bip#") | st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_no_parameter_adds_an_element(text: str) -> None:
    def elements(value: str) -> list[str]:
        client = web_client()
        asked(client, {"name": "hero", "parameters": {"a": value}})
        return Tags(opened(client)).names

    assert elements(text) == elements("b")


def test_bidi_marks_are_made_visible() -> None:
    client = web_client()
    asked(client, {"name": "hero", "parameters": {"a": "abc\u202edef"}})
    assert "abc\\u202edef" in opened(client)


def test_content_security_policy_allows_only_the_own_style_and_script() -> None:
    answer = web_client().get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert Tags(answer.text).attributes.isdisjoint({"style", "onclick", "onload"})
    assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text) == []


@pytest.mark.parametrize("path", PARTS)
def test_other_sites_cannot_read_the_page(recorded: TestClient, path: str) -> None:
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        assert recorded.get(path, headers={"origin": origin}).status_code == 403, origin
    assert recorded.get(path, headers={"origin": "http://testserver"}).status_code in (200, 204)


def test_page_without_a_ledger_shows_the_command_for_one() -> None:
    client = web_client()
    assert "targetry edge --data ledger" in client.get("/").text
    for path in ("/report.json", "/plot.svg"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "--data" in answer.json()["message"]


def test_report_is_shown_with_its_plot(recorded: TestClient) -> None:
    pytest.importorskip("scipy")
    page = recorded.get("/").text
    assert "+100.0" in page
    assert 'href="plot.svg"' in page
    assert page.count('<svg class="interval"') == 2, "each rate is drawn beside its number"


def test_segments_are_shown_by_the_chosen_fact(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    events = [
        msgspec.structs.replace(one, facts={"browser": "fire<fox"})
        for one in outcome("0", 60, 20) + outcome("1", 60, 40)
    ]
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record(events)
        cache = ReportCache(ledger, ["browser", "country"])
        client = TestClient(
            EdgeApplication(Edge(GivenArtifact(shop_path(), None), ledger=ledger, report_cache=cache))
        )
        assert "Lift by" not in client.get("/report").text
        by_browser = client.get("/report?by=browser")
        assert "Lift by browser" in by_browser.text
        assert "fire&lt;fox · 120" in by_browser.text
        assert 'href="./?by=country#report"' in by_browser.text
        same = f"/report?by=browser&have={by_browser.headers['x-tag']}"
        assert client.get(same).status_code == 204
        by_new = client.get("/report?by=new").text
        assert "Lift by earlier visits" in by_new
        assert "<b>by earlier visits</b>" in by_new
        assert '<a href="./?by=new#report">by earlier visits</a>' in by_browser.text
        for other in ("country", "color", "<b>"):
            assert "Lift by" not in client.get("/report", params={"by": other}).text
        assert "Lift by browser" in client.get("/?by=browser").text


def test_broken_split_is_said_first_and_colors_no_figure(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record(outcome("0", 900, 90) + outcome("1", 400, 160))
        edge = Edge(GivenArtifact(shop_path(), None), ledger=ledger, report_cache=ReportCache(ledger))
        page = TestClient(EdgeApplication(edge)).get("/report").text
    assert page.index("The split differs from the shares") < page.index("<th>Experience</th>")
    assert 'class="p"' in page
    assert 'class="p up"' not in page


def test_report_is_served_as_json(recorded: TestClient) -> None:
    pytest.importorskip("scipy")
    (activity,) = [one for one in recorded.get("/report.json").json()["activities"] if one["id"] == "1"]
    assert [one["conversions"] for one in activity["experiences"]] == [20, 40]


def test_plot_is_an_svg_with_a_strict_policy(recorded: TestClient) -> None:
    pytest.importorskip("matplotlib")
    answer = recorded.get("/plot.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "script" not in answer.headers["content-security-policy"]
    assert b"<svg" in answer.content


def test_empty_ledger_has_no_plot(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        client = TestClient(
            EdgeApplication(
                Edge(GivenArtifact(shop_path(), None), ledger=ledger, report_cache=ReportCache(ledger))
            )
        )
        assert "No visitors yet" in client.get("/").text
        assert client.get("/plot.svg").status_code == 404


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[tuple[Path, TestClient]]:
    """Start an edge whose ledger has one visitor."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("scipy")
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([ACTIVITY])
        ledger.record(outcome("0", 1, 0))
        edge = Edge(GivenArtifact(shop_path(), None), ledger=ledger, report_cache=ReportCache(ledger))
        yield tmp_path, TestClient(EdgeApplication(edge))


@pytest.mark.parametrize(
    "name", ["plain order", *slow(*(name for name in ODD_ROWS if name != "plain order"))]
)
def test_report_is_readable_with_an_unusual_row(odd: tuple[Path, TestClient], name: str) -> None:
    folder, client = odd
    insert_row(folder, "i")
    insert_row(folder, name, **ODD_ROWS[name])
    assert_readable(client)


def test_page_has_the_notes_of_the_report(odd: tuple[Path, TestClient]) -> None:
    folder, client = odd
    insert_row(folder, "late", kind="click", visitor="bob")
    insert_row(folder, "future", visitor="eve", timestamp_ms=9_999_999_999_999)
    page = Tags(client.get("/").text).text
    assert "1 visitor clicked or ordered without an earlier impression" in page
    assert "1 visitor came in the future" in page


def test_report_is_readable_with_all_unusual_rows(odd: tuple[Path, TestClient]) -> None:
    folder, client = odd
    insert_row(folder, "i")
    for name, fields in ODD_ROWS.items():
        insert_row(folder, name, **fields)
    run_sql(
        folder,
        "INSERT INTO event (id, kind, visitor, activity_id, experience_id, location, token, timestamp_ms, session_id) "
        "SELECT CAST(x'ff80' AS TEXT), kind, CAST(x'ff' AS TEXT), "
        "CAST(x'ffc0' AS TEXT), experience_id, location, token, timestamp_ms, session_id FROM event "
        "WHERE id = 'i'",
    )
    assert_readable(client)
    assert client.get("/plot.svg").content.startswith(b"<?xml")
    page = Tags(client.get("/").text).text
    assert "order totals are left out of the revenue" in page


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE activity SET name = x'ff', type = 7, shares_since_ms = 'noon'",
        "UPDATE activity SET shares_since_ms = 9223372036854775807",
        "UPDATE experience SET name = x'ff', share = 'half'",
        "UPDATE experience SET share = 1e308",
        "UPDATE experience SET share = -50",
        "UPDATE experience SET share = 9e999",
        "UPDATE experience SET share = 5e-324 WHERE id = '0'",
    ],
)
def test_report_is_readable_with_an_unusual_description(odd: tuple[Path, TestClient], statement: str) -> None:
    folder, client = odd
    run_sql(folder, statement)
    insert_row(folder, "i", experience_id="1")
    assert_readable(client)


def assert_readable(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    assert 'class="alarm"' not in client.get("/").text
    json.loads(client.get("/report.json").content, parse_constant=pytest.fail)


def test_unreadable_ledger_leaves_the_rest_of_the_page(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        client = TestClient(
            EdgeApplication(Edge(GivenArtifact(shop_path(), None), report_cache=ReportCache(ledger)))
        )
        shutil.rmtree(tmp_path)
        page = client.get("/").text
        assert 'class="alarm"' in page
        assert "Hero: autumn sale" in page
        assert client.get("/report.json").status_code == 503


def test_server_with_data_shows_its_report(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    server = EdgeServer.open(EdgeOptions(port=0, data=tmp_path))
    try:
        client = TestClient(server.application)
        asked(client, {"name": "hero"})
        assert "1 visitor ·" in client.get("/").text
    finally:
        server.close()


def test_example_command_is_a_valid_request() -> None:
    page = web_client().get("/").text
    example = html.unescape(re.findall(r'<code class="line">(curl [^<]+)</code>', page)[0])
    body = re.findall(r"-d '(.+)'", example)[0]
    path = re.findall(r"'http://testserver(\S+)'", example)[0]
    assert web_client().post(path, content=body).status_code == 200
