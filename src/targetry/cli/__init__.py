"""The command `targetry`: shells around the client and the engine. Nothing imports this package but the command itself."""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments, and end the process: 0 done, 1 cannot be done, 2 wrong usage, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a character cannot be shown, the others still are
            stream.reconfigure(errors="backslashreplace")
    try:
        from targetry.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit(f"The command needs the package {error.name}: pip install 'targetry[cli]'")
    try:
        app(prog_name="targetry")
    except KeyboardInterrupt:
        sys.exit(130)
