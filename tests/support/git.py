"""Git in a folder of a test, as an author of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

_AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.com")


def git_in(folder: Path) -> Callable[..., None]:
    """Return a function that runs git with its arguments, in a new repository of the folder."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", *_AUTHOR, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    return git
