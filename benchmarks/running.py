"""Contestants: processes in separate environments that run commands, one JSON line each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".envs"
OFFICIAL_PYTHON = ENVIRONMENTS / "official" / "bin" / "python"
NODE_MODULES = ENVIRONMENTS / "node" / "node_modules"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
    "NODE_PATH": str(NODE_MODULES),
    "PYTHONDONTWRITEBYTECODE": "",  # bytecode is written, so that imports are measured with it
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list[str]
    python: str | None = None  # for imports
    module: str | None = None


class Running:
    """A contestant's process, killed if a result takes longer than `patience_s` seconds."""

    def __init__(self, contestant: Contestant, patience_s: float = 900.0) -> None:
        self.contestant = contestant
        self._patience_s = patience_s
        self._process = subprocess.Popen(
            contestant.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_DEBUG") else None,
            text=True,
            env=ENVIRONMENT,
        )

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        watchdog = threading.Timer(self._patience_s, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise RuntimeError(f"{self.contestant.name} died; run again with BENCH_DEBUG=1 to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fresh(contestant: Contestant, command: dict[str, Any], patience_s: float = 900.0) -> dict[str, Any]:
    """Return the result of a command in a new process."""
    with Running(contestant, patience_s) as running:
        return running.ask(command)


class Progress:
    """A line of progress, on a terminal only."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        if self._tty:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
