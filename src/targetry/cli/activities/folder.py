"""Arguments and steps that the commands of a folder of activities share."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from targetry._runtime.file_lock import FileLock
from targetry._runtime.files import make_folder
from targetry.activities.compile.loading import LoadedFolder
from targetry.activities.model.files import LOCK_FILE, ActivityFolder, write_atomically
from targetry.activities.model.finding import Finding
from targetry.activities.model.lock_file import Lock, render_lock
from targetry.cli.inputs.activity_folder import fail_with
from targetry.errors import TargetError

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the activities.")]
EnvironmentOption = Annotated[
    str | None,
    typer.Option(
        "--environment",
        metavar="NAME",
        help="The environment. Default: the only one, or production.",
        show_default=False,
    ),
]


class Purpose(StrEnum):
    """Receiver of the events of an artifact."""

    EDGE = "edge"
    ADOBE_REPORTING = "adobe-reporting"


PurposeOption = Annotated[
    Purpose, typer.Option("--for", help="Fail if events of the artifact cannot be counted there.")
]
DEFAULT_FOLDER: Final = Path("activities")
_GUARD_FILE: Final = ".targetry.compiling"
_LONGEST_WAIT_S: Final = 30.0
_POLL_S: Final = 0.05
_OUT_OF_DATE: Final = "the lock is out of date"


def write_lock(folder: ActivityFolder, loaded: LoadedFolder, lock: Lock) -> bool:
    """Write the lock if it changes; return whether it did."""
    text = render_lock(lock)
    if loaded.lock is None and not lock.activities and not lock.groups:
        return False
    if loaded.lock is not None and render_lock(loaded.lock) == text:
        return False
    write_file(folder.lock_path, text)
    return True


def check_lock(folder: ActivityFolder, loaded: LoadedFolder, lock: Lock) -> None:
    """Print a finding and raise `Exit` if the lock of a folder differs from the needed one."""
    if render_lock(loaded.lock or Lock()) != render_lock(lock):
        finding = Finding(
            code="TA007",
            level="error",
            message=_OUT_OF_DATE,
            hint="run targetry activities lock",
            file=LOCK_FILE,
        )
        fail_with(folder.path, [finding])


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole. Raises `TargetError`."""
    try:
        make_folder(path.parent)
        write_atomically(path, content)
    except OSError as error:
        raise TargetError(
            f"{path} cannot be written: {error.strerror or error}; nothing was changed"
        ) from error


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder as a whole: its files are written next to their places, and moved at the end.

    Raises:
        TargetError: The folder has files already, or cannot be written.
    """
    is_new = not folder.exists()
    if not is_new and not folder.is_dir():
        raise TargetError(f"{folder} is not a folder; choose another path")
    if not is_new and any(folder.iterdir()):
        raise TargetError(f"{folder} has files already; choose another folder")
    written = folder / f".{os.getpid()}.tmp"
    try:
        make_folder(written)
        yield written
        for path in sorted(written.iterdir()):
            path.rename(folder / path.name)
        written.rmdir()
    except BaseException as error:
        shutil.rmtree(folder if is_new else written, ignore_errors=True)
        if isinstance(error, OSError):
            raise TargetError(f"{folder} cannot be written: {error.strerror or error}") from error
        raise


@contextmanager
def only_compiler(folder: ActivityFolder) -> Iterator[None]:
    """Keep other processes from compiling the folder. Raises `TargetError` after 30 seconds."""
    guard = _acquire(folder.path / _GUARD_FILE)
    try:
        yield
    finally:
        guard.remove()


def _acquire(path: Path) -> FileLock:
    give_up = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            return FileLock(path)
        except (BlockingIOError, FileNotFoundError) as error:
            if time.monotonic() > give_up:
                raise TargetError(f"another process compiles {path.parent}; try again") from error
            time.sleep(_POLL_S)
        except OSError as error:
            raise TargetError(
                f"{path} cannot be locked: {error}; check the folder's access rights"
            ) from error
