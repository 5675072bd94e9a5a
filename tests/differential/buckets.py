"""Visitors of all kinds, and whether they fall into the buckets of Adobe's hash."""

from __future__ import annotations

import random

from differential.node import NodeProgram
from targetry.device.allocation import bucket

ACTIVITIES = [0, 7, 334411, 2**53, "125880", "", "a.b", "\u00e4\U0001f600", "\0", "x" * 40]
_ALPHABETS = (
    "0123456789abcdef-",
    "".join(map(chr, range(128))),
    "".join(map(chr, range(0x80, 0x2000))),
    "".join(chr(point) for point in range(0x1F300, 0x1F700)) + "a\0",
    "\ud800\udbff\udc00\udfff\U0010ffff\uffff",  # halves of characters, together or alone
)


def thousand_visitors(seed: int) -> list[str]:
    """Ids of mostly some dozens of characters; one is empty, and one has ten thousand."""
    rng = random.Random(seed)
    lengths = [0, 10_000, *(rng.randrange(1, 70) for _ in range(998))]
    return ["".join(rng.choices(rng.choice(_ALPHABETS), k=length)) for length in lengths]


def check_buckets(thousands: int) -> None:
    """Raises `AssertionError` with the first visitor that falls into another bucket than Adobe's."""
    with NodeProgram("buckets.cjs") as node:
        for seed in range(thousands):
            visitors = thousand_visitors(seed)
            theirs = node.ask({"client": "acme", "activities": ACTIVITIES, "visitors": visitors})
            ours = [[bucket("acme", activity, visitor) for activity in ACTIVITIES] for visitor in visitors]
            if ours != theirs:
                wrong = next(number for number, found in enumerate(ours) if found != theirs[number])
                raise AssertionError(f"{visitors[wrong]!r}: {ours[wrong]}, Adobe's {theirs[wrong]}")
