"""Group of the commands `targetry activities`."""

from __future__ import annotations

import typer

from targetry.cli.activities.check import check
from targetry.cli.activities.codegen import codegen
from targetry.cli.activities.compile import compile_command, lock_command
from targetry.cli.activities.decompile import decompile_command
from targetry.cli.activities.format import format_command
from targetry.cli.activities.init import init, schema
from targetry.cli.activities.plan import plan_command
from targetry.cli.activities.test import run_table_tests

activities = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Activities as code: text files, compiled to an artifact.",
)


@activities.callback()
def _activities() -> None:
    """Write activities as text files, check and test them, and compile them to an artifact.

    \b
    [bold]Examples[/]
      targetry activities init
      targetry activities check
      targetry activities compile -O rules.json
      targetry activities decompile rules.json
      targetry activities plan git:main:activities
    """


activities.command()(init)
activities.command()(check)
activities.command("compile")(compile_command)
activities.command("lock")(lock_command)
activities.command()(schema)
activities.command("decompile")(decompile_command)
activities.command("plan")(plan_command)
activities.command("test")(run_table_tests)
activities.command()(codegen)
activities.command("format")(format_command)
