"""Shops of `examples/`, served by an application server with an edge behind it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.python_process import environment
from targetry.edge.in_process import LocalEdge, edge

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST_S = 60
_ADDRESS = re.compile(r"(?:Listening at: http://|running on http://|TCP address )(127\.0\.0\.1:\d+)")
_IS_READY = {
    "uvicorn": "Application startup complete.",
    "gunicorn": "Listening at:",
    "daphne": "Listening on",
}


def shop(name: str) -> Any:
    """Return the module of a shop."""
    spec = importlib.util.spec_from_file_location(f"{name}_shop", EXAMPLES / name / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations are resolved there
    spec.loader.exec_module(module)
    return module


def commands(name: str) -> list[str]:
    """Return the shell commands of a shop's README."""
    blocks = re.findall(r"```sh\n(.*?)```", (EXAMPLES / name / "README.md").read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


class Server(NamedTuple):
    """Running shop, and the edge behind it."""

    url: str
    edge: LocalEdge


@contextmanager
def served(name: str, command: str) -> Iterator[Server]:
    """Run the server of a shop by a command like that of its README, on a free port.

    At the end, no process has written a traceback, and the last impressions have been sent.
    """
    program, *arguments = shlex.split(command.replace("localhost:8000", "127.0.0.1:0"))
    arguments = ["0" if one == "8000" else one for one in arguments]
    starts = 2 if program == "uvicorn" else 1
    with edge() as here:
        process = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            cwd=EXAMPLES / name,
            env=environment(TARGET_EDGE=here.host),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            lines: list[str] = []
            for line in process.stderr:
                lines.append(line)
                starts -= _IS_READY[program] in line
                if not starts:
                    break
            found = _ADDRESS.search("".join(lines))
            assert found is not None, "".join(lines)
            yield Server(f"http://{found[1]}", here)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                _, rest = process.communicate(timeout=LONGEST_S)
            finally:
                process.kill()
        assert "Traceback" not in rest
