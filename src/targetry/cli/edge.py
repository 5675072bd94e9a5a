"""`targetry edge`: runs a local edge."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

import typer
from rich.text import Text

from targetry._runtime.lazy_import import importing_extra
from targetry.cli.rendering.output import console
from targetry.cli.rendering.signature import parameter, set_signature
from targetry.edge.options import ENVIRONMENT_PREFIX, EdgeOptions, OptionForm, option_forms

if TYPE_CHECKING:
    from targetry.edge.server import EdgeServer
    from targetry.edge.supervisor import EdgeWorkers

_ORGANIZATION: Final = "0123456789ABCDEF01234567@AdobeOrg"
_PANELS: Final = {"record_": "Recorded requests", "ofrep_": "OpenFeature clients"}


def edge(log: Literal["human", "json"], **given: Any) -> None:
    """Run a local edge: a server that Target SDKs of any language can talk to, without an account.

    Options can come from the environment too: --keep-days from TARGETRY_EDGE_KEEP_DAYS.

    \b
    [bold]Examples[/]
      targetry edge
      targetry edge rules.json --port 9000 --data ./ledger
      targetry edge rules.json --client acme --log json
      targetry edge --data ./ledger --workers 4
      targetry edge --record-requests requests.jsonl --record-share 0.01
      targetry edge --ledger postgresql://targetry@db/targetry
    """
    with importing_extra("edge"):
        from targetry.edge.observability.log_format import start_logging
        from targetry.edge.server import EdgeServer
        from targetry.edge.supervisor import EdgeWorkers
    start_logging(log)
    options = edge_options(given)
    server = EdgeServer.open(options) if options.workers == 1 else EdgeWorkers.open(options, log)
    print_instructions(
        server,
        options.organization_id or _ORGANIZATION,
        is_recording=options.data is not None or options.ledger is not None,
        requests=options.record_requests,
    )
    server.run()


def edge_options(given: Mapping[str, Any]) -> EdgeOptions:
    """Return the options of the command's arguments. Raises `BadParameter`."""
    values = {}
    for form in option_forms():
        value = given[form.name]
        if value is None:
            continue
        if form.setting.parse is not None:
            try:
                value = form.setting.parse(value)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=f"'{form.flag}'") from error
        values[form.name] = value
    return EdgeOptions(**values)


def _parameter(form: OptionForm) -> inspect.Parameter:
    """Return the command's parameter for an option."""
    setting = form.setting
    text = setting.help.replace("`", "")
    settings: dict[str, Any] = {
        "help": text if setting.default is None else f"{text} Default: {setting.default}.",
        "metavar": setting.metavar,
        "envvar": form.variable,
        "show_envvar": form.flag is None,  # the rule is above the options, whose texts need the room
        "show_default": setting.default is None,
    }
    if form.flag is None:
        info = typer.Argument(**settings)
    else:
        info = typer.Option(form.flag, rich_help_panel=_panel(form.name), **settings)
    default = None if form.default == () else form.default
    return parameter(form.name, Annotated[_argument_type(form), info], default)


def _panel(name: str) -> str | None:
    """Return the heading of an option in the help text, None for that of most options."""
    return next((title for prefix, title in _PANELS.items() if name.startswith(prefix)), None)


def _argument_type(form: OptionForm) -> Any:
    """Return the type of the argument; `Path` lists in variables are split at `os.pathsep`."""
    is_list = form.default == ()
    kind = get_args(form.type)[0] if is_list else form.type
    if get_origin(kind) is Literal:
        return kind
    kinds = get_args(kind) or (kind,)
    if os.PathLike[str] in kinds:
        base: Any = Path
    elif form.setting.parse is not None:
        base = str
    else:
        base = next(one for one in kinds if one is not NoneType)
    return list[base] | None if is_list else base | None if form.default is None else base


_LOG = Annotated[
    Literal["human", "json"],
    typer.Option(
        "--log",
        envvar=f"{ENVIRONMENT_PREFIX}LOG",
        show_envvar=False,
        help="Format of the log on stderr.",
    ),
]
set_signature(edge, [*map(_parameter, option_forms()), parameter("log", _LOG, "human")])


def print_instructions(
    server: EdgeServer | EdgeWorkers,
    organization_id: str,
    *,
    is_recording: bool,
    requests: str | os.PathLike[str] | None = None,
) -> None:
    """Print the address of an edge, and Python code for a client of it."""
    out = console()
    kept = "recorded" if is_recording else "not recorded (--data DIR)"
    out.print(Text.assemble("Edge of ", (", ".join(server.clients), "bold"), " at ", (server.url, "bold")))
    out.print(Text("Open it in a browser to see its decisions and their reasons.", "dim"))
    out.print(Text(f"Impressions, clicks and orders are {kept}. Ctrl-C stops it.\n", "dim"))
    if requests is not None:
        out.print(Text(f"Requests and responses are recorded in {os.fspath(requests)}.\n", "dim"))
    out.print(Text(client_lines(server.url, server.clients[0], organization_id)), soft_wrap=True)
    out.file.flush()


def client_lines(url: str, client: str, organization_id: str) -> str:
    """Return Python code that creates a client of the edge at `url`."""
    return (
        "from targetry import TargetClient\n\n"
        "client = TargetClient.create(\n"
        f"    client={client!r}, organization_id={organization_id!r},\n"
        f"    server_domain={url.removeprefix('http://')!r}, secure=False, cdn_base_path={url!r},\n"
        ")\n"
    )
