"""Splits of the A/B activities of an artifact, for plans and A/A tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from targetry.cli.inputs.artifact_source import is_url, read_text
from targetry.device.activities import activities_of, covered_share
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.humanize.text import truncate_text
from targetry.ledger.event import id_sort_key


class ActivitySplit(NamedTuple):
    """A/B activity and the shares of its experiences in percent; the first is the control's."""

    id: str
    name: str | None
    shares: Sequence[float]


def read_rules(source: str, organization_id: str | None, environment: str | None) -> RuleSet:
    """Return the rules of an artifact, or those of a folder of activities.

    Args:
        source: File, URL or folder, `-` for stdin.
        organization_id: Organization of a `rules.bin`.
        environment: Environment of a folder.

    Raises:
        typer.BadParameter: An option does not fit the source.
        ArtifactError: The artifact cannot be read.
    """
    if _is_folder(source):
        # Other sources need no YAML.
        from targetry.activities.compile.compiler import artifact_bytes
        from targetry.cli.inputs.activity_folder import compiled_artifact

        return compile_artifact(artifact_bytes(compiled_artifact(Path(source), environment)))
    if environment is not None:
        raise typer.BadParameter("--environment is for a folder of activities")
    return compile_artifact(read_text(source, organization_id))


def read_cap(source: str) -> float | None:
    """Return the cap of revenue in a folder of activities; None without, and for other sources.

    Raises:
        Exit: The files have errors, which were printed.
    """
    if not _is_folder(source):
        return None
    # Other sources need no YAML.
    from targetry.cli.experiments.activity_plans import plans_of_folder

    return plans_of_folder(Path(source)).cap


def splits_of(rules: RuleSet, source: str) -> list[ActivitySplit]:
    """Return the splits of all A/B activities with two or more experiences.

    Args:
        rules: The rules.
        source: Name of their source, for errors.

    Raises:
        typer.BadParameter: There is none.
    """
    found = list(_splits(rules))
    if not found:
        raise typer.BadParameter(f"{source} has no A/B activity with two experiences")
    return found


def choose_split(splits: Sequence[ActivitySplit], key: str | None) -> ActivitySplit:
    """Return the split of an activity by its id or name; without either, the only one.

    Raises:
        typer.BadParameter: There is none, or several without a key.
    """
    known = ", ".join(repr(one.id) for one in splits[:20])
    if key is None and len(splits) > 1:
        raise typer.BadParameter(f"the artifact has several activities; choose one by --activity: {known}")
    found = [one for one in splits if key in (None, one.id)] or [one for one in splits if one.name == key]
    if not found:
        raise typer.BadParameter(
            f"the artifact has no A/B activity with the id or name {truncate_text(str(key))!r}; the ids are: {known}"
        )
    return found[0]


def _is_folder(source: str) -> bool:
    return not is_url(source) and Path(source).is_dir()


def _splits(rules: RuleSet) -> Iterator[ActivitySplit]:
    for activity in activities_of(rules):
        windows: dict[str, set[tuple[float, float]]] = {}
        for placed in activity.rules:
            experience = str(placed.rule.meta.get("experience.id"))
            windows.setdefault(experience, set()).add(placed.rule.percent_window)
        covered = [covered_share(windows[key]) for key in sorted(windows, key=id_sort_key)]
        shares = [one for one in covered if one > 0]
        if activity.type == "ab" and activity.key and len(shares) > 1:
            yield ActivitySplit(activity.key, activity.name, shares)
