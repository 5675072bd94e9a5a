"""`targetry power`: prints how many visitors a test needs, or which lift it can find."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from targetry.cli.experiments.artifact_splits import ActivitySplit
from targetry.cli.experiments.plan_basis import (
    BaselineOptions,
    FileActivity,
    PlanBasis,
    basis_of_ledger,
    basis_of_options,
    read_activity,
)
from targetry.cli.inputs.ledgers import (
    LedgerActivity,
    LedgerLocation,
    LedgerOfActivity,
    ledger_of_activity,
)
from targetry.cli.inputs.options import EnvironmentOfFolder, OrganizationIdOption
from targetry.cli.inputs.percentages import parse_fraction
from targetry.cli.inputs.plots import plot_path
from targetry.cli.rendering.output import TableOrJson, console, print_json, print_notes, wrong_option
from targetry.humanize.figures import pluralize
from targetry.humanize.text import truncate_text
from targetry.report.inference.confidence_sequence import MIN_PLANNED
from targetry.report.inference.metrics import METRICS, format_mean
from targetry.report.inference.plan import Plan, PlanOptions, make_plan
from targetry.report.inference.sample_size import Baseline
from targetry.report.options import DEFAULT_METRIC, METRIC_NAMES, ReportOptions
from targetry.report.plot import write_plan_plot

_LEAST: Final = METRICS["conversion"].least


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
        str | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help=f"Metric of the ledger or of --mean: {', '.join(METRIC_NAMES)}. Default: the folder's primary metric, or conversion.",
            show_default=False,
        ),
    ] = None,
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
    if artifact is None and (environment is not None or organization_id is not None):
        raise typer.BadParameter("--environment and --organization-id are for an artifact or a folder")
    if artifact is None and location is None and activity is not None:
        raise typer.BadParameter("--activity is for a ledger, an artifact or a folder")
    if shares is not None and artifact is not None:
        raise typer.BadParameter("an artifact has the shares; leave it or --shares out")
    own = None if artifact is None else read_activity(artifact, activity, organization_id, environment)
    primary = None if own is None else own.primary_metric
    given = BaselineOptions(baseline, mean, deviation, metric, cap)
    if location is None:
        basis = basis_of_options(given, primary)
        _note_primary(primary, is_rate=baseline is not None)
    else:
        basis = basis_of_ledger(location, activity, given, own)
    known = basis.known
    split = known.split if own is None else own.split
    options = PlanOptions(
        baseline=known.baseline,
        lift=None if lift is None else parse_fraction("--lift", lift),
        visitors=visitors,
        power=parse_fraction("--power", chance, is_probability=True),
        alpha=parse_fraction("--alpha", alpha, is_probability=True),
        shares=_shares(shares, split),
        metrics=metrics,
        daily=daily if daily is not None else known.daily,
        fixed=fixed,
    )
    made = make_plan(options)
    if plot is not None:
        write_plan_plot(options, made, plot)
    if output is TableOrJson.JSON:
        print_json({**msgspec.to_builtins(made), "metric": basis.metric, "baseline": known.baseline})
        return
    notes = []
    if location is not None and basis.metric is not None:
        notes.append(_describe_baseline(basis.metric, known.baseline))
    if shares is None and split is not None:
        notes.append(_describe_split(split))
    if basis.folder_cap is not None:
        notes.append(f"with the cap of the folder: revenue up to {basis.folder_cap:,.2f} counts")
    _print_plan(made, options, notes, _report_options(basis, own, cap, options.alpha))


def _report_options(basis: PlanBasis, own: FileActivity | None, cap: float | None, alpha: float) -> str:
    """Return the further options of a report on the planned test."""
    plans, primary = (None, None) if own is None else (own.plans, own.primary_metric)
    has_default_alpha = math.isclose(alpha, ReportOptions().alpha)
    options = (
        "" if plans is None else f"--activities {shlex.quote(plans.folder)}",
        "" if basis.metric == (primary or DEFAULT_METRIC) else f"--metric {basis.metric or 'NAME'}",
        "" if cap is None else f"--cap {cap:.12g}",
        "" if has_default_alpha else f"--confidence {100 * (1 - alpha):g}%",
    )
    return " ".join(filter(None, options))


def _note_primary(primary: str | None, *, is_rate: bool) -> None:
    """Print a note if the options are about another metric than the one that decides."""
    if primary is not None and (primary == "conversion") is not is_rate:
        label = METRICS[primary].label.lower()
        instead = "--baseline" if primary == "conversion" else "--mean and --deviation, or a ledger"
        print_notes([f"the primary metric of the activity is {label}; plan it by {instead}"])


def _describe_baseline(metric: str, baseline: Baseline) -> str:
    label, mean = METRICS[metric].label.lower(), format_mean(metric, baseline.mean)
    if baseline.deviation is None:
        return f"{label} of the control in the ledger: {mean} %"
    deviation = format_mean(metric, baseline.deviation)
    return f"{label} of the control in the ledger: {mean}, with a standard deviation of {deviation}"


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


def _describe_split(split: ActivitySplit) -> str:
    shares = " / ".join(f"{one:g}" for one in split.shares)
    label = truncate_text(split.name if split.name is not None else f"activity {split.id}")
    return f"with the shares of {label}: {shares} %"


def _print_plan(plan: Plan, options: PlanOptions, notes: Sequence[str], report_options: str) -> None:
    """Print a plan; `report_options` are further ones for its report."""
    out = console()
    if plan.lift is None:
        out.print(f"{pluralize(plan.visitors, 'visitor')} cannot show any lift")
        return
    groups = " / ".join(f"{one:,}" for one in plan.groups)
    out.print(
        Text.assemble(
            (f"{plan.visitors:,} visitors", "bold"),
            f" ({groups}) find a lift of {100 * plan.lift:+.3g} % with {100 * plan.power:g} % power",
        )
    )
    for note in notes:
        out.print(Text(note, "dim"))
    if options.fixed:
        out.print(Text("for one look at the end: an earlier stop at a good number is wrong too often", "dim"))
    if plan.is_least:
        out.print(Text(f"fewer show the lift, but {_LEAST} converters are needed for a comparison", "dim"))
    elif not options.fixed:
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
    option = "--fixed" if options.fixed else f"--planned {plan.visitors}" if has_plan else ""
    command = " ".join(filter(None, ("targetry report", option, report_options)))
    out.print(Text(f"report it with: {command}", "dim"), soft_wrap=True)
    if has_plan:
        out.print(Text(f"or write into targetry.yaml: plan: {{visitors: {plan.visitors}}}", "dim"))
