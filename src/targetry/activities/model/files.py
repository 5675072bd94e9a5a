"""Files of a folder of activities: reading within bounds, writing as a whole.

No path of a file leads out of the folder, also not by symbolic links. A file is written under
another name and then renamed, so that no reader sees half of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from targetry._runtime.files import NotRegularFileError, read_file
from targetry.errors import TargetError

MAX_FILE_BYTES: Final = 5_000_000
MAX_FILES: Final = 10_000
SETTINGS_FILE: Final = "targetry.yaml"
LOCK_FILE: Final = "targetry.lock"
TESTS_FOLDER: Final = "tests"
OFFERS_FOLDER: Final = "offers"


class FolderFileError(TargetError):
    """A file of the folder cannot be used; the text says why, without the name of the file."""


class ActivityFolder:
    """Folder of the files of activities."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Use a folder. Raises `FolderFileError` if there is none."""
        self.path = Path(path)
        if not self.path.is_dir():
            if self.path.exists():
                raise FolderFileError(f"{self.path} is not a folder")
            raise FolderFileError(f"there is no folder {self.path}")
        self._real = self.path.resolve()

    @property
    def lock_path(self) -> Path:
        """The path of the lock."""
        return self.path / LOCK_FILE

    def names(self) -> list[str]:
        """Return the YAML files, with paths relative to the folder, but for those of tests.

        Raises:
            FolderFileError: There are too many, or the folder cannot be read.
        """
        return [name for name in self._names() if PurePosixPath(name).parts[0] != TESTS_FOLDER]

    def test_names(self) -> list[str]:
        """Return the files `*.test.yaml`; raises as `names`."""
        return [name for name in self._names() if name.endswith(".test.yaml")]

    def offer_names(self) -> list[str]:
        """Return the files below `offers/`; raises as `names`."""
        return self._files(lambda name: name.startswith(f"{OFFERS_FOLDER}/"))

    def _names(self) -> list[str]:
        return self._files(_is_yaml)

    def _files(self, is_wanted: Callable[[str], bool]) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self.path, onerror=_raise_folder_error):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
            inside = Path(folder).relative_to(self.path)
            names = ((inside / name).as_posix() for name in files if not name.startswith("."))
            found += filter(is_wanted, names)
            if len(found) > MAX_FILES:
                raise FolderFileError(f"the folder has more than {MAX_FILES:,} files")
        return sorted(found)

    def read_text(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> str:
        """Return the content of a file in UTF-8.

        Args:
            name: The path, relative to the folder.
            max_bytes: Largest size.

        Raises:
            FolderFileError: The file is outside of the folder, missing, too large or not UTF-8.
        """
        path = self._inside(name)
        try:
            content, _ = read_file(path, max_bytes)
        except FileNotFoundError:
            raise FolderFileError("there is no such file") from None
        except NotRegularFileError:
            raise FolderFileError("it is not a file") from None
        except (OSError, ValueError) as error:
            raise FolderFileError(f"it cannot be read: {_reason(error)}") from error
        if len(content) > max_bytes:
            raise FolderFileError(f"it is larger than {max_bytes:,} bytes")
        try:
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise FolderFileError("it is not UTF-8 text") from None

    def _inside(self, name: str) -> Path:
        try:
            path = (self._real / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise FolderFileError(f"it cannot be read: {_reason(error)}") from error
        if not path.is_relative_to(self._real):
            raise FolderFileError("it is outside of the folder of the activities")
        return path


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _raise_folder_error(error: OSError) -> None:
    raise FolderFileError(f"the folder cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write a file as a whole: another process sees the old content or the new.

    Raises:
        OSError: It cannot be written; the old content stays.
    """
    content = text.encode() if isinstance(text, str) else text
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
