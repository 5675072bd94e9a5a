"""Group of all commands: its help text, and errors without a traceback."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from targetry.cli.commands import HELP_OPTIONS, Commands, leave_out_types_of_flags
from targetry.cli.rendering.output import print_error
from targetry.errors import OptionError, TargetError
from targetry.version import __version__


class _Commands(TyperGroup):
    """Group of commands that prints errors without a traceback."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        leave_out_types_of_flags(self)
        self.commands = Commands()

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OptionError as error:  # fields of the request are arguments of the command
            command = self.commands.get(str(ctx.invoked_subcommand))
            option = None if command is None else _option_of(command, error.path)
            if option is not None:
                raise typer.BadParameter(error.reason, param_hint=_hint(option)) from error
            raise typer.BadParameter(str(error)) from error
        except typer.BadParameter as error:
            if error.param is not None and error.param.envvar:
                error.param_hint = _hint(error.param)
            raise
        except TargetError as error:
            print_error(str(error))
            raise typer.Exit(1) from error


def _hint(option: Any) -> str:
    """Return the name of an option and of its variable, if that is in the environment."""
    name = f"'{max(option.opts, key=len)}'"
    return f"{name} or {option.envvar}" if os.environ.get(option.envvar or "") else name


def _option_of(command: Any, path: str) -> Any:
    """Return the option that sets a field, of a command or of the commands of a group."""
    name = {"path": "out"}.get(path, path)
    option = f"--{name.replace('_', '-')}"
    for one in command.params:
        if option in one.opts or (one.name == name and one.opts[0].startswith("-")):
            return one
    options = (_option_of(one, path) for one in getattr(command, "commands", {}).values())
    return next((option for option in options if option is not None), None)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": HELP_OPTIONS},
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
