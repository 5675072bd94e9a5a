"""Every model, field, word and limit of the Delivery API's OpenAPI document is ours too.

The document is read from `openapi/` in the folder `shared` next to the checkout; without it these
tests skip.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import targetry.models as models
from support.cases import each_case
from targetry.models import ConstraintError, DeliveryRequest, DeliveryResponse, Model, snapshot
from targetry.models.snapshot import LEFT_TO_PREPARE, WIRE_ONLY

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2].parent / "shared" / "openapi"
if not FOLDER.is_dir():
    pytest.skip("the OpenAPI document is not next to the checkout", allow_module_level=True)

OTHER_NAMES = {"Property": "ModelProperty"}
MAPPINGS = {"Parameters", "ResponseTokens", "TraceResponse"}  # objects without fields of their own
UNDERSTOOD = {
    *(
        "type",
        "description",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "format",
        "default",
    ),
    *(
        "maxLength",
        "minLength",
        "maximum",
        "minimum",
        "maxItems",
        "maxProperties",
        "pattern",
        "allOf",
        "oneOf",
        "$ref",
    ),
    *("discriminator", "x-enum-as-string"),  # of the generators
}


def _documents() -> dict[Path, Any]:
    paths = sorted(FOLDER.glob("*/components/*.yaml"))
    return {path.resolve(): yaml.load(path.read_text(), yaml.CSafeLoader) for path in paths}


DOCUMENTS = _documents()


class Schema(NamedTuple):
    """Return a schema with references and `allOf` resolved; `name` is its component, if any."""

    name: str | None
    body: dict[str, Any]
    file: Path


def resolve(body: dict[str, Any], file: Path, name: str | None = None) -> Schema:
    if "$ref" in body:
        return referenced(body["$ref"], file)
    if "allOf" not in body:
        return Schema(name, body, file)
    merged: dict[str, Any] = {key: value for key, value in body.items() if key != "allOf"}
    merged["properties"] = {}
    for part in body["allOf"]:
        whole = resolve(part, file)
        for key, value in whole.body.get("properties", {}).items():
            merged["properties"][key] = absolute(value, whole.file)
    return Schema(name, merged, file)


@functools.cache
def referenced(reference: str, file: Path) -> Schema:
    target, _, pointer = reference.partition("#/")
    file = (file.parent / target).resolve() if target else file
    body = DOCUMENTS[file]
    for step in pointer.split("/"):
        body = body[step]
    return resolve(body, file, pointer.rsplit("/", 1)[-1])


def absolute(value: Any, file: Path) -> Any:
    """`value` with references that mean the same from everywhere."""
    if isinstance(value, dict):
        return {
            key: _absolute_reference(inner, file) if key == "$ref" else absolute(inner, file)
            for key, inner in value.items()
        }
    return [absolute(inner, file) for inner in value] if isinstance(value, list) else value


def _absolute_reference(reference: str, file: Path) -> str:
    target, _, pointer = reference.partition("#/")
    return f"{(file.parent / target).resolve() if target else file}#/{pointer}"


def _components() -> dict[str, Schema]:
    found = {}
    for file, document in DOCUMENTS.items():
        inner = document.get("components", {}).get("schemas", {})
        named = {key: value for key, value in document.items() if key not in ("openapi", "components")}
        for name, body in {**named, **inner}.items():
            found[name] = resolve(body, file, name)
    return found


COMPONENTS = _components()
ENUMS = {name: schema for name, schema in COMPONENTS.items() if "enum" in schema.body}
OBJECTS = {name: schema for name, schema in COMPONENTS.items() if name not in ENUMS and name not in MAPPINGS}


def model_of(name: str) -> type[Model]:
    return getattr(models, OTHER_NAMES.get(name, name))


def properties_of(schema: Schema) -> dict[str, Schema]:
    given = schema.body.get("properties", {})
    return {key: resolve(value, schema.file) for key, value in given.items() if key != "$_type"}


def test_document_is_whole():
    assert len(COMPONENTS) > 50
    assert {"DeliveryRequest", "DeliveryResponse", "Action", "Geo"} <= set(OBJECTS)


def _keywords(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keywords, value))
    if not isinstance(value, dict):
        return set()
    named = value.get("properties", {})
    inner = [item for key, item in value.items() if key not in ("properties", "discriminator", "default")]
    return set(value).union(*map(_keywords, [*inner, *named.values()]))


@each_case("name", COMPONENTS)
def test_document_has_no_keyword_that_these_tests_do_not_know(name):
    assert _keywords(COMPONENTS[name].body) <= UNDERSTOOD


@each_case("name", ENUMS)
def test_each_text_is_known(name):
    assert {member.value for member in getattr(models, name)} == set(ENUMS[name].body["enum"])


@each_case("name", OBJECTS)
def test_every_key_is_ours_and_we_have_no_other(name):
    assert set(model_of(name).attribute_map.values()) == set(properties_of(OBJECTS[name]))


TYPE_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def type_text(schema: Schema) -> str:
    """Return the type text of the official generator."""
    body = schema.body
    if schema.name in MAPPINGS or "additionalProperties" in body:
        return f"dict(str, {type_text(resolve(body['additionalProperties'], schema.file))})"
    if schema.name is not None:
        return OTHER_NAMES.get(schema.name, schema.name)
    if "oneOf" in body:
        return "OneOf" + "".join(choice["type"] for choice in body["oneOf"])
    if body["type"] == "array":
        return f"list[{type_text(resolve(body['items'], schema.file))}]"
    if body.get("format") == "date-time":
        return "datetime"
    return TYPE_NAMES.get(body["type"], "object")


@each_case("name", OBJECTS)
def test_every_field_has_the_type_of_the_document(name):
    model = model_of(name)
    expected = {key: type_text(schema) for key, schema in properties_of(OBJECTS[name]).items()}
    assert {model.attribute_map[field]: text for field, text in model.openapi_types.items()} == expected


# --- limits, each tried with a request that keeps all others ---


class Case(NamedTuple):
    """Value at a place: `keys` by wire names, `path` by attributes, `field` is `Component.key`."""

    keys: tuple[str | int, ...]
    path: str
    field: str
    limit: str
    value: Any  # MISSING: the key is left out
    good: bool


MISSING = object()


def example(schema: Schema) -> Any:
    """Return the smallest value within all limits."""
    body = schema.body
    if "enum" in body:
        return body["enum"][0]
    if "pattern" in body:
        return "1.2.3.4"
    match body.get("type", "object"):
        case "string":
            return (
                "2024-01-01T00:00:00Z"
                if body.get("format") == "date-time"
                else "x" * body.get("minLength", 1)
            )
        case "integer" | "number":
            return body.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return []
    required = [key for key in body.get("required", ()) if key in properties_of(schema)]
    return {key: example(properties_of(schema)[key]) for key in required}


def wrong_types(schema: Schema) -> list[Any]:
    match schema.body.get("type", "object"):
        case "string":
            return [[], {}] if schema.name == "parameter" else [True, []]
        case "integer":
            return ["x", [], 1.5, True]
        case "number":
            return ["x", [], float("nan"), float("inf"), True]
        case "boolean":
            return ["x", 0]
        case "array":
            return ["x", {}]
    return ["x", []]


def scalar_limits(schema: Schema):
    """Pairs of a limit's name with a value and whether it is good."""
    body = schema.body
    for value in wrong_types(schema):
        yield "type", value, False
    if "maxLength" in body:
        yield "maxLength", "x" * (body["maxLength"] + 1), False
        yield "maxLength", "x" * body["maxLength"], True
        yield "maxLength", "\U0001f600" * body["maxLength"], True
    if "minLength" in body:
        yield "minLength", "x" * (body["minLength"] - 1), False
        yield "minLength", "x" * body["minLength"], True
    if "minimum" in body:
        yield "minimum", body["minimum"] - 1, False
        yield "minimum", body["minimum"], True
    if "maximum" in body:
        yield "maximum", body["maximum"] + 1, False
        yield "maximum", body["maximum"], True
    if "enum" in body:
        yield "enum", "no such word", False
        yield from (("enum", word, True) for word in body["enum"])
    yield from format_limits(body)


