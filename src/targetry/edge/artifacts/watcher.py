"""Watcher of an edge's artifact files and folders of activities, which loads changed ones.

The identity of each file is polled twice a second, which costs microseconds and detects any kind of
replacement (editors, renames, links, network drives). A file that cannot be loaded is rejected with
the reason, and the last good artifact stays in use.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from targetry._runtime.daemon_threads import start_daemon_thread
from targetry._runtime.lazy_import import importing
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.device.unusable_rules import describe_unusable_rules
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.sources import FileSource, Version, WatchedSource
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.errors import ArtifactError, NoThreadError

POLL_INTERVAL_S: Final = 0.5


class ArtifactWatcher:
    """Keeps a registry of artifact files current.

    `registry` is replaced as a whole, so any thread can read it. `reloads` and `refusals` count the
    loaded and the rejected contents.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        client: str | None = None,
        organization_id: str | None = None,
        log: logging.Logger | None = None,
        on_change: Callable[[ArtifactRegistry], object] | None = None,
    ) -> None:
        """Load all files; call `on_change` with each new registry, also the first.

        Raises:
            ArtifactError: A file cannot be used.
        """
        self._client = client
        self._organization_id = organization_id
        self._log = log or logging.getLogger("targetry.edge")
        self._limited_log = RateLimitedLog(self._log)
        self._on_change = on_change
        self._files = [
            _File(path, name) for path, name in zip(map(Path, paths), display_names(paths), strict=True)
        ]
        for file in self._files:
            try:
                file.artifact = self._read(file)
            except ArtifactError as error:
                raise ArtifactError(f"{file.path}: {error}") from error
        self.reloads = self.refusals = 0
        self.registry = self._build_registry()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self) -> None:
        """Start a thread that polls the files until `close`. Raises `NoThreadError`."""
        if self._thread is None:
            self._thread = start_daemon_thread("targetry-edge-artifacts", self._watch)
            if self._thread is None:
                raise NoThreadError(
                    "artifacts are not watched: the system cannot start a thread; start the edge again"
                )

    def close(self) -> None:
        """Stop polling; the registry stays. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def refresh(self) -> bool:
        """Load changed files; return whether the registry was replaced. Never raises."""
        loaded = [self._reload(file) for file in self._files if self._has_changed(file)]
        if not any(loaded):
            return False
        self.registry = self._build_registry()
        return True

    def states(self) -> list[ArtifactState]:
        """Return the state of each file."""
        return [
            ArtifactState(
                one.name, one.client, one.environment, one.rules.generated_at, file.loaded_at, file.refused
            )
            for file in self._files
            if (one := file.artifact) is not None
        ]

    def is_stale(self, artifact: LoadedArtifact) -> bool:
        """Return whether a newer content of the artifact's file was rejected."""
        return any(file.refused is not None and file.artifact is artifact for file in self._files)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_INTERVAL_S):
            self.refresh()

    def _has_changed(self, file: _File) -> bool:
        """Return whether a file has to be loaded; reject it if it is missing at two checks.

        At one check the file can be missing because it is being replaced.
        """
        identity = file.source.version()
        if identity is not None:
            was_gone, file.missing_checks = file.missing_checks > 1, 0
            return was_gone or identity != file.identity
        file.missing_checks += 1
        if file.missing_checks == 2:
            self._reject(file, "the file no longer exists")
        return False

    def _reject(self, file: _File, reason: str) -> None:
        self.refusals += 1
        file.refused = reason
        self._log.error("artifact %s is rejected, the last good one stays: %s", file.path, reason)

    def _reload(self, file: _File) -> bool:
        try:
            file.artifact = self._read(file)
        except Exception as error:  # a fault of the compiler must not end the thread
            self._reject(file, str(error) or repr(error))
            return False
        self.reloads += 1
        self._log.info("artifact %s was reloaded", file.path)
        return True

    def _read(self, file: _File) -> LoadedArtifact:
        file.identity = file.source.version()
        content = file.source.read()
        artifact = LoadedArtifact(
            file.name,
            content.artifact,
            client=self._client,
            organization_id=self._organization_id,
            plans=content.plans,
            earlier=file.artifact,
        )
        if artifact.rules.unusable:
            text = describe_unusable_rules(artifact.rules)
            self._limited_log.warning(f"unusable {file.path}", "in %s %s", file.path, text)
        file.refused, file.loaded_at = None, time.time()
        return artifact

    def _build_registry(self) -> ArtifactRegistry:
        registry = ArtifactRegistry(file.artifact for file in self._files if file.artifact is not None)
        try:
            if self._on_change is not None:
                self._on_change(registry)
        except Exception as error:  # a failed callback must not keep the rules from being used
            self._log.error("the names of the new activities could not be stored: %s", error)
        return registry


def display_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the names of files without their folders, numbered if equal, for page and metrics."""
    names: list[str] = []
    for path in paths:
        name = shown = Path(path).name
        number = 1
        while shown in names:
            number += 1
            shown = f"{name} ({number})"
        names.append(shown)
    return names


class _File:
    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.source = _source(path)
        self.identity: Version | None = None
        self.artifact: LoadedArtifact | None = None
        self.refused: str | None = None
        self.missing_checks = 0
        self.loaded_at = 0.0


def _source(path: Path) -> WatchedSource:
    if not path.is_dir():
        return FileSource(path)
    with importing():
        from targetry.edge.artifacts.folder_source import FolderSource

    return FolderSource(path)
