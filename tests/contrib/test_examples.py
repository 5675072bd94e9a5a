"""Shops of `examples/`, by test clients, by uvicorn with two workers, and in a browser."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from starlette.testclient import TestClient

from support.browser import browser, chromium
from targetry.edge.in_process import LocalEdge, edge

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LONGEST_S = 60
URL = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


def shop(name: str) -> Any:
    """Return the application of an example."""
    spec = importlib.util.spec_from_file_location(f"{name}_shop", EXAMPLES / name / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations are resolved there
    spec.loader.exec_module(module)
    return module.app


@pytest.mark.parametrize("name", ["fastapi", "starlette"])
def test_shop_keeps_the_experience_of_a_visitor_who_agreed(name: str) -> None:
    with TestClient(shop(name), "https://shop.example.com") as visitor:
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
    with TestClient(shop("fastapi"), "https://shop.example.com") as visitor:
        visitor.post("/consent", data={"choice": "all"})
        response = visitor.post("/orders", data={"product": "p1"}, follow_redirects=False)
    assert (response.status_code, "mbox" in response.cookies) == (303, True)
    assert [one for one in caplog.records if one.name == "adobe.target"] == []


def test_stream_and_websocket_of_the_starlette_shop_know_the_visitor() -> None:
    with TestClient(shop("starlette"), "https://shop.example.com") as visitor:
        visitor.post("/consent/all")
        feed = visitor.get("/feed")
        assert (feed.headers["content-encoding"], "mbox" in feed.cookies) == ("gzip", True)
        assert "data-experience" in feed.text
        with visitor.websocket_connect("wss://shop.example.com/chat?tier=gold") as socket:
            assert "Welcome back, Ada." in socket.receive_text()


def test_flask_shop_keeps_the_experience_of_a_visitor_who_agreed() -> None:
    visitor = shop("flask").test_client()
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


class Server(NamedTuple):
    """Running shop, and the edge behind it."""

    url: str
    edge: LocalEdge


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run the FastAPI shop by uvicorn with two workers."""
    with edge() as here:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "shop:app", "--port", "0", "--workers", "2"],
            cwd=EXAMPLES / "fastapi",
            env={**os.environ, "TARGET_EDGE": here.host},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line)
                if lines.count("INFO:     Application startup complete.\n") == 2:
                    break
            found = URL.search("".join(lines))
            assert found is not None, "".join(lines)
            yield Server(found[1], here)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                _, rest = process.communicate(timeout=LONGEST_S)
            finally:
                process.kill()
        assert "Traceback" not in rest
        # Each worker has sent its last impressions before it ended.
        assert {one.kind for one in here.events} >= {"display"}


def test_workers_of_uvicorn_agree_about_a_visitor(server: Server) -> None:
    texts, sessions = set(), set()
    cookies = {"choice": "all"}
    for _ in range(20):  # each by a connection of its own, so that both workers answer some
        with httpx2.Client(base_url=server.url, cookies=cookies, timeout=LONGEST_S) as visitor:
            response = visitor.get("/")
            texts.add(response.text)
            cookies["mbox"] = response.cookies["mbox"]
            sessions.add(cookies["mbox"].split("#")[1])
    assert (len(texts), len(sessions)) == (1, 1)


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
def test_browser_has_no_cookie_before_consent_and_one_experience_after(
    server: Server, tmp_path: Path
) -> None:
    async def visit() -> None:
        async with browser(chromium() or "", tmp_path) as page:
            assert "Welcome" in await page.open(server.url)
            assert await page.cookies() == {}
            assert "Welcome" in await page.click("button[value=none]")
            assert await page.cookies() == {"choice": "none"}
            await page.click("button[value=necessary]")
            assert set(await page.cookies()) == {"choice"}
            await page.open(server.url)
            assert all("mbox" not in one.get("cookie", "") for one in page.sent)

            first = await page.click("button[value=all]")
            cookies = await page.cookies()
            assert set(cookies) == {"choice", "mbox"}
            assert "data-experience" in first
            second = await page.open(server.url)
            third = await page.click("button[name=product]")
            assert hero(first) == hero(second) == hero(third)
            assert page.sent[-1]["cookie"].count("mbox=") == 1
            tnt_id = re.search(r"PC#([^#]+)#", cookies["mbox"])[1]  # type: ignore[index]
            assert f"PC#{tnt_id}#" in (await page.cookies())["mbox"]

            assert "Welcome" in await page.click("button[value=none]")
            assert await page.cookies() == {"choice": "none"}

    asyncio.run(visit())


def hero(document: str) -> str:
    return document.partition("<main>")[2].partition("</main>")[0]
