"""Scripts that fork, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from support.python_process import environment


def run_script(prelude: str, script: str) -> None:
    """Run both, one after the other; an error of either fails the test. `script` may be indented."""
    command = [sys.executable, "-c", prelude + textwrap.dedent(script)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
