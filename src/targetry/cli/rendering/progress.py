"""Progress of a command, on terminals only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from targetry.cli.rendering.output import console
from targetry.ledger.database import Progress


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """Show a progress bar, on a terminal and from the first report of progress on."""
    from rich import progress

    out = console(stderr=True)
    columns = (progress.TextColumn(text), progress.BarColumn(), progress.MofNCompleteColumn())
    bar = progress.Progress(*columns, console=out, transient=True)
    task = bar.add_task(text, total=None)
    started = False

    def report(done: int, total: int) -> None:
        nonlocal started
        if not started and out.is_terminal:
            bar.start()
            started = True
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if started:
            bar.stop()


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show what a command works on, on a terminal only."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(text):
        yield
