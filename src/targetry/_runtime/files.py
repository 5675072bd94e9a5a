"""Checks of files: ownership of private files, versions of files that change; new folders.

The content of a file does not prove its author. In a folder that several users can write to,
another user could choose what this process sends or decides by, so a private file is used only if
no other user can have written it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from targetry.errors import OptionError

# Do not wait for the other end of a pipe; on Windows, do not translate line ends.
_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_PROGRESS_LINES = 50
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedFileError(OSError):
    """A file or folder that another user may have written; the text says why."""


class NotRegularFileError(OSError):
    """A folder, pipe or device where a file is expected."""


class FileVersion(NamedTuple):
    """Identity, size in bytes and time of change of a file; equal versions, equal content."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @property
    def etag(self) -> str:
        """The version as an HTTP entity tag."""
        return f'"{self.inode:x}-{self.size:x}-{self.changed_ns:x}"'


def file_version(path: Path) -> FileVersion | None:
    """Return the version of the file at `path`, or None if there is none."""
    try:
        return _version(os.stat(path))
    except (OSError, ValueError):
        return None


def read_file(path: Path, max_bytes: int | None = None) -> tuple[bytes, FileVersion]:
    """Return the content of a file and its version.

    Args:
        path: The file, or a link to it.
        max_bytes: If the file is larger, only `max_bytes + 1` bytes are read and returned.

    Raises:
        NotRegularFileError: If it is a folder, a pipe or a device.
        OSError: If it cannot be read.
        ValueError: If no file can have this name.
    """
    descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularFileError(f"{path} is not a file")
    except BaseException:
        os.close(descriptor)
        raise
    with open(descriptor, "rb") as file:
        return file.read(-1 if max_bytes is None else max_bytes + 1), _version(status)


def read_lines(option: str, source: str | Path | Iterable[bytes | str]) -> Iterator[bytes | str]:
    """Yield the lines of a file, or lines that are given.

    Args:
        option: Name of the option that has the source, for errors.
        source: Path of a file, or lines.

    Raises:
        OptionError: The file cannot be read.
    """
    if not isinstance(source, str | Path):
        yield from source
        return
    try:
        with Path(source).open("rb") as file:
            yield from file
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OptionError(option, f"{source} cannot be read: {reason}") from error


def numbered_lines(
    option: str,
    source: str | Path | Iterable[bytes | str],
    progress: Callable[[int, int | None], object] | None = None,
) -> Iterator[tuple[int, bytes | str]]:
    """Yield the lines of a log and their numbers from 1; of a file those that it has by now.

    Args:
        option: As of `read_lines`.
        source: As of `read_lines`.
        progress: Called now and then with the number of lines that are done, and of all if known.

    Raises:
        OptionError: The file cannot be read.
    """
    total = sum(1 for _ in read_lines(option, source)) if isinstance(source, str | Path) else None
    for number, line in enumerate(islice(read_lines(option, source), total), 1):
        yield number, line
        if progress is not None and number % _PROGRESS_LINES == 0:
            progress(number, total)


def open_private(path: Path, flags: int) -> int:
    """Open a private file and return its descriptor.

    Args:
        path: The file; one that `flags` create gets mode 0600.
        flags: As of `os.open`.

    Raises:
        UntrustedFileError: If it is a symbolic link, or another user may have written it.
        OSError: If it cannot be opened.
    """
    if path.is_symlink():
        raise UntrustedFileError(f"{path.name} is a symbolic link")
    file = os.open(path, flags | _OPEN_FLAGS | _NO_LINKS, 0o600)
    try:
        check_private(file, path)
    except BaseException:
        os.close(file)
        raise
    return file


def check_private(file: int | Path, path: Path) -> None:
    """Raise `UntrustedFileError` unless an open file, or a path, is one of this user alone.

    A symbolic link is refused.
    """
    status = os.fstat(file) if isinstance(file, int) else os.lstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedFileError(f"{path.name} is not a regular file")
    if not hasattr(os, "geteuid"):
        return  # on Windows the access rights of the folder decide
    if status.st_uid != os.geteuid():
        raise UntrustedFileError(f"{path.name} belongs to another user")
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise UntrustedFileError(f"{path.name} may be written by others")


def check_private_if_exists(path: Path) -> None:
    """Raise `UntrustedFileError` if `path` is a file that another user may have written."""
    with contextlib.suppress(FileNotFoundError):
        check_private(path, path)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder and its parents unless it exists.

    Raises:
        NotADirectoryError: If it, or a parent, is a file; the text names that file.
        OSError: If it cannot be created.
    """
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        wrong = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)
        raise NotADirectoryError(errno.ENOTDIR, f"{wrong} is not a folder") from error


def check_folder(folder: Path) -> None:
    """Raise `UntrustedFileError` if all users may replace files in the folder."""
    mode = folder.stat().st_mode
    if hasattr(os, "geteuid") and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UntrustedFileError(f"{folder} may be written by all users and has no sticky bit")


def _version(status: os.stat_result) -> FileVersion:
    return FileVersion(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
