"""`targetry power`: prints how many visitors a test needs, or which lift it can find."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from targetry.cli.experiments.artifact_splits import (
    ActivitySplit,
    choose_split,
    read_cap,
    read_rules,
    splits_of,
)
from targetry.cli.inputs.ledgers import (
    LedgerActivity,
    LedgerLocation,
    LedgerOfActivity,
    described_activity,
    ledger_of_activity,
    open_with_progress,
)
from targetry.cli.inputs.options import EnvironmentOfFolder, OrganizationIdOption
from targetry.cli.inputs.percentages import parse_percent
from targetry.cli.inputs.plots import plot_path
from targetry.cli.rendering.output import TableOrJson, console, print_json, wrong_option
from targetry.humanize.text import truncate_text
from targetry.report.inference.confidence_sequence import MIN_PLANNED
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.plan import Plan, PlanOptions, make_plan
from targetry.report.inference.sample_size import Baseline
from targetry.report.looks import cumulate
from targetry.report.options import METRIC_NAMES, MONEY, ReportOptions
from targetry.report.plot import write_plan_plot


def power(
    artifact: Annotated[
        str | None,
        typer.Argument(
            metavar="ARTIFACT|DIR",
            help="A rules.json or rules.bin, its URL, '-' for stdin, or a folder of activities: the shares of its activity.",
            show_default=False,
        ),
    ] = None,
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
    cap: Annotated[
        float | None,
        typer.Option(
            "--cap",
            metavar="AMOUNT",
            help="Amount up to which a visitor's revenue in the ledger counts. Default: the folder's.",
            show_default=False,
        ),
    ] = None,
    chance: Annotated[
        str, typer.Option("--power", metavar="PERCENT", help="Chance of finding the lift.")
    ] = "80%",
    alpha: Annotated[str, typer.Option("--alpha", metavar="PERCENT", help="Chance of a false alarm.")] = "5%",
    shares: Annotated[
        str | None,
        typer.Option(
            "--shares",
            metavar="A,B,…",
            help="Shares of the experiences, the control's first. Default: the activity's, or 50,50.",
            show_default=False,
        ),
    ] = None,
    organization_id: OrganizationIdOption = None,
    environment: EnvironmentOfFolder = None,
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
      targetry power rules.json --activity 482910 --baseline 5% --lift 10%
      targetry power --data ledger --activity 482910 --metric revenue --lift 5%
    """
    location = ledger_of_activity(data, ledger)
    cap_of_folder = None
    if cap is None and location is not None and artifact is not None and metric in MONEY:
        cap_of_folder = read_cap(artifact)
    known = _baseline(
        baseline,
        mean,
        deviation,
        _Source(location, activity, metric, cap if cap is not None else cap_of_folder),
    )
    if shares is not None and artifact is not None:
        raise typer.BadParameter("an artifact has the shares; leave it or --shares out")
    if artifact is not None:
        splits = splits_of(read_rules(artifact, organization_id, environment), artifact)
        known = known._replace(split=choose_split(splits, activity))
    elif environment is not None or organization_id is not None:
        raise typer.BadParameter("--environment and --organization-id are for an artifact or a folder")
    options = PlanOptions(
        baseline=known.baseline,
        lift=None if lift is None else parse_percent("--lift", lift),
        visitors=visitors,
        power=parse_percent("--power", chance, is_probability=True),
        alpha=parse_percent("--alpha", alpha, is_probability=True),
        shares=_shares(shares, known.split),
        metrics=metrics,
        daily=daily if daily is not None else known.daily,
        fixed=fixed,
    )
    made = make_plan(options)
    if plot is not None:
        write_plan_plot(options, made, plot)
    if output is TableOrJson.JSON:
        print_json(made)
    else:
        _print_plan(made, options, None if shares is not None else known.split, cap_of_folder)


class _Source(NamedTuple):
    """Ledger with its activity and metric."""

    ledger: Path | str | None
    activity: str | None
    metric: str
    cap: float | None


