"""Plans of the folder of activities that an option names."""

from __future__ import annotations

from pathlib import Path

from targetry.activities.compile.report_plans import FolderPlans, folder_plans
from targetry.activities.model.files import ActivityFolder
from targetry.cli.inputs.activity_folder import compiled_folder


def plans_of_folder(path: Path) -> FolderPlans:
    """Return the plans of a folder.

    Raises:
        Exit: The files have errors, which were printed.
        FolderFileError: There is no such folder.
    """
    loaded, compilation = compiled_folder(ActivityFolder(path))
    assert loaded.activities is not None  # it would be a finding
    return folder_plans(str(path), loaded.activities, compilation)
