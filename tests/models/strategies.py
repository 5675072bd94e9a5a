"""Models for hypothesis, made along their own annotations."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as kinds

import targetry.models as models
from targetry.models import Model

MODELS: list[type[Model]] = sorted(
    (
        value
        for value in vars(models).values()
        if isinstance(value, type) and issubclass(value, Model) and value is not Model
    ),
    key=lambda model: model.__name__,
)

_ZONES = st.none() | st.integers(-1439, 1439).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
TIMES = st.datetimes(timezones=_ZONES)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

# Rules of a request beyond annotations: fields that are required, and texts of a
# certain form.
REQUIRED = {
    "Context": {"channel"},
    "CustomerId": {"id", "integration_code", "authenticated_state"},
    "MobilePlatform": {"device_type", "platform_type"},
    "ModelProperty": {"token"},
    "Trace": {"authorization_token"},
}
_FORMS = {
    ("Geo", "ip_address"): st.ip_addresses().map(str),
    ("Geo", "country_code"): st.text(min_size=2, max_size=2),
    ("Geo", "state_code"): st.text(min_size=1, max_size=3),
}
_NAMES = st.text(min_size=1, max_size=10).filter(lambda name: not name.isspace())


@cache
def instances(model: type[Model]) -> st.SearchStrategy[Any]:
    """Models that keep every limit; each field is set or left out."""
    return _struct(kinds.type_info(model))


def any_model() -> st.SearchStrategy[Any]:
    return st.sampled_from(MODELS).flatmap(instances)


def _struct(kind: Any) -> st.SearchStrategy[Any]:
    name = kind.cls.__name__
    required = REQUIRED.get(name, set())
    fields = {field.name: _FORMS.get((name, field.name), _value(field.type)) for field in kind.fields}
    return st.fixed_dictionaries(
        {field: strategy for field, strategy in fields.items() if field in required},
        optional={field: strategy for field, strategy in fields.items() if field not in required},
    ).map(lambda given: kind.cls(**given))


def _value(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of `kind`, without None except in mappings."""
    match kind:
        case kinds.Metadata():
            return _value(kind.type)
        case kinds.UnionType():
            choices = [choice for choice in kind.types if not isinstance(choice, kinds.NoneType)]
            return st.one_of(*map(_value, choices))
        case kinds.StructType():
            return st.deferred(lambda: _struct(kind))
        case kinds.ListType():
            return st.lists(_value(kind.item_type), max_size=2)
        case kinds.DictType():
            return st.dictionaries(_NAMES, _entry(kind.value_type), max_size=3)
        case kinds.LiteralType():
            return st.sampled_from(kind.values)
    return _scalar(kind)


def _entry(kind: Any) -> st.SearchStrategy[Any]:
    return st.none() | _value(kind) if isinstance(kind, kinds.UnionType) else _value(kind)


def _scalar(kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case kinds.StrType():
            least = kind.min_length or 0
            return st.text(min_size=least, max_size=min(kind.max_length or 12, max(least, 12)))
        case kinds.IntType():
            return st.integers(_least(kind, -(2**63)), _most(kind, 2**63 - 1))
        case kinds.FloatType():
            return st.floats(_least(kind, None), _most(kind, None), allow_nan=False, allow_infinity=False)
        case kinds.BoolType():
            return st.booleans()
        case kinds.DateTimeType():
            return TIMES
        case kinds.AnyType():
            return JSON.filter(lambda value: value is not None)
    raise AssertionError(kind)


def _least(kind: Any, default: Any) -> Any:
    return default if kind.ge is None else kind.ge


def _most(kind: Any, default: Any) -> Any:
    return default if kind.le is None else kind.le


class Stranger:
    """An object that no model knows."""


class Hostile(Mapping):
    """A mapping that has every key and gives none of them."""

    def __getitem__(self, key):
        raise RuntimeError("no")

    def __contains__(self, key):
        return True

    def __iter__(self):
        return iter(["geo"])

    def __len__(self):
        return 1


# Anything that a caller could put into a request by mistake.
JUNK = st.recursive(
    SCALARS
    | st.floats()
    | st.integers()
    | st.binary(max_size=3)
    | st.characters()
    | st.decimals()
    | st.uuids()
    | st.builds(Stranger)
    | st.builds(Hostile)
    | st.sampled_from([math.nan, msgspec.UNSET, Stranger, set(), 2**70, "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)
