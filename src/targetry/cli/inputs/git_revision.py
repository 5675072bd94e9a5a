"""Files of a git revision, for comparisons with earlier activities and artifacts."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from targetry.activities.model.files import LOCK_FILE, ActivityFolder
from targetry.activities.model.lock_file import Lock, LockError, parse_lock
from targetry.errors import TargetError

_TIMEOUT_S: Final = 60.0


@contextmanager
def folder_at(revision: str, folder: Path) -> Iterator[Path]:
    """Extract a folder of a revision for the time of the context.

    Args:
        revision: A branch, tag or commit.
        folder: The folder, relative to the current one.

    Raises:
        TargetError: There is no such revision or folder.
    """
    archive = _git("archive", "--format=tar", _checked(revision), "--", str(folder), cwd=Path.cwd())
    with tempfile.TemporaryDirectory(prefix="targetry-") as temporary:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(temporary, filter="data")
        yield Path(temporary) / folder


def file_at(revision: str, file: str) -> bytes:
    """Return the content of a file, relative to the current folder, at a revision.

    Raises:
        TargetError: There is no such revision or file.
    """
    return _git("show", f"{_checked(revision)}:./{file}", cwd=Path.cwd())


def lock_at(revision: str, folder: ActivityFolder) -> Lock:
    """Return the lock of a folder at a revision, an empty one if it has none then.

    Raises:
        TargetError: There is no such revision, or its lock cannot be used.
    """
    name = f"{_checked(revision)}:./{LOCK_FILE}"
    _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", cwd=folder.path)
    if not _git("ls-tree", revision, "--", LOCK_FILE, cwd=folder.path):
        return Lock()
    try:
        return parse_lock(_git("show", name, cwd=folder.path).decode("utf-8", "replace"))
    except LockError as error:
        raise TargetError(f"the lock of {revision} cannot be used: {error}") from error


def _checked(revision: str) -> str:
    if revision.startswith("-") or not revision:
        raise TargetError(f"{revision!r} is no git revision; give a branch, a tag or a commit")
    return revision


def _git(*arguments: str, cwd: Path) -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetError(f"git cannot be run: {error}; install it") from error
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        shown = reason[-1] if reason else "no such revision"
        raise TargetError(f"git {arguments[0]} failed: {shown}; check the revision and the path")
    return done.stdout
