from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from support import cli
from support.ledger import ACTIVITY, ODD_ROWS, event, fourth_format, insert_row, moved, outcome
from support.python_process import environment
from support.slow import slow
from targetry.ledger.event import ActivityDescription, ExperienceDescription, LedgerEvent
from targetry.ledger.ledger import Ledger

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")


def run(*arguments: str | Path, width: int = 80, **environment: str) -> Result:
    return cli.run("report", *arguments, width=width, **environment)


def text_output(*arguments: str | Path, width: int = 80) -> str:
    result = run(*arguments, width=width)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return "\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n"


def kept(folder: Path, events: Sequence[LedgerEvent], *activities: ActivityDescription) -> Path:
    with Ledger.open(folder, sync="NORMAL") as ledger:
        ledger.describe(activities, now_ms=1000)
        ledger.record(events)
    return folder


SPLIT = [*outcome("0", 1000, 100), *outcome("1", 1000, 130)]
ORDER = event(
    "o", "order", "1-1-1", at=3000, activity_id="", experience_id="", order_id="A", order_total=1234.5
)


def test_activity_is_shown_with_all_figures(tmp_path: Path) -> None:
    kept(tmp_path, [*SPLIT, ORDER], ACTIVITY)

    assert text_output("--data", tmp_path, "--fixed", width=90) == (
        "Hero · A/B · 1\n"
        "2,000 visitors · 2,000 impressions · 230 conversions · 1 order · revenue 1,234.50\n"
        "Experience   Converted          Rate         Lift   p-value     Orders\n"
        "──────────────────────────────────────────────────────────────────────\n"
        "A                  100       10.00 %      control                    0\n"
        "              of 1,000    8.29…12.02                              0.00\n"
        "B                  130       13.00 %      +30.0 %    0.0355          1\n"
        "              of 1,000   11.06…15.23   +1.7…+66.2             1,234.50\n"
        "B: better: ship\n"
        "the split follows the shares (p = 1.0000)\n"
    )


def test_figures_are_valid_at_every_look_by_default(tmp_path: Path) -> None:
    kept(tmp_path, moved(SPLIT, 1000 * time.time() - 10_000), ACTIVITY)

    text = text_output("--data", tmp_path, "--planned", "4000", width=90)
    assert text.startswith("Hero · A/B · 1\n2,000 visitors of 4,000 planned · ")
    assert "+30.0 %    0.3798\n" in text
    assert "−" not in text
    assert text.endswith(
        "B: not yet: go on, 1 day\n"
        "the split follows the shares (p = 1.0000)\n"
        "lifts and p-values are valid at every look\n"
    )


THREE = ActivityDescription(
    "1", "Hero", "ab", tuple(ExperienceDescription(key, key, 100 / 3) for key in ("A", "B", "C"))
)


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_one_look_shows_the_p_values_that_its_verdicts_follow(tmp_path: Path, form: str) -> None:
    events = [*outcome("A", 1000, 100), *outcome("B", 1000, 130), *outcome("C", 1000, 100)]
    folder = kept(tmp_path, events, THREE)
    made = json.loads(text_output("-d", folder, "--fixed", "-o", "json"))["activities"][0]["experiences"][1]
    assert made["lift"]["pValue"] == pytest.approx(0.0355, abs=5e-5)
    assert made["verdict"] == "not yet"
    text = text_output("-d", folder, "--fixed", "-o", form, width=100)
    assert "0.0710" in text
    assert "0.0355" not in text


DAY_MS = 86_400_000
GROUPS = ("0", 400, 5.0), ("1", 600, 4.0)


def bought() -> list[LedgerEvent]:
    """Return 2,000 visitors of each experience on two days, and orders of different amounts."""
    events = []
    for experience, buyers, amount in GROUPS:
        for number in range(2_000):
            visitor, day = f"{experience}-{number}", number % 2
            at = 1000 + day * DAY_MS
            events.append(event(visitor, visitor=visitor, experience_id=experience, at=at))
            if number < buyers:
                total = amount * (1 + number % 7)
                events.append(
                    event(
                        f"{visitor}-order",
                        "order",
                        visitor,
                        at + 1,
                        activity_id="",
                        experience_id="",
                        order_id=visitor,
                        order_total=total,
                    )
                )
    return events


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept(tmp_path_factory.mktemp("shop"), bought(), ACTIVITY)


