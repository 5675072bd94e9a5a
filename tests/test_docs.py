"""The documents cannot drift: reference pages equal what the code says, and every Python snippet runs."""

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


@pytest.mark.parametrize("name", ["options.md", "errors.md"])
def test_a_reference_page_is_what_the_generator_writes(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == generator().PAGES[name]()


def readme_snippets() -> list[str]:
    return SNIPPET.findall((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("number", range(len(readme_snippets())))
def test_a_snippet_of_the_readme_runs_and_prints(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(  # noqa: S102  running them is the test
        compile(readme_snippets()[number], f"README.md, snippet {number}", "exec"), {"__name__": "__main__"}
    )
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/migrating.md"])
def test_every_link_between_documents_leads_somewhere(page: str) -> None:
    path = ROOT / page
    missing = [link for link in LINK.findall(path.read_text("utf-8")) if not (path.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test", "scripts/lint", "scripts/bench"])
def test_every_script_that_the_documents_name_is_there_and_executable(command: str) -> None:
    mode = (ROOT / command).stat().st_mode
    assert mode & 0o111
