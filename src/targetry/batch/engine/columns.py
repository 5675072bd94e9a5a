"""Roles of the columns of a table: which column holds which field of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa

from targetry.errors import OptionError
from targetry.models.constraint import MAX_PARAMETER_NAME

PARAMETER_PREFIX: Final = "mbox."  # of the name of a column that is a parameter
_MILLISECONDS: Final = "_ms"  # at the end of the name of an integer column of times


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the columns of a table, where they differ from the defaults.

    Attributes:
        parameters: Parameter to column, in addition to columns named `mbox.<parameter>`.
        parameter_map: Column with a map or a struct of parameters.
        addresses: Location to the column with its own URL, which replaces `url` there.
    """

    marketing_cloud_visitor_id: str = "marketing_cloud_visitor_id"
    tnt_id: str = "tnt_id"
    third_party_id: str = "third_party_id"
    time: str = "time"
    user_agent: str = "user_agent"
    client_hints_platform: str = "client_hints.platform"
    client_hints_full: str = "client_hints.browser_ua_with_full_version"
    client_hints_major: str = "client_hints.browser_ua_with_major_version"
    url: str = "url"
    referring_url: str = "referring_url"
    country_code: str = "country_code"
    state_code: str = "state_code"
    city: str = "city"
    latitude: str = "latitude"
    longitude: str = "longitude"
    parameter_map: str = "parameters"
    parameters: Mapping[str, str] = {}
    addresses: Mapping[str, str] = {}


IDS: Final = ("marketing_cloud_visitor_id", "tnt_id", "third_party_id")
CLIENT: Final = ("user_agent", "client_hints_platform", "client_hints_full", "client_hints_major")
PAGE: Final = ("url", "referring_url")
PLACE_TEXTS: Final = ("country_code", "state_code", "city")
DEGREES: Final = ("latitude", "longitude")


class Parameter(msgspec.Struct, frozen=True):
    """Column of one parameter; in a struct column, a field of it."""

    name: str
    column: int
    field: int | None = None


class TableLayout(msgspec.Struct, frozen=True):
    """Positions of the columns of one schema by their roles.

    Attributes:
        roles: Role to position; an absent column has no entry.
        parameters: In the order of the columns.
        has_map: Whether parameters come from a map, so that other batches can have other ones.
        addresses: Location to the position of its URL.
        property_token: Position of the column of property tokens.
    """

    schema: Any
    roles: Mapping[str, int]
    parameters: tuple[Parameter, ...]
    has_map: bool
    addresses: Mapping[str, int]
    property_token: int | None


def layout_of(
    schema: Any, columns: Columns, *, property_token: str | None, time: str | None, has_map: bool
) -> TableLayout:
    """Return where the fields of a request are in a table.

    Args:
        schema: Of the table.
        columns: Names of the columns.
        property_token: Name of the column of property tokens, if there is one.
        time: Name of the column of times if it is not that of `columns`.
        has_map: Whether columns were made of a map of parameters.

    Raises:
        OptionError: A column has a type that its field cannot have, there is no column of visitor
            ids, or a column that was named is not in the table.
    """
    positions = {name: position for position, name in enumerate(schema.names)}
    if len(positions) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise OptionError("table", f"has two columns {twice!r}; rename one")
    roles: dict[str, int] = {}
    for role in (*IDS, *CLIENT, *PAGE, *PLACE_TEXTS):
        _find(roles, role, getattr(columns, role), positions, schema, _is_text, "text")
    for role in DEGREES:
        _find(roles, role, getattr(columns, role), positions, schema, _is_number, "a number")
    names = [time] if time is not None else [columns.time, columns.time + _MILLISECONDS]
    for name in names:
        _find(roles, "time", name, positions, schema, _is_time, "a time, or integers (epoch ms)")
    if not any(role in roles for role in IDS):
        wanted = ", ".join(repr(getattr(columns, role)) for role in IDS)
        raise OptionError("table", f"has no column of visitor ids; one of {wanted} is needed")
    _check_given([*columns.parameters.values(), *columns.addresses.values()], positions)
    _check_given([name for name in (property_token, time) if name is not None], positions)
    tokens: dict[str, int] = {}
    if property_token is not None:
        _find(tokens, "token", property_token, positions, schema, _is_text, "text")
    addresses = {location: positions[name] for location, name in columns.addresses.items()}
    for position in addresses.values():
        _check_type(schema, position, _is_text, "text")
    parameters = _parameters(schema, columns, positions)
    return TableLayout(schema, roles, parameters, has_map, addresses, tokens.get("token"))


def _check_given(names: Iterable[str], positions: Mapping[str, int]) -> None:
    for name in names:
        if name not in positions:
            raise OptionError("columns", f"the table has no column {name!r}")


def _find(
    roles: dict[str, int],
    role: str,
    name: str,
    positions: Mapping[str, int],
    schema: Any,
    is_right: Any,
    wanted: str,
) -> None:
    position = positions.get(name)
    if position is not None:
        _check_type(schema, position, is_right, wanted)
        roles.setdefault(role, position)


def _check_type(schema: Any, position: int, is_right: Any, wanted: str) -> None:
    field = schema.field(position)
    if not is_right(field.type):
        raise OptionError(f"table[{field.name!r}]", f"must be {wanted}, not {field.type}")


def _parameters(schema: Any, columns: Columns, positions: Mapping[str, int]) -> tuple[Parameter, ...]:
    mapped = {positions[column]: name for name, column in columns.parameters.items()}
    named = {
        position: name.removeprefix(PARAMETER_PREFIX)
        for name, position in positions.items()
        if name.startswith(PARAMETER_PREFIX) and position not in mapped
    }
    found = []
    for position, name in sorted((mapped | named).items()):
        _check_type(schema, position, is_parameter, "text, integers, numbers or booleans")
        found.append(Parameter(name, position))
    container = positions.get(columns.parameter_map)
    if container is not None and not pa.types.is_null(schema.field(container).type):
        kind = schema.field(container).type
        if pa.types.is_struct(kind):
            for number in range(kind.num_fields):
                field = kind.field(number)
                if not is_parameter(field.type):
                    wanted = "text, integers, numbers or booleans"
                    raise OptionError(
                        f"table[{schema.field(container).name!r}][{field.name!r}]",
                        f"must be {wanted}, not {field.type}",
                    )
                found.append(Parameter(field.name, container, number))
        else:
            raise OptionError(f"table[{schema.field(container).name!r}]", f"must be a map, not {kind}")
    _check_names([one.name for one in found])
    return tuple(found)


def _check_names(names: list[str]) -> None:
    for name in names:
        if not 0 < len(name) <= MAX_PARAMETER_NAME:
            raise OptionError(
                "columns.parameters",
                f"the name {name[:200]!r} must have 1 to {MAX_PARAMETER_NAME} characters",
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError("columns.parameters", f"two columns are the parameter {twice!r}")


def _is_text(kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
    )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def is_parameter(kind: Any) -> bool:
    """Return whether an Arrow type is one of parameters."""
    return _is_text(kind) or _is_number(kind) or bool(pa.types.is_boolean(kind))


def _is_time(kind: Any) -> bool:
    return bool(
        pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_null(kind)
    )
