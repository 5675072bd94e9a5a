from __future__ import annotations

import gc
import json
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from support.edge import HERO, WEB, ask, response_to
from support.late import LATE_S
from targetry.edge.artifacts.registry import ArtifactRegistry
from targetry.edge.artifacts.watcher import ArtifactWatcher
from targetry.errors import ArtifactError
from targetry.samples import shop


def titled(code: str) -> dict[str, Any]:
    document = shop()
    document["meta"]["clientCode"] = code
    return document


def write(path: Path, document: Any) -> Path:
    """Replace a file as a careful program does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(document if isinstance(document, str) else json.dumps(document))
    return fresh.replace(path)


def test_changed_file_is_loaded_again(tmp_path: Path) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))])
    assert not artifacts.refresh()
    write(tmp_path / "rules.json", titled("two"))
    assert artifacts.refresh()
    assert response_to(HERO, registry=artifacts.registry)["client"] == "two"
    assert (artifacts.reloads, artifacts.refusals) == (1, 0)


def test_display_of_a_replaced_artifact_counts_for_its_activity(tmp_path: Path) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", shop())])
    prefetch = {"context": WEB, "id": {"tntId": "3f9c"}, "prefetch": {"mboxes": [{"name": "hero"}]}}
    (option,) = response_to(prefetch, registry=artifacts.registry)["prefetch"]["mboxes"][0]["options"]
    write(tmp_path / "rules.json", {**shop(), "rules": {"mboxes": {}, "views": {}}})
    assert artifacts.refresh()
    shown = {"id": "n", "type": "display", "timestamp": 1, "tokens": [option["eventToken"]]}
    request = {"context": WEB, "id": {"tntId": "3f9c"}, "notifications": [shown]}
    (event,) = ask(request, registry=artifacts.registry).events
    assert (event.activity_id, event.experience_id) == ("482910", "0")


def test_tokens_of_another_client_are_unknown(tmp_path: Path) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))])
    assert len(artifacts.registry.artifacts[0].tokens) > 0
    write(tmp_path / "rules.json", {**titled("two"), "rules": {"mboxes": {}, "views": {}}})
    assert artifacts.refresh()
    assert len(artifacts.registry.artifacts[0].tokens) == 0


def test_replaced_artifact_is_released_without_garbage_collection(tmp_path: Path) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))])
    assert response_to(HERO, registry=artifacts.registry)["client"] == "one"
    artifact = weakref.ref(artifacts.registry.artifacts[0])
    rules = weakref.ref(artifacts.registry.artifacts[0].rules)
    gc.disable()
    try:
        write(tmp_path / "rules.json", titled("two"))
        assert artifacts.refresh()
        assert (artifact(), rules()) == (None, None)
    finally:
        gc.enable()


def test_invalid_file_is_rejected_and_the_last_usable_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))])
    before = artifacts.registry
    write(tmp_path / "rules.json", "{")
    assert not artifacts.refresh()
    assert artifacts.registry is before
    (state,) = artifacts.states()
    assert state.refused
    assert state.refused in caplog.text
    assert not artifacts.refresh(), "the same file is refused once"
    write(tmp_path / "rules.json", titled("two"))
    assert artifacts.refresh()
    assert artifacts.states()[0].refused is None


def test_file_missing_at_one_check_changes_nothing(tmp_path: Path) -> None:
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))])
    os.remove(tmp_path / "rules.json")
    assert not artifacts.refresh()
    assert artifacts.registry.clients == ("one",)


def test_missing_file_is_reported_once_and_loaded_on_its_return(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.json"
    artifacts = ArtifactWatcher([write(path, titled("one"))])
    path.rename(tmp_path / "elsewhere")
    for _ in range(4):
        assert not artifacts.refresh()
    assert artifacts.states()[0].refused == "the file no longer exists"
    assert (artifacts.refusals, caplog.text.count("no longer exists")) == (1, 1)
    assert artifacts.registry.clients == ("one",)
    (tmp_path / "elsewhere").rename(path)
    assert artifacts.refresh()
    assert artifacts.states()[0].refused is None


def test_change_of_one_file_keeps_the_other_artifacts(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.json", titled(name)) for name in ("one", "two")]
    artifacts = ArtifactWatcher(paths)
    two = artifacts.registry.artifacts[1]
    write(paths[0], titled("three"))
    artifacts.refresh()
    assert artifacts.registry.clients == ("three", "two")
    assert artifacts.registry.artifacts[1] is two


@pytest.mark.parametrize("content", [None, "{", '{"version": "2.0.0"}', "[]"])
def test_invalid_file_prevents_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "rules.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match=r"rules\.json: "):
        ArtifactWatcher([path])


def test_callback_gets_each_new_registry(tmp_path: Path) -> None:
    seen: list[ArtifactRegistry] = []
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", titled("one"))], on_change=seen.append)
    write(tmp_path / "rules.json", titled("two"))
    artifacts.refresh()
    assert [registry.clients for registry in seen] == [("one",), ("two",)]


def test_failing_callback_does_not_prevent_the_use_of_rules(tmp_path: Path) -> None:
    def broken(registry: ArtifactRegistry) -> None:
        raise OSError("full")

    assert ArtifactWatcher(
        [write(tmp_path / "rules.json", titled("one"))], on_change=broken
    ).registry.clients == ("one",)


def test_thread_detects_a_change(tmp_path: Path) -> None:
    changed = threading.Event()
    artifacts = ArtifactWatcher(
        [write(tmp_path / "rules.json", titled("one"))], on_change=lambda _: changed.set()
    )
    changed.clear()
    artifacts.watch()
    try:
        write(tmp_path / "rules.json", titled("two"))
        assert changed.wait(LATE_S)
    finally:
        artifacts.close()


def test_unusable_rules_are_logged_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = shop()
    document["rules"]["mboxes"]["hero"] += [{}] * 1000
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", document)])
    write(tmp_path / "rules.json", json.dumps(document) + " ")
    assert artifacts.refresh()
    (line,) = [record.getMessage() for record in caplog.records if "not used" in record.getMessage()]
    assert "1000 of 1023 rules are not used" in line


def test_artifact_dated_in_the_future_is_replaced_by_an_older_one(tmp_path: Path) -> None:
    document = shop()
    document["meta"]["generatedAt"] = "2099-01-01T00:00:00Z"
    artifacts = ArtifactWatcher([write(tmp_path / "rules.json", document)])
    write(tmp_path / "rules.json", shop())
    assert artifacts.refresh()
    assert artifacts.states()[0].generated_at == shop()["meta"]["generatedAt"]
