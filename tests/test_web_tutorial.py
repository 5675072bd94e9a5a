"""The tutorial of a web application: its shop, served by uvicorn, with an edge and a report."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn

from support.edge_sockets import wait_until
from support.snippets import snippets
from targetry.edge.in_process import edge
from targetry.ledger.ledger import Ledger
from targetry.ledger.reader import Reader
from targetry.report.report import report_on_ledger

PAGE = "docs/tutorial/web-app.md"
VISITORS = 40
LONGEST_S = 60


def code(file: str) -> list[str]:
    """Return the snippets of a file, the last of which replaces the others."""
    found = [one.code for one in snippets(PAGE) if one.file == file]
    assert found, file
    return found


@contextmanager
def served(shop: str) -> Iterator[str]:
    """Serve a shop on a free port, and yield its URL."""
    names = {"__name__": "shop"}
    exec(shop, names)  # noqa: S102  running the snippets is the test
    server = uvicorn.Server(uvicorn.Config(names["app"], port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(LONGEST_S)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run the edge of the tutorial, and yield the folder of its ledger."""
    monkeypatch.chdir(tmp_path)
    exec(code("rules.py")[-1], {"__name__": "__main__"})  # noqa: S102
    rules = json.loads((tmp_path / "rules.json").read_text("utf-8"))
    with Ledger.open(tmp_path / "ledger") as recorder, edge(rules, ledger=recorder) as here:
        monkeypatch.setenv("TARGET_EDGE", here.host)
        yield tmp_path / "ledger"


def test_first_shop_keeps_the_headline_of_a_visitor(ledger: Path) -> None:
    first, _ = code("shop.py")
    with served(first) as url, httpx2.Client(base_url=url, timeout=LONGEST_S) as visitor:
        pages = {visitor.get("/").text for _ in range(10)}
        assert pages <= {"<h1>Welcome</h1>", "<h1>Autumn sale</h1>"}
        assert (len(pages), set(visitor.cookies)) == (1, {"mbox"})


def test_orders_of_the_visitors_are_conversions_in_the_report(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = code("visitors.py")[-1].replace("range(200)", f"range({VISITORS})")
    with served(code("shop.py")[-1]) as url:
        monkeypatch.setenv("SHOP", url)
        exec(visit, {})  # noqa: S102
    orders = int(re.findall(r", (\d+) orders", capsys.readouterr().out)[0])
    with Reader.open(ledger) as reader:
        (headline,) = report_on_ledger(reader).activities
    assert orders > 0
    assert (sum(one.visitors for one in headline.experiences), headline.name) == (VISITORS, "Headline")
    assert sum(one.conversions for one in headline.experiences) == orders
