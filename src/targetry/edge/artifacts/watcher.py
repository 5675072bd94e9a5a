"""The edge's artifacts: files, read again when they change.

A file is looked at twice a second: asking for its identity costs microseconds, and works for whatever replaces files (editors,
renames, links, network drives). What cannot be used is refused with the reason, and the last good one stays.
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
from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.files import FileVersion, NotRegularFileError, file_version, read_file
from targetry._runtime.rate_limited_log import RateLimitedLog
from targetry.device.unusable_rules import describe_unusable_rules
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.observability.artifact_state import ArtifactState
from targetry.errors import ArtifactError, NoThreadError

POLL_INTERVAL_S: Final = 0.5


class ArtifactWatcher:
    """Keeps a registry of artifact files current. `registry` is replaced as a whole and may be read by any thread."""

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        client: str | None = None,
        organization_id: str | None = None,
        log: logging.Logger | None = None,
        on_change: Callable[[ArtifactRegistry], object] | None = None,
    ) -> None:
        """Read all files; `on_change` is called with each new registry, beginning with the first.

        Raises `ArtifactError` when one cannot be used: an edge does not start with half of its rules.
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
                file.served = self._read(file)
            except ArtifactError as error:
                raise ArtifactError(f"{file.path}: {error}") from error
        self.reloads = self.refusals = 0
        self.registry = self._changed()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self) -> None:
        """Look for changes until `close`, in a thread. Raises `NoThreadError`."""
        if self._thread is None:
            self._thread = start_daemon_thread("targetry-edge-artifacts", self._watch)
            if self._thread is None:
                raise NoThreadError(
                    "artifacts are not watched: the system gives no thread; start the edge again"
                )

    def close(self) -> None:
        """Stop looking; the registry stays. May be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def refresh(self) -> bool:
        """Look once, and read what changed; whether the registry is a new one. Never raises."""
        loaded = [self._reload(file) for file in self._files if self._is_changed(file)]
        if not any(loaded):
            return False
        self.registry = self._changed()
        return True

    def states(self) -> list[ArtifactState]:
        """How things stand with each file."""
        return [
            ArtifactState(
                one.name, one.client, one.environment, one.rules.generated_at, file.loaded_at, file.refused
            )
            for file in self._files
            if (one := file.served) is not None
        ]

    def _watch(self) -> None:
        while not self._stop.wait(POLL_INTERVAL_S):
            self.refresh()

    def _is_changed(self, file: _File) -> bool:
        """Whether there is something to read. A file that is not there at two looks is told: at one it may be being replaced."""
        identity = file_version(file.path)
        if identity is not None:
            was_gone, file.looks_gone = file.looks_gone > 1, 0
            return was_gone or identity != file.identity
        file.looks_gone += 1
        if file.looks_gone == 2:
            self._refuse(file, "there is no such file any more")
        return False

    def _refuse(self, file: _File, reason: str) -> None:
        self.refusals += 1
        file.refused = reason
        self._log.error("artifact %s is refused, the last good one stays: %s", file.path, reason)

    def _reload(self, file: _File) -> bool:
        try:
            file.served = self._read(file)
        except Exception as error:  # a compiler's fault in one file must not end the watch over all
            self._refuse(file, str(error) or repr(error))
            return False
        self.reloads += 1
        self._log.info("artifact %s was reloaded", file.path)
        return True

    def _read(self, file: _File) -> LoadedArtifact:
        file.identity = file_version(file.path)
        served = LoadedArtifact(
            file.name,
            _bytes_of(file.path),
            client=self._client,
            organization_id=self._organization_id,
        )
        if served.rules.unusable:
            text = describe_unusable_rules(served.rules)
            self._limited_log.warning(f"unusable {file.path}", "in %s %s", file.path, text)
        file.refused, file.loaded_at = None, time.time()
        return served

    def _changed(self) -> ArtifactRegistry:
        registry = ArtifactRegistry(file.served for file in self._files if file.served is not None)
        try:
            if self._on_change is not None:
                self._on_change(registry)
        except Exception as error:  # what is told of the rules must not keep them from being used
            self._log.error("the new artifacts could not be told: %s", error)
        return registry


def display_names(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the names of files as pages and metrics show them: without folders, numbered where two are alike."""
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
        self.identity: FileVersion | None = None
        self.served: LoadedArtifact | None = None
        self.refused: str | None = None
        self.looks_gone = 0
        self.loaded_at = 0.0


def _bytes_of(path: Path) -> bytes:
    try:
        source, _ = read_file(path, MAX_DOCUMENT_BYTES)
    except (FileNotFoundError, NotRegularFileError) as error:
        raise ArtifactError("there is no such file") from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise ArtifactError(f"cannot be read: {reason}") from error
    if len(source) > MAX_DOCUMENT_BYTES:
        raise ArtifactError(f"is larger than {MAX_DOCUMENT_BYTES} bytes")
    return source
