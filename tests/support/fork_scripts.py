"""Scripts that fork, each run in a separate process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from support.python_process import environment


def run_script(prelude: str, script: str) -> None:
    """Run `prelude` and then `script`, which can be indented; fail if either raises."""
    command = [sys.executable, "-c", prelude + textwrap.dedent(script)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
