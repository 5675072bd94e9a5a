"""Effect of a change on the visitors of a ledger: who of those who saw an activity moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from targetry.activities.model.windows import Span, bucket_owners
from targetry.activities.review.inventory import Inventory, take_inventory
from targetry.activities.review.plan import Change, insert_change
from targetry.device.logic.allocation import bucket


class SeenMovement(msgspec.Struct, frozen=True):
    """Visitors of a ledger who saw an activity: all, and those who lose or change the experience.

    `switches` counts those that change, by the names of both experiences.
    """

    total: int
    left: int
    switched: int
    switches: dict[str, int] = {}


def with_seen_visitors(
    changes: list[Change], old: Mapping[str, Any], new: Mapping[str, Any], seen: Mapping[str, Collection[str]]
) -> list[Change]:
    """Return the changes of a plan, and how many of the visitors who saw an activity move.

    Only windows count: a ledger does not have what audiences ask for.

    Args:
        changes: The plan.
        old: The earlier artifact.
        new: The later one.
        seen: The ids of the activities that each visitor has seen.
    """
    before, after = take_inventory(old), take_inventory(new)
    found = list(changes)
    for id in dict.fromkeys(one.id for one in changes if one.change in ("share", "gone")):
        visitors = [visitor for visitor, ids in seen.items() if id in ids]
        if visitors:
            moved = _movement(id, visitors, (_client(old), before), (_client(new), after))
            name = next(one.activity for one in changes if one.id == id)
            insert_change(found, Change("seen", name, id, after=msgspec.to_builtins(moved)))
    return found


def _movement(
    id: str, visitors: Iterable[str], before: tuple[str, Inventory], after: tuple[str, Inventory]
) -> SeenMovement:
    (client, old), (next_client, new) = before, after
    names = _names(old, id) | _names(new, id)
    owners, next_owners = bucket_owners(_windows(old, id)), bucket_owners(_windows(new, id))
    pairs = Counter(
        (owners[bucket(client, id, visitor)], next_owners[bucket(next_client, id, visitor)])
        for visitor in visitors
    )
    switches = {
        f"{names[one]} → {names[other]}": count
        for (one, other), count in pairs.most_common()
        if one is not None and other is not None and one != other
    }
    left = sum(count for (one, other), count in pairs.items() if one is not None and other is None)
    return SeenMovement(sum(pairs.values()), left, sum(switches.values()), switches)


def _windows(inventory: Inventory, id: str) -> dict[str, list[Span]]:
    """Return the windows of an id by experience; members of a group share their id."""
    return {
        key: experience.windows
        for one in inventory.activities.values()
        if one.id == id
        for key, experience in one.experiences.items()
    }


def _names(inventory: Inventory, id: str) -> dict[str, str]:
    return {
        key: experience.name
        for one in inventory.activities.values()
        if one.id == id
        for key, experience in one.experiences.items()
    }


def _client(artifact: Mapping[str, Any]) -> str:
    meta = artifact.get("meta")
    client = meta.get("clientCode") if isinstance(meta, dict) else None
    return client if isinstance(client, str) else ""
