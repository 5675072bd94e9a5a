"""As much of a value as an explanation shows.

A value is given as JavaScript would write it as JSON. Of a long text, list or object there is the beginning, and an `…` with
how much there is, or how many more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from targetry.device.explain.budget import Allowance
from targetry.device.logic.javascript import UNDEFINED, to_number, well_formed

_CHARACTERS: Final = 1_000  # of one text
_ITEMS: Final = 1_000  # of one value, on all of its levels
_LEVELS: Final = 10
_ITEM_COST: Final = 10
_EXACT: Final = 2**53


def excerpt(value: Any, allowance: Allowance) -> Any:
    """The beginning of a value, paid for from `allowance`; `value` is left alone."""
    return _Cutter(allowance).cut(value, 0)


def excerpt_of_text(text: str) -> str:
    if len(text) > _CHARACTERS:
        text = f"{text[:_CHARACTERS]}… ({len(text):,} characters)"
    return well_formed(text)


class _Cutter:
    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._items_left = _ITEMS

    def cut(self, value: Any, level: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is list:
            taken = self._taken(value, level)
            more = [f"… {len(value) - len(taken):,} more"] if len(taken) < len(value) else []
            return [self.cut(item, level + 1) for item in taken] + more
        if kind is dict:
            names = self._taken(value, level)
            shown = {self._text(name): self.cut(value[name], level + 1) for name in names}
            return shown if len(names) == len(value) else shown | {"…": f"{len(value) - len(names):,} more"}
        if kind is int or kind is float:
            return _number(value)
        return None if value is UNDEFINED else value

    def _taken(self, items: Iterable[Any], level: int) -> list[Any]:
        taken = list(islice(items, self._items_left if level < _LEVELS else 0))
        self._items_left -= len(taken)
        self._allowance.spend(len(taken) * _ITEM_COST)
        return taken

    def _text(self, text: str) -> str:
        shown = excerpt_of_text(text)
        self._allowance.spend(len(shown))
        return shown


def _number(value: float) -> float | None:
    if -_EXACT <= value <= _EXACT:
        return int(value) if value == int(value) else value
    number = to_number(value)
    return number if math.isfinite(number) else None
