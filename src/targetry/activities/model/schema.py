"""JSON Schema of the files, which editors use for completion."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from targetry.activities.model.definitions import ActivityDefinition, ActivityFile, WorkspaceSettings

SCHEMA_FILE: Final = "activities.schema.json"


def file_schema() -> dict[str, Any]:
    """Return the schema of a file of activities, draft 2020-12."""
    files = (ActivityDefinition, ActivityFile, WorkspaceSettings)
    references, definitions = msgspec.json.schema_components(files)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Activities as code, for Targetry",
        "anyOf": list(references),
        "$defs": definitions,
    }


def schema_text() -> str:
    """Return the schema as text, the same each time."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"
