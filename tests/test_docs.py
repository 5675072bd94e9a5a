"""Documents: reference pages equal what the code says, and every Python snippet runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!http)([^)#]+)")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["options.md", "edge-options.md", "errors.md"])
def test_a_reference_page_is_what_the_generator_writes(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == generator().PAGES[name]()


def snippets() -> list[tuple[str, str]]:
    """Return the snippets that run alone; tests/dropin/test_migrating.py runs the others."""
    pages = ("README.md", "docs/edge.md")
    return [(page, code) for page in pages for code in SNIPPET.findall((ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize(("page", "code"), snippets())
def test_a_snippet_runs_and_prints(page: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, page, "exec"), {"__name__": "__main__"})  # noqa: S102  running them is the test
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/migrating.md", "docs/edge.md", "tests/README.md"],
)
def test_every_link_between_documents_leads_somewhere(page: str) -> None:
    path = ROOT / page
    missing = [link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()]
    assert missing == []


def test_every_test_that_stands_for_a_fault_is_there() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "tests" / "README.md").read_text("utf-8"))
    assert len(named) > 30
    missing = [
        name for path, name in named if f"def {name}(" not in (ROOT / "tests" / path).read_text("utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test", "scripts/lint", "scripts/bench"])
def test_every_script_that_the_documents_name_is_there_and_executable(command: str) -> None:
    mode = (ROOT / command).stat().st_mode
    assert mode & 0o111
