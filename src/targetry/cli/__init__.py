"""The command `targetry`, built with typer on the client and the engine."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    The exit status is 0 for success, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.
    """
    _open_closed_streams()
    if not os.environ.get("COLUMNS", "").strip("0"):  # as shutil.get_terminal_size reads it: not set
        os.environ.pop("COLUMNS", None)
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
    except OSError as error:  # a full disk or a folder without permission, which a command met on the way
        from targetry.cli.rendering.output import print_error

        print_error(str(error))
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # flushing the rest would fail again at exit
        sys.exit(1)


def _open_closed_streams() -> None:
    """Replace streams that the caller of the process has closed, which are None, by empty ones."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
