"""Pages on activities as code: their files, commands, programs and outputs, in order."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.cli import run, write_artifact
from support.python_process import environment
from support.slow import slow
from support.snippets import ROOT
from targetry import samples

_BLOCK = re.compile(r"^```(yaml|sh|text|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\A# file: (\S+)\n")


def run_command(line: str, folder: Path) -> str:
    """Run a command that must succeed, and return its output."""
    words = shlex.split(line)
    if words[0] == "targetry":
        result = run(*words[1:], width=300)
        assert result.exit_code == 0, f"{line}\n{result.output}"
        return result.output
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def run_program(code: str, names: dict[str, Any]) -> str:
    """Run a snippet with the names of those before, and return what it prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<page>", "exec"), names)  # noqa: S102  running it is the test
    return output.getvalue()


@pytest.mark.parametrize("page", ["tutorial/activities.md", *slow("tutorial/experiment.md"), "activities.md"])
def test_page_works_as_written(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if page == "activities.md":
        write_artifact(tmp_path, samples.shop())
        (tmp_path / "activities").mkdir()
        (tmp_path / "activities" / "targetry.yaml").write_text("targetry: 1\nclient: acme\n")
    output = ""
    names: dict[str, Any] = {"__name__": "__main__"}
    for kind, text in _BLOCK.findall((ROOT / "docs" / page).read_text("utf-8")):
        named = _FILE.match(text)
        if named:
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text[named.end() :], "utf-8")
        elif kind == "sh":
            output = "".join(run_command(line, tmp_path) for line in text.splitlines())
        elif kind == "python":
            output = run_program(text, names)
        elif kind == "text":
            assert [line for line in text.splitlines() if line not in output] == [], output
    if (tmp_path / "app.py").exists():
        done = subprocess.run(
            [sys.executable, "app.py"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "True\n", done.stderr
