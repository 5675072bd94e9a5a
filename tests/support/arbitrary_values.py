"""Hypothesis strategies for arbitrary values, hostile objects included."""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from targetry import models
from targetry.models import ChannelType, CustomerId
from targetry.models.base import Model

DEPTH: Final = 10_000


class Unwilling:
    """An object whose every operation raises."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("no")

    __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __str__ = __getitem__ = __call__ = __int__ = _refuse  # type: ignore[assignment]


class UnwillingDict(dict[str, Any]):
    """A dict whose every read raises."""

    def items(self) -> Any:
        raise RuntimeError("no")

    __iter__ = __getitem__ = get = keys = items


def deep_list() -> list[Any]:
    inner: list[Any] = []
    for _ in range(DEPTH):
        inner = [inner]
    return inner


def deep_dict() -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(DEPTH):
        inner = {"a": inner}
    return inner


def list_in_itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def dict_in_itself() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    return loop


ODDITIES: Final[tuple[Callable[[], Any], ...]] = (
    deep_list,
    deep_dict,
    list_in_itself,
    dict_in_itself,
    object,
    Unwilling,
    lambda: UnwillingDict(a=1),
    lambda: [UnwillingDict(a=1), Unwilling()],
    lambda: {"a": Unwilling()},
    lambda: {"a": UnwillingDict(a=1)},
    lambda: object,
    lambda: len,
    lambda: ...,
    lambda: 1j,
    lambda: 10**400,
    lambda: 10**5000,
    lambda: -(2**63) - 1,
    lambda: 2**64,
    lambda: "x" * 100_000,
    lambda: "\ud800",
    lambda: "a\0b",
    lambda: b"\xff\xfe",
    lambda: bytearray(b"{}"),
    lambda: memoryview(b"{}"),
    lambda: decimal.Decimal("1.5"),
    lambda: fractions.Fraction(1, 3),
    lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    lambda: datetime.date(2026, 1, 1),
    lambda: uuid.UUID(int=1),
    lambda: Path("missing"),
    lambda: {1, "a"},
    lambda: range(3),
    lambda: iter(["hero"]),
    lambda: RuntimeError("no"),
    lambda: ChannelType.WEB,
    lambda: {1: 2, None: 3},
    lambda: {"\ud800": "\udfff"},
    lambda: ["hero"] * 10_000,
)

MODELS: Final = tuple(
    model
    for name in models.__all__
    if isinstance(model := getattr(models, name), type) and issubclass(model, Model) and model is not Model
)

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
"""Halves of characters, too."""

customer_ids = st.lists(
    st.builds(CustomerId, st.deferred(lambda: anything), any_text, st.deferred(lambda: anything))
)

plain_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.binary(max_size=20)
    | st.sampled_from(ODDITIES).map(lambda make: make())
    | st.sampled_from(MODELS).map(lambda model: model())
)

anything = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def with_anything_in_it(draw: st.DrawFn, document: Any) -> Any:
    """Return copies of a JSON document with an arbitrary value in one place at any depth."""
    if not document or not isinstance(document, dict | list) or draw(st.integers(0, 5)) == 0:
        return draw(anything)
    places = sorted(document) if isinstance(document, dict) else range(len(document))
    place = draw(st.sampled_from(places))
    copy: Any = document.copy()
    copy[place] = draw(with_anything_in_it(document[place]))
    return copy
