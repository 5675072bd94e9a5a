"""Runs of the command in this process, at a given width of the terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer.main
from click.testing import CliRunner, Result

from targetry.cli.app import app

# Built once, which takes as long as most commands run.
COMMAND: Final = typer.main.get_command(app)


def run(
    *arguments: str | Path, width: int = 100, stdin: bytes | None = None, **environment: str | None
) -> Result:
    """Run `targetry` with its output in a pipe."""
    env = {"COLUMNS": str(width), "NO_COLOR": None, "FORCE_COLOR": None, **environment}
    with _kept_logging():
        return CliRunner(env=env).invoke(COMMAND, [str(argument) for argument in arguments], input=stdin)


@contextmanager
def _kept_logging() -> Iterator[None]:
    """Restore the handlers that `targetry edge` replaces: its own write to a closed stream."""
    loggers = [logging.getLogger(name) for name in ("targetry.edge", "uvicorn.error")]
    before = [(one, one.handlers, one.propagate, one.level) for one in loggers]
    try:
        yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def text_output(*arguments: str | Path, width: int = 100) -> str:
    """Return the output of a run that must succeed."""
    result = run(*arguments, width=width)
    assert result.exit_code == 0, result.output
    return result.stdout


def json_output(*arguments: str | Path) -> Any:
    """Return the parsed output of a run with `-o json` that must succeed."""
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def write_artifact(folder: Path, document: Any, name: str = "rules.json") -> Path:
    """Write an artifact to a file, and return its path."""
    path = folder / name
    path.write_text(json.dumps(document), "utf-8")
    return path
