"""Write the reference pages that are made from the code: `python docs/generate.py`. A test holds them to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import targetry.errors
from targetry._client.call_options import CALL_OPTIONS
from targetry._client.options import CLIENT_DEFAULTS, CLIENT_OPTIONS, REQUIRED, OptionInfo
from targetry.edge.options import option_forms

HERE = Path(__file__).parent

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

`create` waits at most `maximum_wait_ready` for the first artifact. Polling continues after that, and `client_ready` is
emitted when there is one. `client.refresh_artifact()` requests the artifact now and returns a `RefreshResult`: `updated`,
`unchanged`, `failed` with a reason, or `pending` when its `timeout` (seconds) was not enough.

Caches on the way may serve an artifact that was replaced. One whose `meta.generatedAt` is older than that of the one in use is
therefore refused, and counted in `stats().artifact.failures["older"]`, unless

- the one in use is dated more than five minutes in the future, which is a mistake or a clock that is wrong,
- the server's `Last-Modified` says that the older one was published later,
- the server has sent nothing newer three times in a row, as after a rollback, or
- it was requested by `client.refresh_artifact(force=True)`, which also goes past caches.

An artifact that holds too much is refused before it costs memory or time, with an `ArtifactError` that names the limit, and the rules
in use stay: `artifact_max_bytes`, 4,000,000 JSON values, 100,000 rules, 100,000 locations, 100,000 values in its meta or in one of
its lists of names, 100,000 property tokens of its rules, and 100,000 nodes in conditions that differ in more than their literals. A rule
of more than 100,000 values, a condition of more than 20,000 nodes, or more than 1,000 property tokens is set aside, as any rule that
cannot be used, and the others stand.
"""

_EDGE_OPTIONS_HEAD = """# Options of the edge

`targetry edge [OPTIONS] [ARTIFACT]...`. Each option can also come from the environment.
`--log json` (`TARGETRY_EDGE_LOG`) writes log lines as JSON.

| Option | Environment | Default | Meaning |
| --- | --- | --- | --- |
"""

_ERRORS_HEAD = """# Errors

All derive from `TargetError`, and `TargetError` from `Exception`, so code that catches `Exception` goes on working.

```text
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
        metavar = f" {setting.metavar}" if setting.metavar else ""
        name = setting.metavar if form.flag is None else form.flag + metavar
        default = setting.default or ("off" if form.default is False else f"`{form.default}`")
        rows.append(f"| `{name}` | `{form.variable}` | {default} | {setting.help} |")
    return _EDGE_OPTIONS_HEAD + "\n".join(rows) + "\n"


def errors_page() -> str:
    """The tree of the module's docstring, then what each class says of itself."""
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


def _default(value: object) -> str:
    if value is REQUIRED:
        return "required"
    return "-" if value is None else f"`{value}`"


def _plain(docstring: str | None) -> str:
    return "\n".join(line.strip() for line in (docstring or "").strip().splitlines())


PAGES: dict[str, Callable[[], str]] = {
    "options.md": options_page,
    "edge-options.md": edge_options_page,
    "errors.md": errors_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")
