"""Visitors of a simulated test for all libraries; needs the standard library only."""

from __future__ import annotations

import json
import sys
from random import Random
from typing import Any, NamedTuple

VISITORS = 2_000
CONVERSIONS = ((500, 10_000), (575, 10_000))
WILSON = ((81, 263), (15, 148), (0, 20), (1, 29))
NEWCOMBE = ((56, 70), (48, 80))
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
# converters and visitors of an experience and of its control, in each segment
SEGMENTS = (((130, 1_000), (100, 1_000)), ((95, 1_000), (100, 1_000)), ((160, 1_000), (110, 1_000)))
P_VALUES = (0.04, 0.01, 0.03, 0.02, 0.05)
SPLIT = (2_042, 1_958)


class Visitor(NamedTuple):
    """Orders and revenue of a visitor, and the revenue before the test."""

    orders: int
    revenue: float
    before: float


def visitors(group: int) -> list[Visitor]:
    """Return the visitors of a group; those of group 1 spend a tenth more."""
    random = Random(f"visitors of group {group}")
    found = []
    for _ in range(VISITORS):
        means = random.gammavariate(2.0, 5.0)
        orders = sum(random.random() < 0.4 for _ in range(3))
        before = means * random.gammavariate(4.0, 0.25)
        revenue = sum(means * (1 + group / 10) * random.gammavariate(4.0, 0.25) for _ in range(orders))
        found.append(Visitor(orders, revenue, before))
    return found


def write(figures: dict[str, Any]) -> None:
    """Write figures to standard output."""
    json.dump(figures, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
