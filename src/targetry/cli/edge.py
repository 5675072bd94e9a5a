"""`targetry edge`: run the local edge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.text import Text

from targetry._runtime.lazy_import import importing_extra
from targetry.cli.ledger import size
from targetry.cli.output import console

if TYPE_CHECKING:
    from targetry.edge.server import EdgeServer
    from targetry.edge.supervisor import EdgeWorkers

_ORGANIZATION: Final = "0123456789ABCDEF01234567@AdobeOrg"


def _option(*names: str, env: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, envvar=f"TARGETRY_EDGE_{env}", help=help, metavar=metavar, show_envvar=True)


def edge(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[ARTIFACT]...",
            envvar="TARGETRY_EDGE_ARTIFACTS",
            help="rules.json or rules.bin files; read again when they change. Default: the shop that comes with Targetry.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, _option("--host", env="HOST", help="The address to listen on.", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[int, _option("--port", env="PORT", help="0: any that is free.", metavar="N")] = 8080,
    data: Annotated[
        Path | None,
        _option(
            "--data",
            env="DATA",
            help="Folder to record impressions, clicks and orders in. Default: they are not recorded.",
            metavar="DIR",
        ),
    ] = None,
    client: Annotated[
        str | None,
        _option("--client", env="CLIENT", help="Client code. Default: the artifact's own.", metavar="CODE"),
    ] = None,
    organization_id: Annotated[
        str | None,
        _option(
            "--organization-id",
            env="ORGANIZATION_ID",
            help="The …@AdobeOrg to read and to give out a rules.bin with.",
            metavar="ID",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        _option(
            "--cluster",
            env="CLUSTER",
            help="Give out tnt ids and an edge host of this cluster. SDKs then go to mboxedge<N>.tt.omtrdc.net, so only where that name leads here.",
            metavar="N",
        ),
    ] = None,
    geo_database: Annotated[
        Path | None,
        _option(
            "--geo-database",
            env="GEO_DATABASE",
            help="A MaxMind database with cities, for the places of IP addresses.",
            metavar="FILE",
        ),
    ] = None,
    log: Annotated[
        Literal["human", "json"], _option("--log", env="LOG", help="How to log, on stderr.")
    ] = "human",
    allow_remote: Annotated[
        bool,
        _option("--allow-remote", env="ALLOW_REMOTE", help="Listen where other machines can reach it."),
    ] = False,
    allow_origin: Annotated[
        list[str] | None,
        _option(
            "--allow-origin",
            env="ALLOW_ORIGIN",
            help="Answer scripts of this origin, with credentials. May be repeated; * is for all, without credentials. Default: localhost only, without credentials.",
            metavar="ORIGIN",
        ),
    ] = None,
    workers: Annotated[
        int,
        _option(
            "--workers", env="WORKERS", help="Processes that share the port and the ledger.", metavar="N"
        ),
    ] = 1,
    max_connections: Annotated[
        int,
        _option(
            "--max-connections",
            env="MAX_CONNECTIONS",
            help="How many may be open, for each worker. When there are more, those go that have waited longest for their client.",
            metavar="N",
        ),
    ] = 4096,
    idle_timeout: Annotated[
        float,
        _option(
            "--idle-timeout",
            env="IDLE_TIMEOUT",
            help="How long a connection may be without a request, or a client take none of its answer.",
            metavar="SECONDS",
        ),
    ] = 30.0,
    request_timeout: Annotated[
        float,
        _option(
            "--request-timeout",
            env="REQUEST_TIMEOUT",
            help="How long a request may take to arrive.",
            metavar="SECONDS",
        ),
    ] = 10.0,
    keep_days: Annotated[
        float | None,
        _option(
            "--keep-days",
            env="KEEP_DAYS",
            help="Remove events from the ledger that are older.",
            metavar="N",
        ),
    ] = None,
    max_size: Annotated[
        str | None,
        _option(
            "--max-size",
            env="MAX_SIZE",
            help="Remove the oldest events while the ledger's file is larger, like 500MB or 2GB.",
            metavar="SIZE",
        ),
    ] = None,
) -> None:
    """Run a local edge: a server that Target SDKs of any language can talk to, without an account.

    \b
    [bold]Examples[/]
      targetry edge
      targetry edge rules.json --port 9000 --data ./ledger
      targetry edge rules.json --client acme --log json
      targetry edge --data ./ledger --workers 4
    """
    with importing_extra("edge"):
        from targetry.edge.observability.log_format import start_logging
        from targetry.edge.server import EdgeOptions, EdgeServer
        from targetry.edge.supervisor import EdgeWorkers
    start_logging(log)
    options = EdgeOptions(
        artifacts=artifacts or (),
        host=host,
        port=port,
        data=data,
        client=client,
        organization_id=organization_id,
        cluster=cluster,
        geo_database=geo_database,
        allow_remote=allow_remote,
        allow_origins=allow_origin or (),
        workers=workers,
        max_connections=max_connections,
        idle_timeout=idle_timeout,
        request_timeout=request_timeout,
        keep_days=keep_days,
        max_size=size(max_size),
    )
    server = EdgeServer.open(options) if workers == 1 else EdgeWorkers.open(options, log)
    print_invitation(server, organization_id or _ORGANIZATION, is_recording=data is not None)
    server.run()


def print_invitation(server: EdgeServer | EdgeWorkers, organization_id: str, *, is_recording: bool) -> None:
    """The address, and the lines of Python that lead a client there."""
    out = console()
    kept = "recorded" if is_recording else "not recorded (--data DIR)"
    out.print(Text.assemble("Edge of ", (", ".join(server.clients), "bold"), " at ", (server.url, "bold")))
    out.print(Text("Open it in a browser to see what it decides and why.", "dim"))
    out.print(Text(f"Impressions, clicks and orders are {kept}. Ctrl-C stops it.\n", "dim"))
    out.print(Text(client_lines(server.url, server.clients[0], organization_id)), soft_wrap=True)
    out.file.flush()


def client_lines(url: str, client: str, organization_id: str) -> str:
    """Python that asks the edge at `url`."""
    return (
        "from targetry import TargetClient\n\n"
        "client = TargetClient.create(\n"
        f"    client={client!r}, organization_id={organization_id!r},\n"
        f"    server_domain={url.removeprefix('http://')!r}, secure=False, cdn_base_path={url!r},\n"
        ")\n"
    )
