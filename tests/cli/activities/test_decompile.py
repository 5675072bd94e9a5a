from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import run, text_output, write_artifact
from targetry import samples, testing


@pytest.fixture(scope="module")
def edge_url() -> Iterator[str]:
    with testing.edge() as edge:
        yield edge.url


def test_sample_becomes_files_that_compile_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "activities"
    output = text_output("activities", "decompile", samples.shop_path(), "-O", folder, width=300)
    assert output == f"{folder} has 9 activities; compiled, they are equal to the artifact\n"
    target = tmp_path / "again.json"
    assert run("activities", "compile", folder, "--locked", "-O", target).exit_code == 0
    assert json.loads(target.read_text()) == samples.shop()
    assert not any("verbatim" in path.read_text() for path in folder.glob("*.yaml"))


def test_rules_that_stay_verbatim_are_named(tmp_path: Path) -> None:
    artifact = samples.shop()
    artifact["rules"]["mboxes"]["hero"][0]["seed"] = "x"
    path = write_artifact(tmp_path, artifact)
    result = run("activities", "decompile", path, "-O", tmp_path / "a", "--single-file", width=300)
    assert result.exit_code == 0
    assert result.stderr == "note: the rules of mboxes 'hero' are kept in the artifact's form\n"
    assert {path.name for path in (tmp_path / "a").glob("*.yaml")} == {"activities.yaml", "targetry.yaml"}


def test_artifact_of_a_url_becomes_files(tmp_path: Path, edge_url: str) -> None:
    url = f"{edge_url}/acme/production/v1/rules.json"
    assert run("activities", "decompile", url, "-O", tmp_path / "a").exit_code == 0
    assert (tmp_path / "a" / "hero-autumn-sale.yaml").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "not JSON"), ("[]", "not of the expected shape"), ('{"version": "2.0"}', "not supported")],
    ids=["no JSON", "list", "version"],
)
def test_other_files_are_errors(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.json").write_text(content)
    result = run("activities", "decompile", tmp_path / "a.json", "-O", tmp_path / "a", width=300)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert not (tmp_path / "a").exists()


def test_folder_with_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    result = run("activities", "decompile", samples.shop_path(), "-O", tmp_path)
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


@pytest.mark.parametrize("command", ["init", "decompile"])
def test_full_disk_leaves_no_part_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    synced = iter(range(2))

    def sync(_: int) -> None:
        if next(synced, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", sync)
    arguments = [tmp_path / "new"] if command == "init" else [samples.shop_path(), "-O", tmp_path / "new"]
    result = run("activities", command, *arguments, width=300)
    assert result.exit_code == 1
    assert "No space left on device; nothing was changed" in result.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert run("activities", command, *arguments).exit_code == 0


def test_folder_that_is_there_and_empty_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("activities", "decompile", samples.shop_path(), "-O", ".").exit_code == 0
    assert (tmp_path / "targetry.lock").is_file()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_artifact_of_a_client_is_shown(edge_url: str) -> None:
    output = text_output("artifact", "--client", "acme", "--cdn", edge_url, width=200)
    assert output.startswith(f"{edge_url}/acme/production/v1/rules.json · version 1.0.0")
    result = run("artifact", "--client", "other", "--cdn", edge_url, width=300)
    assert result.exit_code == 1
    assert "404" in result.stderr
    assert run("artifact", "a.json", "--client", "acme").exit_code == 2
