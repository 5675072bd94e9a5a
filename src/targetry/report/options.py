"""Options of a report: method, metrics, plan, cap and guardrails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Final

import msgspec

from targetry._runtime import validators
from targetry.errors import OptionError, TargetError
from targetry.report.inference.confidence_sequence import DEFAULT_PLANNED, MIN_PLANNED

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans, OwnPlan

METRIC_NAMES: Final = ("conversion", "orders", "revenue", "rpo")
"""Metrics: conversion rate, orders and revenue per visitor, revenue per order."""

DEFAULT_METRIC: Final = "conversion"
"""Primary metric of a report whose options and plans have none."""

MONEY: Final = ("revenue", "rpo")
"""Metrics that a cap applies to."""


MOST_DAYS: Final = 3650
"""Largest number of days before the first impression."""


class Guardrail(msgspec.Struct, frozen=True):
    """Metric that an experience must not harm: its lift is to stay above `-margin`.

    `margin` is a fraction: 0.02 is 2 %.
    """

    metric: str
    margin: float


class ActivityPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Plan of one activity; None for the plan of the report.

    Attributes:
        planned: Visitors at which the intervals shall be tightest, known before the data.
        metric: The primary metric, one of `METRIC_NAMES`; the others are secondary.
        guardrails: Metrics that no experience must harm.
    """

    planned: int | None = None
    metric: str | None = None
    guardrails: tuple[Guardrail, ...] | None = None


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a report.

    Attributes:
        fixed: Whether the figures are for one look at the end, instead of valid at every look.
        confidence: Confidence of the intervals, within 0..1; above 0.5 with guardrails.
        metric: The primary metric of activities without one of their own, one of `METRIC_NAMES`;
            the others are secondary. None is that of a folder of activities, or conversion.
        planned: Visitors of all experiences at which the intervals shall be tightest, known before
            the data.
        cap: Amount up to which a visitor's revenue counts, known before the data.
        cap_percentile: Part of the buyers, within 0..1, whose revenue is at most the cap of an
            activity. It needs `fixed`, since a cap that moves with the data holds for one look.
        cuped: Days before the first impression whose conversions, orders and revenue reduce the
            variance; None for none.
        bayes: Whether the report has the chances to beat the control, of conversion.
        margin: Largest lift, as a fraction, that counts as no difference.
        guardrails: Metrics that no experience must harm.
        plans: Plans by the ids of activities that have their own.
        over_time: Whether the report has the figures of each day.
        amounts: Whether the report has the distribution of the buyers' revenue.
        zone: Time zone of the days, such as `Europe/Berlin`. For another zone than `UTC` the report
            reads each visitor.

    Raises:
        OptionError: A value has the wrong type or range.
    """

    fixed: bool = False
    confidence: float = 0.95
    metric: str | None = None
    planned: int | None = None
    cap: float | None = None
    cap_percentile: float | None = None
    cuped: int | None = None
    bayes: bool = False
    margin: float | None = None
    guardrails: tuple[Guardrail, ...] = ()
    plans: Mapping[str, ActivityPlan] = {}
    over_time: bool = False
    amounts: bool = False
    zone: str = "UTC"

    def __post_init__(self) -> None:
        for name in ("fixed", "bayes", "over_time", "amounts"):
            if not isinstance(value := getattr(self, name), bool):
                raise OptionError(name, f"must be True or False, not {value!r}")
        _check_fraction("confidence", self.confidence)
        if self.cap is not None and not (_is_finite(self.cap) and self.cap > 0):
            raise OptionError("cap", f"must be a number above 0, not {self.cap!r}")
        if self.cap_percentile is not None:
            _check_fraction("cap_percentile", self.cap_percentile)
            if not self.fixed:
                raise OptionError(
                    "cap_percentile",
                    "needs `fixed`: a cap that moves with the data is not valid at every look",
                )
            if self.cap is not None:
                raise OptionError("cap_percentile", "must not be given with `cap`")
        if self.cuped is not None and not (_is_integer(self.cuped) and 1 <= self.cuped <= MOST_DAYS):
            raise OptionError("cuped", f"must be an integer from 1 to {MOST_DAYS}, not {self.cuped!r}")
        if self.margin is not None:
            _check_fraction("margin", self.margin)
        validators.time_zone("zone", self.zone)
        _check_plans(self.plans)
        plans = [("", self.metric, self.planned, self.guardrails)]
        plans += [
            (f"plans[{key!r}].", one.metric, one.planned, () if one.guardrails is None else one.guardrails)
            for key, one in self.plans.items()
        ]
        for path, metric, planned, guardrails in plans:
            if metric is not None:
                _check_metric(f"{path}metric", metric)
            _check_planned(f"{path}planned", planned)
            _check_guardrails(f"{path}guardrails", guardrails)
        if self.confidence <= 0.5 and any(guardrails for *_, guardrails in plans):
            given = f"{100 * self.confidence:g} %"
            raise OptionError(
                "confidence", f"must be above 50 % with guardrails, which are one-sided, not {given}"
            )

    def for_activity(self, key: str) -> ReportOptions:
        """Return the options with the plan of an activity as the plan of the report."""
        plan = self.plans.get(key)
        if plan is None:
            return self
        return msgspec.structs.replace(
            self,
            planned=self.planned if plan.planned is None else plan.planned,
            metric=plan.metric or self.metric,
            guardrails=self.guardrails if plan.guardrails is None else plan.guardrails,
            plans={},
        )

    def with_folders(self, folders: Sequence[FolderPlans]) -> ReportOptions:
        """Return the options with the plans of folders of activities, where they have none.

        Args:
            folders: The plans. Those of the first folder go before those of later ones; activities
                that are in none of several folders have no plan.

        Raises:
            TargetError: Members of a group, which share an id, have different plans, or folders
                have different caps.
        """
        if not folders:
            return self
        first = folders[0]
        for one in folders:
            if one.conflict:
                raise TargetError(f"{one.folder}: {one.conflict}")
        has_cap = self.cap is not None or self.cap_percentile is not None
        other = next((one for one in folders if one.cap != first.cap), None)
        if other is not None and not has_cap:
            raise TargetError(
                f"{first.folder!r} and {other.folder!r} differ in the cap of revenue, but a report has one; "
                "give them the same"
            )
        found = {key: self._plan(own) for one in reversed(folders) for key, own in one.activities.items()}
        default = self._plan(first.default) if len(folders) == 1 else ActivityPlan()
        return msgspec.structs.replace(
            self,
            planned=self.planned if default.planned is None else default.planned,
            metric=default.metric or self.metric,
            guardrails=default.guardrails or self.guardrails,
            cap=self.cap if has_cap else first.cap,
            plans={**found, **self.plans},
        )

    def _plan(self, own: OwnPlan) -> ActivityPlan:
        """Return the plan of a folder without what the options have."""
        guardrails = tuple(Guardrail(one.metric, one.part) for one in own.guardrails)
        return ActivityPlan(
            planned=own.visitors if self.planned is None else None,
            metric=own.metric if self.metric is None else None,
            guardrails=None if self.guardrails else guardrails,
        )

    @property
    def primary_metric(self) -> str:
        """Metric that decides an activity without one of its own."""
        return self.metric or DEFAULT_METRIC

    @property
    def time_zone(self) -> tzinfo | None:
        """The time zone of the days, None for UTC."""
        return validators.time_zone("zone", self.zone)

    @property
    def alpha(self) -> float:
        """Chance of a false alarm."""
        return 1 - self.confidence

    @property
    def tightest(self) -> int:
        """Visitors at which a sequence of all of them is tightest."""
        return self.planned if self.planned is not None else DEFAULT_PLANNED


def _check_fraction(path: str, value: object) -> None:
    if not (_is_finite(value) and 0 < value < 1):  # type: ignore[operator]
        raise OptionError(path, f"must be a number between 0 and 1, not {value!r}")


def _check_plans(plans: object) -> None:
    if not isinstance(plans, Mapping):
        raise OptionError("plans", f"must map ids of activities to plans, not {plans!r}")
    for key, one in plans.items():
        if not isinstance(key, str):
            raise OptionError("plans", f"must have ids of activities, which are texts, as keys, not {key!r}")
        if not isinstance(one, ActivityPlan):
            raise OptionError(f"plans[{key!r}]", f"must be an ActivityPlan, not {one!r}")


def _check_planned(path: str, value: object) -> None:
    if value is not None and not (_is_integer(value) and value >= MIN_PLANNED):  # type: ignore[operator]
        raise OptionError(path, f"must be an integer of at least {MIN_PLANNED}, not {value!r}")


def _check_guardrails(path: str, guardrails: object) -> None:
    if not isinstance(guardrails, list | tuple):
        raise OptionError(path, f"must be a tuple of Guardrails, not {guardrails!r}")
    for position, one in enumerate(guardrails):
        if not isinstance(one, Guardrail):
            raise OptionError(f"{path}[{position}]", f"must be a Guardrail, not {one!r}")
        _check_metric(f"{path}[{position}].metric", one.metric)
        _check_fraction(f"{path}[{position}].margin", one.margin)


def _check_metric(path: str, value: object) -> None:
    if value not in METRIC_NAMES:
        raise OptionError(path, f"must be one of {', '.join(METRIC_NAMES)}, not {value!r}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False
