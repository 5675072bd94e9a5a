"""`targetry selftest`: prints what simulations say about the report's statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from targetry._runtime.lazy_import import importing_extra
from targetry.cli.rendering.output import TableOrJson, console, print_json
from targetry.cli.rendering.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from targetry.report.simulation.error_rate import ErrorRate

WRONG: Final = 3
"""Exit status for an error rate above its limit."""

_RUNS, _QUICK_RUNS, _LEAST_RUNS = 2_000, 100, 10
_STYLES: Final = {"exceeded": "bold red", "holds": "green"}

selftest = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Check what Targetry computes by simulations."
)


@selftest.callback()
def _selftest() -> None:
    """Check what Targetry computes by simulations."""


@selftest.command("statistics")
def statistics(
    runs: Annotated[
        int, typer.Option(min=_LEAST_RUNS, metavar="N", help="Simulated tests of each kind.")
    ] = _RUNS,
    quick: Annotated[bool, typer.Option("--quick", help=f"Only {_QUICK_RUNS} tests of each kind.")] = False,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random numbers.")] = 1,
    output: Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")] = TableOrJson.TABLE,
) -> None:
    """Count how often the report is wrong in simulated tests that are looked at all the time.

    Takes one or two minutes. Exit status 3: a figure is wrong more often than its limit.

    \b
    [bold]Examples[/]
      targetry selftest statistics
      targetry selftest statistics --quick -o json
    """
    with importing_extra("report"):
        from targetry.report.simulation.self_test import run_self_test
    with progress_bar("Simulating tests") as progress:
        found = run_self_test(min(runs, _QUICK_RUNS) if quick else runs, seed, progress)
    if output is TableOrJson.JSON:
        print_json(found)
    else:
        _print(found)
    if any(one.state == "exceeded" for one in found):
        raise typer.Exit(WRONG)


def _print(found: Sequence[ErrorRate]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("In simulated tests")
    table.add_column("Runs", justify="right")
    table.add_column("Looks", justify="right")
    table.add_column("Wrong", justify="right")
    table.add_column("99 % interval", justify="right")
    table.add_column("Limit", justify="right")
    table.add_column("")
    for one in found:
        table.add_row(
            one.name,
            f"{one.runs:,}",
            str(one.looks),
            f"{100 * one.rate:.2f} %",
            f"{100 * one.interval.low:.2f}…{100 * one.interval.high:.2f}",
            f"{100 * one.limit:g} %",
            Text(one.state, _STYLES.get(one.state, "")),
        )
    console().print(table)
