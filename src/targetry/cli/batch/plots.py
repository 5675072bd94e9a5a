"""Pictures of comparisons and forecasts of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from targetry.cli.inputs.plots import plot_path
from targetry.humanize.text import escape_control_characters

PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Also draw the shares to a .png or .svg file; needs the extra report.",
        show_default=False,
        callback=plot_path,
    ),
]


def side_name(side: Any) -> str:
    """Return activity and experience of a side of a change in words."""
    if side is None:
        return "nothing"
    return f"{side.activity_name or side.activity_id}: {side.experience_name or side.experience_id}"


def plot_changes(found: Any, path: Path) -> None:
    """Draw who moves: a bar for each change, the largest first.

    Raises:
        PlotError: Nothing changes, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    from targetry.report.plot import BarPanel, PlotBar, write_bars

    by_location: dict[str, list[PlotBar]] = {}
    for one in found.changes:
        label = f"{side_name(one.before)}\n→ {side_name(one.after)}"
        text = f"{one.share:.2f} %, {one.rows:,} rows: {one.kind}"
        by_location.setdefault(one.location, []).append(PlotBar(_shown(label), one.share, text))
    note = f"of {found.rows:,} rows"
    write_bars([BarPanel(_shown(name), note, bars) for name, bars in by_location.items()], path)


def plot_forecast(found: Any, path: Path) -> None:
    """Draw the shares of the experiences of each activity, with those of the windows.

    Raises:
        PlotError: No row gets an experience, or the file cannot be written.
        MissingExtraError: The extra `report` is not installed.
    """
    from targetry.report.plot import BarPanel, PlotBar, write_bars

    panels = []
    for activity in found.activities:
        bars = [
            PlotBar(
                _shown(one.experience_name or one.experience_id or "no experience"),
                one.share,
                f"{one.share:.2f} %, {one.rows:,} rows",
                one.expected_share,
            )
            for one in activity.experiences
        ]
        title = f"{activity.activity_name or activity.activity_id}, {activity.location}"
        is_split = any(one.expected_share is not None for one in activity.experiences)
        note = f"of {activity.rows:,} rows" + ("; line: by the windows" if is_split else "")
        panels.append(BarPanel(_shown(title), note, bars if activity.rows else []))
    write_bars(panels, path)


def _shown(text: str) -> str:
    return escape_control_characters(text)
