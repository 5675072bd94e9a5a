"""Registry of the commands, each of which is imported at its first use."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import typer

_COMMANDS: Final = {
    "offers": "targetry.cli.offers:offers",
    "explain": "targetry.cli.explain:explain",
    "artifact": "targetry.cli.artifact:artifact",
    "demo": "targetry.cli.demo:demo",
    "edge": "targetry.cli.edge:edge",
    "report": "targetry.cli.experiments.report:report",
    "power": "targetry.cli.experiments.power:power",
    "aa": "targetry.cli.experiments.aa:aa",
    "decide": "targetry.cli.batch.decide:decide",
    "diff": "targetry.cli.batch.diff:diff",
    "forecast": "targetry.cli.batch.forecast:forecast",
    "shadow": "targetry.cli.batch.shadow:shadow",
    "replay": "targetry.cli.batch.replay:replay",
    "ledger": "targetry.cli.ledger.app:ledger",
    "selftest": "targetry.cli.experiments.selftest:selftest",
    "activities": "targetry.cli.activities.app:activities",
}
"""Module and function, or `Typer` of a group, of each command, in the order of the help text."""

HELP_OPTIONS: Final = ["-h", "--help"]

_WITH_EXIT_1_FOR_USAGE: Final = frozenset({"diff", "shadow", "replay"})


class Commands(MutableMapping[str, Any]):
    """Commands by name; all names are known, and a command is imported when it is read."""

    def __init__(self) -> None:
        self._commands: dict[str, Any] = dict.fromkeys(_COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._commands[name] is None:
            self._commands[name] = _load(name)
        return self._commands[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


def _load(name: str) -> Any:
    module, _, attribute = _COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group: Any = typer.main.get_command(found)
        group.name = name
        for one in (group, *group.commands.values()):
            leave_out_types_of_flags(one)
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=_class_of(name))(found)
    command = typer.main.get_command(alone)
    leave_out_types_of_flags(command)
    return command


def leave_out_types_of_flags(command: Any) -> None:
    """Remove `<bool>` from the help of a command's flags, which take no value."""
    context = typer.Context(command, help_option_names=HELP_OPTIONS)
    for one in command.get_params(context):
        if getattr(one, "is_flag", False) and one.metavar is None:
            one.metavar = ""


def _class_of(name: str) -> Any:
    if name not in _WITH_EXIT_1_FOR_USAGE:
        return None
    from targetry.cli.batch.arguments import BatchCommand

    return BatchCommand
