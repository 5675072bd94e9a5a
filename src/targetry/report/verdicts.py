"""Verdicts of a report in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from targetry.report.report import ActivityReport, ExperienceReport, Report

_ADVICE: Final = {"better": "better: ship", "worse": "worse: stop", "split is broken": "split is broken"}


def verdict_words(experience: ExperienceReport, activity: ActivityReport, report: Report) -> str:
    """Return the verdict on an experience with what to do, empty without one."""
    if experience.verdict is None:
        return ""
    metric = experience.metrics[activity.metric]
    control = activity.experiences[0].metrics.get(activity.metric)
    return describe_verdict(
        experience.verdict,
        counted=min(metric.counted, control.counted if control else 0),
        least=metric.least,
        days_left=activity.days_left,
        margin=report.margin,
        guardrails=[one.state for one in experience.guardrails],
    )


def describe_verdict(
    verdict: str,
    *,
    counted: int = 0,
    least: int = 0,
    days_left: int | None = None,
    margin: float | None = None,
    guardrails: Collection[str] = (),
) -> str:
    """Return a verdict with what to do.

    Args:
        verdict: The verdict of a report's metric.
        counted: The visitors that carry the metric, in the group that has fewer of them.
        least: The number of them that a comparison needs.
        days_left: Days until the planned number of visitors, if there is a plan.
        margin: Largest lift that counts as no difference, as a fraction.
        guardrails: The states of the guardrails; one that is harmed outweighs the metric.
    """
    if verdict != "split is broken" and "harmed" in guardrails:
        return "guardrail is harmed: stop"
    if verdict == "better" and set(guardrails) - {"safe"}:
        return "better: wait for the guardrails"
    if verdict == "too early":
        return f"too early: {counted:,} of {least:,}"
    if verdict == "no difference" and margin is not None:
        return f"no difference above {100 * margin:g} %"
    if verdict == "not yet":
        if not days_left:
            return "not yet: go on" if days_left is None else "not yet: plan is reached"
        return f"not yet: go on, {days_left:,} {'day' if days_left == 1 else 'days'}"
    return _ADVICE.get(verdict, verdict)


def describe_cap(capped: int, cut: float) -> str:
    """Return the sentence about revenue above the cap."""
    verb = "visitor has" if capped == 1 else "visitors have"
    return f"{capped:,} {verb} more revenue than the cap; {cut:,.2f} of it is not compared"


def describe_largest_part(part: float) -> str:
    """Return the sentence about a visitor who made much of the revenue."""
    return f"one visitor made {100 * part:.0f} % of an experience's revenue; a cap makes its figures steadier"
