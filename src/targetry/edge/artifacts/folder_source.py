"""Folder of activities as a source of an artifact, which is compiled.

An edge without such a folder does not import this module, since the compiler takes a tenth of the
time to import an edge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from targetry._runtime.files import file_version
from targetry.activities.compile.compiler import (
    DEFAULT_ENVIRONMENT,
    Compilation,
    artifact_bytes,
    compile_activities,
)
from targetry.activities.compile.loading import load_folder
from targetry.activities.compile.report_plans import folder_plans
from targetry.activities.model.files import ActivityFolder, FolderFileError
from targetry.activities.model.finding import Finding
from targetry.edge.artifacts.sources import SourceContent, Version
from targetry.errors import ArtifactError, TargetError


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

    def read(self) -> SourceContent:
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
        plans = folder_plans(str(self.path), loaded.activities, result)
        return SourceContent(artifact_bytes(served_artifact(result)), plans)


def served_artifact(result: Compilation) -> dict[str, Any]:
    """Return the artifact of production, or of the first environment."""
    artifacts = result.artifacts
    return artifacts.get(DEFAULT_ENVIRONMENT) or next(iter(artifacts.values()))


def _fail_with(findings: list[Finding]) -> None:
    if findings:
        first = min(findings, key=lambda one: (one.file, one.line, one.column))
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise ArtifactError(f"{first}{more}")
