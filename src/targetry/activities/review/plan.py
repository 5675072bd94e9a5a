"""Plan: the differences between two artifacts, and the visitors that they move.

Movement is exact: all 10,000 buckets of an activity are looked up in the windows before and after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from targetry.activities.model.windows import WHOLE, bucket_owners, percent, total_width
from targetry.activities.review.inventory import (
    ActivityId,
    Inventory,
    InventoryActivity,
    InventoryExperience,
    take_inventory,
)

Kind = Literal[
    "new",
    "gone",
    "name",
    "type",
    "properties",
    "share",
    "audience",
    "offer",
    "metrics",
    "order",
    "tokens",
    "field",
    "visitors",
    "seen",
]


class Movement(msgspec.Struct, frozen=True):
    """Buckets of an activity, of 10,000: those that keep, change, lose and get an experience.

    `switches` counts those that change, by the names of both experiences.
    """

    stay: int
    switched: int
    left: int
    entered: int
    switches: dict[str, int] = {}


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Difference of an activity, or of a field of the artifact if `activity` is empty.

    Attributes:
        change: Kind of the difference.
        activity: Name of the activity.
        id: Id of the activity.
        path: The experience, the location or the field.
        before: Earlier value.
        after: Later value.
        moved: Visitors that move, of changed shares.
    """

    change: Kind
    activity: str = ""
    id: str = ""
    path: str = ""
    before: Any = None
    after: Any = None
    moved: Movement | None = None


def plan(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the differences between two artifacts, in the order of the activities.

    Args:
        old: The earlier artifact.
        new: The later one.
    """
    before, after = take_inventory(old), take_inventory(new)
    changes = list(_fields(before.fields, after.fields))
    for id in dict.fromkeys([*after.activities, *before.activities]):
        earlier, later = before.activities.get(id), after.activities.get(id)
        if earlier is None and later is not None:
            changes.append(Change("new", later.name, later.id, after=_position(id, after)))
        elif later is None and earlier is not None:
            changes.append(Change("gone", earlier.name, earlier.id))
        elif earlier is not None and later is not None:
            changes += _activity(earlier, later)
    changes += _orders(before, after)
    return changes


def insert_change(changes: list[Change], change: Change) -> None:
    """Insert a change behind the last one of its activity, else at the end."""
    places = [place for place, one in enumerate(changes) if one.id == change.id]
    changes.insert(max(places, default=len(changes) - 1) + 1, change)


def _fields(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        # The locations follow from the activities, whose changes are listed.
        if name not in ("localMboxes", "localViews") and before.get(name) != after.get(name):
            yield Change("field", path=name, before=before.get(name), after=after.get(name))


def _position(id: ActivityId, inventory: Inventory) -> list[str]:
    """Return where a new activity is: its locations, and the activity that follows it there."""
    found = []
    for place, order in inventory.orders.items():
        if id in order:
            following = order[order.index(id) + 1 :][:1]
            names = [inventory.activities[one].name for one in following]
            found.append(f"at {place}" + (f", before {names[0]!r}" if names else ""))
    return found


def _activity(old: InventoryActivity, new: InventoryActivity) -> Iterator[Change]:
    def change(
        kind: Kind, path: str = "", before: Any = None, after: Any = None, moved: Any = None
    ) -> Change:
        return Change(kind, new.name, new.id, path, before, after, moved)

    for kind, earlier, later in (
        ("name", old.name, new.name),
        ("type", old.type, new.type),
        ("properties", old.properties, new.properties),
    ):
        if earlier != later:
            yield change(kind, "", earlier, later)  # type: ignore[arg-type]  # mypy widens the literals
    yield from _shares(old, new, change)
    audiences = []
    for id in dict.fromkeys([*old.experiences, *new.experiences]):
        one, other = old.experiences.get(id), new.experiences.get(id)
        if one is None or other is None:
            continue
        if one.audience != other.audience:
            audiences.append((other.name, one.audience, other.audience))
        yield from _contents(one, other, change)
    if audiences and len(audiences) == len(new.experiences) and len({str(one[1:]) for one in audiences}) == 1:
        audiences = [("", *audiences[0][1:])]
    for name, earlier_audience, later_audience in audiences:
        yield change("audience", name, earlier_audience, later_audience)


def _shares(old: InventoryActivity, new: InventoryActivity, change: Any) -> Iterator[Change]:
    names = {id: one.name for id, one in (old.experiences | new.experiences).items()}
    before = {id: one.windows for id, one in old.experiences.items()}
    after = {id: one.windows for id, one in new.experiences.items()}
    if before == after:
        return
    shares = [
        {names[id]: percent(total_width(windows)) for id, windows in side.items()} for side in (before, after)
    ]
    yield change("share", "", *shares, _movement(bucket_owners(before), bucket_owners(after), names))


def _movement(before: list[str | None], after: list[str | None], names: dict[str, str]) -> Movement:
    pairs = Counter(zip(before, after, strict=True))
    switches = {
        f"{names[one]} → {names[other]}": count
        for (one, other), count in sorted(pairs.items(), key=lambda pair: -pair[1])
        if one is not None and other is not None and one != other
    }
    left = sum(count for (one, other), count in pairs.items() if one is not None and other is None)
    entered = sum(count for (one, other), count in pairs.items() if one is None and other is not None)
    switched = sum(switches.values())
    return Movement(WHOLE - switched - left - entered, switched, left, entered, switches)


def _contents(old: InventoryExperience, new: InventoryExperience, change: Any) -> Iterator[Change]:
    for place in dict.fromkeys([*old.offers, *new.offers]):
        path = f"{place} of {new.name}"
        if (place in old.offers) != (place in new.offers) or old.offers.get(place) != new.offers.get(place):
            yield change("offer", path, old.offers.get(place), new.offers.get(place))
        if place in old.offers and place in new.offers:
            if old.metrics.get(place) != new.metrics.get(place):
                yield change("metrics", path, old.metrics.get(place), new.metrics.get(place))
            if old.tokens.get(place) != new.tokens.get(place):
                yield change("tokens", path)


def _orders(before: Inventory, after: Inventory) -> Iterator[Change]:
    for place, order in after.orders.items():
        earlier = [id for id in before.orders.get(place, []) if id in order]
        later = [id for id in order if id in earlier]
        if earlier != later:
            names = [[after.activities[id].name for id in one] for one in (earlier, later)]
            yield Change("order", path=place, before=names[0], after=names[1])
