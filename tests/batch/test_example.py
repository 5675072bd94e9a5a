"""The program of `examples/batch` runs."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "batch" / "release.py"


def test_release_program_finds_that_no_visitor_moves(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    printed = capsys.readouterr().out
    assert "hero content content 50.0 %" in printed
    assert "20000 assignments, 0 rows with an error" in printed
