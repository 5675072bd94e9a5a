"""A web application of 1.1.0's, in Flask: it runs unchanged, in front of a server and on device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dropin.shop import TNT_ID, Shop
from servers.faulty import html_answer
from targetry import samples

pytest.importorskip("flask")

from dropin.flask_app import FALLBACK, create_app

Closing = Callable[[Any], Any]


@pytest.fixture(params=["server-side", "on-device"])
def browser(request: pytest.FixtureRequest, shop: Shop, closing: Closing) -> Any:
    options = {**shop.options, "decisioning_method": request.param}
    if request.param == "on-device":
        options |= {"artifact_payload": samples.shop(), "polling_interval": 0}
    app = create_app(options)
    closing(app.extensions["target"])
    return app.test_client()


@pytest.fixture
def asking(shop: Shop, closing: Closing) -> Any:
    """Return a browser of the application, on the server-side method."""
    app = create_app(shop.options)
    closing(app.extensions["target"])
    return app.test_client()


def cookies_of(response: Any) -> dict[str, str]:
    return dict(header.partition(";")[0].split("=", 1) for header in response.headers.getlist("Set-Cookie"))


def test_page_shows_the_offer_and_sets_the_cookie(browser: Any) -> None:
    response = browser.get("/")
    assert response.status_code == 200
    assert response.text != FALLBACK
    assert "Max-Age=63244800" in response.headers["Set-Cookie"]
    assert cookies_of(response)["mbox"].startswith("session#")


def test_same_visitor_gets_the_same_page(browser: Any) -> None:
    first = browser.get("/")
    for _ in range(5):
        again = browser.get("/")
        assert again.text == first.text
        assert session_of(again) == session_of(first)


def session_of(response: Any) -> list[str]:
    """Session and device id in the cookie, without their expiry."""
    return [part.split("#")[1] for part in cookies_of(response)["mbox"].split("|")]


def test_flags_are_read(browser: Any) -> None:
    assert browser.get("/flags").get_json()


def test_click_is_reported_for_the_session_of_the_page(asking: Any, shop: Shop) -> None:
    page = asking.get("/later")
    assert page.get_json() == {"tokens": ["token of hero"], "state": "state of hero"}
    assert asking.post("/clicked", json=page.get_json()).get_json() == {"status": 200}
    prefetched, clicked = shop.deliveries
    assert clicked.target == prefetched.target
    assert clicked.json()["id"] == {"tntId": TNT_ID}
    notification = clicked.json()["notifications"][0]
    assert (notification["type"], notification["tokens"]) == ("click", ["token of hero"])
    assert notification["mbox"] == {"name": "hero", "state": "state of hero"}


def test_when_target_fails_the_page_is_there(asking: Any, shop: Shop) -> None:
    shop.script(html_answer(500))
    assert asking.get("/").text == FALLBACK
