"""Splits of the A/B activities of an artifact, for plans and A/A tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from targetry.cli.inputs.artifact_source import is_url, read_text
from targetry.device.activities import activities_of, covered_share
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.humanize.text import truncate_text
from targetry.ledger.event import id_sort_key

if TYPE_CHECKING:
    from targetry.activities.compile.report_plans import FolderPlans


class ActivitySplit(NamedTuple):
    """A/B activity and the shares of its experiences in percent; the first is the control's."""

    id: str
    name: str | None
    shares: Sequence[float]


class SplitSource(NamedTuple):
    """Artifact with its A/B activities; `plans` are those of a folder, None for other sources."""

    name: str
    rules: RuleSet
    plans: FolderPlans | None

    def splits(self) -> list[ActivitySplit]:
        """Return the splits of all A/B activities with two or more experiences.

        Raises:
            typer.BadParameter: There is none.
        """
        found = list(_splits(self.rules))
        if not found:
            raise typer.BadParameter(f"{self.name} has no A/B activity with two experiences")
        return found

    def split(self, key: str | None) -> ActivitySplit:
        """Return the split of an activity by its id, name or key; without any, the only one.

        Raises:
            typer.BadParameter: There is none, or several without a key.
        """
        splits = self.splits()
        known = ", ".join(repr(one.id) for one in splits[:20])
        if key is None and len(splits) > 1:
            raise typer.BadParameter(f"{self.name} has several activities; choose one by --activity: {known}")
        id = None if self.plans is None or key is None else self.plans.ids.get(key)
        found = [one for one in splits if key in (None, one.id)]
        found = found or [one for one in splits if one.name == key] or [one for one in splits if one.id == id]
        if not found:
            keys = "id or name" if self.plans is None else "id, name or key"
            raise typer.BadParameter(
                f"{self.name} has no A/B activity with the {keys} {truncate_text(str(key))!r}; the ids are: {known}"
            )
        return found[0]


def read_source(source: str, organization_id: str | None, environment: str | None) -> SplitSource:
    """Read an artifact, or compile a folder of activities.

    Args:
        source: File, URL or folder, `-` for stdin.
        organization_id: Organization of a `rules.bin`.
        environment: Environment of a folder.

    Raises:
        Exit: The files of a folder have errors, which were printed.
        typer.BadParameter: An option does not fit the source.
        ArtifactError: The artifact cannot be read.
    """
    if not is_url(source) and Path(source).is_dir():
        return _read_folder(source, environment)
    if environment is not None:
        raise typer.BadParameter("--environment is for a folder of activities")
    name = "the artifact on stdin" if source == "-" else source
    return SplitSource(name, compile_artifact(read_text(source, organization_id)), None)


def _read_folder(source: str, environment: str | None) -> SplitSource:
    # Other sources need no YAML.
    from targetry.activities.compile.compiler import artifact_bytes
    from targetry.activities.compile.report_plans import folder_plans
    from targetry.activities.model.files import ActivityFolder
    from targetry.cli.inputs.activity_folder import chosen_environment, compiled_folder

    loaded, compilation = compiled_folder(ActivityFolder(Path(source)))
    assert loaded.activities is not None  # it would be a finding
    artifact = compilation.artifacts[chosen_environment(compilation, environment)]
    plans = folder_plans(source, loaded.activities, compilation)
    return SplitSource(source, compile_artifact(artifact_bytes(artifact)), plans)


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
