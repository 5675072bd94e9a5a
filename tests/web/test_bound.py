"""Bound targets: decisions, ids, cookies, consent and impressions of one request, by both skins."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from support.web import (
    ORGANIZATION,
    AsyncPage,
    FakeRequest,
    Page,
    Reports,
    async_client,
    blocking_client,
    decides_mboxes,
)
from targetry import (
    AsyncTargetClient,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    NotReadyError,
    OptionError,
    PrefetchRequest,
    RequestDetails,
    TargetClient,
    TransportError,
    ViewRequest,
)
from targetry.testing import AsyncFakeTransport, FakeTransport
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent

FAR = 4_000_000_000
RETURNING = f"session#s1#{FAR}|PC#p1.35_0#{FAR}"
AMCV = "MCMID%7C12345678901234567890123456789012345678"
ECID = "12345678901234567890123456789012345678"


class Skin:
    """Clients and pages of one kind."""

    def __init__(self, kind: str) -> None:
        self.is_async = kind == "asyncio"
        self._clients: list[Any] = []
        self.reports = Reports()
        self.transport: Any = None

    def client(self, **more: Any) -> Any:
        make = async_client if self.is_async else blocking_client
        client = make(**{"send_notification_func": self.reports, **more})
        self._clients.append(client)
        return client

    def remote_client(self, method: str = "server-side", by: Callable[[Any], Any] = decides_mboxes) -> Any:
        """Return a client whose Delivery API is a function."""
        self.transport = AsyncFakeTransport(by=by) if self.is_async else FakeTransport(by=by)
        own = {"async_transport" if self.is_async else "transport": self.transport}
        rules = {"artifact_payload": None, "polling_interval": None} if method == "server-side" else {}
        return self.client(decisioning_method=method, send_notification_func=self.reports, **own, **rules)

    def page(self, client: Any, headers: dict[str, Any] | None = None, **web: Any) -> Page:
        return (AsyncPage if self.is_async else Page)(client, FakeRequest(headers), **web)

    def sent(self) -> list[dict[str, Any]]:
        """Return the bodies of the calls of the Delivery API."""
        return [msgspec.json.decode(one.body) for one in self.transport.requests]

    def close(self) -> None:
        for client in self._clients:
            if self.is_async:
                asyncio.run(client.aclose(0))
            else:
                client.close(0)


@pytest.fixture(params=["blocking", "asyncio"])
def skin(request: pytest.FixtureRequest) -> Iterator[Skin]:
    made = Skin(request.param)
    yield made
    made.close()


# Decisions


def test_offer_has_the_content_of_get_offers(skin: Skin) -> None:
    client = skin.client()
    page = skin.page(client, {"cookie": f"mbox={RETURNING}"})
    content = page.target.offer("hero", default="none")
    assert content == page.target.get_offers(mboxes=["hero"]).content("hero")
    assert page.target.offers("hero", "unknown", "greeting") == {"hero": content}


@pytest.mark.parametrize(
    ("cookie", "web"),
    [
        (f"mbox={RETURNING}", {}),
        (f"mbox=session#s1#{FAR}|PC#p%C3%A91.35_0#{FAR}", {}),
        (f"AMCV_{ORGANIZATION}={AMCV}", {}),
        (f"mbox={RETURNING}", {"customer_ids": lambda _: {"crm": "17"}}),
        (f"mbox={RETURNING}", {"ip": True}),
        (f"mbox={RETURNING}", {"parameters": lambda _: {"member.tier": "gold"}}),
    ],
    ids=["tnt id", "odd tnt id", "ECID", "customer id", "address", "parameters"],
)
def test_each_visitor_is_decided_and_reported_as_by_get_offers(
    skin: Skin, cookie: str, web: dict[str, Any]
) -> None:
    client = skin.client()
    headers = {"cookie": cookie, "user-agent": "Firefox", "accept-language": "de"}
    pages = [skin.page(client, headers, **web) for _ in range(2)]
    contents = [
        pages[0].target.offer("hero"),
        pages[1].target.get_offers(mboxes=["hero"]).content("hero"),
    ]
    for page in pages:
        page.respond()
    assert contents[0] == contents[1]
    by_offer, by_get_offers = ((one.id, one.context) for one in skin.reports)
    assert by_offer == by_get_offers


def test_impression_that_the_response_of_another_thread_overtakes_is_sent(skin: Skin) -> None:
    page = skin.page(skin.client())
    services = page.visit.visits.services
    make = services.held_reports

    def make_too_late() -> Any:
        page.visit.settle(200)
        return make()

    services.held_reports = make_too_late
    page.target.offer("hero")
    assert skin.reports.mboxes == ["hero"]


def test_report_leaves_the_context_of_the_visitor_unchanged(skin: Skin) -> None:
    page = skin.page(skin.client())
    before = page.target.context
    page.target.offer("hero")
    page.respond()
    assert skin.reports[0].context.time_offset_in_minutes is not None
    assert page.target.context == before


def test_default_is_returned_without_a_decision(skin: Skin) -> None:
    page = skin.page(skin.client())
    assert page.target.offer("recommendations", default="none") == "none"
    assert page.target.offers("recommendations") == {}


def test_parameters_reach_the_rules(skin: Skin) -> None:
    page = skin.page(skin.client(), parameters=lambda request: {"member.tier": "gold"})
    assert "Welcome back, Ada." in page.target.offer("greeting", user="Ada")


def test_flag_has_the_type_of_its_default(skin: Skin) -> None:
    target = skin.page(skin.client()).target
    assert target.flag("checkout-flags:oneClick", False) is target.flag("checkout-flags:oneClick", None)
    assert target.flag("checkout-flags:oneClick", "text") == "text"
    assert target.flag("checkout-flags:missing", 5) == 5
    assert target.flag(":no key", 5) == 5
    assert target.flag("hero:x", None, url="not a parameter") is None


def test_value_of_a_flag_is_a_copy(skin: Skin) -> None:
    target = skin.page(skin.client()).target
    first = target.flag("checkout-flags", {})
    first["oneClick"] = "changed"
    assert target.flag("checkout-flags", {})["oneClick"] != "changed"


def test_flag_counts_one_impression_in_a_request(skin: Skin) -> None:
    page = skin.page(skin.client())
    for _ in range(3):
        page.target.flag("checkout-flags:oneClick", False)
        page.target.flag("checkout-flags:payLater", {})
    page.respond()
    assert skin.reports.mboxes == ["checkout-flags"]


@pytest.mark.parametrize(
    "call", [("offer", ""), ("offer", None), ("offers", "a", 5), ("track", ""), ("flag", 5, "")]
)
def test_wrong_name_raises(skin: Skin, call: tuple[Any, ...]) -> None:
    target = skin.page(skin.client()).target
    with pytest.raises(OptionError):
        getattr(target, call[0])(*call[1:])


def test_wrong_default_raises(skin: Skin) -> None:
    target = skin.page(skin.client()).target
    with pytest.raises(OptionError, match="default"):
        target.flag("hero", object())


def test_invalid_parameter_returns_the_default(skin: Skin) -> None:
    client = skin.client()
    assert skin.page(client).target.offer("hero", default="none", q="x" * 6000) == "none"
    assert client.stats().web_faults == {"decision": 1}


def test_api_decides_locations_without_rules(skin: Skin) -> None:
    client = skin.remote_client("hybrid")
    page = skin.page(client, {"cookie": f"mbox={RETURNING}"})
    found = page.target.offers("hero", "recommendations", "other", q="1")
    assert found["recommendations"] == "recommendations by API"
    assert "hero" in found
    (sent,) = skin.sent()
    assert sent["id"] == {"tntId": "p1.35_0"}
    assert [one["name"] for one in sent["execute"]["mboxes"]] == ["recommendations", "other"]
    assert sent["execute"]["mboxes"][0]["parameters"] == {"q": "1"}
    assert sent["context"]["geo"] == {"ipAddress": "203.0.113.7"}


def test_api_that_fails_gives_defaults_and_is_counted(skin: Skin) -> None:
    def fails(_: Any) -> Any:
        raise TransportError(reason="refused")

    client = skin.remote_client(by=fails)
    page = skin.page(client)
    assert page.target.offer("hero", default="none") == "none"
    assert page.target.flag("hero", "none") == "none"
    assert client.stats().web_faults == {"decision": 2}
    with pytest.raises(TransportError):
        page.target.get_offers(mboxes=["hero"])
    assert "mbox" in page.respond().cookies()


def test_callbacks_raise(skin: Skin) -> None:
    with pytest.raises(OptionError, match="callback"):
        skin.page(skin.client()).target.get_offers(mboxes=["hero"], callback=print)


# Ids


def test_new_visitor_has_one_session_and_one_tnt_id(skin: Skin) -> None:
    page = skin.page(skin.client())
    target = page.target
    target.offer("hero")
    result = target.get_offers(mboxes=["hero"])
    target.get_attributes(["checkout-flags"])
    assert result.request.id.tnt_id == target.tnt_id
    page.respond()
    assert {one.id.tnt_id for one in skin.reports} == {target.tnt_id}
    assert page.headers.cookies()["mbox"].startswith(f"session#{target.session_id}#")
    assert f"PC#{target.tnt_id}#" in page.headers.cookies()["mbox"]


def test_returning_visitor_keeps_ids_and_experience(skin: Skin) -> None:
    client = skin.client()
    first = skin.page(client)
    content = first.target.offer("hero")
    cookie = first.respond().cookies()["mbox"].partition(";")[0]
    for header in (f"mbox={cookie}", f'a=b; mbox="{cookie}"', f"mbox=broken; mbox={cookie}"):
        page = skin.page(client, {"cookie": header})
        assert page.target.offer("hero") == content
        assert (page.target.tnt_id, page.target.session_id) == (first.target.tnt_id, first.target.session_id)


def test_ids_that_the_api_names_are_kept(skin: Skin) -> None:
    page = skin.page(skin.remote_client())
    page.target.offer("hero")
    page.target.get_offers(mboxes=["hero"])
    sent = skin.sent()
    assert page.target.tnt_id == f"{sent[0]['id']['tntId']}.35_0" == sent[1]["id"]["tntId"]
    cookies = page.respond().cookies()
    assert cookies["mboxEdgeCluster"].startswith("35; Max-Age=1860")


def test_ecid_of_the_amcv_cookie_is_the_visitor(skin: Skin) -> None:
    page = skin.page(skin.remote_client(), {"cookie": f"AMCV_{ORGANIZATION.replace('@', '%40')}={AMCV}"})
    page.target.offer("hero")
    assert (page.target.ecid, skin.sent()[0]["id"]) == (ECID, {"marketingCloudVisitorId": ECID})


def test_ecid_decides_on_device_too(skin: Skin) -> None:
    client = skin.client()
    page = skin.page(client, {"cookie": f"AMCV_{ORGANIZATION}={AMCV}"})
    assert page.target.offer("hero") == page.target.get_offers(mboxes=["hero"]).content("hero")
    page.respond()
    assert {one.id.marketing_cloud_visitor_id for one in skin.reports} == {ECID}


def test_customer_ids_are_sent(skin: Skin) -> None:
    page = skin.page(skin.remote_client(), customer_ids=lambda request: {"crm": "17"})
    page.target.offer("hero")
    assert skin.sent()[0]["id"]["customerIds"][0]["id"] == "17"


@pytest.mark.parametrize("option", ["customer_ids", "parameters", "ip"])
@pytest.mark.parametrize("fault", [lambda request: 1 / 0, lambda request: object()], ids=["raises", "wrong"])
def test_function_that_fails_gives_nothing_and_is_counted(skin: Skin, option: str, fault: Any) -> None:
    client = skin.remote_client()
    page = skin.page(client, **{option: fault})
    assert page.target.offers("hero", "other")["hero"] == "hero by API"
    assert client.stats().web_faults == {option: 1}


def test_values_of_the_caller_are_not_replaced(skin: Skin) -> None:
    page = skin.page(skin.remote_client(), {"cookie": f"mbox={RETURNING}", "user-agent": "Firefox"})
    request = {
        "context": {"channel": "mobile", "userAgent": "App"},
        "execute": {"mboxes": [{"name": "hero"}]},
    }
    page.target.get_offers(request, session_id="own", mboxes=["other"])
    (sent,) = skin.sent()
    assert "sessionId=own" in skin.transport.requests[0].url
    assert (sent["context"]["channel"], sent["context"]["userAgent"]) == ("mobile", "App")
    assert sent["context"]["address"]["url"] == "https://www.shop.example.co.uk/sale?page=2"
    assert [one["name"] for one in sent["execute"]["mboxes"]] == ["hero", "other"]
    assert page.target.session_id == "s1"


def test_request_of_the_caller_is_not_changed(skin: Skin) -> None:
    request = DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails()))
    page = skin.page(skin.client(), parameters=lambda request: {"a": "b"})
    page.target.get_offers(request)
    assert request == DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails()))


def test_parameters_are_added_to_every_location(skin: Skin) -> None:
    request = DeliveryRequest(
        execute=ExecuteRequest(
            page_load=RequestDetails(), mboxes=[MboxRequest(name="hero", parameters={"a": "own"})]
        ),
        prefetch=PrefetchRequest(views=[ViewRequest(name="home")]),
    )
    page = skin.page(skin.remote_client(), parameters=lambda request: {"a": "b"})
    page.target.get_offers(request)
    (sent,) = skin.sent()
    assert sent["execute"]["pageLoad"]["parameters"] == {"a": "b"}
    assert sent["execute"]["mboxes"][0]["parameters"] == {"a": "own"}
    assert sent["prefetch"]["views"][0]["parameters"] == {"a": "b"}


# Address


@pytest.mark.parametrize(
    ("ip", "method", "expected"),
    [
        ("auto", "server-side", "203.0.113.7"),
        (True, "server-side", "203.0.113.7"),
        (False, "server-side", None),
        (lambda request: "198.51.100.3", "server-side", "198.51.100.3"),
        (lambda request: "10.0.0.1", "server-side", None),
        (lambda request: None, "server-side", None),
    ],
)
def test_address_is_passed_by_the_option(skin: Skin, ip: Any, method: str, expected: str | None) -> None:
    page = skin.page(skin.remote_client(method), ip=ip)
    page.target.offer("hero")
    assert skin.sent()[0]["context"].get("geo") == (None if expected is None else {"ipAddress": expected})


def test_address_is_not_looked_up_on_device_by_default(skin: Skin) -> None:
    client = skin.client()
    assert skin.page(client).visit.context(to_api=False).geo is None
    assert skin.page(client, ip=True).visit.context(to_api=False).geo is not None


def test_trusted_proxy_names_the_visitor(skin: Skin) -> None:
    client = skin.client()
    forwarded = {"x-forwarded-for": "1.2.3.4, 198.51.100.3", "forwarded": "for=198.51.100.4"}
    for more, expected in [
        ({}, "203.0.113.7"),
        ({"trusted_proxies": ["203.0.113.0/24"]}, "198.51.100.3"),
        ({"trusted_proxies": ["203.0.113.0/24"], "proxy_header": "forwarded"}, "198.51.100.4"),
    ]:
        assert skin.page(client, forwarded, **more).target.context.geo.ip_address == expected


# Cookies


def test_unused_visitor_gets_no_header(skin: Skin) -> None:
    assert skin.page(skin.client(), {"cookie": f"mbox={RETURNING}"}).respond().items == []


def test_used_visitor_gets_cookies_and_vary(skin: Skin) -> None:
    page = skin.page(skin.client())
    page.target.offer("hero")
    headers = page.respond()
    assert ("Vary", "Cookie") in headers.items
    assert headers.cookies()["mbox"].endswith("; Max-Age=63244800; Path=/; SameSite=Lax; Secure")


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        ({"cookie_domain": "auto"}, "; Domain=example.co.uk; Path=/; SameSite=Lax; Secure"),
        ({"cookie_domain": ".example.co.uk"}, "; Domain=example.co.uk; Path=/; SameSite=Lax; Secure"),
        ({"cookie_path": "/shop"}, "; Path=/shop; SameSite=Lax; Secure"),
        ({"cookie_samesite": "none"}, "; Path=/; SameSite=None; Secure"),
        ({"cookie_secure": False}, "; Path=/; SameSite=Lax"),
        ({"cookie_httponly": True}, "; Path=/; SameSite=Lax; HttpOnly; Secure"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_options_change_the_attributes_of_cookies(skin: Skin, web: dict[str, Any], expected: str) -> None:
    page = skin.page(skin.client(), **web)
    page.target.remember()
    assert page.respond().cookies()["mbox"].partition("Max-Age=63244800")[2] == expected


def test_cookies_are_not_secure_over_plain_http(skin: Skin) -> None:
    page = skin.page(skin.client())
    page.visit.request.is_secure = False  # type: ignore[union-attr, misc]
    page.target.remember()
    assert "Secure" not in page.respond().cookies()["mbox"]


def test_cookies_are_set_always_or_never(skin: Skin) -> None:
    client = skin.client()
    assert "mbox" in skin.page(client, cookies="always").respond().cookies()
    page = skin.page(client, cookies="never")
    page.target.offer("hero")
    assert page.respond().items == [("Vary", "Cookie")]


def test_cookies_of_a_denied_visitor_stay_if_none_are_ever_set(skin: Skin) -> None:
    sent = {"cookie": f"mbox={RETURNING}"}
    page = skin.page(skin.client(), sent, cookies="never", consent=lambda _: False)
    page.target.offer("hero")
    assert page.respond().items == [("Vary", "Cookie")]


def test_vary_can_be_switched_off(skin: Skin) -> None:
    page = skin.page(skin.client(), vary=False)
    page.target.offer("hero")
    assert [name for name, _ in page.respond().items] == ["Set-Cookie"]


def test_client_hints_are_requested_by_an_option(skin: Skin) -> None:
    headers = skin.page(skin.client(), accept_ch=True).respond()
    assert [name for name, _ in headers.items] == ["Accept-CH"]


def test_decision_after_the_start_of_the_response_is_logged_and_counted(
    skin: Skin, caplog: pytest.LogCaptureFixture
) -> None:
    client = skin.client()
    page = skin.page(client)
    page.respond()
    page.target.offer("hero")
    page.target.offer("hero")
    assert client.stats().web_faults == {"cookies": 2}
    assert [one.message for one in caplog.records if "remember()" in one.message] == [
        "cookies of a visitor were not set: the first decision was made after the response had started; "
        "call remember() before"
    ]


def test_remembered_visitor_can_be_used_after_the_start_of_the_response(skin: Skin) -> None:
    client = skin.client()
    page = skin.page(client)
    page.target.remember()
    assert "mbox" in page.respond().cookies()
    page.target.offer("hero")
    assert client.stats().web_faults == {}
    assert skin.reports.mboxes == ["hero"]


# Consent


@pytest.mark.parametrize("answer", [True, None, Consent.GRANTED])
def test_granted_consent_sets_cookies(skin: Skin, answer: object) -> None:
    page = skin.page(skin.client(), {"cookie": f"mbox={RETURNING}"}, consent=lambda request: answer)
    assert page.target.consent is Consent.GRANTED
    assert page.target.tnt_id == "p1.35_0"
    assert "mbox" in page.respond().cookies()


def test_anonymous_visitor_leaves_no_trace(skin: Skin) -> None:
    cookies = f"mbox={RETURNING}; AMCV_{ORGANIZATION}={AMCV}"
    page = skin.page(
        skin.client(),
        {"cookie": cookies},
        consent=lambda _: Consent.ANONYMOUS,
        customer_ids=lambda _: {"crm": "17"},
    )
    target = page.target
    assert target.offer("hero") is not None
    assert target.get_offers(mboxes=["checkout-flags"]).content("checkout-flags")
    assert not target.track("signup")
    assert target.send_notifications({"notifications": [{"id": "n"}]}).notifications is None
    assert target.tnt_id not in (None, "p1.35_0")
    assert (target.ecid, target.context.geo) == (None, None)
    assert page.respond().items == [("Vary", "Cookie")]
    assert (skin.reports.mboxes, page.visit.visits.client.stats().notifications.dropped) == ([], {})


@pytest.mark.parametrize("method", ["server-side", "hybrid"])
def test_api_counts_no_impression_of_an_anonymous_visitor(skin: Skin, method: str) -> None:
    page = skin.page(
        skin.remote_client(method), {"cookie": f"mbox={RETURNING}"}, consent=lambda _: Consent.ANONYMOUS
    )
    assert page.target.offer("recommendations") == "recommendations by API"
    result = page.target.get_offers(
        {"execute": {"mboxes": [{"name": "recommendations"}]}, "notifications": []}
    )
    assert result.content("recommendations") == "recommendations by API"
    for sent in skin.sent():
        assert "execute" not in sent
        assert sent["id"]["tntId"] != "p1.35_0"
        assert "geo" not in sent["context"]


def test_denied_visitor_gets_defaults_without_a_call(skin: Skin) -> None:
    client = skin.remote_client()
    page = skin.page(client, {"cookie": f"mbox={RETURNING}; mboxEdgeCluster=35"}, consent=lambda _: False)
    target = page.target
    assert (target.offer("hero", "none"), target.offers("hero"), target.flag("hero", "none")) == (
        "none",
        {},
        "none",
    )
    result = target.get_offers(
        {"execute": {"pageLoad": {}}, "prefetch": {"views": [{"name": "home"}]}}, mboxes=["a"]
    )
    assert [one.name for one in result.execute.mboxes] == ["a"]
    assert (result.content("a"), bool(result.page_load), bool(result.view("home"))) == (None, False, False)
    assert target.get_attributes(["a"]).as_object("a") is None
    assert (target.tnt_id, target.session_id, target.ecid) == (None, None, None)
    assert not target.track("signup")
    assert target.dump() == {"consent": "denied"}
    assert skin.transport.requests == []
    expired = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax; Secure"
    assert page.respond().cookies() == {"mbox": expired, "mboxEdgeCluster": expired}


def test_denied_visitor_without_cookies_gets_none_deleted(skin: Skin) -> None:
    page = skin.page(skin.client(), consent=lambda _: False)
    page.target.offer("hero")
    assert page.respond().items == [("Vary", "Cookie")]


@pytest.mark.parametrize("consent", [lambda _: 1 / 0, lambda _: "yes"], ids=["raises", "wrong answer"])
def test_consent_that_fails_counts_as_denied(
    skin: Skin, consent: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = skin.client()
    for _ in range(2):
        page = skin.page(client, consent=consent)
        assert (page.target.offer("hero", "none"), page.target.consent) == ("none", Consent.DENIED)
    assert client.stats().web_faults == {"consent": 2}
    assert len([one for one in caplog.records if "consent" in one.message]) == 1


def test_consent_is_requested_once_when_it_is_needed(skin: Skin) -> None:
    asked: list[object] = []
    page = skin.page(skin.client(), consent=lambda request: asked.append(request))
    assert asked == []
    page.target.offer("hero")
    page.target.offer("hero")
    page.respond()
    assert asked == [page.visit.request]


# Impressions


def test_impressions_wait_for_the_status_of_the_response(skin: Skin) -> None:
    page = skin.page(skin.client())
    page.target.offer("hero")
    page.target.get_offers(mboxes=["checkout-flags"])
    assert skin.reports.mboxes == []
    page.respond(404)
    assert skin.reports.mboxes == ["hero", "checkout-flags"]


def test_impressions_of_a_page_that_failed_are_dropped_and_counted(skin: Skin) -> None:
    client = skin.client()
    page = skin.page(client)
    page.target.offer("hero")
    page.target.get_offers(mboxes=["checkout-flags"])
    page.respond(500)
    stats = client.stats().notifications
    assert (skin.reports.mboxes, stats.dropped, stats.accepted) == ([], {"response": 2}, 2)


def test_impressions_are_sent_at_once_on_request(skin: Skin) -> None:
    page = skin.page(skin.client(), impressions="at once", consent=lambda _: True)
    page.target.offer("hero")
    assert skin.reports.mboxes == ["hero"]


def test_impressions_of_other_visitors_are_not_held(skin: Skin) -> None:
    client = skin.client()
    page = skin.page(client)
    page.target.offer("hero")
    other = skin.page(client, impressions="at once")
    other.target.offer("greeting", **{"member.tier": "gold"})
    assert skin.reports.mboxes == ["greeting"]


def test_tracked_event_is_sent_at_once(skin: Skin) -> None:
    page = skin.page(skin.client(), {"cookie": f"mbox={RETURNING}", "user-agent": "Firefox"})
    assert page.target.track("signup", 9.5, orderId="o1", plan="gold")
    (request,) = skin.reports
    (event,) = request.notifications
    assert (event.mbox.name, event.order.id, event.order.total, event.parameters) == (
        "signup",
        "o1",
        9.5,
        {"plan": "gold"},
    )
    assert (request.id.tnt_id, request.context.user_agent) == ("p1.35_0", "Firefox")


def test_event_that_no_request_can_carry_is_counted(skin: Skin) -> None:
    client = skin.client()
    assert not skin.page(client).target.track("signup", plan="x" * 6000)
    assert client.stats().web_faults == {"track": 1}


def test_click_of_a_flag_has_the_tokens_of_its_experience(skin: Skin) -> None:
    page = skin.page(skin.client())
    page.target.offer("hero")
    assert page.target.track("click", flagKey="hero")
    (event,) = skin.reports[0].notifications
    assert (event.mbox.name, event.type, event.tokens) == ("hero", "click", ["Q7lTDsOrOI47jOmvwTknlQ=="])


# Elsewhere


@pytest.mark.parametrize("answer", [True, Consent.ANONYMOUS, False])
def test_visitor_is_carried_into_a_task(skin: Skin, answer: Any) -> None:
    client = skin.client()
    page = skin.page(
        client,
        {"cookie": f"mbox={RETURNING}", "user-agent": "Firefox"},
        consent=lambda _: answer,
        customer_ids=lambda _: {"crm": "17"},
        parameters=lambda _: {"a": "b"},
    )
    dumped = msgspec.json.decode(msgspec.json.encode(page.target.dump()))
    resumed = client.visit(dumped)
    assert isinstance(resumed, AsyncBoundTarget if skin.is_async else BoundTarget)
    assert (resumed.tnt_id, resumed.session_id) == (page.target.tnt_id, page.target.session_id)
    assert (resumed.consent, resumed.dump()) == (page.target.consent, dumped)


def test_impressions_of_a_task_are_sent_at_once(skin: Skin) -> None:
    client = skin.client()
    dumped = skin.page(client, {"cookie": f"mbox={RETURNING}"}).target.dump()
    resumed = client.visit(dumped)
    offer = resumed.offer("hero")
    content = asyncio.run(offer) if skin.is_async else offer
    assert content == skin.page(client, {"cookie": f"mbox={RETURNING}"}).target.offer("hero")
    assert skin.reports.mboxes == ["hero"]


@pytest.mark.parametrize(
    "dumped", [{}, {"consent": "yes"}, {"consent": "granted", "sessionId": "s"}, None, "x"]
)
def test_anything_else_is_no_dumped_visitor(skin: Skin, dumped: Any) -> None:
    with pytest.raises(OptionError, match="dump"):
        skin.client().visit(dumped)


# Threads and tasks


def test_threads_share_the_ids_of_a_request() -> None:
    reports = Reports()
    with blocking_client(send_notification_func=reports) as client:
        page = Page(client)
        barrier = threading.Barrier(8)

        def decide() -> None:
            barrier.wait()
            page.target.offer("hero")

        threads = [threading.Thread(target=decide) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        page.respond()
    assert reports.mboxes == ["hero"] * 8
    assert len({one.id.tnt_id for one in reports}) == 1


def test_tasks_share_ids_and_one_answer_of_an_asynchronous_consent() -> None:
    asked: list[object] = []

    async def run() -> None:
        async def ask() -> bool:
            await asyncio.sleep(0)
            return True

        def consent(request: object) -> asyncio.Task[bool]:
            asked.append(request)
            return asyncio.ensure_future(ask())

        async with await AsyncTargetClient.create(**_options()) as client:
            page = AsyncPage(client, consent=consent)
            target = AsyncBoundTarget(page.visit)
            with pytest.raises(NotReadyError, match="await ready"):
                target.tnt_id  # noqa: B018
            contents = await asyncio.gather(*(target.offer("hero") for _ in range(8)))
            assert len(set(contents)) == 1
            assert await target.ready() is Consent.GRANTED
            assert target.tnt_id is not None

    def _options() -> dict[str, Any]:
        from support.web import options

        return options()

    asyncio.run(run())
    assert len(asked) == 1


def test_blocking_target_of_an_asynchronous_visit_shares_it() -> None:
    client = async_client()
    page = AsyncPage(client)
    blocking = AsyncBoundTarget(page.visit).blocking(lambda awaitable: asyncio.run(_wait(awaitable)))
    content = blocking.offer("hero")
    assert content == page.target.offer("hero")
    assert blocking.tnt_id == page.target.tnt_id
    asyncio.run(client.aclose(0))


async def _wait(awaitable: Any) -> Any:
    return await awaitable


def test_targets_have_the_same_calls() -> None:
    def calls(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert calls(AsyncBoundTarget) - calls(BoundTarget) == {"blocking"}
    assert calls(BoundTarget) - calls(AsyncBoundTarget) == set()


def test_repr_shows_no_ids() -> None:
    with TargetClient.create(client="acme", organization_id=ORGANIZATION) as client:
        assert repr(Page(client).target) == "BoundTarget(…)"
