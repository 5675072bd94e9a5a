"""`targetry power`."""

from __future__ import annotations

import json
import shlex
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from support import cli
from support.activities import HERO, SETTINGS, write_files
from support.cli import write_artifact
from support.device import mboxes_of, rule, window
from support.ledger import ACTIVITY, event, first_format, outcome
from support.slow import slow
from targetry.cli.inputs import activity_folder
from targetry.ledger.event import ExperienceDescription, LedgerEvent
from targetry.ledger.ledger import Ledger

pytest.importorskip("scipy")


def run(arguments: str, *more: str) -> Result:
    return cli.run("power", *shlex.split(arguments), *more, width=120)


def test_visitors_for_a_lift_are_printed() -> None:
    result = run("--baseline 5% --lift 10% --daily 12000")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "103,071 visitors (51,536 / 51,536) find a lift of +10 % with 80 % power\n"
        "may be stopped at any time: 1.65 × the visitors for one look\n"
        "14 days in whole weeks, at 12,000 visitors a day\n"
        "after 1 week: a lift of +11.1 %\n"
        "after 2 weeks: a lift of +7.79 %\n"
        "after 4 weeks: a lift of +5.48 %\n"
        "report it with: targetry report --planned 103071\n"
        "or write into targetry.yaml: plan: {visitors: 103071}\n"
    )


# arguments → part of the output
OPTIONS = {
    "--baseline 5% --visitors 80000": "80,000 visitors (40,000 / 40,000) find a lift of +11.4 %",
    "--baseline 5% --lift 10% --power 90%": "with 90 % power",
    "--baseline 5% --lift 10% --shares 80,10,10 --metrics 2 --fixed": "each comparison at 1.25 %, 5 % together",
    "--baseline 5% --lift 10% --alpha 1%": "1.48 × the visitors for one look",
    "--baseline 5% --lift 10% --fixed": "report it with: targetry report --fixed",
    "--mean 4 --deviation 12 --lift 5%": "186,490 visitors",
    "--baseline 5% --lift 10% --alpha 2%": "report --planned 124618 --confidence 98%",
    "--baseline 90% --visitors 20": "20 visitors cannot show any lift",
    "--baseline 1% --lift 200%": "fewer show the lift, but 20 converters are needed for a comparison",
}


def test_each_option_acts() -> None:
    for arguments, expected in OPTIONS.items():
        assert expected in run(arguments).stdout, arguments


def test_plan_is_json_on_request() -> None:
    made = json.loads(run("--baseline 5% --lift 10% -o json").stdout)
    assert (made["visitors"], made["lift"], made["afterWeeks"]) == (103_071, 0.1, {})


