"""Sources of an edge's artifacts: files, and folders of activities, which are compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.files import FileVersion, NotRegularFileError, file_version, read_file
from targetry.activities.compile.compiler import (
    DEFAULT_ENVIRONMENT,
    Compilation,
    artifact_bytes,
    compile_activities,
)
from targetry.activities.compile.loading import load_folder
from targetry.activities.model.files import ActivityFolder, FolderFileError
from targetry.activities.model.finding import Finding
from targetry.errors import ArtifactError, TargetError

Version = FileVersion | tuple[object, ...]


class WatchedSource(Protocol):
    """Source of one artifact."""

    path: Path

    def version(self) -> Version | None:
        """Return the version of the content, None without content."""

    def read(self) -> bytes:
        """Return the artifact, a `rules.json` or `rules.bin`. Raises `ArtifactError`."""


class FileSource:
    """Artifact file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> Version | None:
        """Return the version of the file."""
        return file_version(self.path)

    def read(self) -> bytes:
        """Return the content of the file. Raises `ArtifactError`."""
        try:
            source, _ = read_file(self.path, MAX_DOCUMENT_BYTES)
        except (FileNotFoundError, NotRegularFileError) as error:
            raise ArtifactError("there is no such file") from error
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise ArtifactError(f"cannot be read: {reason}") from error
        if len(source) > MAX_DOCUMENT_BYTES:
            raise ArtifactError(f"is larger than {MAX_DOCUMENT_BYTES} bytes")
        return source


class FolderSource:
    """Folder of activities. Its lock is read and never written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> Version | None:
        """Return the names and versions of all files of the folder."""
        try:
            if not self.path.is_dir():
                return None
            files = [path for path in self.path.rglob("*") if not path.name.startswith(".")]
        except OSError:  # a folder vanishes while it is read
            return None
        return tuple((str(path), file_version(path)) for path in sorted(files))

    def read(self) -> bytes:
        """Compile the folder. Raises `ArtifactError` with the first mistake and its position."""
        try:
            loaded = load_folder(ActivityFolder(self.path))
        except FolderFileError as error:
            raise ArtifactError(str(error)) from error
        except TargetError as error:  # PyYAML is missing
            raise ArtifactError(str(error)) from error
        _fail_with(loaded.findings)
        assert loaded.activities is not None  # it would be a finding
        result = compile_activities(loaded.activities, loaded.lock)
        _fail_with(result.findings)
        return artifact_bytes(served_artifact(result))


def served_artifact(result: Compilation) -> dict[str, Any]:
    """Return the artifact of production, or of the first environment."""
    artifacts = result.artifacts
    return artifacts.get(DEFAULT_ENVIRONMENT) or next(iter(artifacts.values()))


def _fail_with(findings: list[Finding]) -> None:
    if findings:
        first = min(findings, key=lambda one: (one.file, one.line, one.column))
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise ArtifactError(f"{first}{more}")