# option → text that appears with it, and not without it
ACTING = {
    "--metric revenue": "Revenue per visitor",
    "--metric rpo": "Revenue per order",
    "--metric orders": "Orders per visitor",
    "--planned 9000": "4,000 visitors of 9,000 planned",
    "--confidence 99%": "17.80…22.40",
    "--cap 20": "341 visitors have more revenue than the cap; 2,730.00 of it is not compared",
    "--metric revenue --margin 80": "no difference above 80 %",
    "--guardrail revenue:5%": "guardrail of B, revenue per visitor ≥ −5 %: safe",
    "--guardrail rpo:5%": "guardrail of B, revenue per order ≥ −5 %: harmed",
    "--guardrail rpo:90%": "revenue per order ≥ −90 %: safe",
    "--guardrail rpo:4% --metric rpo": "B: guardrail is harmed: stop",
    "--over-time": "1970-01-02",
    "--bayes": "B: 100.0 % chance to beat the control, expected loss 0.000 points of conversion",
    "--cuped 7": "not adjusted: 0 % of the visitors have events in the 7 days before, and 30 % are needed",
    "--over-time --zone America/New_York": "1969-12-31",
    "--fixed --cap-percentile 90%": "the cap is 30.00, a percentile of the buyers' revenue",
}


def test_every_option_acts(shop: Path) -> None:
    plain = text_output("-d", shop, width=120)
    for option, expected in ACTING.items():
        assert expected in text_output("-d", shop, *option.split(), width=120), option
        assert expected not in plain


def test_lifts_are_adjusted_by_the_time_before(tmp_path: Path) -> None:
    events = [*SPLIT, ORDER]
    for number in range(0, 1000, 2):
        for experience in "01":
            visitor = f"1-{experience}-{number}"
            events.append(event(f"{visitor}-before", visitor=visitor, at=900, activity_id="7"))
    kept(tmp_path, events, ACTIVITY)
    text = text_output("-d", tmp_path, "--cuped", "1", width=120)
    assert "50 % of the visitors have events in the day before" in " ".join(text.split())
    assert "lifts are adjusted by the time before the first impression" in text
    assert "conversion is not adjusted: all visitors did the same before" in text


def test_report_says_how_much_smaller_the_variance_is(tmp_path: Path) -> None:
    events = [*SPLIT]
    for experience, conversions in (("0", 100), ("1", 130)):
        for number in range(0, 1000, 2):
            visitor = f"1-{experience}-{number}"
            kind = "click" if number < conversions else "impression"
            events.append(event(f"{visitor}-before", kind, visitor, at=900, activity_id="7"))
    kept(tmp_path, events, ACTIVITY)
    text = text_output("-d", tmp_path, "--cuped", "1", "--activity", "1", width=120)
    assert "  Var.\n" in text
    assert re.search(r" -\d\d %\n", text), text
    assert "hardly" not in text
    markdown = text_output("-d", tmp_path, "--cuped", "1", "--activity", "1", "-o", "markdown")
    assert "| p-value | Variance | Verdict |" in markdown
    assert "| -47 % |" in markdown
    assert "Var" not in text_output("-d", tmp_path, "--activity", "1", width=120)


STATUSES = {
    "a harmed guardrail": (["--exit-code", "--guardrail", "rpo:5%"], 3),
    "a safe guardrail": (["--exit-code", "--guardrail", "revenue:5%"], 0),
    "no request for it": (["--guardrail", "rpo:5%"], 0),
}


@pytest.mark.parametrize(("arguments", "status"), STATUSES.values(), ids=STATUSES)
def test_exit_status_says_what_is_wrong(shop: Path, arguments: list[str], status: int) -> None:
    assert run("-d", shop, *arguments).exit_code == status


