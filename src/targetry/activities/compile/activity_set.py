"""Set of activities with their settings, and where each value stands in the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from targetry.activities.model.definitions import ActivityDefinition, WorkspaceSettings
from targetry.activities.model.files import SETTINGS_FILE
from targetry.activities.model.finding import Finding, Level
from targetry.activities.model.yaml_values import Mark, YamlDocument


class DefinitionSource(NamedTuple):
    """Place of a definition: its file, the file's document, and its path in it."""

    file: str
    document: YamlDocument | None = None
    path: str = ""

    def mark(self, path: str) -> Mark:
        """Return the position of a value by its path within the definition."""
        return self.document.mark(self.local_path(path)) if self.document is not None else Mark(1, 1)

    def local_path(self, path: str) -> str:
        """Return the path in the file of a path within the definition."""
        return f"{self.path}{path}" if path.startswith("[") else ".".join(filter(None, (self.path, path)))


_NO_FILE: Final = DefinitionSource("")
_ACTIVITY: Final = re.compile(r"activities\[(\d+)\]\.?")


class ActivitySet:
    """Settings and activities.

    Paths of values count the activities of the set: `activities[2].experiences[0].share`. Paths of
    settings have no prefix: `audiences.us`.

    Attributes:
        settings: Values that all activities share.
        activities: The activities, in any order.
        texts: Contents of the files that offers refer to, by path.
        sources: Places of the activities in the files.
        settings_source: Place of the settings.
        conditions: Audiences by name that are JSON Logic instead of expressions.
    """

    def __init__(
        self,
        settings: WorkspaceSettings,
        activities: Sequence[ActivityDefinition],
        *,
        texts: Mapping[str, str] | None = None,
        sources: Sequence[DefinitionSource] = (),
        settings_source: DefinitionSource | None = None,
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.activities = tuple(activities)
        self.texts: Mapping[str, str] = texts or {}
        self.conditions: Mapping[str, Any] = conditions or {}
        self.sources = tuple(sources) or tuple(_NO_FILE for _ in activities)
        self.settings_source = settings_source or DefinitionSource(SETTINGS_FILE)

    def source(self, path: str) -> tuple[DefinitionSource, str]:
        """Return the source of a value, and its path in the definition there."""
        if (found := _ACTIVITY.match(path)) is not None:
            return self.sources[int(found[1])], path[found.end() :]
        return self.settings_source, path

    def finding(
        self,
        code: str,
        path: str,
        message: str,
        *,
        level: Level = "error",
        hint: str | None = None,
        line: int = 1,
        column: int = 1,
        in_text: bool = False,
    ) -> Finding:
        """Return a finding about a value.

        Args:
            code: Id of the rule.
            path: Path of the value.
            message: Description of the mistake.
            level: `error` or `warning`.
            hint: Description of the remedy.
            line: Line within the text that the value is, if `in_text`.
            column: Column within it.
            in_text: Whether `line` and `column` count.
        """
        source, inner = self.source(path)
        mark = source.mark(inner)
        at = mark.at(line, column) if in_text else (mark.line, mark.column)
        return Finding(
            code=code,
            level=level,
            message=message,
            hint=hint,
            file=source.file,
            line=at[0],
            column=at[1],
            path=source.local_path(inner),
        )


def texts_of(value: str | list[str]) -> list[tuple[str, str]]:
    """Return the expressions of an audience with their paths below it."""
    if isinstance(value, str):
        return [("", value)]
    return [(f"[{index}]", one) for index, one in enumerate(value)]


def is_file_reference(value: Any) -> bool:
    """Return whether a JSON content is `{file: path}`."""
    return isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str)
