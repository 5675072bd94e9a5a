from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support.activities import HERO, write_files
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.errors import ArtifactError


def names(watcher: ArtifactWatcher) -> list[Any]:
    (artifact,) = watcher.registry.artifacts
    return [one.name for one in artifact.activities.values()]


def test_folder_of_activities_is_compiled_and_compiled_again_on_change(tmp_path: Path) -> None:
    watcher = ArtifactWatcher([write_files(tmp_path, {"hero.yaml": HERO})])
    etag = watcher.registry.artifacts[0].etag
    assert names(watcher) == ["hero"]
    assert not watcher.refresh()
    write_files(tmp_path, {"hero.yaml": f"name: Hero\n{HERO}"})
    assert watcher.refresh()
    assert names(watcher) == ["Hero"]
    assert watcher.registry.artifacts[0].etag != etag
    assert sorted(os.listdir(tmp_path)) == ["hero.yaml", "targetry.yaml"]


def test_new_file_and_changed_offer_are_noticed(tmp_path: Path) -> None:
    offer = HERO.replace("html: sale", "html: {file: offers/sale.html}")
    watcher = ArtifactWatcher([write_files(tmp_path, {"hero.yaml": offer, "offers/sale.html": "a"})])
    write_files(tmp_path, {"offers/sale.html": "longer"})
    assert watcher.refresh()
    assert b"longer" in watcher.registry.artifacts[0].text
    write_files(tmp_path, {"deep/b.yaml": HERO.replace("key: hero", "key: other")})
    assert watcher.refresh()
    assert sorted(names(watcher)) == ["hero", "other"]


def test_broken_edit_keeps_the_last_good_artifact_and_says_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = ArtifactWatcher([write_files(tmp_path, {"hero.yaml": HERO})])
    before = watcher.registry
    write_files(tmp_path, {"hero.yaml": HERO + "nmae: x\naudience: geo.contry == 1\n"})
    assert not watcher.refresh()
    assert watcher.registry is before
    (state,) = watcher.states()
    assert state.refused == "hero.yaml:7:1: error TA002: unknown key 'nmae'; did you mean 'name'?"
    assert state.refused in caplog.text
    write_files(tmp_path, {"hero.yaml": HERO + "audience: geo.contry == 1\n"})
    watcher.refresh()
    assert "hero.yaml:7:15: error TA103" in str(watcher.states()[0].refused)
    write_files(tmp_path, {"hero.yaml": HERO})
    assert watcher.refresh()
    assert watcher.states()[0].refused is None


def test_broken_folder_prevents_the_start(tmp_path: Path) -> None:
    write_files(tmp_path, {"hero.yaml": "key: [\n"})
    with pytest.raises(ArtifactError, match=r"hero\.yaml:2:1: error TA001"):
        ArtifactWatcher([tmp_path])
