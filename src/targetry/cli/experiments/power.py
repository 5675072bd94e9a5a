"""`targetry power`: prints how many visitors a test needs, or which lift it can find."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from targetry.cli.experiments.report import (
    LedgerActivity,
    LedgerLocation,
    LedgerOfActivity,
    open_with_progress,
    parse_percent,
    plot_path,
)
from targetry.cli.rendering.output import TableOrJson, console, print_json, wrong_option
from targetry.errors import OptionError
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.plan import Plan, PlanOptions, make_plan
from targetry.report.inference.sample_size import Baseline
from targetry.report.looks import cumulate
from targetry.report.options import METRIC_NAMES
from targetry.report.plot import write_plan_plot


def power(
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="PERCENT", help="The conversion rate today.", show_default=False),
    ] = None,
    lift: Annotated[
        str | None,
        typer.Option(
            "--lift", metavar="PERCENT", help="The lift to find, of the baseline.", show_default=False
        ),
    ] = None,
    visitors: Annotated[
        int | None,
        typer.Option(
            "--visitors", metavar="N", help="Visitors at hand, instead of --lift.", show_default=False
        ),
    ] = None,
    mean: Annotated[
        float | None,
        typer.Option(
            "--mean",
            metavar="NUMBER",
            help="The mean per visitor of a metric that is no rate.",
            show_default=False,
        ),
    ] = None,
    deviation: Annotated[
        float | None,
        typer.Option(
            "--deviation", metavar="NUMBER", help="The standard deviation for --mean.", show_default=False
        ),
    ] = None,
    data: LedgerOfActivity = None,
    ledger: LedgerLocation = None,
    activity: LedgerActivity = None,
    metric: Annotated[
        str,
        typer.Option("--metric", metavar="NAME", help=f"Metric of the ledger: {', '.join(METRIC_NAMES)}."),
    ] = "conversion",
    chance: Annotated[
        str, typer.Option("--power", metavar="PERCENT", help="Chance of finding the lift.")
    ] = "80%",
    alpha: Annotated[str, typer.Option("--alpha", metavar="PERCENT", help="Chance of a false alarm.")] = "5%",
    shares: Annotated[
        str, typer.Option("--shares", metavar="A,B,…", help="Shares of the experiences, the control's first.")
    ] = "50,50",
    metrics: Annotated[
        int, typer.Option("--metrics", metavar="N", help="Number of metrics that decide.")
    ] = 1,
    daily: Annotated[
        float | None, typer.Option("--daily", metavar="N", help="Visitors of a day.", show_default=False)
    ] = None,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="For one look at the end, instead of a stop at any time.")
    ] = False,
    output: Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")] = TableOrJson.TABLE,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Also plot the visitors for a range of lifts to a .png or .svg file.",
            show_default=False,
            callback=plot_path,
        ),
    ] = None,
) -> None:
    """Plan a test: the visitors that it needs for a lift, or the lift that visitors can show.

    The test may be stopped at any time; --fixed plans one that is looked at once.

    \b
    [bold]Examples[/]
      targetry power --baseline 5% --lift 10% --daily 12000
      targetry power --baseline 5% --visitors 80000
      targetry power --data ledger --activity 482910 --metric revenue --lift 5%
    """
    found, seen = _baseline(baseline, mean, deviation, ledger or data, activity, metric)
    options = PlanOptions(
        baseline=found,
        lift=None if lift is None else parse_percent("--lift", lift),
        visitors=visitors,
        power=parse_percent("--power", chance, is_probability=True),
        alpha=parse_percent("--alpha", alpha, is_probability=True),
        shares=parse_shares(shares),
        metrics=metrics,
        daily=daily if daily is not None else seen,
        fixed=fixed,
    )
    made = make_plan(options)
    if plot is not None:
        write_plan_plot(options, made, plot)
    if output is TableOrJson.JSON:
        print_json(made)
    else:
        _print_plan(made, options)


def parse_shares(text: str) -> tuple[float, ...]:
    """Parse shares like `50,50`. Raises `BadParameter`."""
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise wrong_option("--shares", f"must be numbers like 50,50, not {text!r}") from None


def _baseline(
    baseline: str | None,
    mean: float | None,
    deviation: float | None,
    data: Path | str | None,
    activity: str | None,
    metric: str,
) -> tuple[Baseline, float | None]:
    """Return the baseline, and the daily visitors if a ledger has them."""
    given = [one is not None for one in (baseline, mean, data)]
    if sum(given) != 1:
        raise typer.BadParameter("give exactly one of --baseline, --mean and a ledger")
    if data is not None:
        return _of_ledger(data, activity, metric)
    if baseline is not None:
        return Baseline(parse_percent("--baseline", baseline)), None
    if mean is None or deviation is None:
        raise typer.BadParameter("--mean needs --deviation, the standard deviation of a visitor's value")
    if not (math.isfinite(mean) and mean > 0):
        raise wrong_option("--mean", f"must be a number above 0, not {mean!r}")
    return Baseline(mean, deviation), None


def _of_ledger(data: Path | str, activity: str | None, metric: str) -> tuple[Baseline, float]:
    if metric not in METRICS:
        raise OptionError("metric", f"must be one of {', '.join(METRICS)}, not {metric!r}")
    if activity is None:
        raise typer.BadParameter("a ledger needs --activity, the id of an activity of the ledger")
    with open_with_progress(data) as reader:
        sums = reader.sums().get(activity) if reader.has_sums else None
        control = next((one for one in reader.activities() if one.id == activity), None)
    if sums is None or not sums.experiences:
        raise typer.BadParameter(f"activity {activity!r} has no visitors in the ledger {data}")
    described = [one.id for one in control.experiences] if control else []
    first = next((one for one in described if one in sums.experiences), min(sums.experiences))
    totals = cumulate([sums.experiences[first].cohorts])
    if not totals:
        raise typer.BadParameter(
            f"the control of activity {activity!r} has no visitors since its shares changed"
        )
    day, (last,) = totals[-1]
    estimate = METRICS[metric].estimate(last)
    if estimate is None or estimate.mean <= 0:
        raise typer.BadParameter(f"{metric}: the control of activity {activity!r} has no value above 0 yet")
    everyone = sum(one.visitors for one in sums.experiences.values())
    first_day = min(day for one in sums.experiences.values() for day in one.cohorts)
    daily = everyone / (day - first_day + 1)
    if metric == "conversion":
        return Baseline(estimate.mean), daily
    return Baseline(estimate.mean, math.sqrt(estimate.variance * estimate.visitors)), daily


def _print_plan(plan: Plan, options: PlanOptions) -> None:
    out = console()
    if plan.lift is None:
        out.print(f"{plan.visitors:,} visitors cannot show any lift")
        return
    groups = " / ".join(f"{one:,}" for one in plan.groups)
    out.print(
        Text.assemble(
            (f"{plan.visitors:,} visitors", "bold"),
            f" ({groups}) find a lift of {100 * plan.lift:+.3g} % with {100 * plan.power:g} % power",
        )
    )
    if options.fixed:
        out.print(Text("for one look at the end: an earlier stop at a good number is wrong too often", "dim"))
    else:
        out.print(Text(f"may be stopped at any time: {plan.factor:.2f} × the visitors for one look", "dim"))
    if plan.alpha != options.alpha:
        out.print(
            Text(f"each comparison at {100 * plan.alpha:.3g} %, {100 * options.alpha:g} % together", "dim")
        )
    if plan.days is not None:
        out.print(f"{plan.days:,} days in whole weeks, at {options.daily:,.0f} visitors a day")
    for weeks, lift in plan.after_weeks.items():
        shown = "no lift" if lift is None else f"a lift of {100 * lift:+.3g} %"
        out.print(Text(f"after {weeks} {'week' if weeks == 1 else 'weeks'}: {shown}", "dim"))
    option = "--fixed" if options.fixed else f"--planned {plan.visitors}"
    out.print(Text(f"report it with: targetry report {option}", "dim"))
