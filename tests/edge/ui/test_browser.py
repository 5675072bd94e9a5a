"""The edge's page in headless Chromium, by keyboard and mouse; the other tests read its HTML."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from support import browser
from support.activities import HERO, write_files
from support.edge import WEB
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer
from targetry.samples import shop_path

pytestmark = pytest.mark.slow


class Tab(browser.Tab):
    """Tab of the module's browser, with its edge."""

    def send(self, visitor: str, mbox: str = "hero", **more: Any) -> None:
        """Send a delivery request."""
        body = {"context": WEB, "id": {"tntId": visitor}, "execute": {"mboxes": [{"name": mbox, **more}]}}
        url = f"{self.url}/rest/v1/delivery?client=acme&sessionId=s"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    settings = "targetry: 1\nclient: code\n"
    folder = write_files(
        tmp_path_factory.mktemp("code") / "activities", {"targetry.yaml": settings, "hero.yaml": HERO}
    )
    server = EdgeServer.open(
        EdgeOptions(
            port=0, artifacts=[shop_path()], activities=[folder], data=tmp_path_factory.mktemp("ledger")
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with browser.opened_tab(Tab, server.url, tmp_path_factory.mktemp("profile")) as opened:
            yield opened
    finally:
        server.stop()
        thread.join(10)


def test_later_request_is_added_and_explained_when_it_is_opened(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        tab.send("early")
        await page.open(tab.url)
        tab.send("late", "promo")
        await page.wait_for("document.querySelector('#rows .visitor').textContent === 'late'")
        assert await page.evaluate("document.querySelector('#live').className") == "on"
        assert await page.evaluate("document.querySelectorAll('#rows li.new').length") == 1
        await page.evaluate("document.querySelector('#rows summary').focus()")
        await page.press("Enter")
        await page.wait_for("document.querySelector('#rows .rules b') !== null")

    tab.do(steps)


def test_list_is_filtered_while_a_text_is_written(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        tab.send("anna")
        tab.send("bert")
        await page.open(tab.url)
        await page.mouse("input[name=q]")
        await page.write("anna")
        await page.wait_for(
            "[...document.querySelectorAll('#rows .visitor')].map(one => one.textContent).join() === 'anna'"
        )
        assert await page.evaluate("location.search") == "?q=anna"

    tab.do(steps)


def test_question_is_asked_again_with_each_change(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.open(f"{tab.url}/ask")
        await page.mouse("input[name=mbox][value=hero]")
        await page.wait_for("document.querySelector('#answer iframe') !== null")
        assert await page.evaluate("document.querySelector('#ask').elements.tnt_id.value.length") == 36
        assert "mbox=hero&tnt_id=" in await page.evaluate("location.search")
        await page.evaluate("document.querySelector('#ask').elements.tnt_id.select()")
        await page.write("3f9c")
        await page.wait_for("document.querySelector('#answer .given').textContent.endsWith('Everyday')")
        await page.evaluate("document.querySelector('select[name=force]').focus()")
        await page.press("ArrowDown")
        await page.press("ArrowDown")
        await page.wait_for("document.querySelector('#answer .given').textContent.endsWith('Autumn sale')")
        shared = await page.evaluate("location.href")
        await page.open(shared)
        assert await page.evaluate("document.querySelector('select[name=force]').value") == "482910:1"

    tab.do(steps)


def test_listed_request_is_asked_again_and_recorded(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        tab.send("carla")
        await page.open(f"{tab.url}/?visitor=carla")
        await page.mouse("#rows .when")
        await page.wait_for("document.querySelector('#rows .actions a') !== null")
        assert await page.evaluate("document.querySelectorAll('#rows .copy').length") == 3
        await page.click("#rows .actions a")
        await page.wait_for("document.querySelector('form.record') !== null")
        await page.click("form.record button")
        await page.open(f"{tab.url}/?visitor=carla")
        assert await page.evaluate("document.querySelectorAll('#rows .visitor').length") == 2

    tab.do(steps)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 800)], ids=["desk", "phone"])
def test_nothing_is_cut_off(tab: Tab, width: int, height: int, scheme: str) -> None:
    async def steps(page: browser.Page) -> None:
        tab.send("dora")
        tab.send("dora", "confirmation", order={"id": f"{width}-{scheme}", "total": 1234.56})
        await page.look(width, height, scheme)
        for path in ("/", "/ask?mbox=hero&mbox=checkout-flags&page_load=1&view=*&tnt_id=dora"):
            await page.open(f"{tab.url}{path}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.open(tab.url)
        await page.wait_for("document.querySelector('#report .chart') !== null")
        if width == 1280:
            cut = "[...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth).length"
            assert await page.evaluate(cut) == 0
        else:
            cut = (
                "[...document.querySelectorAll('.rates')].filter(one => one.scrollWidth > innerWidth).length"
            )
            assert await page.evaluate(cut) == 0
        ink = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ink == "rgb(16, 19, 24)") is (scheme == "dark")

    tab.do(steps)


def test_report_of_later_events_appears(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.open(tab.url)
        tab.send("emil", "checkout-flags")
        await page.wait_for("document.querySelector('#report-482917') !== null")

    tab.do(steps)


def test_file_is_edited_planned_and_saved(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.open(f"{tab.url}/files")
        await page.click(".names a[href*='hero.yaml']")
        select = "(() => { const text = document.querySelector('#text'), at = text.value.indexOf('50'); "
        await page.evaluate(select + "text.focus(); text.setSelectionRange(at, at + 2); })()")
        await page.write("x")
        await page.wait_for("document.querySelector('#preview .finding') !== null")
        await page.mouse("#preview button.goto")
        await page.write("40")
        await page.wait_for("document.querySelector('#preview code')?.textContent.includes('leave')")
        await page.click("button[value=save]")
        assert "share: 40" in await page.evaluate("document.querySelector('#text').value")

    tab.do(steps)


def test_file_is_created_by_its_key_and_removed_after_a_confirmation(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        await page.look(390, 800)
        await page.open(f"{tab.url}/files")
        await page.evaluate("document.querySelector('.new input[name=new]').focus()")
        await page.write("banner")
        await page.press("Enter")
        await page.loaded()
        await page.wait_for("document.querySelector('#preview code').textContent.includes('at mbox banner')")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.click("button[value=create]")
        assert (
            await page.evaluate("document.querySelector('.names [aria-current]').textContent")
            == "banner.yaml"
        )
        await page.click("button[value=remove]")
        assert "Remove banner.yaml?" in await page.evaluate("document.querySelector('#remove').textContent")
        await page.click("button[value='remove now']")
        assert "banner" not in await page.evaluate("document.querySelector('.names').textContent")

    tab.do(steps)
