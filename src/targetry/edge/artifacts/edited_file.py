"""Edited file of a folder of activities: its text, and what saving it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from targetry.activities.model.finding import Finding


class EditError(Exception):
    """A file cannot be read or saved; the text says why and what to do."""


class EditedFile(msgspec.Struct, frozen=True):
    """Text of a file, and the version of its content, which is empty for a new file."""

    name: str
    text: str
    version: str


class EditPreview(msgspec.Struct, frozen=True):
    """Findings of the folder with an edited file, and the plan if it compiles."""

    findings: list[Finding]
    plan: str | None

    @property
    def is_usable(self) -> bool:
        """Whether the folder compiles."""
        return self.plan is not None
