"""The page on OpenTelemetry: its program runs, in a process of its own for its global providers."""

from __future__ import annotations

import subprocess
import sys

from support.python_process import environment
from support.snippets import snippets


def test_program_of_the_page_exports_an_evaluation() -> None:
    program = "\n".join(one.code for one in snippets("docs/opentelemetry.md"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"feature_flag.key": "hero"' in done.stdout
