"""Options of a report from a folder of activities: planned visitors, cap and guardrails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from targetry.activities.compile.compiler import Compilation
from targetry.activities.model.definitions import ActivityDefinition, GuardrailDefinition
from targetry.activities.model.files import ActivityFolder
from targetry.cli.inputs.activity_folder import compiled_folder
from targetry.errors import TargetError
from targetry.report.options import ActivityPlan, Guardrail, ReportOptions


def with_plans_of_folder(options: ReportOptions, path: Path) -> ReportOptions:
    """Return the options with those of a folder's files where they have none.

    Args:
        options: The options of the command line.
        path: The folder of activities.

    Raises:
        Exit: The files have errors, which were printed.
        FolderFileError: There is no such folder.
        TargetError: Members of a group, which share an id, have different plans.
    """
    loaded, compilation = compiled_folder(ActivityFolder(path))
    assert loaded.activities is not None  # it would be a finding
    settings = loaded.activities.settings
    found: dict[str, Any] = {"plans": _plans(loaded.activities.activities, compilation, options, path)}
    if options.planned is None and settings.plan is not None:
        found["planned"] = settings.plan.visitors
    if options.cap is None and options.cap_percentile is None:
        found["cap"] = settings.metrics.revenue.cap
    if not options.guardrails:
        found["guardrails"] = _guardrails(settings.guardrails)
    return msgspec.structs.replace(options, **found)


def _plans(
    activities: Iterable[ActivityDefinition], compilation: Compilation, options: ReportOptions, path: Path
) -> dict[str, ActivityPlan]:
    """Return the activities' own plans by id, without what the command line has."""
    members: dict[str, list[ActivityDefinition]] = {}
    for one in activities:
        laid_out = compilation.layout.activities.get(one.key) or compilation.lock.activities.get(one.key)
        id = laid_out.id if laid_out is not None else one.id
        if id is not None:
            members.setdefault(str(id), []).append(one)
    found = {}
    for key, own in members.items():
        plan = _only_value(own, "plan", path)
        guardrails = _only_value(own, "guardrails", path)
        if plan is not None or guardrails is not None:
            found[key] = ActivityPlan(
                planned=plan.visitors if plan is not None and options.planned is None else None,
                guardrails=None if guardrails is None or options.guardrails else _guardrails(guardrails),
            )
    return found


def _only_value(members: Iterable[ActivityDefinition], name: str, path: Path) -> Any:
    """Return the value of the members with one; None without. Raises `TargetError` for two."""
    given = [one for one in members if getattr(one, name) is not None]
    other = next((one for one in given if getattr(one, name) != getattr(given[0], name)), None)
    if other is not None:
        raise TargetError(
            f"{path}: {given[0].key!r} and {other.key!r} differ in {name!r}, but a report shows the members "
            "of a group as one activity; give them the same"
        )
    return getattr(given[0], name) if given else None


def _guardrails(definitions: Iterable[GuardrailDefinition]) -> tuple[Guardrail, ...]:
    return tuple(Guardrail(one.metric, float(one.margin.removesuffix("%")) / 100) for one in definitions)
