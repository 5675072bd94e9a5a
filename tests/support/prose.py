"""Prose of the repository: docstrings, comments, messages and pages, each with its place."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from support.syntax import statements

ROOT = Path(__file__).parent.parent.parent
TREES = ("src", "tests", "benchmarks", "docs", "examples")
PAGES = (".md", ".html", ".js", ".css")
# The language tests contain samples of forbidden prose.
EXCLUDED = ("tests/test_language.py", "tests/test_references.py")

_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<!--|-->|<[^>]+>|\{[%{#].*?[%}#]\}", re.DOTALL)
_STRING_OR_COMMENT = re.compile(
    r"""\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*""",
    re.DOTALL,
)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_CODE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Prose:
    """A passage of prose: a docstring, a run of comment lines, a message or a whole page."""

    file: str
    line: int
    text: str
    kind: str

    def place(self, offset: int) -> str:
        """Return `file:line` of a position in the text."""
        return f"{self.file}:{self.line + self.text.count(chr(10), 0, offset)}"


@cache
def files() -> tuple[str, ...]:
    """Return the paths of all Python files and pages, relative to the repository."""
    found = [file for tree in TREES for file in (ROOT / tree).rglob("*") if file.is_file()]
    found += ROOT.glob("*.md")
    names = (file.relative_to(ROOT).as_posix() for file in found)
    return tuple(sorted(name for name in names if name.endswith((".py", *PAGES)) and name not in EXCLUDED))


def passages(can_have: Callable[[str, str], bool]) -> Iterator[Prose]:
    """Yield the passages of files that can have a finding, since parsing all files takes seconds.

    Args:
        can_have: Takes the path and the text of a file.
    """
    for file in files():
        if can_have(file, (ROOT / file).read_text("utf-8")):
            yield from prose(file)


@lru_cache(maxsize=1)
def tree(file: str) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse((ROOT / file).read_text("utf-8"))


def definitions(file: str) -> list[Documented]:
    """Return the module, its classes and its functions."""
    return [node for node in statements(tree(file)) if isinstance(node, _DOCUMENTED)]


def prose(file: str) -> tuple[Prose, ...]:
    """Return the passages of a file; messages are the product's strings that contain a space."""
    text = (ROOT / file).read_text("utf-8")
    if file.endswith(".py"):
        return (*_comments(file, text), *_strings(file))
    if file.endswith(".md"):
        return (Prose(file, 1, _CODE.sub(_blank, text), "page"),)
    if file.endswith(".html"):
        return (Prose(file, 1, _MARKUP.sub(_blank, text), "page"),)
    return tuple(
        Prose(file, 1 + text.count("\n", 0, hit.start()), hit.group(), "comment")
        for hit in re.finditer(r"/\*.*?\*/|(?<![:\"'])//[^\n]*", text, re.DOTALL)
    )


def _blank(hit: re.Match[str]) -> str:
    """Return only the line ends of a match, so that lines keep their numbers."""
    return "\n" * hit.group().count("\n")


def _comments(file: str, text: str) -> Iterator[Prose]:
    """Yield runs of comment lines; the pattern skips strings as `tokenize` would, but faster."""
    start, lines = 0, list[str]()
    for hit in _STRING_OR_COMMENT.finditer(text):
        if not hit.group().startswith("#"):
            continue
        line = text.count("\n", 0, hit.start()) + 1
        own_line = not text[text.rfind("\n", 0, hit.start()) + 1 : hit.start()].strip()
        if lines and not (own_line and line == start + len(lines)):
            yield Prose(file, start, "\n".join(lines), "comment")
            lines = []
        if not lines:
            start = line
        lines.append(hit.group().lstrip("#").strip())
    if lines:
        yield Prose(file, start, "\n".join(lines), "comment")


def _strings(file: str) -> Iterator[Prose]:
    docstrings = set[int]()
    for owner in definitions(file):
        match owner.body:
            case [ast.Expr(ast.Constant(str() as text) as node), *_]:
                docstrings.add(id(node))
                yield Prose(file, node.lineno, text, "docstring")
    if file.startswith("src/"):
        for other in ast.walk(tree(file)):
            match other:
                case ast.Constant(str() as text) if id(other) not in docstrings and " " in text.strip():
                    yield Prose(file, other.lineno, text, "message")
