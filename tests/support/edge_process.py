"""An edge in a child process: start, requests, log and end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.edge import HERO, QUERY
from support.edge_sockets import PATIENCE_S

SRC = Path(__file__).parents[2] / "src"
RUN = "import typer; from targetry.cli.edge import edge; typer.run(edge)"


@contextmanager
def process(
    *arguments: str | Path, before: Callable[[], object] | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Start `targetry edge` on a free port, and kill it at the end.

    `before` is called in the new process.
    """
    env = {**os.environ, "PYTHONPATH": str(SRC), "TARGETRY_EDGE_PORT": "0", **environment}
    command = [sys.executable, "-W", "error", "-c", RUN, *map(str, arguments)]
    running = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def address(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    line = running.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, line or rest_of(running)
    return found[0]


def rest_of(running: subprocess.Popen[str]) -> tuple[str, str]:
    """Return the output that remains until the process ends.

    `communicate` would lose the text that a `readline` buffered beyond its line.
    """
    assert running.stdout is not None
    assert running.stderr is not None
    written = running.stdout.read(), running.stderr.read()
    running.wait(timeout=PATIENCE_S)
    return written


class Lines:
    """The JSON lines of the edge's log, read while it runs, as a full pipe would block it."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(running,), daemon=True)
        self._thread.start()

    def _read(self, running: subprocess.Popen[str]) -> None:
        assert running.stderr is not None
        for text in running.stderr:
            with self._changed:
                self._lines.append(json.loads(text))
                self._changed.notify_all()

    def wait_for(self, part: str, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Return the first line whose message contains `part`."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.having(part), timeout), f"{part!r} was not logged"
        return self.having(part)[0]

    def having(self, part: str) -> list[dict[str, Any]]:
        return [line for line in self._lines if part in line["message"]]

    def all(self) -> list[dict[str, Any]]:
        """Return all lines, after the end of the process."""
        self._thread.join(60)
        return self._lines


def post(url: str, document: Any = None) -> int:
    """Send a delivery request, by default for the hero, and return the status."""
    return post_raw(url, document)[0]


def post_raw(url: str, document: Any = None) -> tuple[int, dict[str, str]]:
    """Send a delivery request, and return the status and the headers with lower-case names."""
    request = urllib.request.Request(f"{url}/rest/v1/delivery?{QUERY}", json.dumps(document or HERO).encode())
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return int(answer.status), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}


def shown(identity: str) -> dict[str, Any]:
    """Return a notification with this id; its visitor has the same id."""
    notification = {"id": identity, "type": "display", "timestamp": 1_795_800_000_000, "tokens": ["t"]}
    return {"context": {"channel": "web"}, "id": {"tntId": identity}, "notifications": [notification]}


def got(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        text: str = answer.read().decode()
        return text


def counted(url: str, name: str) -> float:
    """Return the sum of a metric over all its labels."""
    return sum(
        float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (.*)$", got(f"{url}/metrics"), re.M)
    )
