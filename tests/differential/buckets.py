"""Comparison of buckets with those of Adobe's hash."""

from __future__ import annotations

import random

from differential.node import NodeProgram
from targetry.device.logic.allocation import bucket

ACTIVITIES = [0, 7, 334411, 2**53, "125880", "", "a.b", "\u00e4\U0001f600", "\0", "x" * 40]
_LONGEST_RUN = 20  # thousands: Adobe's hash remembers all that it was given
_ALPHABETS = (
    "0123456789abcdef-",
    "".join(map(chr, range(128))),
    "".join(map(chr, range(0x80, 0x2000))),
    "".join(chr(point) for point in range(0x1F300, 0x1F700)) + "a\0",
    "\ud800\udbff\udc00\udfff\U0010ffff\uffff",  # halves of characters, together or alone
)


def thousand_visitors(seed: int) -> list[str]:
    """Yield ids of mostly some dozens of characters; one is empty, one has ten thousand."""
    rng = random.Random(seed)
    lengths = [0, 10_000, *(rng.randrange(1, 70) for _ in range(998))]
    return ["".join(rng.choices(rng.choice(_ALPHABETS), k=length)) for length in lengths]


def check_buckets(thousands: int) -> None:
    """Raise `AssertionError` with the first visitor whose bucket differs from Adobe's."""
    for first in range(0, thousands, _LONGEST_RUN):
        with NodeProgram("buckets.cjs") as node:
            for seed in range(first, min(first + _LONGEST_RUN, thousands)):
                _check_thousand(node, thousand_visitors(seed))


def _check_thousand(node: NodeProgram, visitors: list[str]) -> None:
    theirs = node.ask({"client": "acme", "activities": ACTIVITIES, "visitors": visitors})
    for visitor, expected in zip(visitors, theirs, strict=True):
        ours = [bucket("acme", activity, visitor) for activity in ACTIVITIES]
        assert ours == expected, f"{visitor!r}: {ours}, Adobe's {expected}"
