"""Generator of the reference pages that follow from the code; run `python docs/generate.py`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import typer
from msgspec import inspect as kinds
from typer.core import TyperGroup

import targetry.errors
import targetry.models
from targetry._client.call_options import CALL_OPTIONS
from targetry._client.options import CLIENT_DEFAULTS, CLIENT_OPTIONS, REQUIRED, OptionInfo
from targetry.activities.expressions import forms, parse_expression
from targetry.activities.expressions.parser import MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NODES
from targetry.activities.expressions.scanner import MAX_LENGTH
from targetry.activities.lint.catalog import RULES
from targetry.activities.model.schema import file_schema
from targetry.cli.app import app
from targetry.edge.http.limits import Limits, limit_messages
from targetry.edge.observability.metric_info import METRICS, PREFIX, ROUTES
from targetry.edge.options import option_forms
from targetry.events import PAYLOADS
from targetry.models import Model

HERE = Path(__file__).parent

_SWITCHES = {False: "off", True: "on"}

_OPTIONS_HEAD = """# Options of a client

`TargetClient.create` and `AsyncTargetClient.create` take options as one dict, as keyword arguments, or both. Durations are
milliseconds. A wrong value raises `OptionError` with the option as `path`; an unknown key of the dict is a
`TargetryWarning` that names the nearest option, an unknown keyword a `TypeError`. `help(TargetClient.create)` has the same list.

For type checkers the dict is a `TypedDict`, `targetry.ClientOptions`, so mypy and pyright reject a misspelt option and a value of
the wrong type. Options of unknown type (`dict[str, Any]`) can be passed as `TargetClient.create(**options)`.

| Option | Accepts | Default | Meaning |
| --- | --- | --- | --- |
"""

_CALL_OPTIONS_HEAD = """
## Options of a call

`get_offers`, `get_attributes` and `send_notifications` take them in the same way, for type checkers as `targetry.OfferOptions`,
or with a callback as `targetry.CallbackOptions`. Without a callback a call returns its result; with one it returns, at once,
an `AsyncResult` of the result. `AsyncTargetClient` has no callbacks: its calls are awaited.

A request can be a `DeliveryRequest` or a dict with the names of the wire or those of Python, at any depth (`tntId` or `tnt_id`).
A name that is neither, and a field given under both names, raise `OptionError` with the path and the nearest name. The keys of
`parameters` and `profile_parameters` are free.

| Option | Accepts | Meaning |
| --- | --- | --- |
"""

_OPTIONS_TAIL = """
## Which artifact is used

[on-device.md](on-device.md) is about on-device clients in production. `create` waits at most `maximum_wait_ready` for the first artifact. Polling continues after that, and the event
`client_ready` is emitted when the first artifact has arrived. `client.refresh_artifact()` requests the artifact at once
and returns a `RefreshResult`: `updated`, `unchanged`, `failed` with a reason, or `pending` if its `timeout` (seconds)
ended first.

Caches between the client and the server can serve an artifact that was replaced. An artifact whose `meta.generatedAt` is
older than that of the one in use is therefore rejected, and counted in `stats().artifact.failures["older"]`, unless

- the one in use is dated more than five minutes in the future, which is a mistake or a wrong clock,
- the server's `Last-Modified` says that the older one was published later,
- the server has sent nothing newer three times in a row, as after a rollback, or
- it was requested by `client.refresh_artifact(force=True)`, which also bypasses caches.

An artifact above a limit is rejected before it costs memory or time, with an `ArtifactError` that names the limit, and the
rules in use stay. The limits are `artifact_max_bytes`, 4,000,000 JSON values, 100,000 rules, 100,000 locations, 100,000
values in its meta or in one of its lists of names, 100,000 property tokens of its rules, and 100,000 nodes in conditions
that differ in more than their literals. A rule of more than 100,000 values, with a condition of more than 20,000 nodes, or
with more than 1,000 property tokens is set aside, as any rule that cannot be used, and the other rules stay in use.
"""

_EDGE_OPTIONS_HEAD = """# Options of the edge

`targetry edge [OPTIONS] [ARTIFACT]...`. Each option can also come from the environment.
`--log json` (`TARGETRY_EDGE_LOG`) writes log lines as JSON. An option without effect, such as
`--keep-days` without a ledger, is an error.