def format_limits(body: dict[str, Any]):
    match body.get("format"):
        case "int32":
            yield "format", 2**31, False
            yield "format", 2**31 - 1, True
        case "int64":
            yield "format", 2**63, False
            yield "format", 2**63 - 1, True
        case "date-time":
            yield "format", "yesterday", False
            yield "format", "2024-02-29T23:59:59.999+02:00", True
    if "pattern" in body:
        yield from (("pattern", text, False) for text in ("", "999.1.1.1", "1.2.3", "a.example", "1::2::3"))
        yield from (
            ("pattern", text, True) for text in ("1.2.3.4", " ::1 ", "fe80::1%eth0", "::ffff:1.2.3.4")
        )


def cases(schema: Schema, keys: tuple[str | int, ...], path: str, field: str):
    body = schema.body
    yield from (Case(keys, path, field, limit, value, good) for limit, value, good in scalar_limits(schema))
    if body.get("type") == "array":
        yield from array_cases(schema, keys, path, field)
    if isinstance(body.get("additionalProperties"), dict):
        yield from mapping_cases(schema, keys, path, field)
    for key, inner in properties_of(schema).items() if schema.name in OBJECTS else ():
        name = next(name for name, json in model_of(schema.name).attribute_map.items() if json == key)
        inside = (*keys, key)
        yield from cases(inner, inside, f"{path}.{name}", f"{schema.name}.{key}")
        if key in body.get("required", ()):
            yield Case(inside, f"{path}.{name}", f"{schema.name}.{key}", "required", MISSING, False)


