"""Documents: reference pages equal what the code says, and every Python snippet runs."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from typer.core import TyperGroup

from support.cases import each_case
from support.cli import COMMAND, run, write_artifact
from support.python_process import environment
from support.snippets import run_snippets, snippets
from targetry import events, samples
from targetry.activities.expressions import forms
from targetry.delivery import cookies
from targetry.device.logic import compiler
from targetry.edge.observability.metric_info import ROUTES
from targetry.notifications.queue import counters

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!http)([^)#]+)")


def script(name: str) -> ModuleType:
    """Return a script under docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = script("generate")


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_reference_page_equals_the_output_of_the_generator(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == GENERATOR.PAGES[name](), "run python docs/generate.py"


def test_metrics_page_lists_the_routes() -> None:
    edge = ROOT / "src" / "targetry" / "edge"
    source = "".join(file.read_text("utf-8") for file in (edge / "app.py", *(edge / "ui").glob("*.py")))
    routes = set(re.findall(r'(?:\bname=|\.route = |_ROUTE: Final = )"(\w+)"', source)) | {"ofrep"}
    assert set(ROUTES) == routes


def pages_with_snippets() -> list[str]:
    """Return the pages whose snippets run here; other tests run those of ELSEWHERE."""
    return [page for page in ["README.md", *docs_pages()] if page not in ELSEWHERE and snippets(page)]


def docs_pages() -> list[str]:
    """Return the pages under docs/."""
    return [page.relative_to(ROOT).as_posix() for page in sorted((ROOT / "docs").rglob("*.md"))]


# Django and OpenTelemetry are configured once in a process, so they run in processes of their own;
# Spark has an environment of its own.
ELSEWHERE = {
    "docs/activities.md",
    "docs/ci.md",
    "docs/django.md",
    "docs/migrating.md",
    "docs/opentelemetry.md",
    "docs/spark.md",
    "docs/tutorial/experiment.md",
    "docs/tutorial/web-app.md",
}


@pytest.mark.parametrize("page", pages_with_snippets())
def test_snippets_of_a_page_run_and_print(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_snippets(page)


def test_snippets_for_django_run_in_a_process_with_its_settings() -> None:
    code = "".join(one.code for one in snippets("docs/django.md"))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"hero.*Ada.*granted.*^True$", done.stdout, re.DOTALL | re.MULTILINE), done.stdout


@cache
def emitted_keys() -> dict[str, set[str]]:
    """Return the payload keys of each event, from the calls that name its constant."""
    constants = {name: value for name, value in vars(events).items() if value in events.EVENT_NAMES}
    found: dict[str, set[str]] = {name: set() for name in events.EVENT_NAMES}
    for file in (ROOT / "src" / "targetry").rglob("*.py"):
        text = file.read_text("utf-8")
        if not any(constant in text for constant in constants):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                event = constants.get(node.args[0].id)
                if event is not None:
                    found[event] |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return found


def test_payload_of_each_event_has_the_keys_that_are_emitted() -> None:
    declared = {name: set(payload.__annotations__) for name, payload in events.PAYLOADS.items()}
    assert declared == emitted_keys()


def test_events_page_describes_each_key() -> None:
    sections = GENERATOR.PAGES["events.md"]().split("\n## ")[1:]
    described = {
        section.partition("\n")[0]: set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
        for section in sections
    }
    assert described == emitted_keys()


def test_architecture_page_lists_each_room() -> None:
    listed = re.findall(
        r"^\| `([\w/]+)` \|", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.MULTILINE
    )
    package = ROOT / "src" / "targetry"
    folders = {file.parent.relative_to(package).as_posix() for file in package.rglob("*.py")} - {"."}
    assert sorted(listed) == sorted(folders)


def page_section(page: str, title: str) -> str:
    """Return a section of a page under docs/, without its subsections."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.split(r"^#+ ", text.partition(f"# {title}\n")[2], flags=re.MULTILINE)[0]


def test_decisioning_page_lists_the_operators() -> None:
    listed = re.findall(r"`([^`\s]+)`", page_section("decisioning.md", "Conditions").partition(".")[0])
    assert sorted(listed) == sorted(compiler._OPERATOR_NAMES)


def test_expressions_page_shows_each_function() -> None:
    shown = re.findall(r"(\w+)\(", page_section("activities-expressions.md", "Forms"))
    assert set(shown) >= {*forms.FUNCTIONS, *forms.SPECIAL_FUNCTIONS}


def test_delivery_page_lists_the_reasons_of_drops() -> None:
    listed = re.findall(
        r"^\| `(\w+)` \|", page_section("delivery.md", "Impressions in the background"), re.MULTILINE
    )
    assert sorted(listed) == sorted(get_args(counters.Reason))


def test_cookies_page_has_the_ages() -> None:
    page = (ROOT / "docs" / "cookies.md").read_text("utf-8")
    for age in (cookies.SESSION_ID_MAX_AGE, cookies.DEVICE_ID_MAX_AGE, cookies.LOCATION_HINT_MAX_AGE):
        assert f"{age:,} seconds" in page


def test_page_on_peeking_has_the_figures_of_its_script() -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    peeking = script("peeking")
    looks = peeking.simulate()
    one_look, sequence = (peeking.alarms(looks, half) for half in (looks.fixed, looks.sequence))
    page = (ROOT / "docs" / "peeking.md").read_text("utf-8")
    for part in (one_look[0], one_look[13], one_look[59], sequence[59]):
        assert f"{100 * part:.1f} %" in page
    chosen = peeking.example(looks)
    assert (abs(looks.differences[chosen]) > looks.fixed[chosen]).sum() == 5, "the page says five days"


def test_index_lists_each_page() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8")))


def test_tests_named_for_a_fault_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "tests" / "README.md").read_text("utf-8"))
    assert len(named) > 30
    missing = [
        name for path, name in named if f"def {name}(" not in (ROOT / "tests" / path).read_text("utf-8")
    ]
    assert missing == []


def commands() -> list[tuple[str, str]]:
    """Return the lines of the shell snippets that start with `targetry`, without their comments."""
    lines = []
    for page in ("README.md", *docs_pages()):
        for block in re.findall(
            r"^```sh\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            lines += [(page, line) for line in block.splitlines() if line.startswith("targetry ")]
    return lines


def arguments_of(line: str) -> list[str]:
    """Return the arguments of a command, up to what the shell makes of its output."""
    _, *words = shlex.split(line, comments=True)
    return list(itertools.takewhile(lambda word: word not in {">", "|", "&"}, words))


@each_case("page, line", commands())
def test_command_of_a_page_has_options_that_exist(page: str, line: str) -> None:
    arguments = arguments_of(line)
    command = COMMAND
    while isinstance(command, TyperGroup):
        command = command.commands[arguments.pop(0)]
    # Below that of the root: a command keeps the names of its help option from its first context.
    root = COMMAND.make_context("targetry", [], resilient_parsing=True)
    command.make_context(command.name, arguments, parent=root)  # raises for an option that does not exist


def test_commands_of_the_pages_that_decide_succeed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run them but those of the reference page, which the tests of the commands run."""
    monkeypatch.chdir(tmp_path)
    write_artifact(tmp_path, samples.shop())
    asked = {tuple(arguments_of(line)) for page, line in commands() if page != "docs/cli.md"}
    asked = {one for one in asked if one[0] in {"artifact", "explain", "offers"}}
    assert len(asked) > 8
    failed = [one for one in sorted(asked) if run(*one).exit_code != 0]
    assert failed == []


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    rows = re.findall(
        r"^\| .* \| ([\d.,]+)(×?).* \| `scripts/bench", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    assert len(rows) == 7
    assert [
        figure
        for figure, times in rows
        if not re.search(rf"(?<![\d.,]){re.escape(figure + times)}(?![\d,])", results)
    ] == []


def test_each_row_of_the_comparison_names_a_test_or_a_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("| Shown by |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(table) > 10
    assert [row for row in table if not re.search(r"\| `(?:tests/.+|scripts/.+)` \|$", row)] == []


def test_pictures_of_the_readme_exist() -> None:
    pictures = re.findall(r'src(?:set)?="([^"]+)"', (ROOT / "README.md").read_text("utf-8"))
    assert len(pictures) == 2
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


def test_extras_of_the_readme_are_those_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = (ROOT / "README.md").read_text("utf-8").partition("| Extra |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(project["optional-dependencies"])


def test_scripts_of_the_pages_are_executable() -> None:
    named = set()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        named |= set(re.findall(r"(?:scripts|\.ci)/[\w-]+", page.read_text("utf-8")))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).stat().st_mode & 0o111] == []
