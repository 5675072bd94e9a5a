"""Plan of a leaf: the sources of a table that it reads, and the facts of their values."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pyarrow as pa

from targetry.batch.engine.columns import CLIENT, Parameter, TableLayout
from targetry.batch.engine.distinct import LARGEST
from targetry.batch.engine.rows import DAY_MS, MINUTE_MS, Source
from targetry.device.logic.facts import Facts, facts_of_values, geo_facts, parameter_facts
from targetry.device.logic.reads import Paths
from targetry.device.logic.url import parse_url
from targetry.models import Geo

_TWIN: Final = "_lc"
_GEO: Final = {
    "country": "country_code",
    "region": "state_code",
    "city": "city",
    "latitude": "latitude",
    "longitude": "longitude",
}
_TIMES: Final = {"current_timestamp": "time", "current_time": "minute", "current_day": "weekday"}
_CUT_PARTS: Final = frozenset({"path", "domain", "subdomain", "topLevelDomain"})
_ORDERS: Final = frozenset({"<", "<=", ">", ">=", "==", "!=", "===", "!=="})


class LeafPlan(NamedTuple):
    """The sources that a leaf reads, and how a fact is made from the value of each.

    `slots` has a kind and a name for each source. `is_cacheable`: equal values have equal answers.
    """

    sources: tuple[Source, ...]
    slots: tuple[tuple[str, str], ...]
    is_cacheable: bool = True

    def facts(self, values: tuple[Any, ...]) -> Facts:
        """Return facts with the values of the sources; absent ones are None."""
        now_ms = 0
        request: dict[str, Any] = {}
        location: dict[str, Any] = {}
        geo: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        for (kind, name), value in zip(self.slots, values, strict=True):
            if kind == "time":
                now_ms += value
            elif kind == "minute":
                now_ms += value * MINUTE_MS
            elif kind == "weekday":
                now_ms += value * DAY_MS
            elif kind == "user":
                request["user"] = value
            elif kind in ("page", "referring"):
                location[kind] = parse_url(value)
            elif kind == "geo":
                geo[name] = value
            elif value is not None:
                parameters[name] = value
        if geo:
            request["geo"] = geo_facts(Geo(**geo))
        if parameters:
            location["mbox"] = parameter_facts(parameters)
        return facts_of_values(now_ms, request, location)


def plan_of(tree: Any, paths: Paths, layout: TableLayout, location: str | None) -> LeafPlan:
    """Return the plan of a leaf.

    Args:
        tree: The condition.
        paths: The facts that it reads.
        layout: Of the table.
        location: The location, if it has its own URL.
    """
    found: dict[Source, tuple[str, str]] = {}
    for path in sorted(paths):
        head, _, rest = path.partition(".")
        if path in _TIMES:
            found[(_TIMES[path],)] = (_TIMES[path], "")
        elif head == "user":
            if path != "user.locale" and any(role in layout.roles for role in CLIENT):
                found[("user",)] = ("user", "")
        elif head == "geo":
            role = _GEO.get(rest.partition(".")[0])
            if role is not None and role in layout.roles:
                kind = "number" if role in ("latitude", "longitude") else "text"
                found[(kind, role)] = ("geo", role)
        elif head in ("page", "referring"):
            role = "url" if head == "page" else "referring_url"
            if role in layout.roles or (head == "page" and location in layout.addresses):
                place = location if head == "page" and location in layout.addresses else None
                part = rest.removesuffix(_TWIN)
                found[("url" if part not in _CUT_PARTS else "page", place, role)] = (head, "")
        else:
            for parameter in parameters_read(rest, layout.parameters):
                found[("parameter", parameter.column, parameter.field)] = ("parameter", parameter.name)
    _drop_cut_pages(found)
    found = _in_order_of_columns(found, layout)
    bounds = _bounds(tree)
    if bounds is not None and len(found) == 1:
        ((source, slot),) = found.items()
        if source[0] in ("time", "number") or (source[0] == "parameter" and _is_numeric(source, layout)):
            return LeafPlan((("interval", source, bounds),), (slot,), False)
    return LeafPlan(tuple(found), tuple(found.values()))


def base_name(name: str) -> str:
    """Return the first part of a parameter's name without the endings of twins."""
    first = name.partition(".")[0]
    while first.endswith(_TWIN):
        first = first.removesuffix(_TWIN)
    return first


def parameters_read(path: str, parameters: tuple[Parameter, ...]) -> list[Parameter]:
    """Return the parameters on which the fact at a path depends.

    These are the ones with the same first part of the name, and those whose twin it can be.
    """
    base = base_name(path)
    return [one for one in parameters if base_name(one.name) == base]


def _drop_cut_pages(found: dict[Source, tuple[str, str]]) -> None:
    """Read one column of URLs once, whole if one of the paths needs the query."""
    for source in list(found):
        if source[0] == "page" and ("url", *source[1:]) in found:
            del found[source]


def _in_order_of_columns(
    found: dict[Source, tuple[str, str]], layout: TableLayout
) -> dict[Source, tuple[str, str]]:
    """Sort parameters as a request has them: as the table has their columns."""
    order: dict[Source, int] = {
        ("parameter", one.column, one.field): place for place, one in enumerate(layout.parameters)
    }
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], -1)))


def _is_numeric(source: Source, layout: TableLayout) -> bool:
    _, column, field = source
    kind = layout.schema.field(column).type
    if field is not None:
        kind = kind.field(field).type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _bounds(tree: Any) -> tuple[float, ...] | None:
    """Return the numbers that a comparison compares one fact with, None for another condition."""
    if not isinstance(tree, dict) or len(tree) != 1:
        return None
    ((operator, operands),) = tree.items()
    if operator not in _ORDERS or not isinstance(operands, list) or not 2 <= len(operands) <= 3:
        return None
    numbers = [one for one in operands if type(one) in (int, float) and abs(one) < LARGEST]
    facts = [one for one in operands if _is_plain_path(one)]
    if len(facts) != 1 or len(numbers) + 1 != len(operands):
        return None
    return tuple(sorted({float(number) for number in numbers}))


def _is_plain_path(tree: Any) -> bool:
    if not isinstance(tree, dict) or tree.keys() != {"var"}:
        return False
    operands = tree["var"]
    return isinstance(operands, str) or (
        isinstance(operands, list) and len(operands) == 1 and isinstance(operands[0], str)
    )