def order(number: int, total: float) -> LedgerEvent:
    return event(
        f"o{number}",
        "order",
        f"1-0-{number}",
        3000,
        activity_id="",
        experience_id="",
        order_id=f"o{number}",
        order_total=total,
    )


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    orders = [order(n, 20.0) for n in range(100)]
    with Ledger.open(folder, sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record([*outcome("0", 1000, 100), *outcome("1", 1000, 130), *orders])
    return folder


def test_ledger_has_the_baseline_and_the_daily_visitors(ledger: Path) -> None:
    rate = run("--activity 1 --lift 20% -d", str(ledger)).stdout
    assert "days in whole weeks, at 2,000 visitors a day" in rate
    assert rate.startswith(run("--baseline 10% --lift 20%").stdout.splitlines()[0])
    revenue = run("--activity 1 --metric revenue --lift 20% -o json -d", str(ledger)).stdout
    # 2 per visitor, variance 20² · 0.1 · 0.9 of the mean, one more for the sample's
    expected = run("--mean 2 --deviation 6.003003 --lift 20% -o json").stdout
    assert json.loads(revenue)["visitors"] == pytest.approx(json.loads(expected)["visitors"], abs=2)


def test_cap_limits_the_revenue_of_a_ledger(ledger: Path, tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record([*outcome("0", 1000, 100), *outcome("1", 1000, 130)])
        opened.record([order(n, 20.0 if n else 5000.0) for n in range(100)])
    options = "--activity 1 --metric revenue --lift 20% -d"
    capped = run(f"--cap 20 {options}", str(tmp_path)).stdout
    assert capped.replace(" --cap 20", "") == run(options, str(ledger)).stdout
    assert "'--cap': must be a number above 0" in run(f"--cap 0 {options}", str(tmp_path)).stderr


def test_folder_has_the_cap_of_revenue(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger", sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record([*outcome("0", 1000, 100), *outcome("1", 1000, 130)])
        opened.record([order(n, 5.0 + n % 25) for n in range(100)])
    activity = HERO.replace("key: hero", "key: hero\nid: 1")
    plain = write_files(tmp_path / "plain", {"hero.yaml": activity})
    settings = f"{SETTINGS}metrics: {{revenue: {{cap: 15}}}}\n"
    capped = write_files(tmp_path / "capped", {"hero.yaml": activity, "targetry.yaml": settings})

    def lines(folder: Path, more: str) -> list[str]:
        made = run(f"--activity 1 --lift 20% {more}", str(folder))
        assert made.exit_code == 0, made.output
        return [one for one in made.stdout.splitlines() if not one.startswith("report it with")]

    for metric in ("revenue", "rpo"):
        options = f"--metric {metric} -d '{tmp_path / 'ledger'}'"
        made = lines(capped, options)
        assert made.pop(3) == "with the cap of the folder: revenue up to 15.00 counts"
        assert made == lines(plain, f"{options} --cap 15") != lines(plain, options)
        assert lines(capped, f"{options} --cap 10") == lines(plain, f"{options} --cap 10") != made
    for more in (f"--metric orders -d '{tmp_path / 'ledger'}'", "--baseline 5%"):
        assert lines(capped, more) == lines(plain, more)


# folder's settings, activity's keys, options → the metric that the plan is about
PRIMARY = [
    ("", "", "", "conversion"),
    ("metrics: {revenue: {primary: true}}", "", "", "revenue"),
    ("metrics: {revenue: {primary: true}}", "primary_metric: orders", "", "orders"),
    ("", "primary_metric: revenue", "--metric orders", "orders"),
]


@pytest.mark.parametrize(("settings", "own", "options", "metric"), PRIMARY)
def test_folder_has_the_metric_of_a_ledger(
    ledger: Path, tmp_path: Path, settings: str, own: str, options: str, metric: str
) -> None:
    activity = HERO.replace("key: hero", f"key: hero\nname: Autumn\nid: 1\n{own}")
    files = {"hero.yaml": activity, "targetry.yaml": f"{SETTINGS}{settings}\n"}
    folder = str(write_files(tmp_path, files))
    plain = f"--activity 1 --lift 20% -o json -d '{ledger}'"
    expected = json.loads(run(f"{plain} --metric {metric}").stdout)
    for activity in ("1", "hero", "Autumn"):
        made = run(f"--activity {activity} --lift 20% -o json -d '{ledger}' {options}", folder)
        assert json.loads(made.stdout) == expected, activity
    assert expected["metric"] == metric


def test_baseline_of_another_metric_than_the_primary_one_is_noted(tmp_path: Path) -> None:
    activity = HERO.replace("key: hero", "key: hero\nprimary_metric: revenue")
    folder = str(write_files(tmp_path, {"hero.yaml": activity}))
    note = "note: the primary metric of the activity is revenue per visitor; plan it by --mean and --deviation, or a ledger\n"
    assert run("--baseline 5% --lift 10%", folder).stderr == note
    assert run("--mean 4 --deviation 12 --lift 10%", folder).stderr == ""
    write_files(tmp_path, {"hero.yaml": HERO})
    assert run("--baseline 5% --lift 10%", folder).stderr == ""


def test_baseline_of_a_ledger_is_printed(ledger: Path) -> None:
    rate = run("--activity 1 --lift 20% -d", str(ledger)).stdout
    assert "conversion of the control in the ledger: 10.00 %\n" in rate
    revenue = run("--activity 1 --metric revenue --lift 20% -d", str(ledger)).stdout
    assert (
        "revenue per visitor of the control in the ledger: 2, with a standard deviation of 6.003\n" in revenue
    )
    made = json.loads(run("--activity 1 --metric revenue --lift 20% -o json -d", str(ledger)).stdout)
    assert made["baseline"] == {"mean": 2.0, "deviation": pytest.approx(6.003, abs=1e-3)}
    given = json.loads(run("--mean 4 --deviation 12 --lift 5% -o json").stdout)
    assert (given["metric"], given["baseline"]) == (None, {"mean": 4.0, "deviation": 12.0})


def test_capped_amounts_that_are_alike_have_no_deviation(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record([*outcome("0", 100, 0), *outcome("1", 100, 0)])
        opened.record([order(n, 20.0 + n) for n in range(100)])
    for metric, things in (("revenue", "visitors"), ("rpo", "orders")):
        options = f"--activity 1 --metric {metric} --cap 15 --lift 20% -d '{tmp_path}'"
        stderr = cli.run("power", *shlex.split(options), width=300).stderr
        message = f"{metric}: all {things} of the control of activity '1' have the same value up to the cap of 15.00; choose a higher --cap"
        assert message in stderr


def test_report_has_the_options_of_the_plan(ledger: Path, tmp_path: Path) -> None:
    def report(options: str, *more: str) -> str:
        made = run(f"--activity 1 --lift 20% -d '{ledger}' {options}", *more)
        (line,) = [one for one in made.stdout.splitlines() if one.startswith("report it with")]
        return line.partition("--planned ")[2].partition(" ")[2]

    means = "--mean 4 --deviation 12 --lift 5%"
    for more, metric in (("", "NAME"), ("--metric revenue", "revenue")):
        assert run(f"{means} {more}").stdout.splitlines()[-2].endswith(f"--planned 186490 --metric {metric}")
    assert report("") == ""
    assert report("--metric orders") == "--metric orders"
    assert report("--metric revenue --cap 1234567.5") == "--metric revenue --cap 1234567.5"
    settings = f"{SETTINGS}metrics: {{revenue: {{primary: true}}}}\n"
    files = {"hero.yaml": HERO.replace("key: hero", "key: hero\nid: 1"), "targetry.yaml": settings}
    folder = write_files(tmp_path / "my shop", files)
    assert report("", str(folder)) == f"--activities '{folder}'"
    rate = run("--baseline 5% --lift 10%", str(folder)).stdout
    assert f"--planned 103071 --activities '{folder}' --metric conversion\n" in rate
    assert f"--activities '{folder}'\n" in run(means, str(folder)).stdout
    assert report("--metric orders", str(folder)) == f"--activities '{folder}' --metric orders"


def test_activity_that_the_ledger_lacks_is_named_as_given(ledger: Path, tmp_path: Path) -> None:
    folder = str(write_files(tmp_path, {"hero.yaml": HERO.replace("key: hero", "key: hero\nid: 77")}))
    result = cli.run("power", *shlex.split(f"--activity hero --lift 20% -d '{ledger}'"), folder, width=300)
    assert f"activity 'hero' (77) has no visitors in the ledger {ledger}" in result.stderr


def test_control_without_a_share_has_no_part_of_the_split(tmp_path: Path) -> None:
    shares = tuple(
        ExperienceDescription(key, key, share) for key, share in (("0", 0.0), ("1", 60.0), ("2", 40.0))
    )
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([msgspec.structs.replace(ACTIVITY, experiences=shares)])
        opened.record(outcome("0", 600, 60))
    assert "with the shares" not in run("--activity 1 --lift 20% -d", str(tmp_path)).stdout


def test_control_without_a_plan_is_named(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([msgspec.structs.replace(ACTIVITY, id=key) for key in "123"])
        opened.record([*outcome("0", 50, 50, activity="1"), *outcome("1", 50, 5, activity="2")])
        opened.record(outcome("0", 50, 0, activity="3"))
    for key, message in {
        "1": "conversion: every visitor of the control of activity '1' converted, so no lift is possible",
        "2": "the control of activity '2' has no visitors",
        "3": "conversion: the control of activity '3' has no value above 0 yet",
    }.items():
        options = f"--activity {key} --lift 20% -d '{tmp_path}'"
        assert message in cli.run("power", *shlex.split(options), width=300).stderr


def test_daily_visitors_are_those_since_the_shares_changed(tmp_path: Path) -> None:
    day = 86_400_000
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([ACTIVITY], now_ms=1)
        opened.record(
            [
                msgspec.structs.replace(one, id=f"e{one.id}", visitor=f"e{one.visitor}")
                for one in outcome("0", 900, 90)
            ]
        )
        halves = tuple(msgspec.structs.replace(one, share=30.0) for one in ACTIVITY.experiences)
        opened.describe([msgspec.structs.replace(ACTIVITY, experiences=halves)], now_ms=10 * day)
        opened.record(
            [
                msgspec.structs.replace(one, timestamp_ms=(11 + n % 4) * day)
                for e in "01"
                for n, one in enumerate(outcome(e, 100, 0))
            ]
        )
        opened.record(
            [
                msgspec.structs.replace(one, timestamp_ms=20 * day)
                for one in outcome("0", 100, 10)
                if one.kind == "click"
            ]
        )
    assert "at 50 visitors a day" in run("--activity 1 --lift 90% -d", str(tmp_path)).stdout


def test_ledger_with_less_than_a_visitor_a_day_has_a_plan(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([ACTIVITY])
        opened.record(
            [
                msgspec.structs.replace(one, timestamp_ms=one.timestamp_ms + n * 7 * 86_400_000)
                for n, one in enumerate(outcome("0", 8, 4))
            ]
        )
    assert "days in whole weeks" in run("--activity 1 --lift 20% -d", str(tmp_path)).stdout


def test_folder_is_compiled_once(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compiled = activity_folder.compile_activities
    monkeypatch.setattr(
        activity_folder, "compile_activities", lambda *a, **b: calls.append(a) or compiled(*a, **b)
    )
    folder = str(write_files(tmp_path, {"hero.yaml": HERO.replace("key: hero", "key: hero\nid: 1")}))
    assert run(f"--activity 1 --metric revenue --lift 20% -d '{ledger}'", folder).exit_code == 0
    assert len(calls) == 1


def test_activity_of_a_ledger_has_the_shares(tmp_path: Path) -> None:
    thirds = tuple(ExperienceDescription(key, key, share) for key, share in (("0", 60.0), ("1", 40.0)))
    with Ledger.open(tmp_path, sync="NORMAL") as opened:
        opened.describe([msgspec.structs.replace(ACTIVITY, experiences=thirds)])
        opened.record([*outcome("0", 600, 60), *outcome("1", 400, 50)])
    made = run("--activity 1 --lift 20% -d", str(tmp_path)).stdout
    assert "with the shares of Hero: 60 / 40 %\n" in made
    assert made.startswith(run("--baseline 10% --lift 20% --shares 60,40").stdout.splitlines()[0])
    assert "shares of" not in run("--activity 1 --lift 20% --shares 50,50 -d", str(tmp_path)).stdout


def split(activity: int, *shares: float) -> list[dict[str, Any]]:
    """Return the rules of an A/B activity."""
    windows = pairwise(accumulate(shares, initial=0.0))
    return [rule(activity, window(*ends), experience=number) for number, ends in enumerate(windows)]


@pytest.fixture
def rules(tmp_path: Path) -> str:
    return str(write_artifact(tmp_path, mboxes_of(*split(7, 50, 30, 20), *split(8, 50, 50))))


def test_activity_of_an_artifact_has_the_shares(rules: str) -> None:
    plain = run("--baseline 5% --lift 10% --shares 50,30,20").stdout.splitlines()
    for key in ("7", "Activity 7"):
        made = run("--baseline 5% --lift 10%", "--activity", key, rules).stdout.splitlines()
        assert made[1] == "with the shares of Activity 7: 50 / 30 / 20 %"
        assert made[:1] + made[2:] == plain


ARTIFACT_MISTAKES = {
    "": "rules.json has several activities; choose one by --activity: '7', '8'",
    "--activity 9": "rules.json has no A/B activity with the id or name '9'; the ids are: '7', '8'",
    "--activity 7 --shares 50,50": "an artifact has the shares; leave it or --shares out",
    "--activity 7 --environment production": "--environment is for a folder of activities",
}


def test_mistakes_with_an_artifact_are_named(rules: str) -> None:
    for options, message in ARTIFACT_MISTAKES.items():
        result = cli.run("power", *f"--baseline 5% --lift 10% {options}".split(), rules, width=300)
        assert result.exit_code == 2, options
        assert message in result.stderr, options


def test_ledger_of_the_first_format_is_upgraded_and_read(tmp_path: Path) -> None:
    first_format(tmp_path, [*outcome("0", 1000, 100), *outcome("1", 1000, 130)])
    result = run("--activity 1 --lift 20% -d", str(tmp_path))
    assert result.stdout.startswith(run("--baseline 10% --lift 20%").stdout.splitlines()[0])


@pytest.mark.parametrize("name", ["plan.png", *slow("plan.svg")])
def test_plan_is_plotted(tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    assert run("--baseline 5% --lift 10% --plot", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / name).stat().st_size > 5_000


MISTAKES = {
    "--lift 10%": "give exactly one of --baseline, --mean and a ledger",
    "--baseline 5% --mean 3 --lift 10%": "give exactly one of --baseline, --mean and a ledger",
    "--baseline 5%": "'--lift': either a lift or a number of visitors must be given",
    "--mean nan --deviation 1 --lift 5%": "'--mean': must be a number above 0, not nan",
    "--mean 0 --deviation 1 --lift 5%": "'--mean': must be a number above 0, not 0.0",
    "--baseline much --lift 10%": "must be a percentage like 2%, not 'much'",
    "--mean 4 --lift 5%": "--mean needs --deviation",
    "--baseline 5% --lift 10% --shares half": "'--shares': must be numbers like 50,50, not 'half'",
    "--baseline 5% --lift 10% --cap 5": "--cap needs a ledger",
    "--baseline 5% --lift 10% --metric revenue": "--metric is for a ledger or --mean",
    "--baseline 5% --lift 10% --deviation 3": "--deviation is for --mean",
    "--baseline 5% --lift 10% --activity 1": "--activity is for a ledger, an artifact or a folder",
    "--baseline 5% --lift 10% --power 5%": "'--power': must be above alpha (0.05), not 0.05",
    "--mean 4 --deviation 12 --lift 5% --metric conversion": "'--metric': must be one of orders, revenue, rpo with --mean",
    "--baseline 5% --lift 10% --daily 0": "'--daily': must be a number above 0, not 0.0",
    "--baseline 5% --lift 10% --plot nowhere/a.png": "there is no folder 'nowhere'",
    "--baseline 5% --lift 10% --environment test": "are for an artifact or a folder",
    "--baseline 90% --visitors 20 --plot a.png": "there is nothing to plot",
    "--baseline 5% --lift 10% --plot a.pdf": "must end in .png or .svg",
}


def test_mistakes_are_named(ledger: Path, tmp_path: Path) -> None:
    for arguments, message in MISTAKES.items():
        result = run(arguments)
        assert result.exit_code != 0, arguments
        assert message in result.stderr, arguments
    for arguments, message in {
        "--lift 10% -d": "a ledger needs --activity, the id or name of an activity",
        "--lift 10% --activity 7 -d": "activity '7' has no visitors in the ledger",
        "--lift 10% --activity 1 --metric clicks -d": "'--metric': must be one of",
        "--lift 10% --activity 1 --cap 5 -d": "'--cap': is for the metrics revenue and rpo, not for conversion",
        "--lift 10% --activity 1 --baseline 5% -d": "a ledger has the baseline; leave it or --baseline",
        "--lift 10% --activity 1 --deviation 5 -d": "a ledger has the baseline; leave it or --baseline",
        "--lift 10% --activity 1 --metric rpo -d": "rpo: all orders of the control of activity '1' have the same value",
    }.items():
        assert message in " ".join(run(arguments, str(ledger)).stderr.split()), arguments
    assert "there is no ledger in" in run("--lift 10% --activity 1 -d", str(tmp_path)).stderr


def test_percentage_below_one_needs_a_sign() -> None:
    refused = run("--baseline 0.05 --lift 10%")
    assert refused.exit_code == 2
    assert "'--baseline': 0.05 is a percentage or a share: write 0.05% or 5%" in refused.stderr
    assert run("--baseline 0.05% --lift 10").exit_code == 0