def test_broken_split_has_an_exit_status_and_no_verdicts(tmp_path: Path) -> None:
    kept(tmp_path, [*outcome("0", 600, 90), *outcome("1", 400, 90)], ACTIVITY)
    result = run("-d", tmp_path, "--exit-code", "--guardrail", "conversion:1%")
    assert result.exit_code == 4
    assert "B: split is broken" in result.stdout
    assert "valid at every look" not in result.stdout
    assert run("-d", tmp_path).exit_code == 0


def refunds() -> list[LedgerEvent]:
    return [
        event(
            f"r{n}",
            "order",
            f"1-0-{n}",
            3000,
            activity_id="",
            experience_id="",
            order_id=f"r{n}",
            order_total=-5.0,
        )
        for n in range(30)
    ]


LEFT = event("left", visitor="left", experience_id="7")
FUTURE = event("future", visitor="future", at=2**62)

# events, options, → note
NOTES = {
    "an experience that has vanished": (
        [*SPLIT, LEFT], "", "experience 7 is no longer part of the activity and is not compared",
    ),
    "a control that loses money": (
        [*SPLIT, *refunds()], "--metric revenue", "the control's revenue per visitor is not above 0, so there is no lift",
    ),
    "a clock that is wrong": (
        [*SPLIT, FUTURE], "", "1 visitor came in the future: the clock of an edge or of this machine is wrong",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "options", "note"), NOTES.values(), ids=NOTES)
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, events: list[LedgerEvent], options: str, note: str
) -> None:
    kept(tmp_path, events, ACTIVITY)
    assert f"\n{note}\n" in text_output("-d", tmp_path, *options.split(), width=120)
    markdown = text_output("-d", tmp_path, "-o", "markdown", *options.split())
    assert f"\nNote: {note}.\n" in markdown.replace("\\", "")
    assert note not in text_output("-d", kept(tmp_path / "plain", SPLIT, ACTIVITY), width=120)


def test_markdown_has_a_table_of_each_activity(shop: Path) -> None:
    text = text_output("-d", shop, "-o", "markdown", "--guardrail", "rpo:5%")
    assert text == (
        "### Hero\n\n"
        "| Experience | Visitors | Conversion | Lift | p-value | Verdict |\n"
        "| --- | ---: | ---: | ---: | ---: | --- |\n"
        "| A | 2,000 | 20.00 % | control |  |  |\n"
        "| B | 2,000 | 30.00 % | +50.0 % (+26.2 … +79.8) | < 0.0001 | guardrail is harmed: stop |\n\n"
        "4,000 visitors; 95 % intervals, valid at every look.\n\n"
        "Guardrail of B, revenue per order ≥ −5 %: harmed.\n"
    )


def test_names_in_markdown_stay_text(tmp_path: Path) -> None:
    odd = msgspec.structs.replace(ACTIVITY, name="a|b <i>*\n# c")
    text = text_output("-d", kept(tmp_path, SPLIT, odd), "-o", "markdown")
    assert text.startswith("### a\\|b \\<i\\>\\*")


WRONG = {
    "--metric clicks": "'--metric': must be one of conversion, orders, revenue, rpo, not 'clicks'",
    "--planned 7": "'--planned': must be an integer of at least 100, not 7",
    "--confidence much": "must be a percentage like 2%, not 'much'",
    "--confidence 100%": "'--confidence': must be a percentage above 0% and below 100%, not '100%'",
    "--cap 0": "'--cap': must be a number above 0, not 0.0",
    "--zone Europe/Berln": "'--zone': must be a time zone like Europe/Berlin, not 'Europe/Berln'; did you mean 'Europe/Berlin'?",
    "--cap nan": "'--cap': must be a number above 0, not nan",
    "--guardrail revenue": "must be a metric and its margin like revenue:2%, not 'revenue'",
    "--guardrail sales:2%": "'--guardrail': the metric must be one of conversion, orders, revenue, rpo, not 'sales'",
    "--margin=-2%": "'--margin': must be a percentage above 0% and below 100%, not '-2%'",
}


def test_wrong_options_are_named_with_their_range(shop: Path) -> None:
    for option, message in WRONG.items():
        result = run("-d", shop, *option.split(), width=300)
        assert result.exit_code != 0, option
        assert message in result.stderr, option


