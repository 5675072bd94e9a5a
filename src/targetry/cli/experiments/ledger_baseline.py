"""Baseline of a planned test: what the control of an activity has in a ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import typer

from targetry.cli.experiments.artifact_splits import ActivitySplit
from targetry.cli.inputs.ledgers import described_activity, open_with_progress
from targetry.ledger.event import ActivityDescription, id_sort_key
from targetry.ledger.sums import ActivitySums, Cohort
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.sample_size import Baseline
from targetry.report.looks import cumulate
from targetry.report.options import ReportOptions

_ALIKE: Final = 1e-6  # of the mean: the deviation of equal values, with the rounding of their sums


class LedgerBaseline(NamedTuple):
    """Baseline of a test, and the daily visitors and the split if a ledger has them."""

    baseline: Baseline
    daily: float | None = None
    split: ActivitySplit | None = None


def baseline_of_ledger(
    location: Path | str, key: str, metric: str, cap: float | None, *, shown: str | None = None
) -> LedgerBaseline:
    """Return what the control of an activity has since its shares last changed.

    Args:
        location: The folder or the address of the ledger.
        key: Id or name of the activity.
        metric: The metric.
        cap: Amount up to which a visitor's revenue counts.
        shown: The activity in errors. Default: `key`.

    Raises:
        OptionError: The metric or the cap is wrong.
        typer.BadParameter: The ledger has no such activity, or no baseline for a plan.
        LedgerError: The ledger cannot be read.
    """
    cap = ReportOptions(metric=metric, cap=cap).cap
    shown = f"activity {key!r}" if shown is None else shown
    with open_with_progress(location) as reader:
        described = described_activity(reader, key)
        sums = reader.sums(cap).get(described.id) if reader.has_sums else None
    if sums is None or not sums.experiences:
        raise typer.BadParameter(f"{shown} has no visitors in the ledger {location}")
    totals = cumulate([one.cohorts for one in sums.experiences.values()])
    control = _control(described, sums)
    if control is None:
        raise typer.BadParameter(
            f"the control of {shown} has no visitors since its shares changed"
            if described.shares_since_ms
            else f"the control of {shown} has no visitors"
        )
    days = totals[-1][0] - totals[0][0] + 1
    return LedgerBaseline(
        _baseline(control, metric, cap, f"the control of {shown}"),
        sum(one.visitors for one in totals[-1][1]) / days,
        _split(described),
    )


def _control(described: ActivityDescription, sums: ActivitySums) -> Cohort | None:
    """Return the sums of the control, None without visitors."""
    ids = [one.id for one in described.experiences] or sorted(sums.experiences, key=id_sort_key)
    own = sums.experiences.get(ids[0])
    totals: Sequence[tuple[int, Sequence[Cohort]]] = cumulate([own.cohorts]) if own is not None else ()
    return totals[-1][1][0] if totals else None


def _baseline(control: Cohort, metric: str, cap: float | None, shown: str) -> Baseline:
    """Return the baseline; `shown` is the control in errors."""
    estimate = METRICS[metric].estimate(control)
    if estimate is None or estimate.mean <= 0:
        raise typer.BadParameter(f"{metric}: {shown} has no value above 0 yet")
    if metric == "conversion":
        if estimate.mean >= 1:
            raise typer.BadParameter(
                f"conversion: every visitor of {shown} converted, so no lift is possible"
            )
        return Baseline(estimate.mean)
    deviation = math.sqrt(max(0.0, estimate.variance) * estimate.visitors)
    if deviation <= _ALIKE * estimate.mean:
        things = "orders" if metric == "rpo" else "visitors"
        limit = f" up to the cap of {cap:,.2f}; choose a higher --cap" if cap is not None else ""
        raise typer.BadParameter(
            f"{metric}: all {things} of {shown} have the same value{limit or ', so a plan has no deviation to go by'}"
        )
    return Baseline(estimate.mean, deviation)


def _split(described: ActivityDescription) -> ActivitySplit | None:
    """Return the split, None without one and without a share of the control."""
    if not described.experiences or not described.experiences[0].share:
        return None
    shares = [one.share for one in described.experiences if one.share]
    return ActivitySplit(described.id, described.name, shares) if len(shares) > 1 else None
