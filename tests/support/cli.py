"""Runs of the command in this process, at a given width of the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from targetry.cli.app import app


def run(*arguments: str | Path, width: int = 100, stdin: bytes | None = None, **environment: str) -> Result:
    """Run `targetry` with its output in a pipe."""
    env = {"COLUMNS": str(width), "NO_COLOR": None, "FORCE_COLOR": None, **environment}
    return CliRunner(env=env).invoke(app, [str(argument) for argument in arguments], input=stdin)


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
