"""Files that commands draw plots to."""

from __future__ import annotations

from pathlib import Path

import typer


def plot_path(path: Path | None) -> Path | None:
    """Return the path of a plot. Raises `BadParameter` for another kind of file, or no folder."""
    if path is None:
        return None
    from targetry.report.plot import SUFFIXES  # its imports cost more than a command without a plot

    if path.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"must end in {' or '.join(SUFFIXES)}, not {str(path)!r}")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {str(path.parent)!r}; create it, or choose another one")
    return path