def test_json_has_all_figures(tmp_path: Path) -> None:
    made = json.loads(text_output("-d", kept(tmp_path, SPLIT, ACTIVITY), "-o", "json"))

    (activity,) = made["activities"]
    assert made["confidence"] == 0.95
    assert (activity["id"], activity["visitors"], activity["sampleRatio"]["isMismatch"]) == ("1", 2000, False)
    assert [one["conversions"] for one in activity["experiences"]] == [100, 130]
    assert activity["experiences"][1]["lift"]["value"] == pytest.approx(0.3)


# Fields and values of the first version's report, which programs read.
FIRST_ACTIVITY = {
    "id": "1", "name": "Hero", "type": "ab", "visitors": 2000, "impressions": 2000, "conversions": 230,
    "orders": 1, "revenue": 1234.5, "unusableTotals": 0, "switched": 0, "outside": 0, "sharesSinceMs": 0,
}  # fmt: skip
FIRST_EXPERIENCE = {
    "id": "1", "name": "B", "share": 50.0, "visitors": 1000, "impressions": 1000, "conversions": 130,
    "orders": 1, "revenue": 1234.5, "unusableTotals": 0,
}  # fmt: skip


def test_json_for_one_look_keeps_the_fields_and_values_of_the_first_version(tmp_path: Path) -> None:
    made = json.loads(text_output("-d", kept(tmp_path, [*SPLIT, ORDER], ACTIVITY), "--fixed", "-o", "json"))
    (activity,) = made["activities"]
    other = activity["experiences"][1]
    assert FIRST_ACTIVITY.items() <= activity.items()
    assert FIRST_EXPERIENCE.items() <= other.items()
    assert made["period"] == {"fromMs": 1000, "toMs": 3000, "removed": 0}
    assert {"observed": [1000, 1000], "chiSquare": 0.0, "pValue": 1.0}.items() <= activity[
        "sampleRatio"
    ].items()
    assert other["rate"]["value"] == 0.13
    assert other["rate"]["interval"] == pytest.approx({"low": 0.11056377462484, "high": 0.15226802665447})
    assert other["lift"]["value"] == pytest.approx(0.3)
    assert other["lift"]["interval"] == pytest.approx({"low": 0.01698427097105, "high": 0.6617759470226})
    assert other["lift"]["pValue"] == pytest.approx(0.03548845046647)
    assert other["lift"]["test"] == "chi-square"


def test_split_that_differs_is_reported(tmp_path: Path) -> None:
    text = text_output("-d", kept(tmp_path, [*outcome("0", 600, 9), *outcome("1", 400, 9)], ACTIVITY))

    assert (
        "the split differs from the shares: 600 / 400 visitors,\n  500 / 500 expected (p < 0.0001);" in text
    )


def test_report_without_visitors_since_the_shares_changed_says_so(tmp_path: Path) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    shipped = (ExperienceDescription("0", "A", 0.0), ExperienceDescription("1", "B", 100.0))
    with Ledger.open(tmp_path) as ledger:
        ledger.describe([msgspec.structs.replace(ACTIVITY, experiences=shipped)], now_ms=3000)

    note = "no visitor has come since the shares changed; earlier visitors are not comparable"
    assert f"\n{note}\n" in text_output("-d", tmp_path, width=100)


def test_split_check_starts_at_the_last_change_of_shares(tmp_path: Path) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    changed = (ExperienceDescription("0", "A", 60.0), ExperienceDescription("1", "B", 40.0))
    kept(
        tmp_path,
        [event("late", visitor="late", at=2000)],
        msgspec.structs.replace(ACTIVITY, experiences=changed),
    )

    assert ", since Thu 1970-01-01 00:00 UTC" in text_output("-d", tmp_path)


def test_table_has_the_visitors_since_the_shares_changed(tmp_path: Path) -> None:
    early = [event(f"early{n}", visitor=f"early{n}", at=500) for n in range(100)]
    kept(tmp_path, [*early, *SPLIT], msgspec.structs.replace(ACTIVITY, shares_since_ms=900))
    text = text_output("-d", tmp_path, "--planned", "5000", width=120)
    assert "2,100 visitors, 2,000 of 5,000 planned since the shares changed · " in text
    assert " of 1,000 " in text
    note = "the figures are those of 2,000 visitors since the shares changed; earlier visitors are not comparable"
    assert f"\n{note}\n" in text
    assert "| A | 1,000 | " in text_output("-d", tmp_path, "-o", "markdown")


