from __future__ import annotations

import random

from support.activities import moved
from support.examples import examples
from targetry.activities.model.windows import (
    WHOLE,
    Span,
    bucket_owners,
    lanes,
    part_of,
    rebalance,
    total_width,
)


def test_first_window_is_closed_and_the_others_are_open_below() -> None:
    owners = bucket_owners({"a": [(0, 5000)], "b": [(5000, 10000)]})
    assert [owners.count(key) for key in "ab"] == [5001, 4999]


def test_traffic_uses_the_start_of_each_lane() -> None:
    assert lanes([5000, 5000], 1000) == [[(0, 500)], [(5000, 5500)]]
    assert lanes([3000, 7000], 10000) == [[(0, 3000)], [(3000, 10000)]]
    assert lanes([5000, 0, 5000], 5000, (500, 4500)) == [[(500, 1500)], [], [(2500, 3500)]]


def test_more_traffic_only_adds_visitors() -> None:
    shares = {"a": 3333, "b": 3333, "c": 3334}
    before: dict[str, list[Span]] = {}
    for traffic in (100, 1000, 2000, 2001, 10000):
        after = dict(zip(shares, lanes(list(shares.values()), traffic), strict=True))
        change = moved(before, after)
        assert (change["switched"], change["left"]) == (0, 0)
        before = after


def test_changed_shares_move_only_what_one_experience_loses() -> None:
    before = {"a": [(0, 5000)], "b": [(5000, 8000)], "c": [(8000, 10000)]}
    after = rebalance(before, {"a": 2000, "b": 3000, "c": 5000})
    assert after == {"a": [(0, 2000)], "b": [(5000, 8000)], "c": [(2000, 5000), (8000, 10000)]}
    assert moved(before, after)["switched"] == 3000


def test_growing_experience_takes_the_room_next_to_it() -> None:
    before = {"a": [(0, 1000)], "b": [(5000, 6000)]}
    assert rebalance(before, {"a": 1000, "b": 2000})["b"] == [(5000, 7000)]
    before = {"a": [(0, 1000)], "b": [(9000, 10000)]}
    assert rebalance(before, {"a": 1000, "b": 2000})["b"] == [(8000, 10000)]


def test_random_walk_of_shares_moves_the_least_possible() -> None:
    rng = random.Random(11)
    keys = ["a", "b", "c", "d"]
    windows: dict[str, list[Span]] = {"a": [(0, WHOLE)]}
    for _ in range(examples(300)):
        cuts = sorted(rng.choice([0, WHOLE, rng.randint(0, WHOLE)]) for _ in keys[1:])
        widths = {
            key: part_of(high - low, rng.choice([WHOLE, WHOLE, 5000]))
            for key, low, high in zip(keys, [0, *cuts], [*cuts, WHOLE], strict=True)
        }
        after = rebalance(windows, widths)
        assert {key: total_width(spans) for key, spans in after.items()} == widths
        lost = sum(max(0, total_width(windows.get(key, [])) - widths[key]) for key in keys)
        change = moved(windows, after)
        assert abs(change["switched"] + change["left"] - lost) <= 1
        windows = after
