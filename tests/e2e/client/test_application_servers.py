"""Forking application servers (F8), with a client created before or after the fork.

Without --py-call-uwsgi-fork-hooks, uWSGI does not call Python's fork handlers; a worker that is
forked while a Python thread runs then hangs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from e2e.client.target import ARTIFACT, Target, artifact, artifact_answer, query_of
from servers.threaded import unused_port
from support.python_process import environment

WORKERS = 3
LONG_S = 30.0
_APP = "e2e.client.wsgi_app:application"
_UWSGI = shutil.which("uwsgi", path=os.path.dirname(sys.executable)) or "uwsgi"
_UWSGI_OPTIONS = ["--master", "--enable-threads", "--die-on-term", "--need-app", "--disable-logging"]

needs_gunicorn = pytest.mark.skipif(
    importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed"
)
needs_uwsgi = pytest.mark.skipif(shutil.which(_UWSGI) is None, reason="uWSGI is not installed")


def gunicorn(port: int, *options: str) -> list[str]:
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--threads", "4"]
    return [sys.executable, "-m", "gunicorn", *bind, "--log-level", "warning", *options, _APP]


def uwsgi(port: int, *options: str) -> list[str]:
    serve = ["--http-socket", f"127.0.0.1:{port}", "--processes", str(WORKERS), "--threads", "4"]
    return [_UWSGI, *_UWSGI_OPTIONS, *serve, "--module", _APP, *options]


class Site:
    """A running application server; its output is in a file for failures."""

    def __init__(self, command: list[str], port: int, target: Target, log: Path) -> None:
        self._port = port
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, env=environment(TARGET_HOST=target.host), stdout=output, stderr=output
            )

    def ask(self, session: str) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=LONG_S)
        try:
            connection.request("GET", f"/{session}")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, self._log.read_text()
            seen: dict[str, Any] = json.loads(body)
            return seen
        finally:
            connection.close()

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + LONG_S
        while True:
            try:
                self.ask("first")
                return
            except OSError:
                assert self.process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LONG_S)


@pytest.fixture(
    params=[
        pytest.param((gunicorn,), marks=needs_gunicorn, id="gunicorn"),
        pytest.param((gunicorn, "--preload"), marks=needs_gunicorn, id="gunicorn preload"),
        pytest.param((uwsgi, "--py-call-uwsgi-fork-hooks"), marks=needs_uwsgi, id="uwsgi preload"),
        pytest.param((uwsgi, "--lazy-apps"), marks=needs_uwsgi, id="uwsgi"),
    ]
)
def site(request: pytest.FixtureRequest, target: Target, tmp_path: Path) -> Iterator[Site]:
    make, *options = request.param
    port = unused_port()
    site = Site(make(port, *options), port, target, tmp_path / "log")
    try:
        site.wait_until_it_answers()
        yield site
    finally:
        site.process.kill()
        site.process.wait()


@pytest.mark.slow
def test_each_forked_worker_decides_calls_refreshes_and_reports_once(site: Site, target: Target) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(site.ask, [f"s{number}" for number in range(60)]))
        assert {(one["here"], one["edge"]) for one in seen} == {("first", "remote hero")}
        workers = {one["pid"] for one in seen}

        target.on(ARTIFACT, artifact_answer(artifact("second", generated_at="2026-02-01T00:00:00Z")))
        deadline = time.monotonic() + LONG_S
        current: set[int] = set()
        asked = 61
        while not workers <= current and time.monotonic() < deadline:
            again = list(pool.map(site.ask, ["again"] * 8))
            asked += len(again)
            current |= {one["pid"] for one in again if one["here"] == "second"}
        assert workers <= current
    site.stop()
    reports = [received for received in target.requests_to() if "notifications" in received.json()]
    ids = [one["id"] for received in reports for one in received.json()["notifications"]]
    assert len(ids) == len(set(ids))
    assert sum(query_of(received)["sessionId"] != "loading" for received in reports) == asked
