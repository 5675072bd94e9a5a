"""Inventory of an artifact: activities with their experiences, audiences and offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from targetry.activities.compile.rule_parts import condition_parts
from targetry.activities.expressions import print_expression
from targetry.activities.model.windows import WHOLE, Span, hundredths, merged

ActivityId = tuple[str, str]


class InventoryExperience(msgspec.Struct):
    """Experience with its windows in hundredths of a percent, and contents by location.

    `audience` has the conditions as expressions, `tokens` the event tokens by location.
    """

    name: str
    windows: list[Span] = []
    audience: list[str] = []
    offers: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    tokens: dict[str, Any] = {}


class InventoryActivity(msgspec.Struct):
    """Activity with its experiences by their ids."""

    id: str
    name: str
    type: str
    properties: list[str] = []
    experiences: dict[str, InventoryExperience] = {}


class Inventory(msgspec.Struct):
    """Activities by id and member, their order at each location, and the other fields."""

    activities: dict[ActivityId, InventoryActivity] = {}
    orders: dict[str, list[ActivityId]] = {}
    fields: dict[str, Any] = {}


def take_inventory(artifact: Mapping[str, Any]) -> Inventory:
    """Return the inventory of an artifact; rules of an unknown shape are left out."""
    found = Inventory(
        fields={name: value for name, value in artifact.items() if name not in ("rules", "meta")}
        | {
            f"meta.{name}": value
            for name, value in _map(artifact.get("meta")).items()
            if name != "generatedAt"
        }
    )
    for kind, label in (("mboxes", "mbox"), ("views", "view")):
        for name, rules in _map(_map(artifact.get("rules")).get(kind)).items():
            for rule in _list(rules):
                if isinstance(rule, dict) and isinstance(rule.get("meta"), dict):
                    _add(found, f"{label} {name}", rule)
    return found


def _add(found: Inventory, place: str, rule: dict[str, Any]) -> None:
    meta = rule["meta"]
    id = (str(meta.get("activity.id")), str(meta.get("activity.member", "")))
    activity = found.activities.get(id)
    if activity is None:
        activity = found.activities[id] = InventoryActivity(
            id[0], str(meta.get("activity.name")), str(meta.get("activity.type"))
        )
        activity.properties = [str(one) for one in _list(rule.get("propertyTokens"))]
    order = found.orders.setdefault(place, [])
    if id not in order:
        order.append(id)
    key = str(meta.get("experience.id"))
    experience = activity.experiences.get(key)
    ids = meta.get("audience.ids")
    window, parts = condition_parts(rule.get("condition"), len(ids) if isinstance(ids, list) else 0)
    span = (0, WHOLE) if window is None else (hundredths(window[0]), hundredths(window[1]))
    if experience is None:
        experience = activity.experiences[key] = InventoryExperience(str(meta.get("experience.name")))
        experience.audience = [_text(part) for part in parts]
    if meta.get("location.type") == "view" or meta.get("location.id"):
        place = f"{place}, location {meta.get('location.id')}"
    consequence = _map(rule.get("consequence"))
    options = _list(consequence.get("options"))
    contents = [
        {name: value for name, value in one.items() if name != "eventToken"}
        for one in options
        if isinstance(one, dict)
    ]
    experience.windows = merged([*experience.windows, span])
    experience.offers[place] = contents[0] if len(contents) == 1 else contents
    experience.metrics[place] = [
        {name: value for name, value in one.items() if name != "eventToken"}
        for one in _list(consequence.get("metrics"))
        if isinstance(one, dict)
    ]
    experience.tokens[place] = [one.get("eventToken") for one in options if isinstance(one, dict)]


def _text(condition: Any) -> str:
    try:
        return print_expression(condition)
    except (ValueError, RecursionError):
        return repr(condition)


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
