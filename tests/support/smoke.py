"""Smoke test of each part of Targetry that uses a dependency, as a program.

`scripts/check-lower-bounds` runs it in an environment with the lowest versions that pyproject.toml
allows and without test dependencies.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django
import pyarrow
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from support.ledger import ACTIVITY, outcome
from support.lower_bounds import LARGE, lower_bounds
from support.mmdb_writer import mmdb
from targetry import AsyncTargetClient, ClientOptions, TargetClient, samples
from targetry.batch import Decider, write
from targetry.contrib.celery import install
from targetry.contrib.fastapi import Target
from targetry.contrib.flask import Target as FlaskTarget
from targetry.contrib.flask import target
from targetry.contrib.starlette import TargetMiddleware
from targetry.edge.options import EdgeOptions
from targetry.edge.server import EdgeServer
from targetry.ledger.ledger import Ledger
from targetry.otel import OpenTelemetryHook
from targetry.testing import edge

REQUEST = {"context": {"channel": "web"}, "execute": {"mboxes": [{"index": 0, "name": "hero"}]}}
ORGANIZATION = "0123456789ABCDEF01234567@AdobeOrg"
"""Of the sample shop."""


def main() -> None:
    check_versions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        use_client()
        asyncio.run(use_frameworks())
        use_django()
        use_flask()
        install()
        use_batch(folder)
        use_command(folder)
        use_edge(folder)


def check_versions() -> None:
    """Fail unless the lowest versions are installed."""
    wrong = {
        name: version(name)
        for name, lowest in lower_bounds(without=LARGE).items()
        if not is_same(version(name), lowest)
    }
    assert not wrong, f"not the lowest versions: {wrong}"


def is_same(one: str, other: str) -> bool:
    """Return whether two versions are equal, as 2 and 2.0.0 are."""
    return parts(one) == parts(other)


def parts(text: str) -> list[str]:
    found = text.split(".")
    while found and found[-1] == "0":
        found.pop()
    return found


def use_client() -> None:
    with edge() as here:
        for method in ("server-side", "on-device", "hybrid"):
            with TargetClient.create(here.client_options(decisioning_method=method)) as client:
                assert client.get_offers(request=REQUEST).execute.mboxes[0].options, method
        hooks = [OpenTelemetryHook()]
        with TargetClient.create(here.client_options(decisioning_method="hybrid"), hooks=hooks) as client:
            assert client.get_offers(request=REQUEST).execute.mboxes[0].options
            assert client.stats().hook_failures == 0
        asyncio.run(use_async_client(here.client_options()))
        TargetClient.create(here.client_options(proxy="socks5://127.0.0.1:1")).close()


async def use_async_client(options: dict[str, Any]) -> None:
    async with await AsyncTargetClient.create(options) as client:
        assert (await client.get_offers(request=REQUEST)).execute.mboxes[0].options


CLIENT: ClientOptions = {
    "client": "acme",
    "organization_id": ORGANIZATION,
    "decisioning_method": "on-device",
    "artifact_payload": samples.shop(),
    "polling_interval": 0,
    "send_notification_func": lambda impression: None,
}


async def use_frameworks() -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse(await request.state.target.offer("hero"))

    app, other = FastAPI(), Starlette(routes=[Route("/", page)])

    @app.get("/")
    async def fast(target: Target) -> str:
        return str(await target.offer("hero"))

    for one in (app, other):
        one.add_middleware(TargetMiddleware, client=CLIENT, openfeature=True)
        messages: list[Any] = []

        async def send(message: Any, messages: list[Any] = messages) -> None:
            messages.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        await one(scope, receive, send)
        start, body = messages[:2]
        assert b"hero" in body["body"]
        assert [name for name, _ in start["headers"]].count(b"set-cookie") == 1


def use_django() -> None:
    async def page(request: Any) -> HttpResponse:
        return HttpResponse(await request.target.offer("hero"))

    urls = type("Urls", (), {"urlpatterns": [path("", page)]})
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["targetry.contrib.django.TargetMiddleware"],
        ROOT_URLCONF=urls,
        TARGETRY={**CLIENT, "WEB": {"openfeature": True}},
    )
    django.setup()
    responses = [Client().get("/"), asyncio.run(AsyncClient().get("/"))]
    assert all(b"hero" in one.content and "mbox" in one.cookies for one in responses)


def use_flask() -> None:
    app = Flask("shop")
    FlaskTarget(app, client=CLIENT, openfeature=True)
    app.add_url_rule("/", "home", lambda: str(target.offer("hero")))
    response = app.test_client().get("/")
    assert "hero" in response.text
    assert len(response.headers.getlist("set-cookie")) == 1


def use_batch(folder: Path) -> None:
    batch = pyarrow.record_batch({"tnt_id": [f"visitor-{number}" for number in range(100)]})
    decided = Decider(samples.shop(), client="acme", mboxes=["hero"], keep=["tnt_id"]).decide(batch)
    assert len(set(decided["experience_id"].to_pylist())) == 3
    visitors: Any = batch
    for suffix in (".parquet", ".arrow", ".csv", ".jsonl"):  # each reads what the one before wrote
        file = folder / f"visitors{suffix}"
        totals = write(
            visitors, file, samples.shop(), client="acme", mboxes=["hero"], outputs=(), keep=["tnt_id"]
        )
        assert totals.rows_written == 100
        visitors = [file]
    assert Decider(samples.shop(), client="acme", mboxes=["hero"]).stream(visitors).read_all().num_rows == 100


def use_command(folder: Path) -> None:
    with Ledger.open(folder / "ledger") as ledger:
        ledger.describe([ACTIVITY])
        ledger.record([*outcome("0", 60, 6), *outcome("1", 60, 30)])
    data, plot = ("--data", str(folder / "ledger")), str(folder / "rates.png")
    for arguments in (
        ["--help"],
        ["--version"],
        ["offers", "--help"],
        ["offers", "--mbox", "hero"],
        ["explain", "--mbox", "delivery-note", "--geo", "country=DE"],
        ["artifact"],
        ["demo", "--visitors", "100"],
        ["report", *data, "--plot", plot],
        ["report", *data, "-o", "json"],
        ["report", *data, "--cuped", "7", "--bayes"],
        ["aa", "--activities", "10", "--visitors", "200"],
        ["edge", "--help"],
        ["activities", "init", str(folder)],
        ["activities", "check", "--strict", str(folder / "activities")],
        ["activities", "test", str(folder / "activities")],
        ["activities", "compile", str(folder / "activities"), "-O", str(folder / "activities.json")],
    ):
        done = subprocess.run([sys.executable, "-m", "targetry", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    done = subprocess.run([sys.executable, "-m", "targetry", "offers"], capture_output=True, text=True)
    assert done.returncode == 2, "wrong usage"


def use_edge(folder: Path) -> None:
    """Run the command's server with all options that need a package, and request each page."""
    database = folder / "places.mmdb"
    database.write_bytes(mmdb({"203.0.113.0/24": {"country": {"iso_code": "DE"}}}))
    options = EdgeOptions(port=0, data=folder / "ledger", geo_database=database, organization_id=ORGANIZATION)
    server = EdgeServer.open(options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        body = json.dumps(
            {**REQUEST, "context": {"channel": "web", "geo": {"ipAddress": "203.0.113.7"}}}
        ).encode()
        address = f"{server.url}/rest/v1/delivery?client={server.clients[0]}&sessionId=s"
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=10) as answer:
            assert json.load(answer)["execute"]["mboxes"][0]["options"]
        for path in ("/", "/report.json", "/plot.svg", "/metrics", "/readyz", "/v1/geo"):
            with urllib.request.urlopen(f"{server.url}{path}", timeout=30) as answer:
                assert answer.status == 200, path
    finally:
        server.stop()
        thread.join(15)


if __name__ == "__main__":
    main()