| Option | Environment | Default | Meaning |
| --- | --- | --- | --- |
"""

_COMMANDS_HEAD = """# Command line

`targetry` is in the extra `[cli]`. `targetry edge` and the part of `targetry demo` over HTTP need `[edge]`, `targetry report`, `power`, `aa` and `selftest` need `[report]`,
`targetry activities` needs `[activities]`, and `targetry decide`, `diff`, `forecast` and `shadow` need `[batch]`.
Results go to standard output, notes and errors to standard error. The exit status is 0 for success, 1 for an error, and 2 for wrong arguments, unless a command says otherwise. Each command has `--help`. No command needs an Adobe account.
"""

_EDGE_COMMAND_TAIL = """
[edge-options.md](edge-options.md) lists its options and their environment variables.
"""

_METRICS_HEAD = """# Metrics of the edge

`GET /metrics` of `targetry edge` has the metrics in the text format of Prometheus. With several workers, each of them returns the sums of all. A
counter starts at 0 when the edge starts. No label holds data of a visitor.

```yaml
scrape_configs:
  - job_name: targetry-edge
    static_configs:
      - targets: ["127.0.0.1:8080"]
```

| Metric | Type | Meaning | Labels |
| --- | --- | --- | --- |
"""

_METRICS_ROUTES = """
## Routes

