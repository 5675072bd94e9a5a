"""Documents of the files: the structs of the model as YAML text."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from targetry.activities.model.definitions import FORMAT_VERSION, ActivityDefinition, WorkspaceSettings
from targetry.activities.model.files import SETTINGS_FILE
from targetry.activities.model.schema import SCHEMA_FILE
from targetry.activities.model.yaml_writer import write_yaml

_SINGLE_FILE: Final = "activities.yaml"


def documents(
    settings: WorkspaceSettings, activities: list[ActivityDefinition], *, is_single: bool = False
) -> dict[str, str]:
    """Return the texts of the files by name, one for each activity.

    Args:
        settings: The content of `targetry.yaml`.
        activities: The activities.
        is_single: Whether all activities are in one file.
    """
    head = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
    files = {SETTINGS_FILE: head + write_yaml({"targetry": FORMAT_VERSION} | plain(settings))}
    if is_single:
        return files | {_SINGLE_FILE: head + write_yaml({"activities": [plain(one) for one in activities]})}
    return files | {_file_name(one.key): head + write_yaml(plain(one)) for one in activities}


def _file_name(key: str) -> str:
    name = f"{key}.yaml"
    return name if name != SETTINGS_FILE else f"{key}-activity.yaml"


def plain(value: Any) -> Any:
    """Return a struct as maps, lists and scalars, without fields that have their default."""
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: plain(one)
            for field in msgspec.structs.fields(value)
            if (one := getattr(value, field.name)) is not UNSET and not _is_default(one, field)
        }
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _is_default(value: Any, field: msgspec.structs.FieldInfo) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return type(value) is type(field.default) and bool(value == field.default)
