"""Built documentation site in headless Chromium: search, themes, widths, playground, hosts."""

from __future__ import annotations

import base64
import functools
import json
import threading
import zlib
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support import browser

SITE = Path(__file__).parent.parent / "site"
WIDTH_OF_A_PHONE = 390

pytestmark = pytest.mark.skipif(
    not (SITE / "llms.txt").exists(), reason="the site is not built: run scripts/docs"
)


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Tab]:
    """Return a tab in the dark theme, with the site."""
    handler = functools.partial(Handler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            with browser.opened_tab(browser.Tab, url, tmp_path_factory.mktemp("profile")) as opened:
                opened.do(lambda page: page.look(1200, 800, "dark"))
                yield opened
        finally:
            server.shutdown()
            thread.join()


def test_theme_follows_the_system_until_it_is_switched(tab: browser.Tab) -> None:
    async def theme(page: browser.Page) -> tuple[str, str]:
        scheme = await page.evaluate("document.body.dataset.mdColorScheme")
        return scheme, await page.evaluate("getComputedStyle(document.body).backgroundColor")

    async def steps(page: browser.Page) -> None:
        await page.open(tab.url)
        dark, dark_background = await theme(page)
        assert dark == "slate"
        await page.mouse("label[title='Switch to light mode']")
        light, light_background = await theme(page)
        assert light == "default"
        assert light_background != dark_background
        await page.open(tab.url)
        assert await theme(page) == (light, light_background)

    tab.do(steps)


def test_search_finds_the_page_of_an_option(tab: browser.Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.open(tab.url)
        await page.mouse(".md-search__button")
        await page.wait_for("document.activeElement.shadowRoot.activeElement.matches('input')")
        await page.write("polling_interval")
        await page.wait_for(
            "document.activeElement.shadowRoot.querySelector('[role=option]')"
            ".href.endsWith('/options/?h=polling_interval#polling_interval')"
        )

    tab.do(steps)


def test_pages_fit_the_width_of_a_phone(tab: browser.Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.look(WIDTH_OF_A_PHONE, 800)
        wide = []
        for place in ("", "edge/", "playground/", "options/", "migrating/", "api/client/"):
            await page.open(tab.url + place)
            if await page.evaluate("document.documentElement.scrollWidth") > WIDTH_OF_A_PHONE:
                wide.append(place)
        await page.look(1200, 800)
        assert wide == []

    tab.do(steps)


def packed(state: dict[str, str]) -> str:
    """Return the fragment of the playground for a state."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = compressor.compress(json.dumps(state).encode()) + compressor.flush()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpacked(fragment: str) -> Any:
    data = base64.urlsafe_b64decode(fragment + "=" * (-len(fragment) % 4))
    return json.loads(zlib.decompress(data, wbits=-zlib.MAX_WBITS))


@pytest.mark.skipif(
    not (SITE / "playground" / "wheels.json").exists(), reason="not built: run scripts/docs playground"
)
def test_playground_decides_for_links_and_for_what_is_edited(tab: browser.Tab) -> None:
    request = {
        "id": {"tntId": "a"},
        "context": {"channel": "web"},
        "execute": {"mboxes": [{"index": 0, "name": "banner", "parameters": {"plan": "silver"}}]},
    }

    async def text(page: browser.Page, selector: str) -> str:
        return str(await page.evaluate(f"document.querySelector({selector!r}).innerText"))

    async def steps(page: browser.Page) -> None:
        fragment = packed({"example": "Audiences", "request": json.dumps(request)})
        await page.open(f"{tab.url}playground/#{fragment}")
        await page.wait_for("document.querySelector('#pg-split .pg-bar')")
        assert await page.evaluate("document.querySelector('#pg-parameters').value") == "plan=silver"
        assert '"discount": 0' in await text(page, "#pg-offers pre")
        assert "Everybody" in await text(page, "#pg-offers .pg-matched")

        await page.evaluate("document.querySelector('#pg-parameters').select()")
        await page.write("plan=gold")
        await page.wait_for("document.querySelector('#pg-offers pre').innerText.includes('20')")
        assert "Gold" in await text(page, "#pg-offers .pg-matched")
        assert "plan" in await text(page, "#pg-offers .pg-matched .pg-part")
        await page.wait_for("document.querySelector('#pg-split .pg-bar').innerText.includes('Gold')")
        assert "1,000 visitors" in await text(page, "#pg-split h3")
        assert "100.0 %" in await text(page, "#pg-split .pg-bar")
        state = unpacked((await page.evaluate("location.hash"))[1:])
        assert json.loads(state["request"])["execute"]["mboxes"][0]["parameters"] == {"plan": "gold"}

        await page.evaluate(f"location.hash = {packed({'example': 'Activities as YAML'})!r}")
        await page.wait_for("document.querySelector('#pg-compiled pre')?.textContent.includes('localMboxes')")
        assert "Welcome back" in await text(page, "#pg-offers pre") or "Autumn" in await text(
            page, "#pg-offers pre"
        )

        await page.evaluate(f"location.hash = {packed({'example': 'A split'})!r}")
        await page.wait_for("document.querySelectorAll('#pg-split .pg-bar').length === 2")

        await page.evaluate("document.querySelector('#pg-request').select()")
        await page.write("{")
        await page.wait_for("document.querySelector('#pg-request-error').innerText.includes('not JSON')")

    tab.do(steps)
