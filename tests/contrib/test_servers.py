"""Shops of `examples/` on application servers: their READMEs, workers, many visitors, a browser."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest

from support.browser import browser, chromium
from support.edge_sockets import wait_until
from support.shops import LONGEST_S, Server, commands, served

pytestmark = pytest.mark.slow
FAR = 4_000_000_000
VISITORS = 200
GUNICORN = "gunicorn shop:app --bind localhost:8000 --workers 2 --preload"
FASTAPI = pytest.param(("fastapi", commands("fastapi")[1]), id="fastapi uvicorn")
SERVERS = [
    FASTAPI,
    pytest.param(("django", commands("django")[1]), id="django gunicorn"),
    pytest.param(("flask", f"{GUNICORN} --worker-class gevent"), id="flask gunicorn gevent"),
    pytest.param(("django", commands("django")[7]), id="django uvicorn"),
    pytest.param(("django", "daphne -p 8000 shop:asgi"), id="django daphne"),
    pytest.param(("flask", commands("flask")[1]), id="flask gunicorn"),
    pytest.param(("flask", f"{GUNICORN} --threads 4"), id="flask gunicorn gthread"),
    pytest.param(("starlette", commands("starlette")[1]), id="starlette uvicorn"),
]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    name, command = request.param
    if find_spec(command.split()[0]) is None:
        pytest.skip("the server is not installed")
    with served(name, command) as server:
        yield server
        visit(server, "last")
    assert "last" in viewers(server)  # the worker has sent its impressions before it ended


def visit(server: Server, visitor: str) -> str:
    """Visit the home page, and return the cookie of the response."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=LONGEST_S)
    cookie = f"choice=all; mbox=session#of-{visitor}#{FAR}|PC#{visitor}.35_0#{FAR}"
    connection.request("GET", "/", headers={"Cookie": cookie})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers["set-cookie"]


def viewers(server: Server) -> set[str | None]:
    """Return the visitors whose impressions of the home page have arrived."""
    events = server.edge.events
    return {one.visitor for one in events if (one.kind, one.location) == ("display", "hero")}


def test_workers_agree_about_a_visitor(server: Server) -> None:
    texts, sessions = set(), set()
    cookies = {"choice": "all"}
    for _ in range(10):  # each by a connection of its own, so that both workers answer some
        response = httpx2.get(server.url, cookies=cookies, timeout=LONGEST_S)
        texts.add(response.text)
        cookies["mbox"] = response.cookies["mbox"]
        sessions.add(cookies["mbox"].split("#")[1])
    assert (len(texts), len(sessions)) == (1, 1)


def test_request_of_http_1_0_gets_its_cookies(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), LONGEST_S) as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\nCookie: choice=all\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    assert b"set-cookie: mbox=session#" in head.lower()
    assert b"data-experience" in body


def test_visitors_at_once_get_their_own_cookies_and_impressions(server: Server) -> None:
    visitors = [f"v{number}" for number in range(VISITORS)]
    with ThreadPoolExecutor(20) as pool:
        cookies = list(pool.map(partial(visit, server), visitors))
    ids = [re.findall(r"session#of-(v\d+)#.*PC#(v\d+)\.", cookie) for cookie in cookies]
    assert ids == [[(visitor, visitor)] for visitor in visitors]
    wait_until(lambda: viewers(server).issuperset(visitors))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_commands_of_the_readme_show_what_it_says(
    server: Server, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name, _ = request.node.callspec.params["server"]
    host = server.url.removeprefix("http://")
    given = [line.replace("localhost:8000", host) for line in commands(name)]
    visits = [line.replace("curl ", "curl --fail ") for line in given if line.startswith("curl ")]
    first, *others = (
        subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for line in visits
    )
    assert "Welcome" in first
    assert "set-cookie" not in first.lower()
    assert any("data-experience" in one for one in others)
    assert '"one_click"' in others[-1] + others[-2]
    assert set(re.findall(r"\t(\w+)\t\S+$", (tmp_path / "jar").read_text(), re.MULTILINE)) == {
        "choice",
        "mbox",
    }


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
@pytest.mark.parametrize("server", [FASTAPI], indirect=True)
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
