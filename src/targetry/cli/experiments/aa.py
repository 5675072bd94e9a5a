"""`targetry aa`: prints how often the tests of a report alarm without any difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from targetry._runtime.lazy_import import importing_extra
from targetry.cli.experiments.artifact_splits import ActivitySplit, read_source
from targetry.cli.experiments.power import parse_shares
from targetry.cli.inputs.ledgers import (
    LedgerActivity,
    LedgerLocation,
    LedgerOfActivity,
    described_activity,
    ledger_of_activity,
    open_with_progress,
)
from targetry.cli.inputs.options import ClientOption, EnvironmentOfFolder, OrganizationIdOption
from targetry.cli.inputs.percentages import parse_fraction
from targetry.cli.rendering.output import TableOrJson, console, print_json
from targetry.cli.rendering.progress import progress_bar
from targetry.device.logic.allocation import buckets, encode_visitor
from targetry.device.ruleset import RuleSet
from targetry.humanize.figures import format_p_value
from targetry.report.inference.metrics import METRICS
from targetry.report.inference.plan import check_shares

if TYPE_CHECKING:
    from targetry.ledger.sums import VisitorSums
    from targetry.report.simulation.aa import AaReport, Allocations, Outcomes

UNSOUND: Final = 3
"""Exit status for a test that alarms too often, or an allocation that is not even."""

_CLIENT: Final = "targetry"
_VISITORS: Final = "10000"
_RATE: Final = "10%"
_SHARES: Final = "50,50"
_LEAST_ACTIVITIES, _LEAST_VISITORS = 10, 100


def aa(
    artifact: Annotated[
        str | None,
        typer.Argument(
            metavar="ARTIFACT|DIR",
            help="A rules.json or rules.bin, its URL, '-' for stdin, or a folder of activities: its client code, and the ids and shares of its A/B activities.",
            show_default=False,
        ),
    ] = None,
    activities: Annotated[
        int, typer.Option(min=_LEAST_ACTIVITIES, metavar="N", help="Number of A/A tests.")
    ] = 1000,
    visitors: Annotated[
        str | None,
        typer.Option(
            "--visitors",
            metavar="N|FILE",
            help="Number of visitors, or a file with an id per line. Default: 10000, or those of a ledger.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            metavar="PERCENT",
            help="Conversion rate of all experiences. Default: 10%, or the outcomes of a ledger.",
            show_default=False,
        ),
    ] = None,
    data: LedgerOfActivity = None,
    ledger: LedgerLocation = None,
    activity: LedgerActivity = None,
    shares: Annotated[
        str | None,
        typer.Option(
            "--shares",
            metavar="A,B,…",
            help="Shares of the experiences, the control's first. Default: the activities', or 50,50.",
            show_default=False,
        ),
    ] = None,
    client: ClientOption = None,
    organization_id: OrganizationIdOption = None,
    environment: EnvironmentOfFolder = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random numbers.")] = 1,
    output: Annotated[TableOrJson, typer.Option("--output", "-o", help="Output format.")] = TableOrJson.TABLE,
) -> None:
    """Run A/A tests: allocate visitors as Target does, draw equal outcomes, count false alarms.

    Exit status 3: a test alarms more often than its limit, or the allocation is not even.

    \b
    [bold]Examples[/]
      targetry aa --activities 20
      targetry aa --visitors ids.txt --client acme --shares 90,10
      targetry aa rules.json -o json
      targetry aa --data ledger --activity 482910
    """
    with importing_extra("report"):
        import numpy as np

        from targetry.report.simulation.aa import draw_outcomes, recorded_outcomes, run_aa
    if artifact is None and (environment is not None or organization_id is not None):
        raise typer.BadParameter("--environment and --organization-id are for an artifact or a folder")
    if artifact is not None and shares is not None:
        raise typer.BadParameter("an artifact has the shares; leave it or --shares out")
    random = Random(seed)
    drawn = np.random.default_rng(seed)
    chance = _chance(rate or _RATE)
    source = None if artifact is None else read_source(artifact, organization_id, environment)
    own = [] if source is None else source.splits()
    tests = _tests(own, parse_shares(shares or _SHARES), activities, random)
    code = client or (None if source is None else _client_code(source.rules)) or _CLIENT
    recorded: Outcomes | None = None
    location = ledger_of_activity(data, ledger)
    if location is None:
        if activity is not None:
            raise typer.BadParameter("--activity is for a ledger, whose outcomes are split again")
        ids = _visitor_ids(visitors or _VISITORS, random)
    else:
        if visitors is not None or rate is not None:
            raise typer.BadParameter(
                "a ledger has the visitors and the rate; leave --visitors and --rate out"
            )
        recorded = recorded_outcomes(_recorded(location, activity))
        ids = _random_ids(len(recorded.converted), random)
    with progress_bar("Running A/A tests") as progress:
        made = run_aa(
            _allocations(code, tests, ids),
            lambda: recorded or draw_outcomes(drawn, len(ids), chance),
            lambda done: progress(done, len(tests)),
        )
    if output is TableOrJson.JSON:
        print_json(made)
    else:
        _print(made)
    if not made.is_sound:
        raise typer.Exit(UNSOUND)


def _chance(rate: str) -> float:
    chance = parse_fraction("--rate", rate)
    if not 0 < chance < 1:
        raise typer.BadParameter(f"--rate must be above 0 and below 100 %, not {rate!r}")
    return chance


def _recorded(location: Path | str, activity: str | None) -> list[VisitorSums]:
    """Return the visitors of an activity of a ledger."""
    if activity is None:
        raise typer.BadParameter("a ledger needs --activity, the id or name of an activity of the ledger")
    with open_with_progress(location) as reader:
        key = described_activity(reader, activity).id
        found = [one for one in reader.visitors(0) if one.activity_id == key] if reader.has_sums else []
    if len(found) < _LEAST_VISITORS:
        raise typer.BadParameter(
            f"activity {activity!r} has {len(found) or 'no'} visitors in the ledger {location}; "
            f"A/A tests need at least {_LEAST_VISITORS}"
        )
    return found


_Test = tuple[str, Sequence[float]]


def _client_code(rules: RuleSet) -> str | None:
    return named if isinstance(named := rules.meta.get("clientCode"), str) else None


def _tests(own: Sequence[ActivitySplit], shares: Sequence[float], count: int, random: Random) -> list[_Test]:
    """Return the id and the shares of each test."""
    check_shares(shares)
    shown = [one.shares for one in own] or [shares]
    made = [(str(random.randrange(10**5, 10**7)), shown[place % len(shown)]) for place in range(count)]
    return [*((one.id, one.shares) for one in own), *made][:count]


def _visitor_ids(text: str, random: Random) -> list[str]:
    if text.isdecimal():
        found = _random_ids(int(text), random)
    else:
        try:
            lines = Path(text).read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise typer.BadParameter(f"--visitors {text}: {reason}") from None
        found = list(dict.fromkeys(filter(None, map(str.strip, lines))))
    if len(found) < _LEAST_VISITORS:
        raise typer.BadParameter(f"--visitors must be at least {_LEAST_VISITORS}, not {len(found)}")
    return found


def _random_ids(number: int, random: Random) -> list[str]:
    return [f"{random.getrandbits(128):032x}" for _ in range(number)]


def _allocations(code: str, tests: Sequence[_Test], ids: Sequence[str]) -> Iterator[Allocations]:
    import numpy as np

    from targetry.report.simulation.aa import Allocations

    visitors = [encode_visitor(one) for one in ids]
    for activity, shares in tests:
        yield Allocations(np.array(buckets(code, activity, visitors)), shares)


def _print(made: AaReport) -> None:
    out = console()
    out.print(Text(f"{made.activities:,} A/A tests of {made.visitors:,} visitors", "bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, justify in (
        ("Test", "left"),
        ("Looks", "right"),
        ("False alarms", "right"),
        ("Limit", "right"),
        ("p-values even", "right"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # its literals are no texts here
    for one in made.tests:
        alarms = one.alarms
        interval = f"{100 * alarms.interval.low:.2f}…{100 * alarms.interval.high:.2f}"
        table.add_row(
            METRICS[alarms.name].label if alarms.name in METRICS else "Split",
            str(alarms.looks),
            Text.assemble(f"{100 * alarms.rate:.2f} %", (f"  {interval}", "dim")),
            f"{100 * alarms.limit:g} %",
            "" if one.uniform_p_value is None else f"p {_compared(one.uniform_p_value)}",
            _state(alarms.state),
        )
    out.print(table)
    out.print(f"buckets are{_not(made.bucket_p_value)} even: p {_compared(made.bucket_p_value)}")
    out.print(
        f"activities are{_not(made.correlation_p_value)} independent: p {_compared(made.correlation_p_value)}, "
        f"largest correlation {made.largest_correlation:.3f}"
    )
    if made.is_sound:
        out.print("sound: no more false alarms than allowed, and an allocation as even as chance makes it")
    else:
        out.print(Text("not sound: more false alarms, or less even than chance explains", "bold red"))


def _not(p_value: float) -> str:
    from targetry.report.simulation.aa import UNLIKELY

    return "" if p_value >= UNLIKELY else " not"


def _compared(value: float) -> str:
    shown = format_p_value(value)
    return shown if shown.startswith("<") else f"= {shown}"


def _state(state: str) -> Any:
    return Text("too many", "bold red") if state == "exceeded" else ""
