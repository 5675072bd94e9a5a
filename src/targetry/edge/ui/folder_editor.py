"""Editing of the files of a folder of activities: what a change would do, and saving it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.lint.checker import check_loaded
from targetry.activities.model.files import MAX_FILE_BYTES, ActivityFolder, FolderFileError, write_atomically
from targetry.activities.model.finding import Finding
from targetry.activities.review.plan import plan
from targetry.activities.review.plan_text import plan_text
from targetry.edge.artifacts.sources import served_artifact

MAX_EDITED_BYTES: Final = 500_000

_MARK: Final = b"\xef\xbb\xbf"


class EditError(Exception):
    """A file cannot be read or saved; the text says why and what to do."""


class EditedFile(msgspec.Struct, frozen=True):
    """Text of a file, and the version of its content."""

    name: str
    text: str
    version: str


class EditPreview(msgspec.Struct, frozen=True):
    """Findings of the folder with an edited file, and the plan if it compiles."""

    findings: list[Finding]
    plan: str | None

    @property
    def is_usable(self) -> bool:
        """Whether the folder compiles."""
        return self.plan is not None


class FolderEditor:
    """Editor of one folder. Its methods block; threads can share it.

    Args:
        name: The name of the folder's artifact in the registry.
        path: The folder.
        now: Clock, in epoch seconds, for checks of schedules.
    """

    def __init__(self, name: str, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self._now = now
        self._path = path
        self._lock = threading.Lock()

    def files(self) -> list[str]:
        """Return the YAML files, then the files of offers that they name. Raises `EditError`."""
        try:
            folder = ActivityFolder(self._path)
            activities = load_folder(folder).activities
            return [*folder.names(), *(sorted(activities.texts) if activities is not None else ())]
        except FolderFileError as error:
            raise EditError(str(error)) from error

    def read(self, name: str) -> EditedFile:
        """Return a file. Raises `EditError`."""
        if name not in self.files():
            raise EditError(f"{name!r} is not one of the folder's files; choose one of the list")
        try:
            folder = ActivityFolder(self._path)
            text = folder.read_text(name, MAX_EDITED_BYTES)
            return EditedFile(name, text, _digest(self._content(name)))
        except (FolderFileError, OSError) as error:
            raise EditError(f"{name} cannot be edited: {error}") from error

    def preview(self, served: dict[str, Any], name: str = "", text: str = "") -> EditPreview:
        """Return what the folder would be with a text in place of a file.

        Args:
            served: The artifact that is live, with which the plan compares.
            name: The file; empty for the folder as it is.
            text: Its new text.

        Raises:
            EditError: The folder cannot be read.
        """
        try:
            folder = _EditedFolder(self._path, name, text)
            loaded = load_folder(folder)
            findings = check_loaded(loaded, int(self._now() * 1000), folder.offer_names())
        except FolderFileError as error:
            raise EditError(str(error)) from error
        if loaded.findings or loaded.activities is None:
            return EditPreview(findings, None)
        result = compile_activities(loaded.activities, loaded.lock)
        if result.findings:
            return EditPreview(findings, None)
        return EditPreview(findings, plan_text(plan(served, served_artifact(result))))

    def save(self, edited: EditedFile, text: str) -> None:
        """Write a file as a whole, with the line ends that it has.

        Args:
            edited: The file as it was read.
            text: Its new text.

        Raises:
            EditError: It has changed since, or cannot be written; nothing was changed.
        """
        with self._lock:
            if self.read(edited.name).version != edited.version:
                raise EditError(f"{edited.name} has changed meanwhile; reload the page, and edit it again")
            try:
                before = self._content(edited.name)
                content = text.encode()
                if b"\r\n" in before:
                    content = content.replace(b"\n", b"\r\n")
                mark = _MARK if before.startswith(_MARK) else b""
                write_atomically((self._path / edited.name).resolve(), mark + content)
            except (OSError, UnicodeEncodeError) as error:
                raise EditError(f"{edited.name} was not saved: {error}; nothing was changed") from error

    def _content(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


class _EditedFolder(ActivityFolder):
    """Folder with a text in place of one file's."""

    def __init__(self, path: Path, name: str, text: str) -> None:
        super().__init__(path)
        self._name = name
        self._text = text

    def read_text(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> str:
        return self._text if name == self._name else super().read_text(name, max_bytes)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
