"""Sources of an edge's artifacts: files; `folder_source` has folders of activities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.files import FileVersion, NotRegularFileError, file_version, read_file
from targetry.errors import ArtifactError

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans

Version = FileVersion | tuple[object, ...]


class SourceContent(NamedTuple):
    """Artifact, a `rules.json` or `rules.bin`, and the plans of its activities; None without."""

    artifact: bytes
    plans: FolderPlans | None = None


class WatchedSource(Protocol):
    """Source of one artifact."""

    path: Path

    def version(self) -> Version | None:
        """Return the version of the content, None without content."""

    def read(self) -> SourceContent:
        """Return the content. Raises `ArtifactError`."""


class FileSource:
    """Artifact file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> Version | None:
        """Return the version of the file."""
        return file_version(self.path)

    def read(self) -> SourceContent:
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
        return SourceContent(source)
