"""Artifacts and folders that `targetry power` and `targetry aa` take the splits of."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.activities import HERO, write_files
from support.cli import run

pytest.importorskip("scipy")

COMMANDS = {
    "power": ("power", "--baseline", "5%", "--lift", "10%"),
    "aa": ("aa", "--activities", "10", "--visitors", "200", "-o", "json"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    thirds = HERO.replace("share: 50", "share: 60", 1).replace("share: 50", "share: 40", 1)
    return write_files(tmp_path / "activities", {"hero.yaml": thirds})


@pytest.mark.parametrize("command", COMMANDS)
def test_obfuscated_artifact_is_read_with_the_organization_id(folder: Path, command: str) -> None:
    path, plain = folder.parent / "rules.bin", folder.parent / "rules.json"
    of_organization = ("--organization-id", "0123456789ABCDEF01234567@AdobeOrg")
    run("activities", "compile", folder, "-O", path, "--bin", *of_organization)
    run("activities", "compile", folder, "-O", plain)
    made = run(*COMMANDS[command], path, *of_organization)
    assert made.exit_code == 0, made.output
    assert made.stdout == run(*COMMANDS[command], plain).stdout
    assert run(*COMMANDS[command], path).exit_code == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_environment_of_a_folder_is_named(folder: Path, command: str) -> None:
    assert run(*COMMANDS[command], folder, "--environment", "production").exit_code == 0
    result = run(*COMMANDS[command], folder, "--environment", "staging", width=300)
    assert result.exit_code == 2
    assert "environments are production" in result.stderr
