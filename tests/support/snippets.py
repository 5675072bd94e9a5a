"""Python snippets of the pages: run in order, with what they print compared."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent

_SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CONTINUES = "# continues\n"
_FILE = re.compile(r"\A# (\w+\.py)$", re.MULTILINE)
_EXPECTED = re.compile(r"^# expect: (.*)$", re.MULTILINE)


class Snippet(NamedTuple):
    """One block of a page; `line` is its first line."""

    page: str
    line: int
    code: str

    @property
    def is_suite(self) -> bool:
        """Whether it is a file of tests."""
        return "\ndef test_" in self.code

    @property
    def file(self) -> str | None:
        """The file that its first line names."""
        named = _FILE.match(self.code)
        return named[1] if named else None


def snippets(page: str) -> list[Snippet]:
    """Return the snippets of a page, given by its path in the repository."""
    text = (ROOT / page).read_text("utf-8")
    return [Snippet(page, text.count("\n", 0, hit.start(1)) + 1, hit[1]) for hit in _SNIPPET.finditer(text)]


def write_files(page: str, folder: Path) -> None:
    """Write the files of a page that its snippets name; the last snippet of a name counts."""
    for snippet in snippets(page):
        if snippet.file:
            (folder / snippet.file).write_text(snippet.code, "utf-8")


def run_snippets(page: str) -> int:
    """Run the snippets of a page but its suites, and return their number.

    A snippet that starts with `# continues` has the names of the one before. It must print the
    texts of its lines `# expect: …`, in this order.
    """
    names: dict[str, Any] = {}
    count = 0
    for snippet in snippets(page):
        if snippet.is_suite:
            continue
        if not snippet.code.startswith(_CONTINUES):
            names = {"__name__": "__main__"}
        output = io.StringIO()
        code = compile("\n" * (snippet.line - 1) + snippet.code, page, "exec")
        with contextlib.redirect_stdout(output):
            exec(code, names)  # noqa: S102  running them is the test
        lines = iter(output.getvalue().splitlines())
        for expected in _EXPECTED.findall(snippet.code):
            assert expected in lines, (
                f"{page}:{snippet.line} did not print {expected!r}: {output.getvalue()!r}"
            )
        count += 1
    return count
