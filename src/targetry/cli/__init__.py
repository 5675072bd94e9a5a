"""The command `targetry`: shells around the client and the engine. Nothing imports this package but the command itself."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments, and end the process: 0 done, 1 cannot be done, 2 wrong usage, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a terminal or a pipe that lacks a character still gets the others
            stream.reconfigure(errors="backslashreplace")
    try:
        from .app import app

        app(prog_name="targetry")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _stop_writing()
        sys.exit(1)


def _stop_writing() -> None:
    """Who read our output is gone: what is left in the buffer must not be complained about at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
