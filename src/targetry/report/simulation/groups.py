"""Sums of the groups of a simulated test after each look."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from targetry.ledger.sums import Cohort
from targetry.report.inference.visitor_sums import Covariate, HistoricCohort

Array = npt.NDArray[Any]

_LOG_MEAN: Final = 3.5
_LOG_DEVIATION: Final = 1.2
_BUYS_TWICE: Final = 0.2
_HAS_HISTORY: Final = 0.6
_BUYS: Final = 0.7


def look_sizes(first: int, last: int, count: int) -> Array:
    """Return about `count` numbers of visitors that grow by the same factor; each is one look."""
    return np.unique(np.rint(np.geomspace(first, last, count)).astype(np.int64))


def draw_purchases(random: np.random.Generator, buyers: int) -> tuple[Array, Array]:
    """Draw the orders and the revenue of buyers; amounts are log-normal, with a heavy tail."""
    orders = 1 + (random.random(buyers) < _BUYS_TWICE)
    amounts = random.lognormal(_LOG_MEAN, _LOG_DEVIATION, (2, buyers))
    return orders, np.where(orders > 1, amounts.sum(axis=0), amounts[0])


def group_sums(
    visitors: Array, conversions: Array, look_of_buyer: Array, orders: Array, revenue: Array
) -> list[Cohort]:
    """Return the sums of a group after each look.

    Args:
        visitors: The new visitors of each look.
        conversions: Those who convert, for each look.
        look_of_buyer: The look at which each buyer enters.
        orders: The orders of each buyer.
        revenue: The revenue of each buyer.
    """

    def total(values: Array) -> Array:
        return np.bincount(look_of_buyer, values, len(visitors))

    counts = (visitors, conversions, np.bincount(look_of_buyer, minlength=len(visitors)))
    money = (orders, orders**2, revenue, revenue**2, revenue * orders)
    columns = [np.cumsum(one).tolist() for one in (*counts, *map(total, money))]
    return [Cohort(*row) for row in zip(*columns, strict=True)]


def draw_group(
    random: np.random.Generator, sizes: Array, rate: float, factor: float = 1.0, cap: float | None = None
) -> list[Cohort]:
    """Draw a group whose converters buy; return its sums after each look.

    Args:
        random: The source of random numbers.
        sizes: The visitors of the group at each look.
        rate: The chance that a visitor converts.
        factor: The factor of the amounts.
        cap: The amount up to which the revenue of a visitor counts.
    """
    visitors = np.diff(sizes, prepend=0)
    conversions = random.binomial(visitors, rate)
    orders, revenue = draw_purchases(random, int(conversions.sum()))
    revenue *= factor
    if cap is not None:
        revenue = np.minimum(revenue, cap)
    return group_sums(visitors, conversions, np.repeat(np.arange(len(sizes)), conversions), orders, revenue)


def draw_group_with_history(
    random: np.random.Generator, sizes: Array, factor: float = 1.0
) -> list[HistoricCohort]:
    """Draw a group whose visitors spend about as much as before; return its sums after each look.

    Three visitors in five have a history, and seven in ten buy.

    Args:
        random: The source of random numbers.
        sizes: The visitors of the group at each look.
        factor: The factor of the amounts.
    """
    count = int(sizes[-1])
    usual = random.gamma(2.0, 5.0, count)
    before = usual * random.gamma(4.0, 0.25, count) * (random.random(count) < _HAS_HISTORY)
    revenue = usual * random.gamma(4.0, 0.25, count) * (random.random(count) < _BUYS) * factor
    looks = np.searchsorted(sizes, np.arange(count), side="right")
    buyers = revenue > 0
    conversions = np.bincount(looks[buyers], minlength=len(sizes))
    plain = group_sums(
        np.diff(sizes, prepend=0), conversions, looks[buyers], np.ones(int(buyers.sum())), revenue[buyers]
    )
    columns = (np.bincount(looks, one, len(sizes)) for one in (before, before**2, revenue * before))
    sums = zip(*(np.cumsum(one).tolist() for one in columns), strict=True)
    return [
        HistoricCohort(**msgspec.structs.asdict(cohort), history={"revenue": Covariate(*one)})
        for cohort, one in zip(plain, sums, strict=True)
    ]


def draw_rates(random: np.random.Generator, sizes: Array, rate: float) -> list[Cohort]:
    """Draw a group without orders; return its sums after each look."""
    visitors = np.diff(sizes, prepend=0)
    conversions = np.cumsum(random.binomial(visitors, rate))
    return [Cohort(*row) for row in zip(sizes.tolist(), conversions.tolist(), strict=True)]
