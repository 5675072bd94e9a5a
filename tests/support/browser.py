"""Headless Chromium, driven by its debugging protocol: pages, cookies, and headers on the wire."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

LONGEST_S = 150  # only what hangs takes this long, on a busy machine too
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """Return the path of a Chromium, None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """Tab of a browser.

    Attributes:
        sent: Headers of all requests that the browser has sent, by lower-case names.
        urls: URLs of these requests, and of those that it could not send.
        problems: Errors of the log, like violations of a page's content security policy.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last_id = 0
        self._loads = 0
        self.sent: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.problems: list[str] = []

    async def open(self, url: str) -> str:
        """Open a URL, and return the document once it has loaded."""
        await self.call("Page.navigate", url=url)
        return await self.loaded()

    async def click(self, selector: str) -> str:
        """Click an element that leads to another page, and return its document."""
        await self.evaluate(f"document.querySelector({selector!r}).click()")
        return await self.loaded()

    async def loaded(self) -> str:
        """Return the document once a page has loaded since the last call."""
        while not self._loads:
            await self._read()
        self._loads = 0
        return str(await self.evaluate("document.documentElement.outerHTML"))

    async def evaluate(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression)
        return result["result"].get("value")

    async def wait_for(self, expression: str) -> Any:
        """Return the value of an expression once it is true."""
        value = f"(() => {{ try {{ return {expression}; }} catch {{ return null; }} }})()"
        look = f"() => {{ const value = {value}; value ? done(value) : setTimeout(look, 20); }}"
        async with asyncio.timeout(LONGEST_S):
            result = await self.call(
                "Runtime.evaluate",
                expression=f"new Promise(done => {{ const look = {look}; look(); }})",
                awaitPromise=True,
                returnByValue=True,
            )
        return result["result"].get("value")

    async def press(self, key: str) -> None:
        """Press and release a key, `Enter`, `Space` or `ArrowDown`."""
        named = {"Enter": ("Enter", 13, "\r"), "Space": (" ", 32, " "), "ArrowDown": ("ArrowDown", 40, "")}
        name, code, text = named[key]
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **more)

    async def write(self, text: str) -> None:
        """Write text into the focused element, in place of its selection."""
        await self.call("Input.insertText", text=text)

    async def mouse(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        place = await self.evaluate(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center', behavior: 'instant'}); const box = one.getBoundingClientRect(); "
            "return `${box.x + box.width / 2} ${box.y + box.height / 2}`; })()"
        )
        x, y = map(float, place.split())
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def look(self, width: int, height: int, scheme: str = "light") -> None:
        """Set the size of the tab in pixels, and the color scheme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def screenshot(self, path: Path) -> None:
        """Write a picture of the whole document."""
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    async def cookies(self) -> dict[str, str]:
        """Return all cookies of the browser, those for servers alone too."""
        cookies = (await self.call("Network.getAllCookies"))["cookies"]
        return {one["name"]: one["value"] for one in cookies}

    async def call(self, method: str, **parameters: Any) -> Any:
        asked = await self._send(method, params=parameters)
        while True:
            message = await self._read()
            if message.get("id") == asked:
                assert "error" not in message, message
                return message["result"]

    async def _send(self, method: str, **more: Any) -> int:
        self._last_id += 1
        await self._socket.send_json({"id": self._last_id, "method": method, **more})
        return self._last_id

    async def _read(self) -> Any:
        async with asyncio.timeout(LONGEST_S):
            message = await self._socket.receive_json()
        if message.get("method") == "Page.loadEventFired":
            self._loads += 1
        elif message.get("method") == "Network.requestWillBeSentExtraInfo":
            headers = message["params"]["headers"]
            self.sent.append({name.lower(): value for name, value in headers.items()})
        elif message.get("method") == "Network.requestWillBeSent":
            self.urls.append(message["params"]["request"]["url"])
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.problems.append(message["params"]["entry"]["text"])
        elif message.get("method") == "Target.attachedToTarget":
            worker = message["params"]["sessionId"]  # it waits, so that its first requests are seen too
            await self._send("Network.enable", sessionId=worker)
            await self._send("Runtime.runIfWaitingForDebugger", sessionId=worker)
        return message


class Tab:
    """Tab of a module's browser, with the site that it shows."""

    def __init__(self, url: str, page: Page, runner: asyncio.Runner) -> None:
        self.url = url
        self._page = page
        self._runner = runner

    def do(self, steps: Callable[[Page], Coroutine[Any, Any, None]]) -> None:
        """Do the steps of a test; check that pages had no problems and loaded only their own."""
        self._page.problems.clear()
        self._page.urls.clear()
        self._runner.run(steps(self._page))
        assert self._page.problems == []
        own = (self.url, "data:", "blob:")
        assert [one for one in self._page.urls if not one.startswith(own)] == []


T = TypeVar("T", bound=Tab)


@contextmanager
def opened_tab(kind: type[T], url: str, profile: Path) -> Iterator[T]:
    """Run a browser, and return its tab; skip the test where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("there is no Chromium here")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield kind(url, runner.run(stack.enter_async_context(browser(path, profile))), runner)
        finally:
            runner.run(stack.aclose())


@asynccontextmanager
async def browser(path: str, profile: Path) -> AsyncIterator[Page]:
    """Run a browser with a new profile, and open an empty tab."""
    process = subprocess.Popen(
        [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = await _port(process, profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tab = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.call("Page.enable")
                await page.call("Network.enable")
                await page.call("Log.enable")
                await page.call(
                    "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
                )
                yield page
    finally:
        process.kill()
        process.wait(30)


async def _port(process: subprocess.Popen[bytes], file: Path) -> str:
    """Return the port that the browser writes to a file once it listens."""
    async with asyncio.timeout(LONGEST_S):
        while process.poll() is None:
            if file.exists() and (lines := file.read_text("utf-8").split()):
                return lines[0]
            await asyncio.sleep(0.02)
    raise RuntimeError("Chromium has ended before it listened")
