"""Arguments that the commands for tables share, and their errors and progress."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, get_type_hints

import msgspec
import typer
from typer.core import TyperCommand

from targetry import samples
from targetry.cli.inputs.artifact_source import SourceError, read_text, source_name
from targetry.cli.rendering.output import console, print_error
from targetry.cli.rendering.signature import parameter, set_signature
from targetry.device.artifact import read_artifact
from targetry.errors import ArtifactError, OptionError, TargetError

_DEFAULT_CODE: Final = "targetry"
_WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130  # as shells report Ctrl-C
_OPTIONS: Final = {  # of the commands, by the option of a `Decider` or of `write` that they set
    "as_of": "--time",
    "client": "--client",
    "columns": "--column or --parameter",
    "keep": "--keep",
    "layout": "--wide",
    "mboxes": "--mbox",
    "outputs": "--write",
    "path": "--out",
    "property_token": "--property",
    "property_token_column": "--property-column",
    "source": "table",
    "views": "--view",
}


def _option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, show_default=False, rich_help_panel="Decisions")


Tables = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE",
        help="Files or globs: .parquet, .arrow, .csv, .jsonl. A row is a visitor at one time.",
        show_default=False,
    ),
]


ArtifactFile = Annotated[
    str | None,
    _option(
        "--artifact",
        "-a",
        metavar="FILE",
        help="A rules.json or rules.bin: a file, a URL, git:REF:FILE, or '-' for stdin. Default: the shop that comes with Targetry.",
    ),
]
OrganizationId = Annotated[
    str | None, _option("--organization-id", metavar="ID", help="The …@AdobeOrg of a rules.bin.")
]


class BatchArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of decisions for a table, with one field for each."""

    mbox: Annotated[
        list[str] | None, _option("--mbox", "-m", metavar="NAME", help="An mbox; repeatable.")
    ] = None
    page_load: Annotated[bool, _option("--page-load", help="The offers of the page itself.")] = False
    view: Annotated[
        list[str] | None, _option("--view", metavar="NAME", help="A view, '*' for all of them; repeatable.")
    ] = None
    prefetch: Annotated[bool, _option("--prefetch", help="Decide as a prefetch, with event tokens.")] = False
    time: Annotated[
        str | None,
        _option("--time", metavar="TIME", help="Time of all decisions. Default: the column time or time_ms."),
    ] = None
    property: Annotated[
        str | None, _option("--property", metavar="TOKEN", help="The property (at_property) of all rows.")
    ] = None
    property_column: Annotated[
        str | None,
        _option("--property-column", metavar="NAME", help="The column with the property of each row."),
    ] = None
    parameter: Annotated[
        list[str] | None,
        _option(
            "--parameter",
            "-p",
            metavar="NAME=COLUMN",
            help="A column that is an mbox parameter, in addition to columns named mbox.NAME; repeatable.",
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        _option(
            "--column", metavar="ROLE=COLUMN", help="A column of another name, as tnt_id=visitor; repeatable."
        ),
    ] = None
    strict: Annotated[
        bool, _option("--strict", help="Fail if the table lacks a column that a rule reads.")
    ] = False
    client: Annotated[
        str | None,
        _option("--client", metavar="CODE", help="The client code. Default: the one in the artifact."),
    ] = None
    organization_id: OrganizationId = None

    def options(self) -> dict[str, Any]:
        """Return the options of a `Decider`, without the artifact and the client code."""
        from targetry.batch import Columns

        views = self.view or []
        columns: dict[str, Any] = dict(self._pairs("--column", self.column))
        return {
            "mboxes": self.mbox or (),
            "page_load": self.page_load,
            "views": True if "*" in views else views,
            "mode": "prefetch" if self.prefetch else "execute",
            "as_of": _moment(self.time),
            "property_token": self.property,
            "property_token_column": self.property_column,
            "strict": self.strict,
            "columns": Columns(
                **columns,
                parameters=dict(self._pairs("--parameter", self.parameter)),
            ),
        }

    def _pairs(self, option: str, texts: list[str] | None) -> Iterator[tuple[str, str]]:
        from targetry.batch import Columns

        for text in texts or ():
            name, equals, column = text.partition("=")
            if not equals or not name or not column:
                raise typer.BadParameter(f"must be NAME=COLUMN, not {text!r}", param_hint=f"'{option}'")
            if option == "--column" and name not in Columns.__struct_fields__[:-2]:
                known = ", ".join(Columns.__struct_fields__[:-2])
                raise typer.BadParameter(f"there is no {name!r}, only {known}", param_hint="'--column'")
            yield name, column

    def artifact(self, source: str | None) -> tuple[bytes, str]:
        """Return the JSON text of an artifact (None: of the sample shop) and the client code."""
        return read_artifact_text(source, self.client, self.organization_id)


def read_artifact_text(
    source: str | None, client: str | None, organization_id: str | None
) -> tuple[bytes, str]:
    """Return the JSON text of an artifact (None: of the sample shop) and the client code."""
    source = source or str(samples.shop_path())
    text = read_text(source, organization_id)
    try:
        named = read_artifact(text).meta.get("clientCode")
    except ArtifactError as error:
        raise SourceError(f"{source_name(source)}: {error}") from error
    return text, client or (named if isinstance(named, str) and named else _DEFAULT_CODE)


def with_batch_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameter `arguments` is given as options of their own.

    Its errors end it with the status 1, and Ctrl-C with 130.
    """
    hints = get_type_hints(BatchArguments, include_extras=True)
    defaults = {name: getattr(BatchArguments(), name) for name in hints}
    own = [
        one
        for one in inspect.signature(command, eval_str=True).parameters.values()
        if one.name != "arguments"
    ]

    def run(**values: Any) -> None:
        arguments = BatchArguments(**{name: values.pop(name) for name in hints})
        with errors_exit():
            command(arguments=arguments, **values)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    positional = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    set_signature(
        run, [*positional, *(parameter(name, hint, defaults[name]) for name, hint in hints.items())]
    )
    return run


@contextmanager
def errors_exit() -> Iterator[None]:
    """Print errors and exit with 1, as 2 has a meaning of its own; Ctrl-C exits with 130."""
    try:
        yield
    except OptionError as error:
        print_error(f"{_OPTIONS.get(error.path.partition('[')[0], error.path)}: {error.reason}")
        raise typer.Exit(1) from error
    except TargetError as error:
        print_error(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        print_error("interrupted; nothing was written")
        raise typer.Exit(_INTERRUPTED) from None


class BatchCommand(TyperCommand):
    """A command whose wrong usage exits with 1, as 2 has a meaning of its own."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        with _usage_exits():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        with _usage_exits():
            return super().invoke(ctx)


@contextmanager
def _usage_exits() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if getattr(error, "exit_code", None) == _WRONG_USAGE:
            vars(error)["exit_code"] = 1
        raise


@contextmanager
def progress(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show rows and remaining time on stderr if it is a terminal."""
    from rich import progress as parts

    bar = parts.Progress(
        parts.SpinnerColumn(),
        parts.TextColumn(text),
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TextColumn("rows, {task.fields[rate]}"),
        parts.TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(text, total=None, rate="")

        def show(done: int, total: int | None) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f} rows/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield show


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a time such as 2026-11-27T18:00, not {text!r}", param_hint="'--time'"
        ) from None
