"""The page on OpenTelemetry: its program runs, in a process of its own for its global providers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.python_process import environment

PAGE = Path(__file__).parents[2] / "docs" / "opentelemetry.md"


def test_program_of_the_page_exports_an_evaluation() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"feature_flag.key": "hero"' in done.stdout
