"""Shops of `examples/`, by the test clients of their frameworks."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from support.shops import shop


@pytest.mark.parametrize("name", ["fastapi", "starlette"])
def test_shop_keeps_the_experience_of_a_visitor_who_agreed(name: str) -> None:
    with TestClient(shop(name).app, "https://shop.example.com") as visitor:
        refused = visitor.get("/")
        assert "Welcome" in refused.text
        assert dict(visitor.cookies) == {}
        if name == "fastapi":
            visitor.post("/consent", data={"choice": "all"})
        else:
            visitor.post("/consent/all")
        first, second = visitor.get("/"), visitor.get("/")
        assert "data-experience" in first.text
        assert first.text == second.text
        assert visitor.get("/checkout").json()["one_click"] in (True, False)
        assert set(visitor.cookies) == {"choice", "mbox"}


def test_order_of_the_fastapi_shop_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with TestClient(shop("fastapi").app, "https://shop.example.com") as visitor:
        visitor.post("/consent", data={"choice": "all"})
        response = visitor.post("/orders", data={"product": "p1"}, follow_redirects=False)
    assert (response.status_code, "mbox" in response.cookies) == (303, True)
    assert [one for one in caplog.records if one.name == "adobe.target"] == []


def test_stream_and_websocket_of_the_starlette_shop_know_the_visitor() -> None:
    with TestClient(shop("starlette").app, "https://shop.example.com") as visitor:
        visitor.post("/consent/all")
        feed = visitor.get("/feed")
        assert (feed.headers["content-encoding"], "mbox" in feed.cookies) == ("gzip", True)
        assert "data-experience" in feed.text
        with visitor.websocket_connect("wss://shop.example.com/chat?tier=gold") as socket:
            assert "Welcome back, Ada." in socket.receive_text()


def test_flask_shop_keeps_the_experience_of_a_visitor_who_agreed() -> None:
    visitor = shop("flask").app.test_client()
    refused = visitor.get("/")
    assert "Welcome" in refused.text
    assert "set-cookie" not in refused.headers
    assert visitor.post("/consent", data={"choice": "some"}).status_code == 400
    visitor.post("/consent", data={"choice": "all"})
    first, feed, second = visitor.get("/"), visitor.get("/feed"), visitor.get("/")
    assert "data-experience" in first.text
    assert first.text == second.text
    assert "data-experience" in feed.text
    assert visitor.get_cookie("mbox") is not None
    assert visitor.get("/checkout").json["one_click"] in (True, False)
    assert visitor.post("/orders", data={"product": "p1"}).status_code == 303