def test_switched_and_outside_visitors_are_reported(tmp_path: Path) -> None:
    switched = [event("a"), event("b", at=2000, experience_id="1")]
    text = text_output("-d", kept(tmp_path, [*switched, event("c", "click", "bob")], ACTIVITY))

    assert "1 visitor saw more than one experience; the first one counts\n" in text
    assert "1 visitor clicked or ordered without an earlier impression\n" in text


@pytest.mark.parametrize("metric", ["orders", "revenue", "rpo"])
def test_metric_of_orders_without_an_order_has_a_note(tmp_path: Path, metric: str) -> None:
    text = text_output("-d", kept(tmp_path, outcome("0", 9, 3), ACTIVITY), "--metric", metric)
    assert "no order is recorded, so " in text


def test_targeted_experiences_are_not_compared(tmp_path: Path) -> None:
    made = ActivityDescription(
        "1", "Notes", "landing", (ExperienceDescription("0", "US"), ExperienceDescription("1"))
    )
    text = text_output("-d", kept(tmp_path, SPLIT, made))

    assert text.startswith("Notes · experience targeting · 1\n")
    assert "experience 1" in text
    assert "Lift" not in text
    assert "split" not in text
    assert "control" not in text_output("-d", tmp_path, "-o", "markdown")


def test_activities_without_visitors_are_listed(tmp_path: Path) -> None:
    other = ActivityDescription("2", "Cart", "ab", ACTIVITY.experiences)

    assert text_output("-d", kept(tmp_path, SPLIT, ACTIVITY, other)).endswith("\n\nNo visitors yet\n  Cart\n")


def test_activity_without_a_name_is_shown_by_its_id(tmp_path: Path) -> None:
    text = text_output("-d", kept(tmp_path, [event("a")]))

    assert text.startswith("activity 1\n1 visitor · 1 impression · 0 conversions\n")
    assert "experience 0" in text


def test_empty_ledger_is_reported_as_such(tmp_path: Path) -> None:
    assert text_output("-d", kept(tmp_path, [])) == "no events are recorded yet\n"


def test_names_contain_no_terminal_commands(tmp_path: Path) -> None:
    made = ActivityDescription("1", "[red]\x1b[2J", "ab", (ExperienceDescription("0", "\x1b]0;x\x07"),))
    text = text_output("-d", kept(tmp_path, outcome("0", 3, 1), made))

    assert "\x1b" not in text
    assert "[red]\\x1b[2J" in text


@pytest.mark.parametrize("width", [40, 60, 120])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    text = text_output("-d", kept(tmp_path, [*SPLIT, ORDER], ACTIVITY), width=width)

    assert max(map(len, text.splitlines())) <= width


def test_narrow_terminal_shows_all_columns(tmp_path: Path) -> None:
    experiences = (
        ExperienceDescription("0", "Everyday prices", 50.0),
        ExperienceDescription("1", "Autumn prices", 50.0),
    )
    named = msgspec.structs.replace(ACTIVITY, experiences=experiences)
    text = text_output("-d", kept(tmp_path, [*SPLIT, ORDER], named), width=60)

    (heading,) = (line for line in text.splitlines() if "Lift" in line)
    assert heading.split()[-2:] == ["p-value", "Orders"]
    assert "1,234" in text.split("Autumn", 1)[1]


@pytest.mark.parametrize("options", [["--over-time"], ["--by", "new"]])
def test_narrow_terminal_cuts_no_cell(shop: Path, options: list[str]) -> None:
    text = text_output("-d", shop, *options, width=60)
    assert re.findall(r"[a-z]…", text) == []  # headings are as narrow as the figures below them


SIGNATURES = {"rates.png": b"\x89PNG\r\n", "rates.SVG": b"<?xml"}