class _Known(NamedTuple):
    """Baseline of a test, and the daily visitors and the split if a source has them."""

    baseline: Baseline
    daily: float | None = None
    split: ActivitySplit | None = None


def _shares(text: str | None, split: ActivitySplit | None) -> tuple[float, ...]:
    if text is not None:
        return parse_shares(text)
    return (50.0, 50.0) if split is None else tuple(split.shares)


def parse_shares(text: str) -> tuple[float, ...]:
    """Parse shares like `50,50`. Raises `BadParameter`."""
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise wrong_option("--shares", f"must be numbers like 50,50, not {text!r}") from None


def _baseline(baseline: str | None, mean: float | None, deviation: float | None, source: _Source) -> _Known:
    given = [one is not None for one in (baseline, mean, source.ledger)]
    if sum(given) != 1:
        raise typer.BadParameter("give exactly one of --baseline, --mean and a ledger")
    if source.ledger is not None:
        return _of_ledger(source.ledger, source)
    if source.cap is not None:
        raise typer.BadParameter("--cap needs a ledger, whose amounts it limits")
    if baseline is not None:
        return _Known(Baseline(parse_percent("--baseline", baseline)))
    if mean is None or deviation is None:
        raise typer.BadParameter("--mean needs --deviation, the standard deviation of a visitor's value")
    if not (math.isfinite(mean) and mean > 0):
        raise wrong_option("--mean", f"must be a number above 0, not {mean!r}")
    return _Known(Baseline(mean, deviation))


def _of_ledger(location: Path | str, source: _Source) -> _Known:
    metric, cap = source.metric, ReportOptions(metric=source.metric, cap=source.cap).cap
    if source.activity is None:
        raise typer.BadParameter("a ledger needs --activity, the id or name of an activity of the ledger")
    with open_with_progress(location) as reader:
        described = described_activity(reader, source.activity)
        sums = reader.sums(cap).get(described.id) if reader.has_sums else None
    if sums is None or not sums.experiences:
        raise typer.BadParameter(f"activity {source.activity!r} has no visitors in the ledger {location}")
    ids = [one.id for one in described.experiences]
    first = next((one for one in ids if one in sums.experiences), min(sums.experiences))
    totals = cumulate([sums.experiences[first].cohorts])
    if not totals:
        raise typer.BadParameter(
            f"the control of activity {source.activity!r} has no visitors since its shares changed"
        )
    day, (last,) = totals[-1]
    estimate = METRICS[metric].estimate(last)
    if estimate is None or estimate.mean <= 0:
        raise typer.BadParameter(
            f"{metric}: the control of activity {source.activity!r} has no value above 0 yet"
        )
    everyone = sum(one.visitors for one in sums.experiences.values())
    first_day = min(day for one in sums.experiences.values() for day in one.cohorts)
    daily = everyone / (day - first_day + 1)
    shares = [one.share for one in described.experiences if one.share]
    split = ActivitySplit(described.id, described.name, shares) if len(shares) > 1 else None
    if metric == "conversion":
        return _Known(Baseline(estimate.mean), daily, split)
    deviation = math.sqrt(estimate.variance * estimate.visitors)
    return _Known(Baseline(estimate.mean, deviation), daily, split)


def _print_plan(
    plan: Plan, options: PlanOptions, split: ActivitySplit | None, cap_of_folder: float | None
) -> None:
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
    if split is not None:
        shares = " / ".join(f"{one:g}" for one in split.shares)
        label = truncate_text(split.name if split.name is not None else f"activity {split.id}")
        out.print(Text(f"with the shares of {label}: {shares} %", "dim"))
    if cap_of_folder is not None:
        out.print(Text(f"with the cap of the folder: revenue up to {cap_of_folder:,.2f} counts", "dim"))
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
    has_plan = not options.fixed and plan.visitors >= MIN_PLANNED
    option = " --fixed" if options.fixed else f" --planned {plan.visitors}" if has_plan else ""
    out.print(Text(f"report it with: targetry report{option}", "dim"))
    if has_plan:
        out.print(Text(f"or write into targetry.yaml: plan: {{visitors: {plan.visitors}}}", "dim"))
