"""Ownership check for files that are read back: only what this user wrote, and nobody else may write, is trusted.

Nothing in a file proves who wrote it. In a folder that users share, another one could choose what this process sends or
decides by.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

# No links, no waiting for the other end of a pipe, and on Windows no translation of line ends.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedFileError(OSError):
    """A file or folder that another user may have written; the text says why."""


def open_private(path: Path, flags: int) -> int:
    """Open a file with `flags` of `os.open`, made with mode 0600 if need be, and return its descriptor.

    Raises `UntrustedFileError` for a symbolic link and for a file of others, else `OSError`.
    """
    if path.is_symlink():
        raise UntrustedFileError(f"{path.name} is a symbolic link")
    file = os.open(path, flags | _FLAGS, 0o600)
    try:
        check_private(file, path)
    except BaseException:
        os.close(file)
        raise
    return file


def check_private(file: int | Path, path: Path) -> None:
    """Raise `UntrustedFileError` unless a descriptor, or a path that is no link, is a file of this user alone."""
    status = os.fstat(file) if isinstance(file, int) else os.lstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedFileError(f"{path.name} is not a regular file")
    if not hasattr(os, "geteuid"):
        return  # Windows: the folder's access rights decide
    if status.st_uid != os.geteuid():
        raise UntrustedFileError(f"{path.name} belongs to another user")
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise UntrustedFileError(f"{path.name} may be written by others")


def check_private_if_there(path: Path) -> None:
    """As `check_private`, of a file that need not exist."""
    with contextlib.suppress(FileNotFoundError):
        check_private(path, path)


def check_folder(folder: Path) -> None:
    """Raise `UntrustedFileError` if all users may replace files in the folder."""
    mode = folder.stat().st_mode
    if hasattr(os, "geteuid") and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UntrustedFileError(f"{folder} may be written by all users and has no sticky bit")