@pytest.mark.parametrize("name", ["rates.png", *slow("rates.SVG")])
def test_rates_are_plotted(tmp_path: Path, name: str) -> None:
    odd = ActivityDescription(
        "2", "50 $ off $x^$ \N{CUNEIFORM SIGN A}\n", "ab", (ExperienceDescription("0", "_" * 200),)
    )
    kept(tmp_path, [*SPLIT, *outcome("0", 3, 0, "2"), *outcome("9", 3, 3, "2")], ACTIVITY, odd)
    result = run("-d", tmp_path, "--plot", tmp_path / name, width=400)

    boxes = (
        f"note: {tmp_path / name} shows boxes in place of \N{CUNEIFORM SIGN A}, which no installed font has;"
    )
    assert result.stderr.startswith(boxes) is name.endswith("png")
    assert (tmp_path / name).read_bytes().startswith(SIGNATURES[name])


def test_plot_has_the_figures_of_the_table_and_is_deterministic(tmp_path: Path) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    for name in ("a.svg", "b.svg"):
        text_output("-d", tmp_path, "--plot", tmp_path / name, "-o", "json")
    drawn = (tmp_path / "a.svg").read_text("utf-8")

    assert all(f">{text}<" in drawn for text in ("Hero", "A", "130 of 1,000"))
    assert drawn == (tmp_path / "b.svg").read_text("utf-8")


def test_plot_follows_the_rates_over_the_days(shop: Path, tmp_path: Path) -> None:
    made = json.loads(text_output("-d", shop, "--cap", "20", "-o", "json", "--plot", tmp_path / "a.svg"))
    (activity,) = made["activities"]
    assert activity["experiences"][1]["metrics"]["conversion"]["overTime"] is None
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    texts = ("Conversion", "Lift over A", "Split", "Revenue per buyer", "Jan 2", "better, Jan 1", "cap")
    assert [text for text in texts if f">{text}<" not in drawn] == []


def test_notes_on_a_plot_fit_below_its_panels(shop: Path, tmp_path: Path) -> None:
    zone = "America/Argentina/ComodRivadavia"
    text_output("-d", shop, "-o", "json", "--zone", zone, "--plot", tmp_path / "a.svg")
    texts = re.findall(r">([^<>\n]+)</text>", (tmp_path / "a.svg").read_text("utf-8"))
    assert "by the day of their first impression" in texts
    assert max(map(len, texts)) <= 70


@pytest.mark.slow
def test_plot_is_limited_to_the_most_visited_activities(tmp_path: Path) -> None:
    events = [one for n in range(1, 23) for one in outcome("0", n, 1, str(n))]
    path = tmp_path / "rates.svg"
    result = run("-d", kept(tmp_path, events), "--plot", path, width=200)

    assert (
        result.stderr
        == f"note: {path} shows the 20 most visited of 22 activities, and the course of the 4 most visited\n"
    )
    drawn = path.read_text("utf-8")
    assert ">activity 3<" in drawn
    assert ">activity 2<" not in drawn


def test_unusual_rows_are_reported_without_their_totals(tmp_path: Path) -> None:
    kept(tmp_path, [event("a")], ACTIVITY)
    for name, fields in ODD_ROWS.items():
        insert_row(tmp_path, name, **fields)
    text = text_output("-d", tmp_path, width=200)
    assert " 9 orders · revenue 3.50\n" in text
    assert "order totals are left out of the revenue: not a number, or out of range\n" in text
    result = run("-d", tmp_path, "-o", "json", "--plot", tmp_path / "rates.svg")
    assert (result.exit_code, result.stderr) == (0, "")
    json.loads(result.stdout, parse_constant=pytest.fail)


