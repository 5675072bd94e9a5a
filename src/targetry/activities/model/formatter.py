"""Formatter of the files: the order of keys, by moving lines, so that comments stay with them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from targetry.activities.model.definitions import (
    ActivityDefinition,
    ExperienceDefinition,
    OfferDefinition,
    WorkspaceSettings,
)
from targetry.activities.model.yaml_values import YamlDocument, YamlError, join_path, parse_yaml


def _order(struct: type[msgspec.Struct]) -> dict[str, int]:
    return {field.encode_name: place for place, field in enumerate(msgspec.structs.fields(struct))}


_SETTINGS: Final = _order(WorkspaceSettings) | {"targetry": -1}
_ACTIVITY: Final = _order(ActivityDefinition)
_EXPERIENCE: Final = _order(ExperienceDefinition)
_OFFER: Final = _order(OfferDefinition)


class _Map(NamedTuple):
    path: str
    value: dict[str, Any]
    order: dict[str, int]


def format_file(text: str, *, is_settings: bool = False) -> str:
    """Return a file with its keys in the order of the model.

    Only lines of block maps move, comments above a key with it, and no value changes: a map that
    cannot be sorted so stays as it is.

    Args:
        text: The file.
        is_settings: Whether it is `targetry.yaml`.

    Raises:
        YamlError: The file is not YAML of the accepted kind.
    """
    document = parse_yaml(text)
    kept: set[str] = set()
    while True:
        found = next(
            (
                one
                for one in _maps(document.value, is_settings)
                if one.path not in kept and list(one.value) != _sorted_keys(one)
            ),
            None,
        )
        if found is None:
            return text
        moved = _with_sorted_keys(text, document, found)
        changed = _parsed(moved)
        if changed is None or changed.value != document.value or moved == text:
            kept.add(found.path)
        else:
            text, document = moved, changed


def _parsed(text: str) -> YamlDocument | None:
    try:
        return parse_yaml(text)
    except YamlError:
        return None


def _sorted_keys(map: _Map) -> list[str]:
    return sorted(map.value, key=lambda key: map.order.get(key, len(map.order)))


def _maps(value: Any, is_settings: bool) -> list[_Map]:
    """Return the maps of a file whose keys have an order, the outer ones first."""
    if not isinstance(value, dict):
        return []
    if is_settings:
        return [_Map("", value, _SETTINGS)]
    if "activities" in value:
        found = []
        for path, activity in _items(value, "", "activities"):
            found += _activity_maps(path, activity)
        return found
    return _activity_maps("", value)


def _activity_maps(path: str, activity: dict[str, Any]) -> list[_Map]:
    found = [_Map(path, activity, _ACTIVITY)]
    for place, experience in _items(activity, path, "experiences"):
        found.append(_Map(place, experience, _EXPERIENCE))
        found += [_Map(inner, offer, _OFFER) for inner, offer in _items(experience, place, "offers")]
    return found


def _items(value: dict[str, Any], path: str, key: str) -> list[tuple[str, dict[str, Any]]]:
    items = value.get(key)
    listed = items if isinstance(items, list) else []
    return [
        (join_path(join_path(path, key), index), one)
        for index, one in enumerate(listed)
        if isinstance(one, dict)
    ]


def _with_sorted_keys(text: str, document: YamlDocument, map: _Map) -> str:
    """Return the text with the lines of a map's keys sorted; the same text if they share lines."""
    marks = {key: document.keys[join_path(map.path, key)] for key in map.value}
    starts = {key: mark.line - 1 for key, mark in marks.items()}
    column = next(iter(marks.values())).column - 1
    if len(set(starts.values())) < len(starts) or any(mark.column - 1 != column for mark in marks.values()):
        return text
    lines = text.split("\n")
    keys = sorted(starts, key=lambda key: starts[key])
    first = starts[keys[0]]
    prefix = lines[first][:column]
    if prefix.strip(" -"):
        return text  # a flow map
    tops = {key: _top(lines, starts[key], column) if key != keys[0] else first for key in keys}
    end = _end(lines, starts[keys[-1]], column)
    bounds = [*(tops[key] for key in keys), end]
    chunks = {key: lines[low:high] for key, low, high in zip(keys, bounds, bounds[1:], strict=False)}
    chunks[keys[0]][0] = " " * column + chunks[keys[0]][0][column:]
    moved = [line for key in _sorted_keys(map) for line in chunks[key]]
    if prefix.strip():  # the dash of a list, in front of a key and not of its comment
        if moved[0].lstrip().startswith("#"):
            return text
        moved[0] = prefix + moved[0][column:]
    return "\n".join([*lines[:first], *moved, *lines[end:]])


def _top(lines: list[str], line: int, column: int) -> int:
    """Return the first line of the comments right above a key."""
    while line > 0 and lines[line - 1].startswith(" " * column + "#"):
        line -= 1
    return line


def _end(lines: list[str], line: int, column: int) -> int:
    """Return the line after the value of a map's last key."""
    last = line
    for number in range(line + 1, len(lines)):
        text = lines[number]
        indent = len(text) - len(text.lstrip(" "))
        if text.strip() and indent < column + 1 and not (indent == column and text[column:].startswith("- ")):
            break
        if text.strip():
            last = number
    return last + 1
