"""Pictures of the edge's page, in its light and its dark theme: `scripts/docs pictures`.

An edge with the sample shop serves visitors and records their orders, and a headless Chromium opens
its page.
"""

from __future__ import annotations

import asyncio
import base64
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import Page, browser, chromium  # noqa: E402  the tests drive a browser too
from targetry import TargetClient  # noqa: E402

PICTURES = ROOT / "docs" / "images"
PORT = 8319
URL = f"http://127.0.0.1:{PORT}"
WIDTH, HEIGHT = 1180, 760
LONGEST_S = 20
VISITORS = 400
QUESTION = "mbox=hero&mbox=checkout-flags&tnt_id=visitor-7&country=DE"
BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
)


def wait_until_ready() -> None:
    """Wait until the edge answers."""
    ends_at = time.monotonic() + LONGEST_S
    while True:
        try:
            urllib.request.urlopen(f"{URL}/readyz").close()
        except urllib.error.URLError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)
        else:
            return


def serve_visitors() -> None:
    """Ask for offers of visitors, of which some buy, more often after the sale was shown."""
    chance = random.Random(7)
    options: dict[str, Any] = {
        "client": "acme",
        "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
        "server_domain": URL.removeprefix("http://"),
        "secure": False,
    }
    mboxes = [
        {"index": 0, "name": "hero"},
        {"index": 1, "name": "greeting", "parameters": {"user": "Ada", "member.tier": "gold"}},
    ]
    with TargetClient.create(options) as client:
        for number in range(VISITORS):
            request: dict[str, Any] = {
                "id": {"tntId": f"visitor-{number}"},
                "context": {"channel": "web", "userAgent": BROWSERS[number % 2]},
                "execute": {"mboxes": mboxes[: 1 + number % 2]},
            }
            offers = client.get_offers(request=request)
            hero = offers.mbox("hero").experience
            rate = 0.3 if hero and hero.name == "Autumn sale" else 0.2
            if number < VISITORS - 9 and chance.random() < rate:  # the last ones are on the picture
                order = {"id": f"order-{number}", "total": round(20 + chance.random() * 60, 2)}
                request["execute"] = {"mboxes": [{"index": 0, "name": "orderConfirmPage", "order": order}]}
                client.get_offers(request=request)


async def take_pictures(path: str, profile: Path) -> None:
    """Save the page in both themes, with one request opened, and a question in the light one."""
    PICTURES.mkdir(exist_ok=True)
    async with browser(path, profile) as page:
        await page.call("Emulation.setScrollbarsHidden", hidden=True)
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=1,
            mobile=False,
        )
        for theme in ("dark", "light"):
            feature = {"name": "prefers-color-scheme", "value": theme}
            await page.call("Emulation.setEmulatedMedia", features=[feature])
            await page.open(URL)
            await page.evaluate("document.querySelectorAll('#rows details')[1].open = true")
            await page.wait_for("document.querySelector('#rows .rules') !== null")
            await save(page, f"edge-{theme}.png")
        await page.open(f"{URL}/ask?{QUESTION}")
        await page.evaluate("document.querySelector('iframe').scrollIntoView({block: 'nearest'})")
        await page.evaluate(
            "(frame => { frame.onload = () => { window.isFramed = true; }; frame.loading = 'eager'; frame.src = frame.src; })"
            "(document.querySelector('iframe'))"
        )
        await page.wait_for("window.isFramed")
        await asyncio.sleep(2)  # until it is drawn, of which there is no sign
        await save(page, "ask.png")


async def save(page: Page, name: str) -> None:
    """Save what the browser shows."""
    taken = await page.call("Page.captureScreenshot", format="png")
    (PICTURES / name).write_bytes(base64.b64decode(taken["data"]))


def main() -> None:
    """Start an edge, serve visitors, and take the pictures."""
    path = chromium()
    if path is None:
        sys.exit("Chromium was not found: install it to take pictures")
    with tempfile.TemporaryDirectory() as folder:
        command = f"{sys.executable} -m targetry edge --port {PORT} --data {folder}/ledger".split()
        edge = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_ready()
            serve_visitors()
            asyncio.run(take_pictures(path, Path(folder) / "profile"))
        finally:
            edge.terminate()
            edge.wait(30)


if __name__ == "__main__":
    main()