{routes}. A path that does not exist is `other`. [edge.md](edge.md#routes) has the paths.
"""

_METRICS_LIMITS = """
## Limits

The values of the label `limit`, each with the line that the log has for it, for the default limits:

| Limit | Meaning |
| --- | --- |
"""

_METRICS_USE = """
## Alerts

| Expression | Meaning |
| --- | --- |
| `increase(targetry_edge_events_total{outcome="lost"}[5m]) > 0` | events could not be recorded |
| `targetry_edge_artifact_refused > 0` | a changed artifact cannot be used, and the last good one stays |
| `increase(targetry_edge_starts_total[10m]) > 4` | workers end and are started again |
| `rate(targetry_edge_requests_total{route="delivery",status=~"5.."}[5m]) > 0` | requests fail |
| `increase(targetry_edge_limits_total{limit="busy"}[5m]) > 0` | there are more clients than connections |

`GET /healthz` returns 200 while a process answers, `GET /readyz` while there is an artifact. A client has counts of its own, `client.stats()`, and
exports them [by OpenTelemetry](opentelemetry.md).
"""

_ERRORS_HEAD = """# Errors

All exceptions derive from `TargetError`, and `TargetError` derives from `Exception`, so code that catches `Exception`
continues to work.

```text
"""

_EVENTS_HEAD = """# Events

`create` takes handlers as `events={name: handler}`, and `client.subscribe(name, handler)` adds one later. A handler is called with one
argument, the event, or with none if it accepts none. It can be a coroutine function, which runs as a task of the running event loop, and
in a loop of its own where none runs.

An event is a dict with the key `type`, its name, and the keys below; each key is an attribute too (`event.error`). No lock is held while a
handler runs, so it can call the client. It runs in the thread that emits the event, and that thread waits for it. A handler that raises
is logged and counted in `client.stats().handler_failures`; other handlers, rules and calls are not affected. URLs in events have
no user, password, query and fragment.

| Event | Thread |
| --- | --- |
| `client_ready` | a background thread, after `create` has returned |
| `artifact_*` | the thread of `create`, later that of the polling |
| `geo_location_updated`, `geo_lookup_failed` | the thread of the call; for an artifact as above |
| `send_notification_error`, `notification_*` | a thread that sends notifications |

"""

_MODELS_HEAD = """# Models of the Delivery API

The models are exported by `targetry` and, under the names and paths of the official package, by `delivery_api_client`.
[delivery.md](delivery.md) describes what becomes of a request, [decisioning.md](decisioning.md) what a response of the
device holds.

## Behavior of all models

- A model is a `msgspec.Struct` with the attributes of its table as keyword or positional parameters. Each defaults to
  None; an unknown keyword is a `TypeError`.
- Building and changing a model checks nothing. A request is checked when a client receives it: a wrong type, a broken
  limit or a missing required field raises `OptionError` with the path of the field, such as
  `request.execute.mboxes[1].name`.
- On the wire, attributes have their JSON keys, and attributes that are None are left out at every level. False values
  (`false`, `0`, `""`, `{}`, `[]`) are sent. A `datetime` is sent in ISO 8601.
- Responses are decoded leniently: unknown keys are ignored and words outside of the enums are kept.
- `to_dict()` has the Python names and includes None, `to_json()` is the wire form, `from_dict()` and `from_json()` read it.
- A request given as a dict can use the names of the wire or those of Python.
- Where the table says *id*, a text, an integer or a `UUID` is accepted and becomes a text. *timestamp* accepts a real
  number of epoch milliseconds, which is rounded, or a `datetime`. *address* accepts an IP address as text, as an
  `ipaddress` object, with a port, or as a list such as `X-Forwarded-For`, of which the first entry counts. Other numbers
  can be any real number type (`Decimal`, numpy's scalars), and members of an enum stand for their value. A date or a `datetime` among
  the parameters is its text in ISO 8601.
- Parameters are at most 50 for each location; names have 1 to 128 characters, values up to 5,000. Values can be texts,
  numbers, booleans or None.
- A mapping that is not a dict is read by its own `items()`, so the query objects of Flask and Django are accepted.
- A model can be subclassed with further fields, which are not sent; a subclass with an `__init__` is a `TypeError`.

## Required fields of a request

These are checked although their attributes default to None: `CustomerId.id`, `CustomerId.integration_code`,
`CustomerId.authenticated_state`, `ModelProperty.token`, `Trace.authorization_token` for a request to the server,
`MobilePlatform.device_type` and `MobilePlatform.platform_type`. Mboxes without a name and notifications without id, type or
timestamp are left out, logged and counted ([delivery.md](delivery.md#invalid-input)).

"""


def options_page() -> str:
    """Return the options of clients and calls, from the metadata that checks them."""
    rows = [
        f"| `{name}` | {_accepts(option)} | {_default(CLIENT_DEFAULTS[name])} | {option.meaning} |"
        for name, option in CLIENT_OPTIONS.items()
    ]
    call_rows = [
        f"| `{name}` | {_accepts(option)} | {option.meaning} |" for name, option in CALL_OPTIONS.items()
    ]
    tables = (_OPTIONS_HEAD, "\n".join(rows), "\n", _CALL_OPTIONS_HEAD, "\n".join(call_rows), "\n")
    return "".join(tables) + _OPTIONS_TAIL


def edge_options_page() -> str:
    """Return the flags, environment variables and defaults of `EdgeOptions`."""
    rows = []
    for form in option_forms():
        setting = form.setting
        choices = "/".join(get_args(form.type)) if get_origin(form.type) is Literal else None
        metavar = f" {setting.metavar or choices}" if setting.metavar or choices else ""
        name = setting.metavar if form.flag is None else form.flag + metavar
        plain = _SWITCHES[form.default] if isinstance(form.default, bool) else f"`{form.default}`"
        default = setting.default or plain
        rows.append(f"| `{name}` | `{form.variable}` | {default} | {setting.help} |")
    return _EDGE_OPTIONS_HEAD + "\n".join(rows) + "\n"


def commands_page() -> str:
    """Return the commands with their arguments and options, from typer."""
    sections = []
    for path, command in _commands(typer.main.get_command(app), ("targetry",)):
        plain = re.sub(r"\[/?\w*\]", "", command.help or "")
        summary, *shown = re.split(r"\x08\nExamples?\n", plain, maxsplit=1)
        section = [f"\n## {' '.join(path)}\n\n{' '.join(summary.split())}\n"]
        for examples in shown:
            lines = "\n".join(line.strip() for line in examples.strip().splitlines())
            section.append(f"\n```sh\n{lines}\n```\n")
        if path == ("targetry", "edge"):
            section.append(_EDGE_COMMAND_TAIL)
        else:
            rows = [_parameter_row(command, one) for one in command.params if one.name != "help"]
            head = "\n| Option | Default | Meaning |\n| --- | --- | --- |\n"
            section += [head, *rows] if rows else []
        sections.append("".join(section))
    return _COMMANDS_HEAD + "".join(sections)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command below a group with its path."""
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from _commands(child, (*path, name))


def _parameter_row(command: Any, parameter: Any) -> str:
    context = command.make_context(command.name, [], resilient_parsing=True)
    shown, _ = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        shown = f"[{parameter.metavar or parameter.name.upper()}]"
    shown = shown.replace(" <bool>", "").replace("|", "/")
    value = parameter.default
    if value in (None, False) or not parameter.show_default:
        default = "required" if parameter.required else ""
    else:
        default = f"`{getattr(value, 'value', value)}`"
    return f"| `{shown}` | {default} | {_sentence(parameter.help)} |\n"


def _sentence(text: str) -> str:
    return text.replace("|", "\\|")


def metrics_page() -> str:
    """Return the metrics of an edge with their labels, and the limits that one of them counts."""
    rows = []
    for name, metric in METRICS.items():
        suffix = "_total" if metric.kind == "counter" else ""
        labels = "; ".join(f"`{label}`: {values}" for label, values in metric.labels.items())
        rows.append(f"| `{PREFIX}{name}{suffix}` | {metric.kind} | {metric.text} | {labels} |\n")
    limits = [f"| `{limit}` | {_sentence(text)} |\n" for limit, text in limit_messages(Limits()).items()]
    routes = _METRICS_ROUTES.format(routes=", ".join(f"`{route}`" for route in ROUTES))
    return "".join((_METRICS_HEAD, *rows, routes, _METRICS_LIMITS, *limits, _METRICS_USE))


def errors_page() -> str:
    """Return the tree of the module's docstring, then the docstring of each class."""
    paragraphs = (targetry.errors.__doc__ or "").split("\n\n")
    tree = "\n".join(
        line.removeprefix("    ") for part in paragraphs[1:3] for line in [*part.splitlines(), ""]
    )
    classes = [value for value in vars(targetry.errors).values() if isinstance(value, type)]
    described = [
        f"## {one.__name__}\n\n{_plain(one.__doc__)}"
        for one in classes
        if one.__module__ == "targetry.errors"
    ]
    return _ERRORS_HEAD + tree.rstrip() + "\n```\n\n" + "\n\n".join(described) + "\n"


def _accepts(option: OptionInfo) -> str:
    return option.accepts.replace("|", "/")


def events_page() -> str:
    """Return the docstring of each event's payload, its keys as a table."""
    return _EVENTS_HEAD + "\n".join(_event(name, payload) for name, payload in PAYLOADS.items())


def _event(name: str, payload: type) -> str:
    text, _, attributes = inspect.cleandoc(payload.__doc__ or "").partition("\n\nAttributes:\n")
    section = f"## {name}\n\n{text}\n"
    if not attributes:
        return section
    rows = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    table = "".join(f"| `{key}` | {' '.join(meaning.split())} |\n" for key, meaning in rows)
    return f"{section}\n| Key | Value |\n| --- | --- |\n{table}"


def models_page() -> str:
    """Return a table of the attributes of each model, and one of the enums."""
    exported = [getattr(targetry.models, name) for name in targetry.models.__all__]
    enums = [one for one in exported if isinstance(one, type) and issubclass(one, StrEnum)]
    models = [
        one for one in exported if isinstance(one, type) and issubclass(one, Model) and one is not Model
    ]
    words = "\n".join(f"| `{one.__name__}` | {', '.join(f'`{word}`' for word in one)} |" for one in enums)
    tables = "\n".join(_table(model) for model in models)
    return f"{_MODELS_HEAD}## Enums\n\nMembers are strings in every respect.\n\n| Enum | Values |\n| --- | --- |\n{words}\n\n{tables}"


def _table(model: type[Model]) -> str:
    rows = []
    for field in msgspec.structs.fields(model):
        limits = _limits(kinds.type_info(field.type))
        kind = re.sub("^OneOf.*", "any JSON", model.openapi_types[field.name])
        rows.append(f"| `{field.name}` | `{field.encode_name}` | {kind} | {limits} |\n")
    head = "| Attribute | JSON key | Type | Limits |\n| --- | --- | --- | --- |\n"
    return f"## {model.__name__}\n\n{head}{''.join(rows)}"


def _limits(kind: kinds.Type) -> str:
    """Return the limits of a field in words, an empty text for none."""
    found: list[str] = []
    while isinstance(kind, kinds.UnionType | kinds.Metadata):
        if isinstance(kind, kinds.Metadata):
            if kind.extra is not None and "reads" in kind.extra:
                found.append({"ip_address": "address"}.get(kind.extra["reads"], kind.extra["reads"]))
            kind = kind.type
        else:
            kind = kind.types[0]
    low, high = getattr(kind, "min_length", None), getattr(kind, "max_length", None)
    if high is not None:
        unit = "entries" if isinstance(kind, kinds.DictType | kinds.ListType) else "characters"
        found.append(
            f"{low} to {high} {unit}" if low and low != high else f"{'' if low else 'up to '}{high} {unit}"
        )
    if isinstance(kind, kinds.IntType) and kind.ge is not None:
        bits = {-(2**31): "32 bits", -(2**63): "64 bits"}.get(kind.ge)
        found.append(bits or f"at least {kind.ge}")
    if isinstance(kind, kinds.FloatType):
        found.append("at least 0" if kind.ge == 0 else "finite" if kind.ge is not None else "")
    return ", ".join(filter(None, found))


def _default(value: object) -> str:
    if value is REQUIRED:
        return "required"
    return "-" if value is None else f"`{value}`"


def _plain(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").strip().splitlines())


_ACTIVITIES_HEAD = """# Format of activities

The keys of the files that `targetry activities` reads. `activities/targetry.yaml` is a [workspace](#workspacesettings). Each other `*.yaml` file below
the folder, but those in `tests/`, is an [activity](#activitydefinition), or has a list of them under `activities`. [Activities as code](activities.md) describes
their use, [Audience expressions](activities-expressions.md) the texts of audiences, [Checks of activities](activities-checks.md) the mistakes that are found.

Files are UTF-8 and YAML with the scalars of YAML 1.2: `no`, `on` and `12:30` are texts. Duplicate keys, tags and merge keys are errors; anchors and aliases
are allowed. Paths are relative to the folder and cannot leave it. `targetry activities schema` prints a JSON Schema for editors; `init` and `decompile` write it next to the files.

An experience has a `share`, in percent with at most two decimals. An offer names exactly one place (`mbox`, `page_load` or `view`) and at most one content
(`html`, `json`, `redirect`, `dynamic` or `actions`). Ids and event tokens that are not given are derived from client and keys, and stay the same for the same keys.

"""


def activities_page() -> str:
    """Return a table of the keys of each part of the files of activities."""
    parts = file_schema()["$defs"]
    first = ["WorkspaceSettings", "ActivityDefinition", "ExperienceDefinition", "OfferDefinition"]
    order = [*first, *(name for name in parts if name not in first)]
    return _ACTIVITIES_HEAD + "\n".join(_schema_table(name, parts[name]) for name in order)


def _schema_table(name: str, part: dict[str, Any]) -> str:
    required = part.get("required", [])
    rows = []
    for key, field in part["properties"].items():
        default = "required" if key in required else _schema_default(field.get("default"))
        rows.append(f"| `{key}` | {_schema_type(field)} | {default} | {_sentence(field['description'])} |\n")
    head = "| Key | Value | Default | Meaning |\n| --- | --- | --- | --- |\n"
    return f"## {name}\n\n{_plain(part['description'])}\n\n{head}{''.join(rows)}"


def _schema_default(value: Any) -> str:
    return "" if value in (None, [], {}) else f"`{json.dumps(value).strip(chr(34))}`"


def _schema_type(field: dict[str, Any]) -> str:
    """Return the type of a value in words, with links to other parts."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_schema_type(one) for one in field["anyOf"] if one.get("type") != "null")
    if "enum" in field or "const" in field:
        return ", ".join(
            f"`{json.dumps(one).strip(chr(34))}`" for one in field.get("enum", [field.get("const")])
        )
    if field.get("type") == "array":
        items = field.get("items") or {}
        inner = _schema_type(items) if items else "values"
        return f"list of {inner}" if "prefixItems" not in field else "[low, high]"
    if field.get("type") == "object":
        inner = field.get("additionalProperties")
        return f"map of {_schema_type(inner)}" if isinstance(inner, dict) and inner else "map"
    words = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
    return words.get(field.get("type", ""), "any JSON")


_EXPRESSIONS_HEAD = f"""# Audience expressions

An audience is an expression that looks like Python and becomes JSON Logic, the form of conditions in an artifact. It is parsed, never
evaluated. Each operation has one form, so a condition of an artifact that is written as an expression and compiled again is the same condition.

```yaml
audiences:
  us: geo.country == "US"
  gold: mbox.tier_lc in ["gold", "platinum"]
```

```yaml
audience: us and not gold and starts_with(page.url_lc, "https://shop.example/")
```

The name of an audience stands for its condition. Comments (`# …`) and several lines are allowed, in YAML with `|`. An expression has at most
{MAX_LENGTH:,} characters, {MAX_EXPRESSION_NODES:,} parts and {MAX_EXPRESSION_DEPTH} levels. Values are compared as JavaScript compares them, as
[decisioning.md](decisioning.md#conditions) describes: `"5" == 5` holds, and a missing value is `None`.

In Python, `from targetry.activities import geo, mbox, page, user` builds the same conditions: `(geo.country == "US") & ~mbox.tier.in_(["gold"])`.

## Forms

| Expression | JSON Logic |
| --- | --- |
"""
_EXPRESSION_EXAMPLES = (
    'geo.country == "US"',
    'mbox.tier != "gold"',
    "user.browserVersion >= 100",
    "1 <= mbox.visits <= 5",
    'geo.region in ["CA", "NY"]',
    'geo.region not in ["CA"]',
    "mbox.a and mbox.b or not mbox.c",
    '"a" if mbox.a else "b"',
    'contains(page.url_lc, "/sale")',
    'starts_with(page.path, "/de")',
    'ends_with(page.path, ".html")',
    'current_timestamp < at("2027-01-01T00:00:00Z")',
    "bool(mbox.a)",
    "mbox.a + 1",
    "-mbox.a",
    "cat(mbox.a, mbox.b)",
    "substr(mbox.a, 0, 2)",
    "min(mbox.a, 1)",
    "max(mbox.a, 1)",
    'merge(mbox.a, ["b"])',
    'missing("mbox.a")',
    'missing_some(1, ["mbox.a", "mbox.b"])',
    "strict_eq(mbox.a, 1)",
    "strict_ne(mbox.a, None)",
    "all_of(mbox.a)",
    "any_of(mbox.a)",
    'var("mbox.a", "default")',
    "raw('{\"log\": [1]}')",
)
_FACTS_HEAD = """
`raw` takes any JSON Logic that has no other form.

## Names

`mbox.<name>` is a parameter of the location, or `mbox["odd-name"]`; a text also has a twin `mbox.<name>_lc` in lower case. The other names:

| Name | Value |
| --- | --- |
"""
_CHECKS_HEAD = """# Checks of activities

`targetry activities check` reads a folder and prints each mistake with file, line and column. The exit status is 1 with an error, and with `--strict` with a
warning. `--select` and `--ignore` take the start of ids. `-o json`, `-o github` (annotations of a pull request) and `-o sarif` are for other programs.

A comment silences a rule on its line, or on the next one if it stands alone:

```yaml
# targetry: ignore[TA204] the rest sees the page as it is
experiences:
```

Rules marked with * can be silenced; the others are about files that cannot be compiled. A claim such as *always false* is proved for every request, or not made.

| Id | Level | Finds |
| --- | --- | --- |
"""


def expressions_page() -> str:
    """Return tables of the forms and the names of audience expressions."""
    forms_rows = (
        f"| `{text}` | `{json.dumps(parse_expression(text, {}))}` |\n" for text in _EXPRESSION_EXAMPLES
    )
    aliases = {path: alias for alias, path in forms.ALIASES.items()}
    notes = {"allocation": "number; only shares and windows use it"}
    facts = (
        f"| `{path}`{f', `{aliases[path]}`' if path in aliases else ''} | {notes.get(path, kind)} |\n"
        for path, kind in forms.FACTS.items()
    )
    return _EXPRESSIONS_HEAD + "".join(forms_rows) + _FACTS_HEAD + "".join(facts)


def checks_page() -> str:
    """Return a table of the lint rules."""
    rows = (
        f"| {rule.code}{'*' if rule.is_suppressible else ''} | {rule.level} | {rule.description} |\n"
        for rule in RULES.values()
    )
    return _CHECKS_HEAD + "".join(rows)


PAGES: dict[str, Callable[[], str]] = {
    "activities-format.md": activities_page,
    "activities-checks.md": checks_page,
    "activities-expressions.md": expressions_page,
    "options.md": options_page,
    "edge-options.md": edge_options_page,
    "cli.md": commands_page,
    "metrics.md": metrics_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "models.md": models_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
