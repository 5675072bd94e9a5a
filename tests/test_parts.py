"""Parts of a run of the tests: each file is in one of them, and the largest come first."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.parts import NO_TESTS, files_of_part, run, temporary_files, weight

TESTS = Path(__file__).parent


@pytest.mark.parametrize("parts", [1, 2, 3, 6, 16])
def test_each_file_is_in_one_part(parts: int) -> None:
    files = sorted(TESTS.rglob("test_*.py"))
    found = [files_of_part(reversed(files), f"{number + 1}/{parts}") for number in range(parts)]
    assert [file for part in found for file in sorted(part) if file.is_file()] == files
    assert all(file.parent in part for part in found for file in part)
    sizes = [sum(weight(file) for file in part if file.is_file()) for part in found]
    step = 2 * sum(sizes) / parts / (parts + 1)
    rounding = max(map(weight, files))
    assert sizes == pytest.approx([step * (parts - number) for number in range(parts)], abs=rounding)


@given(st.integers(1, 40))
def test_one_file_is_in_one_of_many_parts(parts: int) -> None:
    found = [files_of_part([Path(__file__)], f"{number + 1}/{parts}") for number in range(parts)]
    assert [Path(__file__) in part for part in found].count(True) == 1


@pytest.mark.slow
def test_output_and_exit_code_are_those_of_the_parts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
    (tmp_path / "test_b.py").write_text("def test_b(): assert False\n")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    alone = ("-c", str(TESTS.parent / "pyproject.toml"), "-p", "conftest", "-p", "no:cacheprovider")

    assert run(1, 2, [*alone, str(tmp_path)]) == 1
    last = capfd.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"2 parts, 1 of them failed: 1 passed, 1 failed in [0-9.]+s", last)
    assert run(1, 2, [*alone, "-k", "test_a", str(tmp_path)]) == 0
    assert run(1, 2, [*alone, "-k", "nothing", str(tmp_path)]) == NO_TESTS


def test_temporary_files_are_in_the_folder_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with temporary_files(tmp_path, 0):
        made = Path(os.environ["TMPDIR"])
        (made / "file").touch()
        assert made.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert "TMPDIR" not in os.environ


def test_given_folder_of_temporary_files_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "given")
    with temporary_files(tmp_path, 0):
        assert os.environ["TMPDIR"] == "given"


def test_folder_that_is_small_or_missing_gets_no_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    for folder, least_bytes in ((tmp_path, 1 << 62), (tmp_path / "missing", 0)):
        with temporary_files(folder, least_bytes):
            assert "TMPDIR" not in os.environ
