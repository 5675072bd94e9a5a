"""Node programs of this folder as processes: one JSON line out for each JSON line in.

They need `node` and the packages of `package.json`, installed by `tests/differential/install`.
`missing()` says what is not there, so that a test can skip with a reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
MODULES = Path(os.environ.get("TARGETRY_NODE_MODULES", CHECKOUT / ".envs" / "node" / "node_modules"))
PACKAGES = {
    "buckets.cjs": "@adobe/target-tools",
    "decide.cjs": "@adobe/target-nodejs-sdk",
    "logic.cjs": "json-logic-js",
}


def missing(program: str) -> str | None:
    """Return why `program` cannot run here, or None."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (MODULES / PACKAGES[program]).is_dir():
        return f"{PACKAGES[program]} is not installed: run tests/differential/install"
    return None


class NodeProgram:
    """A running program; `ask` raises `ConnectionError` after it has died."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._known: dict[int, str] = {}
        self._kept: list[Any] = []  # keeps the ids of artifacts unique

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["node", str(HERE / self.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "NODE_PATH": str(MODULES), "TZ": "UTC"},
        )

    def ask(self, question: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError(f"{self.program} ended with code {self._process.wait()}")
        return json.loads(line)

    def defined(self, artifact: Mapping[str, Any]) -> str:
        """Return the name under which the program stores `artifact`, which is sent once."""
        name = self._known.get(id(artifact))
        if name is None:
            name = self._known[id(artifact)] = f"artifact-{len(self._known)}"
            self._kept.append(artifact)
            self.ask({"define": name, "artifact": artifact})
        return name

    def close(self) -> None:
        if "_process" not in self.__dict__:
            return
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