def array_cases(schema: Schema, keys: tuple[str | int, ...], path: str, field: str):
    items = resolve(schema.body["items"], schema.file)
    yield Case(keys, f"{path}[0]", field, "items", [None], False)
    yield from cases(items, (*keys, 0), f"{path}[0]", field)
    if "maxItems" in schema.body:
        most = schema.body["maxItems"]
        yield Case(keys, path, field, "maxItems", [example(items)] * (most + 1), False)
        yield Case(keys, path, field, "maxItems", [example(items)] * most, True)


def mapping_cases(schema: Schema, keys: tuple[str | int, ...], path: str, field: str):
    values = resolve(schema.body["additionalProperties"], schema.file)
    kind = "parameter" if schema.name == "Parameters" else None  # which may hold any scalar
    yield from cases(values._replace(name=kind), (*keys, "foo"), f"{path}['foo']", field)
    if "maxProperties" in schema.body:
        most = schema.body["maxProperties"]
        yield Case(keys, path, field, "maxProperties", {str(index): "" for index in range(most + 1)}, False)
        yield Case(keys, path, field, "maxProperties", {str(index): "" for index in range(most)}, True)


def request_with(case: Case) -> dict[str, Any]:
    """Return a request with the value at its place, and with the fields required there."""
    if not case.keys:
        return case.value
    schema = COMPONENTS["DeliveryRequest"]
    whole = here = example(schema)
    for position, key in enumerate(case.keys):
        last = position == len(case.keys) - 1
        schema = step(schema, key)
        put(here, key, case.value if last else example(schema))
        here = None if last else here[key]
    return whole


def step(schema: Schema, key: str | int) -> Schema:
    if isinstance(key, int):
        return resolve(schema.body["items"], schema.file)
    if key in properties_of(schema):
        return properties_of(schema)[key]
    return resolve(schema.body["additionalProperties"], schema.file)


def put(place: Any, key: str | int, value: Any) -> None:
    if value is MISSING:
        place.pop(key, None)
    elif isinstance(key, int):
        place.append(copy.deepcopy(value))
    else:
        place[key] = copy.deepcopy(value)


LIMITS = list(cases(COMPONENTS["DeliveryRequest"], (), "request", "DeliveryRequest"))


def passes_prepare(case: Case) -> bool:
    """Return whether the limit is one that is not enforced when a request enters."""
    if case.limit == "type" and case.value == 1.5:  # rounded
        return case.field.endswith(".timestamp")
    enforced = {"Geo.ipAddress": (), "Notification.type": ("type",)}.get(
        case.field, ("type", "maxLength", "format")
    )
    return case.field in LEFT_TO_PREPARE and case.limit not in enforced


