"""Basis of a planned test: its metric, baseline and shares, from options, files and a ledger."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import typer

from targetry.cli.experiments.artifact_splits import ActivitySplit, read_source
from targetry.cli.experiments.ledger_baseline import LedgerBaseline, baseline_of_ledger
from targetry.cli.inputs.percentages import parse_fraction
from targetry.cli.rendering.output import wrong_option
from targetry.errors import TargetError
from targetry.report.inference.sample_size import Baseline
from targetry.report.options import DEFAULT_METRIC, METRIC_NAMES, MONEY

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans

_MEANS: Final = tuple(name for name in METRIC_NAMES if name != "conversion")


class FileActivity(NamedTuple):
    """Activity of an artifact or a folder; `plans` are those of the folder, None without one."""

    split: ActivitySplit
    plans: FolderPlans | None

    @property
    def primary_metric(self) -> str | None:
        """Metric that decides by the files of a folder; None if they have none."""
        return None if self.plans is None else self.plans.of(self.split.id).metric


class BaselineOptions(NamedTuple):
    """Options about the baseline, None for those that are not given."""

    baseline: str | None
    mean: float | None
    deviation: float | None
    metric: str | None
    cap: float | None


class PlanBasis(NamedTuple):
    """Basis of a planned test.

    `metric` is None for a mean whose metric is not known. `folder_cap` is the cap of a folder by
    which the baseline is computed; None for another one or none.
    """

    metric: str | None
    known: LedgerBaseline
    folder_cap: float | None = None


def read_activity(
    artifact: str, key: str | None, organization_id: str | None, environment: str | None
) -> FileActivity:
    """Read an activity of an artifact or a folder.

    Args:
        artifact: File, URL or folder, `-` for stdin.
        key: Id, name or key of the activity; None for the only one.
        organization_id: Organization of a `rules.bin`.
        environment: Environment of a folder.

    Raises:
        TargetError: The artifact cannot be read, or the plans of the folder cannot be used.
        typer.BadParameter: There is no such activity, or an option does not fit the source.
    """
    source = read_source(artifact, organization_id, environment)
    split = source.split(key)
    if source.plans is not None and source.plans.conflict:
        raise TargetError(f"{source.plans.folder}: {source.plans.conflict}")
    return FileActivity(split, source.plans)


def basis_of_options(given: BaselineOptions, primary: str | None) -> PlanBasis:
    """Return the basis that options give.

    Args:
        given: The options.
        primary: The metric that decides by the files; None if they have none.

    Raises:
        typer.BadParameter: An option is missing, has a wrong value, or is for a ledger.
    """
    if (given.baseline is None) == (given.mean is None):
        raise typer.BadParameter("give exactly one of --baseline, --mean and a ledger")
    if given.cap is not None:
        raise typer.BadParameter("--cap needs a ledger, whose amounts it limits")
    if given.baseline is not None:
        if given.metric is not None:
            raise typer.BadParameter("--metric is for a ledger or --mean; --baseline is a conversion rate")
        if given.deviation is not None:
            raise typer.BadParameter("--deviation is for --mean; that of a conversion rate follows from it")
        rate = Baseline(parse_fraction("--baseline", given.baseline))
        return PlanBasis("conversion", LedgerBaseline(rate))
    if given.mean is None or given.deviation is None:
        raise typer.BadParameter("--mean needs --deviation, the standard deviation of a visitor's value")
    if not (math.isfinite(given.mean) and given.mean > 0):
        raise wrong_option("--mean", f"must be a number above 0, not {given.mean!r}")
    if given.metric not in (None, *_MEANS):
        raise wrong_option(
            "--metric", f"must be one of {', '.join(_MEANS)} with --mean, not {given.metric!r}"
        )
    metric = given.metric or (primary if primary in _MEANS else None)
    return PlanBasis(metric, LedgerBaseline(Baseline(given.mean, given.deviation)))


def basis_of_ledger(
    location: Path | str, key: str | None, given: BaselineOptions, activity: FileActivity | None
) -> PlanBasis:
    """Return the basis that an activity of a ledger has.

    Args:
        location: The folder or the address of the ledger.
        key: Id or name of the activity; None for that of the files.
        given: The options.
        activity: The activity of the files.

    Raises:
        OptionError: The metric or the cap is wrong.
        typer.BadParameter: An option has what the ledger has, or does not fit the metric, or the
            ledger has no such activity or no baseline.
        LedgerError: The ledger cannot be read.
    """
    if any(one is not None for one in (given.baseline, given.mean, given.deviation)):
        raise typer.BadParameter(
            "a ledger has the baseline; leave it or --baseline, --mean and --deviation out"
        )
    metric = given.metric or (activity and activity.primary_metric) or DEFAULT_METRIC
    if given.cap is not None and metric not in MONEY:
        raise wrong_option("--cap", f"is for the metrics {' and '.join(MONEY)}, not for {metric}")
    plans = None if activity is None else activity.plans
    folder_cap = plans.cap if plans is not None and given.cap is None and metric in MONEY else None
    id = key if activity is None else activity.split.id
    if id is None:
        raise typer.BadParameter("a ledger needs --activity, the id or name of an activity of the ledger")
    known = baseline_of_ledger(
        location,
        id,
        metric,
        given.cap if given.cap is not None else folder_cap,
        shown=f"activity {key!r} ({id})" if key not in (None, id) else None,
    )
    return PlanBasis(metric, known, folder_cap)
