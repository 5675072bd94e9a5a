"""Page that asks, at `/ask`."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.testclient import TestClient

from support.cases import each_case
from support.edge import HERO, QUERY, WEB, web_client
from targetry.edge.artifacts.registry import LoadedArtifact
from targetry.edge.delivery.request_parsing import parse_body
from targetry.edge.http.write_access import WriteAccess
from targetry.edge.in_process import MemoryLedger, edge
from targetry.edge.ui.ask_form import AskForm
from targetry.edge.ui.request_copies import copies_of, document_of
from targetry.errors import OptionError
from targetry.samples import shop, shop_path

SHOP = LoadedArtifact("shop.json", shop_path().read_bytes())
EXPERIENCES = SHOP.rules.experiences
DELIVERY = f"/rest/v1/delivery?{QUERY}"
ASKED = "/ask?mbox=hero&tnt_id=3f9c"
SAME = {"origin": "http://testserver"}


def answer(client: TestClient, path: str) -> str:
    page = client.get(path).text
    return " ".join(re.sub("<[^>]+>", " ", page[page.index('<section id="answer"') :]).split())


def test_form_without_a_place_asks_for_one() -> None:
    assert "Choose a place." in answer(web_client(), "/ask")


def test_client_code_of_any_text_is_asked() -> None:
    assert "oneClick" in answer(web_client(client="a&b +c"), f"{ASKED}&mbox=checkout-flags")


def test_answer_has_content_and_reason() -> None:
    shown = answer(web_client(), f"{ASKED}&mbox=checkout-flags")
    assert "hero execute Hero: autumn sale › Everyday" in shown
    assert "the allocation 32.73 is in 0 to 50" in shown
    assert "oneClick false" in shown


def test_page_load_and_views_are_answered_with_their_actions() -> None:
    shown = answer(web_client(), "/ask?page_load=1&view=*&tnt_id=3f9c&url=https%3A%2F%2Fa.example%2F")
    assert "pageLoad execute" in shown
    assert "every view prefetch Cart: delivery promise › With promise" in shown
    assert "selector #cart > BUTTON.checkout" in shown.replace("&gt;", ">")


def test_new_visitor_gets_an_id_in_the_address() -> None:
    address = str(web_client().get("/ask?mbox=hero").url)
    assert re.search("tnt_id=[0-9a-f-]{36}$", address)


def test_question_is_neither_recorded_nor_listed() -> None:
    ledger = MemoryLedger()
    client = web_client(ledger)
    assert client.get(ASKED).status_code == 200
    assert ledger.events == []
    assert client.get("/recent").status_code == 204


def test_recorded_question_is_an_impression_and_listed() -> None:
    ledger = MemoryLedger()
    client = web_client(ledger)
    assert client.post(ASKED, headers=SAME).status_code == 200
    (event,) = ledger.events
    assert (event.kind, event.visitor, event.location) == ("impression", "3f9c", "hero")
    assert "of visitor 3f9c" in client.get("/recent").text


@pytest.mark.parametrize(
    ("access", "headers", "body", "status"),
    [
        (WriteAccess(), SAME, "", 200),
        (WriteAccess(), {}, "", 403),
        (WriteAccess(), {"origin": "https://evil.example"}, "", 403),
        (WriteAccess(), {"origin": "null"}, "", 403),
        (WriteAccess(is_remote=True), SAME, "", 403),
        (WriteAccess("t", is_remote=True), SAME, "", 403),
        (WriteAccess("t", is_remote=True), SAME, "token=x", 403),
        (WriteAccess("t", is_remote=True), SAME, "token=t", 200),
        (WriteAccess("t"), SAME, "token=", 403),
    ],
    ids=["same", "no origin", "other", "null", "remote", "no token", "wrong token", "token", "local without"],
)
def test_change_needs_the_origin_and_the_token(
    access: WriteAccess, headers: dict[str, str], body: str, status: int
) -> None:
    ledger = MemoryLedger()
    client = web_client(ledger, write_access=access)
    assert client.post(ASKED, headers=headers, content=body).status_code == status
    assert len(ledger.events) == (status == 200)


def test_form_asks_for_the_token_that_it_needs() -> None:
    assert 'name="token"' in web_client(write_access=WriteAccess("t")).get(ASKED).text
    assert 'name="token"' not in web_client().get(ASKED).text
    assert "Record it" not in web_client(write_access=WriteAccess(is_remote=True)).get(ASKED).text


@pytest.mark.parametrize("token", ["", "ä", "a\n"], ids=ascii)
def test_unusable_token_is_rejected(token: str) -> None:
    with pytest.raises(OptionError, match="page_token"):
        WriteAccess(token)


def test_forced_experience_is_shown_and_not_recorded() -> None:
    page = web_client().get(f"{ASKED}&force=482910%3A1").text
    assert "Hero: autumn sale › Autumn sale" in page
    assert "Record it" not in page


def test_frame_has_the_html_of_its_offer_and_loads_nothing() -> None:
    response = web_client().get("/ask/offer?mbox=checkout-flags&mbox=hero&tnt_id=3f9c&offer=1")
    assert "<h1>Made for every day</h1>" in response.text
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "x-frame-options" not in response.headers


@pytest.mark.parametrize("offer", ["0", "7", "-1", "x"])
def test_offer_without_html_is_not_found(offer: str) -> None:
    path = f"/ask/offer?mbox=checkout-flags&tnt_id=3f9c&offer={offer}"
    assert web_client().get(path).status_code == 404


def test_offer_is_framed_without_permissions() -> None:
    assert re.findall("<iframe [^>]*>", web_client().get(ASKED).text)[0].startswith("<iframe sandbox title=")


def test_other_sites_can_link_to_the_page_and_not_read_it() -> None:
    follow = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    client = web_client()
    assert client.get(ASKED, headers=follow).status_code == 200
    for change in ({"sec-fetch-dest": "iframe"}, {"sec-fetch-mode": "cors"}):
        assert client.get(ASKED, headers={**follow, **change}).status_code == 403


@each_case(
    "fields, part",
    [
        ({"mbox": "a\nb"}, {"execute": {"mboxes": [{"index": 0, "name": "a"}, {"index": 1, "name": "b"}]}}),
        ({"page_load": "1"}, {"execute": {"pageLoad": {}}}),
        ({"view": "*\nhome"}, {"prefetch": {"views": [{}, {"name": "home"}]}}),
        ({"mbox": "a", "mode": "prefetch"}, {"prefetch": {"mboxes": [{"index": 0, "name": "a"}]}}),
        ({"tnt_id": "t", "third_party_id": "p"}, {"id": {"tntId": "t", "thirdPartyId": "p"}}),
        ({"ecid": "e"}, {"id": {"marketingCloudVisitorId": "e"}}),
        ({"url": "u", "referrer": "r"}, {"context": {**WEB, "address": {"url": "u", "referringUrl": "r"}}}),
        ({"user_agent": "b"}, {"context": {**WEB, "userAgent": "b"}}),
        ({"country": "DE", "city": "BERLIN"}, {"context": {**WEB, "geo": {"countryCode": "DE", "city": "BERLIN"}}}),
        ({"region": "BY", "ip": "127.0.0.1"}, {"context": {**WEB, "geo": {"stateCode": "BY", "ipAddress": "127.0.0.1"}}}),
        ({"page_load": "1", "param": "a=b=c"}, {"execute": {"pageLoad": {"parameters": {"a": "b=c"}}}}),
        ({"property_token": "p"}, {"property": {"token": "p"}}),
        ({"force": "482910:2"}, {"qaMode": {"token": "482910", "previewIndexes": [{"activityIndex": 1, "experienceIndex": 3}]}}),
        ({"more": '{"context": {"channel": "mobile"}}'}, {"context": {"channel": "mobile"}}),
        ({"more": '{"execute": {"mboxes": [{"name": "a"}]}}', "mbox": "b"}, {"execute": {"mboxes": [{"name": "a"}, {"index": 1, "name": "b"}]}}),
    ],
)  # fmt: skip
def test_each_field_of_the_form_acts(fields: dict[str, str], part: dict[str, Any]) -> None:
    document = AskForm.read(fields.items()).document(EXPERIENCES)
    assert document == {"context": WEB, **part}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mode": "both", "mbox": "a"}, "mode: must be"),
        ({"param": "a"}, "param: must be name=value, not 'a'"),
        ({"more": "{"}, "more: is not JSON"),
        ({"more": "[]"}, "more: must be a JSON object"),
        ({"more": '{"id": 1}'}, "more.id: must be a JSON object"),
        ({"more": '{"execute": {"mboxes": {}}}', "mbox": "a"}, "more.mboxes: must be a JSON list"),
        ({"force": "482910:9"}, "force: there is no experience '482910:9'"),
        ({"time": "noon"}, "time: must be a time"),
        ({"client": "other"}, "client 'other' is not served here"),
        ({"tnt_id": ".a"}, "request.id.tntId: has nothing before the profile's location"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_wrong_field_is_shown_with_the_reason(fields: dict[str, str], reason: str) -> None:
    response = web_client().get("/ask", params={"mbox": "hero", "tnt_id": "t", **fields})
    assert response.status_code == 400
    assert reason in response.text.replace("&#39;", "'")


def test_time_decides_rules_of_time() -> None:
    first, second = (
        answer(web_client(), f"/ask?mbox=promo&tnt_id=t&time={day}T10:00Z")
        for day in ("2026-11-25", "2027-03-02")
    )
    assert "Black Friday week 2026" in first.partition("rule")[0]
    assert "Any other time" in second.partition("rule")[0]


REQUESTS = {
    "simple": HERO,
    "parameters": {**HERO, "execute": {"pageLoad": {"parameters": {"a": "b = c"}}}},
    "several parameters": {**HERO, "execute": {"mboxes": [{"index": 0, "name": "a", "parameters": {"a": "b"}}, {"index": 1, "name": "b"}]}},
    "order": {**HERO, "execute": {"mboxes": [{"index": 0, "name": "a", "order": {"id": "o", "total": 1.0}}]}},
    "views": {**HERO, "execute": None, "prefetch": {"views": [{"name": "home"}, {}]}},
    "both modes": {**HERO, "prefetch": {"mboxes": [{"index": 0, "name": "promo"}]}},
    "odd indexes": {**HERO, "execute": {"mboxes": [{"index": 7, "name": "hero"}]}},
    "lines": {**HERO, "execute": {"mboxes": [{"index": 0, "name": "a\nb", "parameters": {"x": "1\n2"}}]}},
    "context": {**HERO, "context": {"channel": "mobile", "userAgent": "b", "geo": {"city": "BERLIN", "latitude": 1.5}}},
    "notification": {"context": WEB, "notifications": [{"id": "n", "type": "click", "timestamp": 1, "mbox": {"name": "hero"}}]},
    "ids": {**HERO, "id": {"thirdPartyId": "p", "customerIds": [{"id": "c", "integrationCode": "crm", "authenticatedState": "authenticated"}]}},
}  # fmt: skip


@each_case("request_", REQUESTS.values(), ids=REQUESTS)
def test_form_of_a_request_asks_the_same(request_: dict[str, Any]) -> None:
    request = parse_body(json.dumps(request_).encode()).request
    form = AskForm.of(request, "acme")
    again = AskForm.read(parse_qsl(form.query))
    assert again == form
    assert again.document(EXPERIENCES) == document_of(request)


def test_listed_request_fills_the_form_in() -> None:
    client = web_client()
    client.post(DELIVERY, json=HERO)
    (number,) = re.findall(r'data-number="(\d+)"', client.get("/recent").text)
    response = client.get(f"/ask?number={number}")
    assert str(response.url).endswith("/ask?client=acme&mbox=hero&tnt_id=3f9c")
    assert "Hero: autumn sale › Everyday" in response.text


@pytest.mark.parametrize("number", ["1", "x", ""])
def test_request_that_is_gone_is_not_found(number: str) -> None:
    for path in ("/ask", "/request"):
        assert web_client().get(path, params={"number": number}).status_code == 404


def test_request_too_long_for_an_address_is_rejected() -> None:
    client = web_client()
    orders = [{"name": "hero", "index": n, "order": {"id": "x" * 200}} for n in range(100)]
    client.post(DELIVERY, json={**HERO, "execute": {"mboxes": orders}})
    (number,) = re.findall(r'data-number="(\d+)"', client.get("/recent").text)
    assert client.get(f"/ask?number={number}").status_code == 413
    assert "copy as curl" in client.get(f"/request?number={number}").text


def copied(
    document: dict[str, Any], url: str = "http://testserver/", now_ms: int = 1_795_800_000_000
) -> dict[str, str]:
    request = parse_body(json.dumps(document).encode()).request
    return {one.title: one.text for one in copies_of(request, SHOP, url, now_ms=now_ms)}


def test_copied_shell_command_sends_the_request() -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here")
    with edge() as here:
        command = shlex.split(copied(HERO, f"{here.url}/")["curl"])
        run = subprocess.run([curl, "-sS", "--noproxy", "*", *command[1:]], capture_output=True, timeout=60)
        (mbox,) = json.loads(run.stdout)["execute"]["mboxes"]
        assert mbox["name"] == "hero"
        assert [event.visitor for event in here.events] == ["3f9c"]


def test_copied_program_prints_the_offers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program.py"
    with edge() as here:
        program.write_text(copied(HERO, f"{here.url}/")["Python"])
        runpy.run_path(str(program))
        assert [event.visitor for event in here.events] == ["3f9c"]
    assert json.loads(capsys.readouterr().out)["execute"]["mboxes"][0]["name"] == "hero"


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_copied_case_passes_and_fails_with_other_content(
    request_: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "test_copy.py"
    module.write_text(copied(request_)["pytest"])
    names = runpy.run_path(str(module))
    (case,) = (value for name, value in names.items() if name.startswith("test_"))
    document = shop()
    (tmp_path / "shop.json").write_text(json.dumps(document))
    case()
    if "hero" not in json.dumps(request_.get("execute")):
        return
    for rule in document["rules"]["mboxes"]["hero"]:
        rule["consequence"]["options"][0]["content"] = "other"
    (tmp_path / "shop.json").write_text(json.dumps(document))
    with pytest.raises(AssertionError):
        case()


def test_hostile_content_stays_text() -> None:
    evil = "</textarea></code><script>alert(1)</script>"
    document = shop()
    for rule in document["rules"]["mboxes"]["checkout-flags"]:
        rule["consequence"]["options"][0]["content"] = {evil: evil}
    client = web_client(artifact=document)
    fields = {
        "mbox": ["checkout-flags", evil],
        "param": f"a={evil}",
        "tnt_id": evil,
        "time": evil,
        "more": f'{{"{evil}": 1}}',
    }
    for given in (
        fields,
        {**fields, "time": ""},
        {"mbox": "checkout-flags", "tnt_id": "t", "param": f"a={evil}"},
    ):
        page = client.get("/ask", params=given).text
        assert page.count("<script>") == 1
        assert page.count("&lt;script&gt;") >= 3
