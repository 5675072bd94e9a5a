"""Definition of the commands: arguments, help texts, and the functions that run them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from targetry.cli.activities.app import activities
from targetry.cli.arguments import OrganizationId, RequestArguments, with_request_arguments
from targetry.cli.artifact import print_summary, print_summary_json
from targetry.cli.batch.arguments import BatchCommand
from targetry.cli.batch.decide import decide
from targetry.cli.batch.diff import diff
from targetry.cli.batch.forecast import forecast
from targetry.cli.batch.replay import replay
from targetry.cli.batch.shadow import shadow
from targetry.cli.decide import decide_offers, open_client, read_source, rules_of
from targetry.cli.demo import DEMO_VISITORS, print_demo
from targetry.cli.edge import edge
from targetry.cli.experiments.aa import aa
from targetry.cli.experiments.power import power
from targetry.cli.experiments.report import report
from targetry.cli.experiments.selftest import selftest
from targetry.cli.explain import print_explanation, print_explanation_json
from targetry.cli.ledger.app import ledger
from targetry.cli.offers import print_offers, print_offers_json
from targetry.cli.rendering.output import TableOrJson, TextOrJson, print_error, wrong_option
from targetry.delivery.hosts import artifact_url
from targetry.errors import OptionError, TargetError
from targetry.humanize.summary import summarize_artifact
from targetry.version import __version__

_CONTEXT = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """Group of commands that prints errors without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OptionError as error:  # fields of the request are arguments of the command
            command = self.commands.get(str(ctx.invoked_subcommand))
            option = None if command is None else _option_of(command, error.path)
            if option is not None:
                raise wrong_option(option, error.reason) from error
            raise typer.BadParameter(str(error)) from error
        except TargetError as error:
            print_error(str(error))
            raise typer.Exit(1) from error


def _option_of(command: Any, path: str) -> str | None:
    """Return the option that sets a field, of a command or of the commands of a group."""
    name = {"path": "out"}.get(path, path)
    for one in command.params:
        if one.name == name and one.opts[0].startswith("-"):
            return str(max(one.opts, key=len))
    options = (_option_of(one, path) for one in getattr(command, "commands", {}).values())
    return next((option for option in options if option is not None), None)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=_CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"targetry {__version__}")
        raise typer.Exit


@app.callback()
def _targetry(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Adobe Target's on-device decisions on the command line: no account, no network.

    \b
    [bold]Examples[/]
      targetry demo
      targetry offers --mbox hero --tnt-id 3f9c
      targetry explain --mbox delivery-note --geo country=DE
      targetry artifact
      targetry edge --data ledger
      targetry report --data ledger
      targetry power --baseline 5% --lift 10%
    """


_Table = Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")]
_Text = Annotated[TextOrJson, typer.Option("--output", "-o", help="Output format.")]


@app.command()
@with_request_arguments
def offers(arguments: RequestArguments, output: _Table = TableOrJson.TABLE) -> None:
    """Get a visitor's offers, decided on this machine by an artifact.

    \b
    [bold]Examples[/]
      targetry offers --mbox hero --mbox checkout-flags
      targetry offers --mbox hero --tnt-id 3f9c -o json
      targetry offers --page-load --url https://acme.example/
      targetry offers --mbox delivery-note --geo country=US,region=CA
      targetry offers --mbox greeting -p member.tier=gold -p user=Ada
      targetry offers --mbox promo --time 2026-11-27T18:00
      targetry offers --view '*' --tnt-id 3f9c
    """
    decision = decide_offers(arguments)
    if output is TableOrJson.JSON:
        print_offers_json(decision)
    else:
        print_offers(decision)


@app.command()
@with_request_arguments
def explain(arguments: RequestArguments, output: _Text = TextOrJson.TEXT) -> None:
    """Explain a decision: the rules of each location, the values of their conditions, the match.

    \b
    [bold]Examples[/]
      targetry explain --mbox delivery-note --geo country=DE
      targetry explain --mbox hero --tnt-id 3f9c
      targetry explain --mbox promo --time 2026-12-04T20:15
      targetry explain --page-load --url https://acme.example/ -o json
    """
    decision = decide_offers(arguments)
    if output is TextOrJson.JSON:
        print_explanation_json(decision)
    else:
        print_explanation(decision)


@app.command()
def artifact(
    file: Annotated[
        str | None,
        typer.Argument(
            help="A rules.json or rules.bin: a file, a URL, git:REF:FILE, or '-' for stdin. Default: the shop that comes with Targetry.",
            show_default=False,
        ),
    ] = None,
    organization_id: OrganizationId = None,
    client: Annotated[
        str | None,
        typer.Option(
            "--client",
            metavar="CODE",
            help="Get the artifact of a client from Adobe's CDN instead of a file.",
            show_default=False,
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", metavar="NAME", help="The environment on the CDN.")
    ] = "production",
    property_token: Annotated[
        str | None,
        typer.Option("--property", metavar="TOKEN", help="The property on the CDN.", show_default=False),
    ] = None,
    cdn: Annotated[
        str | None,
        typer.Option(
            "--cdn", metavar="URL", help="Another CDN, such as an edge. Default: Adobe's.", show_default=False
        ),
    ] = None,
    output: _Text = TextOrJson.TEXT,
) -> None:
    """Show an artifact: activities with split and audiences, remote locations, unusable rules.

    \b
    [bold]Examples[/]
      targetry artifact
      targetry artifact -o json
      targetry artifact --client acme
    """
    if client is not None:
        if file is not None:
            raise typer.BadParameter("give a file or a client, not both", param_hint="'--client'")
        file = artifact_url(client, environment=environment, property_token=property_token, cdn_base_path=cdn)
    source = read_source(file, organization_id=organization_id)
    with open_client(source) as opened:
        told = summarize_artifact(rules_of(opened))
    if output is TextOrJson.JSON:
        print_summary_json(told)
    else:
        print_summary(source.name, told)


@app.command()
def demo(
    visitors: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Visitors to count the split of; over HTTP at most 200."),
    ] = DEMO_VISITORS,
) -> None:
    """Demonstrate Targetry: offers of a few visitors, the split of many, the time of a decision.

    \b
    [bold]Examples[/]
      targetry demo
      targetry demo --visitors 500
    """
    print_demo(visitors)


app.command()(edge)
app.command()(report)
app.command()(power)
app.command()(aa)
app.command()(decide)
app.command(cls=BatchCommand)(diff)
app.command()(forecast)
app.command(cls=BatchCommand)(shadow)
app.command(cls=BatchCommand)(replay)
app.add_typer(ledger, name="ledger")
app.add_typer(selftest, name="selftest")
app.add_typer(activities, name="activities")