def test_report_mistakes_are_reported(tmp_path: Path) -> None:
    kept(tmp_path / "data", SPLIT)
    kept(tmp_path / "empty", [])
    plot, nowhere = tmp_path / "rates.pdf", tmp_path / "nowhere" / "rates.png"
    cases: list[tuple[list[str | Path], int, str]] = [
        (
            ["-d", tmp_path / "nothing"],
            1,
            f"error: there is no ledger in {tmp_path / 'nothing'}: no edge has recorded there; check the folder\n",
        ),
        (["-d", tmp_path / "data", "--plot", plot], 2, "must end in .png or .svg, not"),
        (
            ["-d", tmp_path / "data", "--plot", nowhere],
            2,
            f"there is no folder '{nowhere.parent}'; create it",
        ),
        (
            ["-d", tmp_path / "data", "--confidence", "0.95"],
            2,
            "0.95 is a percentage or a share: write 0.95% or",
        ),
        (["-d", tmp_path / "empty", "--plot", tmp_path / "a.png"], 1, "error: there is nothing to plot"),
        (["-d", tmp_path / "data", "-o", "yaml"], 2, "'yaml' is not one of"),
    ]
    for arguments, exit_code, message in cases:
        result = run(*arguments, width=300)
        assert (result.exit_code, result.stdout) == (exit_code, "")
        assert message in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("missing", [*slow("scipy"), "matplotlib"])
def test_missing_extra_is_named(tmp_path: Path, missing: str) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from targetry.cli import main\n"
        "sys.argv = ['targetry', 'report', '-d', sys.argv[1], '-o', 'json', '--plot', sys.argv[1] + '/rates.png']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == f"error: this needs the package {missing}: pip install 'targetry[report]'\n"


def test_report_shows_only_the_chosen_activities(tmp_path: Path) -> None:
    other = msgspec.structs.replace(ACTIVITY, id="2", name="Promo")
    kept(tmp_path, [*SPLIT, *outcome("0", 5, 1, activity="2")], ACTIVITY, other)
    for chosen, ids in ((["2"], ["2"]), (["Promo", "2"], ["2"]), (["Promo", "1"], ["2", "1"])):
        more = [argument for one in chosen for argument in ("--activity", one)]
        made = json.loads(text_output("-d", tmp_path, "-o", "json", *more))
        assert [one["id"] for one in made["activities"]] == ids
    result = run("-d", tmp_path, "--activity", "3", width=200)
    assert result.exit_code == 2
    assert "there is no activity with the id or name '3'; the ids are: '1', '2'" in result.output


def test_report_by_a_fact_has_a_row_for_each_segment(tmp_path: Path) -> None:
    events = [msgspec.structs.replace(one, facts={"browser": "chrome"}) for one in SPLIT]
    kept(tmp_path, events, ACTIVITY)
    table = text_output("-d", tmp_path, "--by", "browser")
    assert "Hero by browser" in table
    assert "chrome" in table
    assert "B 1,000 13.00 % +30.0 %" in " ".join(table.split())
    assert "p-values are corrected for their number" in " ".join(table.split())
    made = json.loads(text_output("-d", tmp_path, "--by", "browser", "-o", "json"))
    assert made["activities"][0]["visitors"] == 2000
    (segment,) = made["segments"]["activities"]["1"]
    assert (segment["value"], segment["visitors"]) == ("chrome", 2000)
    assert run("-d", tmp_path, "--by", "country").exit_code == 2


def test_report_by_new_has_new_and_returning_visitors(tmp_path: Path) -> None:
    returning = [
        msgspec.structs.replace(one, id=f"before-{one.id}", timestamp_ms=0, activity_id="7")
        for one in SPLIT
        if one.kind == "impression" and one.id.endswith("7")
    ]
    later = [msgspec.structs.replace(one, timestamp_ms=one.timestamp_ms + 2 * DAY_MS) for one in SPLIT]
    kept(tmp_path, [*returning, *later], ACTIVITY)
    table = text_output("-d", tmp_path, "--by", "new")
    words = " ".join(table.split())
    assert "Hero by earlier visits" in table
    assert "new A 900" in words
    assert "returning A 100" in words
    assert words.count("the ledger begins with the activity") == 1, "only activity 7 does"
    markdown = text_output("-d", tmp_path, "--by", "new", "-o", "markdown")
    assert "| earlier visits | Experience |" in markdown
    made = json.loads(text_output("-d", tmp_path, "--by", "new", "-o", "json"))
    assert [one["value"] for one in made["segments"]["activities"]["1"]] == ["new", "returning"]
    assert made["segments"]["withoutHistory"] == ["7"]


