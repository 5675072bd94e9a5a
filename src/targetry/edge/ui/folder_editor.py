"""Editing of the files of a folder of activities: what a change would do, and saving it."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from targetry.activities.compile.compiler import compile_activities
from targetry.activities.compile.loading import load_folder
from targetry.activities.lint.checker import check_loaded
from targetry.activities.model.files import MAX_FILE_BYTES, ActivityFolder, FolderFileError, write_atomically
from targetry.activities.review.plan import plan
from targetry.activities.review.plan_text import plan_text
from targetry.edge.artifacts.edited_file import EditedFile, EditError, EditPreview
from targetry.edge.artifacts.folder_source import served_artifact

MAX_EDITED_BYTES: Final = 500_000

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_NEW: Final = """\
key: {key}
experiences:
  - key: control
    share: 50
    offers:
      - mbox: {key}
        html: <p>Control</p>
  - key: variant
    share: 50
    offers:
      - mbox: {key}
        html: <p>Variant</p>
"""
_MARK: Final = b"\xef\xbb\xbf"


class FolderEditor:
    """Editor of the files of one folder. Its methods block; threads can share it.

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

    def new(self, key: str) -> EditedFile:
        """Return the file of a new activity, which `create` writes. Raises `EditError`."""
        name = f"{key}.yaml"
        if _KEY.fullmatch(key) is None:
            raise EditError(f"{key!r} is no key of an activity; use small letters, digits and hyphens")
        if (self._path / name).exists():
            raise EditError(f"there is a file {name} already; choose another key, or edit that file")
        return EditedFile(name, _NEW.format(key=key), "")

    def preview(
        self, served: dict[str, Any], name: str = "", text: str | None = "", *, is_new: bool = False
    ) -> EditPreview:
        """Return what the folder would be with a text in place of a file.

        Args:
            served: The artifact that is live, with which the plan compares.
            name: The file; empty for the folder as it is.
            text: Its new text; None for the folder without the file.
            is_new: Whether the folder has no such file yet.

        Raises:
            EditError: The folder cannot be read.
        """
        try:
            folder = _EditedFolder(self._path, name, text, is_new=is_new)
            loaded = load_folder(folder)
            findings = check_loaded(loaded, int(self._now() * 1000), folder.offer_names())
        except FolderFileError as error:
            raise EditError(str(error)) from error
        if loaded.findings or loaded.activities is None:
            return EditPreview(findings, None)
        result = compile_activities(loaded.activities, loaded.lock)
        if result.findings:
            return EditPreview(findings, None)
        # The edge serves the folder with an old lock, too, and a command brings that up to date.
        shown = [replace(one, level="warning") if one.code == "TA007" else one for one in findings]
        return EditPreview(shown, plan_text(plan(served, served_artifact(result))))

    def save(self, edited: EditedFile, text: str) -> None:
        """Write a file as a whole, with the line ends that it has.

        Args:
            edited: The file as it was read.
            text: Its new text.

        Raises:
            EditError: It has changed since, or cannot be written; nothing was changed.
        """
        with self._lock:
            self._check_version(edited)
            try:
                before = self._content(edited.name)
                content = text.encode()
                if b"\r\n" in before:
                    content = content.replace(b"\n", b"\r\n")
                mark = _MARK if before.startswith(_MARK) else b""
                write_atomically((self._path / edited.name).resolve(), mark + content)
            except (OSError, UnicodeEncodeError) as error:
                raise EditError(f"{edited.name} was not saved: {error}; nothing was changed") from error

    def create(self, key: str, text: str) -> None:
        """Write the file of a new activity. Raises `EditError`; nothing was changed."""
        with self._lock:
            name = self.new(key).name
            try:
                write_atomically(self._path / name, text)
            except (OSError, UnicodeEncodeError) as error:
                raise EditError(f"{name} was not created: {error}; nothing was changed") from error

    def remove(self, edited: EditedFile) -> None:
        """Remove a file.

        Args:
            edited: The file as it was read.

        Raises:
            EditError: It has changed since, or cannot be removed; nothing was changed.
        """
        with self._lock:
            self._check_version(edited)
            try:
                (self._path / edited.name).unlink()
            except OSError as error:
                raise EditError(f"{edited.name} was not removed: {error}; nothing was changed") from error

    def _check_version(self, edited: EditedFile) -> None:
        if self.read(edited.name).version != edited.version:
            raise EditError(f"{edited.name} has changed meanwhile; reload the page, and edit it again")

    def _content(self, name: str) -> bytes:
        return (self._path / name).read_bytes()


class _EditedFolder(ActivityFolder):
    """Folder with a text in place of one file's, or without the file if the text is None."""

    def __init__(self, path: Path, name: str, text: str | None, *, is_new: bool) -> None:
        super().__init__(path)
        self._name = name
        self._text = text
        self._is_new = is_new

    def names(self) -> list[str]:
        added = [self._name] if self._is_new else []
        return sorted({*self._kept(super().names()), *added})

    def offer_names(self) -> list[str]:
        return self._kept(super().offer_names())

    def _kept(self, names: list[str]) -> list[str]:
        return [name for name in names if name != self._name or self._text is not None]

    def read_text(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> str:
        if name != self._name:
            return super().read_text(name, max_bytes)
        if self._text is None:
            raise FolderFileError("there is no such file")
        return self._text


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
