"""The command `targetry`, built with typer on the client and the engine."""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    The exit status is 0 for success, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character outside of the encoding is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            from targetry.cli.app import app
        except ModuleNotFoundError as error:
            if error.name not in ("rich", "typer"):
                raise
            sys.exit(f"The command needs the package {error.name}: pip install 'targetry[cli]'")
        app(prog_name="targetry")
    except KeyboardInterrupt:
        sys.exit(130)