@pytest.mark.parametrize(
    "command", ["report", "power --lift 5% --activity 1", "aa --activity 1", "ledger export --out a.csv"]
)
def test_two_ledgers_are_a_mistake(tmp_path: Path, command: str) -> None:
    result = cli.run(
        *command.split(), "--data", tmp_path, "--ledger", "postgresql://127.0.0.1:1/none", width=200
    )
    assert result.exit_code == 2
    assert "--data and --ledger are two ledgers; leave one out" in result.stderr


@pytest.mark.parametrize("command", ["report", "power --lift 5% --activity 1", "ledger prune --keep-days 9"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_address_of_postgresql_is_no_folder(command: str, scheme: str) -> None:
    result = cli.run(*command.split(), "--data", f"{scheme}://127.0.0.1:1/none", width=200)

    assert result.exit_code == 2
    assert "'--data'" in result.stderr
    assert "must be a folder; an address of PostgreSQL is for --ledger" in result.stderr


def test_segments_of_targeted_experiences_are_not_compared(tmp_path: Path) -> None:
    events = [msgspec.structs.replace(one, facts={"browser": "chrome"}) for one in SPLIT]
    targeted = (ExperienceDescription("0", "US"), ExperienceDescription("1", "Others"))
    kept(tmp_path, events, ActivityDescription("1", "Hero", "landing", targeted))
    text = text_output("-d", tmp_path, "--by", "browser", "-o", "markdown")
    assert "| chrome | US | 1,000 | 10.00 % | – |  |\n|  | Others | 1,000 | 13.00 % | – |  |" in text


def test_report_by_a_fact_upgrades_a_ledger_without_sums_of_segments(tmp_path: Path) -> None:
    fourth_format(tmp_path)
    made = json.loads(text_output("-d", tmp_path, "--by", "browser", "-o", "json"))
    assert made["segments"]["activities"]


def test_segments_have_a_table_in_markdown_and_their_notes(tmp_path: Path) -> None:
    events = [
        msgspec.structs.replace(
            one, id=f"{name}-{one.id}", visitor=f"{name}-{one.visitor}", facts={"browser": name}
        )
        for name, lost in (("chrome", 0), ("fire|fox", 400))
        for one in (*outcome("0", 1000, 100), *outcome("1", 1000 - lost, 130 + lost // 4))
    ]
    kept(tmp_path, events, ACTIVITY)
    text = text_output("-d", tmp_path, "--by", "browser", "-o", "markdown", "--fixed")
    heading, _, table = text.partition("\n### Hero by browser\n\n")
    assert heading.startswith("### Hero\n")
    assert table.startswith("| browser | Experience | Visitors | Conversion | Lift | p-value |\n| --- |")
    assert "| chrome | A | 1,000 | 10.00 % | control |  |\n|  | B | 1,000 | 13.00 % | +30.0 % (+" in table
    assert "| fire\\|fox | A |" in table
    plain = table.replace("\\", "")
    assert "the split of fire|fox differs from the shares (p-value < 0.0001), so its figures" in plain
    assert "the lifts of B differ between segments by more than chance (Cochran's Q" in plain
    assert "p-values are corrected for their number" in plain


def test_days_are_those_of_the_time_zone_in_every_output(tmp_path: Path) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    days = ("-d", tmp_path, "--over-time", "--zone", "America/New_York")
    assert "Day, America/New_York " in text_output(*days, width=120)
    assert r"| Day, America/New\_York | Experience |" in text_output(*days, "-o", "markdown")
    made = json.loads(text_output(*days, "-o", "json"))
    assert made["zone"] == "America/New_York"
    looks = made["activities"][0]["experiences"][1]["metrics"]["conversion"]["overTime"]
    assert [one["day"] for one in looks] == [-1]


def test_markdown_has_the_days_and_the_chances(tmp_path: Path) -> None:
    kept(tmp_path, SPLIT, ACTIVITY)
    text = text_output("-d", tmp_path, "-o", "markdown", "--over-time", "--bayes")
    assert "| Day, UTC | Experience | Visitors | Conversion | Lift | p-value |\n" in text
    assert "| 1970-01-01 | B | 1,000 | 13.00 % | +30.0 % (" in text
    assert "B: 98\\.2 % chance to beat the control" in text