def on_device_only_passes(case: Case) -> bool:
    wanted = ("required",) if case.field == "Trace.authorizationToken" else ("minLength", "maxLength")
    return case.field in WIRE_ONLY and case.limit in wanted


def name_of(case: Case) -> str:
    return f"{'.'.join(map(str, case.keys))}-{case.limit}-{'good' if case.good else 'bad'}"


def accepted(request: dict[str, Any], wire: bool) -> bool:
    try:
        snapshot(request, wire=wire)
    except ConstraintError:
        return False
    return True


def test_there_are_limits_of_every_kind():
    kinds = {"type", "maxLength", "minLength", "minimum", "maximum", "enum", "format", "pattern", "required"}
    assert {case.limit for case in LIMITS} == kinds | {"items", "maxItems", "maxProperties"}
    assert len(LIMITS) > 900


def test_exceptions_are_fields_of_the_document():
    fields = {case.field for case in LIMITS}
    # `mbox` is required by mistake: the document has no such property.
    assert set(LEFT_TO_PREPARE) | set(WIRE_ONLY) <= fields | {"MboxRequest.mbox"}
    assert "mbox" in COMPONENTS["MboxRequest"].body["required"]


@pytest.mark.parametrize("wire", [False, True], ids=["on device", "on the wire"])
def test_value_at_a_limit_is_accepted(wire):
    refused = [name_of(case) for case in LIMITS if case.good and not accepted(request_with(case), wire)]
    assert refused == []


@pytest.mark.parametrize("wire", [False, True], ids=["on device", "on the wire"])
def test_value_above_a_limit_raises_with_its_path(wire):
    wrong = []
    for case in LIMITS:
        if case.good or passes_prepare(case) or (not wire and on_device_only_passes(case)):
            continue
        try:
            snapshot(request_with(case), wire=wire)
        except ConstraintError as error:
            if error.path != case.path:
                wrong.append((name_of(case), str(error)))
        else:
            wrong.append((name_of(case), "accepted"))
    assert wrong == []


def test_exceptions_are_accepted():
    left = [case for case in LIMITS if not case.good and passes_prepare(case)]
    on_device = [case for case in LIMITS if not case.good and on_device_only_passes(case)]
    refused = [name_of(case) for case in left if not accepted(request_with(case), True)]
    refused += [name_of(case) for case in on_device if not accepted(request_with(case), False)]
    assert (refused, bool(left), bool(on_device)) == ([], True, True)


# --- answers ---


def answer_with(case: Case) -> dict[str, Any]:
    whole = here = {}
    for position, key in enumerate(case.keys):
        last = position == len(case.keys) - 1
        put(here, key, case.value if last else [] if isinstance(case.keys[position + 1], int) else {})
        here = None if last else here[key]
    return whole


def test_no_limit_is_enforced_on_an_answer():
    limits = list(cases(COMPONENTS["DeliveryResponse"], (), "response", "DeliveryResponse"))
    past = [case for case in limits if not case.good and case.limit not in ("type", "items")]
    assert {case.limit for case in past} >= {"maxLength", "enum", "required", "maxItems"}
    for case in past:
        assert isinstance(DeliveryResponse.from_dict(answer_with(case)), DeliveryResponse)


def test_documented_response_is_read():
    text = (FOLDER / "delivery" / "examples" / "responseForPrefetchViewsForMobileChannel.json").read_text()
    prefetch = DeliveryResponse.from_json(text).prefetch
    assert [view.name for view in prefetch.views] == ["webView1", "webView2"]
    assert prefetch.views[0].options[1].content[0]["selector"] == "#sidebar"
    assert prefetch.metrics[0].event_token == "cugVCufT8raDG+O9QFSX3w=="


def test_documents_example_of_notifications_is_accepted():
    text = (FOLDER / "delivery" / "examples" / "notificationsForDisplayedContent.json").read_text()
    request = snapshot(DeliveryRequest.from_json(text), wire=True)
    assert request.notifications[0].timestamp == 1552561951770
