"""The edge's page in headless Chromium, by keyboard and mouse."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from support import browser
from support.edge import WEB
from targetry.edge.in_process import LocalEdge, edge

Steps = Callable[[browser.Page], Coroutine[Any, Any, None]]


class Tab:
    """Tab of the module's browser, with its edge."""

    def __init__(self, here: LocalEdge, page: browser.Page, runner: asyncio.Runner) -> None:
        self.here = here
        self._page = page
        self._runner = runner

    def do(self, steps: Steps) -> None:
        """Do the steps of a test, and check that the page had no problems."""
        self._page.problems.clear()
        self._page.urls.clear()
        self._runner.run(steps(self._page))
        assert self._page.problems == []
        assert [one for one in self._page.urls if not one.startswith((self.here.url, "data:"))] == []

    def ask(self, visitor: str, mbox: str = "hero", **more: Any) -> None:
        """Send a delivery request."""
        body = {"context": WEB, "id": {"tntId": visitor}, "execute": {"mboxes": [{"name": mbox}]}, **more}
        url = f"{self.here.url}/rest/v1/delivery?client={self.here.client}&sessionId=s"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    path = browser.chromium()
    if path is None:
        pytest.skip("there is no Chromium here")
    with asyncio.Runner() as runner, edge() as here:
        stack = AsyncExitStack()
        page = runner.run(
            stack.enter_async_context(browser.browser(path, tmp_path_factory.mktemp("profile")))
        )
        try:
            yield Tab(here, page, runner)
        finally:
            runner.run(stack.aclose())


def test_later_request_is_added_and_explained_when_it_is_opened(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        tab.ask("early")
        await page.open(tab.here.url)
        tab.ask("late", "promo")
        await page.wait_for("document.querySelector('#rows .visitor').textContent === 'late'")
        assert await page.evaluate("document.querySelector('#live').className") == "on"
        assert await page.evaluate("document.querySelectorAll('#rows li.new').length") == 1
        await page.evaluate("document.querySelector('#rows summary').focus()")
        await page.press("Enter")
        await page.wait_for("document.querySelector('#rows .rules b') !== null")

    tab.do(steps)


def test_list_is_filtered_while_a_text_is_written(tab: Tab) -> None:
    async def steps(page: browser.Page) -> None:
        tab.ask("anna")
        tab.ask("bert")
        await page.open(tab.here.url)
        await page.mouse("input[name=q]")
        await page.write("anna")
        await page.wait_for(
            "[...document.querySelectorAll('#rows .visitor')].map(one => one.textContent).join() === 'anna'"
        )
        assert await page.evaluate("location.search") == "?q=anna"

    tab.do(steps)
