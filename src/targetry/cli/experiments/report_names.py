"""Names of activities and experiences in a report."""

from __future__ import annotations

from targetry.report.report import ActivityReport, ExperienceReport


def activity_name(activity: ActivityReport) -> str:
    """Return the name of an activity, or its id in words."""
    return activity.name if activity.name is not None else f"activity {activity.id}"


def experience_name(experience: ExperienceReport) -> str:
    """Return the name of an experience, or its id in words."""
    return experience.name if experience.name is not None else f"experience {experience.id}"
