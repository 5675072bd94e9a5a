"""References in code, pages and tests: each names a file, an anchor or an id of this repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from support.prose import ROOT, Prose, passages

PATH = re.compile(
    r"(?<![\w/.-])(?:src|tests|docs|benchmarks|examples|scripts|\.ci)/[\w./*-]*\w(?:#[\w-]+|::\w+)?"
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
# Letters come before what is required on their left: a search for them takes a sixth of the time.
DIVERGENCE = re.compile(r"[BD](?<=\b.)-\d{2}\b")
FAULT = re.compile(r"[FLB](?<=\b.)\d{1,2}\b")
# Names of documents that are not in this repository.
FOREIGN = re.compile(
    r"spec/(?<=\bspec/)|\.\./shared|(?:DESIGN|STYLE|WRITING|RELIABILITY|DEPENDENCIES)(?:\.md)?\b"
)
ANCHOR = re.compile(r'<a id="([\w-]+)">')
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@cache
def anchors(page: str) -> frozenset[str]:
    """Return the anchors of a page: explicit ones, and those that GitHub makes of headings."""
    text = (ROOT / page).read_text("utf-8")
    headings = (
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in HEADING.findall(text)
    )
    return frozenset((*ANCHOR.findall(text), *headings))


@cache
def faults() -> frozenset[str]:
    """Return the ids of the table of faults."""
    return frozenset(
        re.findall(r"^\| ([FLB]\d+) \|", (ROOT / "tests" / "README.md").read_text("utf-8"), re.MULTILINE)
    )


@cache
def leads_somewhere(target: str, folder: str = "") -> bool:
    """Return whether a path is in the repository, and its anchor or test in the file."""
    path, _, rest = re.sub(r"::", "#", target).partition("#")
    places = [ROOT / folder / path] if folder or not path.startswith("/") else []
    if "*" in path:
        return any(ROOT.glob(path))
    file = places[0].resolve() if path else None
    if file is None or not file.exists() or ROOT not in (file, *file.parents):
        return False
    if not rest:
        return True
    if file.suffix == ".md":
        return rest in anchors(file.relative_to(ROOT).as_posix())
    return re.search(rf"\b{rest}\b", file.read_text("utf-8")) is not None


def dangling(passage: Prose) -> Iterator[str]:
    """Return the references of a passage that lead nowhere."""
    text, page = passage.text, passage.kind == "page"
    wrong = [hit for hit in PATH.finditer(text) if not leads_somewhere(hit.group())]
    wrong += [
        hit for hit in DIVERGENCE.finditer(text) if hit.group().lower() not in anchors("docs/migrating.md")
    ]
    wrong += FOREIGN.finditer(text)
    if passage.file.startswith("tests/"):
        wrong += [hit for hit in FAULT.finditer(text) if hit.group() not in faults()]
    yield from (f"{passage.place(hit.start())}: {hit.group()}" for hit in wrong)
    if page and passage.file.endswith(".md"):
        folder = passage.file.rpartition("/")[0]
        for hit in LINK.finditer(text):
            target = hit[1] if not hit[1].startswith("#") else f"{passage.file.rpartition('/')[2]}{hit[1]}"
            if not leads_somewhere(target, folder):
                yield f"{passage.place(hit.start())}: {hit.group()}"


def can_dangle(file: str, text: str) -> bool:
    """Return whether a file has such references, in its prose or in its code."""
    return any(dangling(Prose(file, 1, text, "page")))


def test_each_reference_leads_somewhere() -> None:
    assert [place for passage in passages(can_dangle) for place in dangling(passage)] == []


def test_dangling_references_are_found() -> None:
    """Check the patterns themselves: a sample of each kind is found, a right one is not."""
    wrong = (
        "`docs/none.md`",
        "docs/edge.md#none",
        "D-99",
        "see spec/models.md",
        "RELIABILITY B7",
        "tests/a.py::test_b",
        "F99",
    )
    right = (
        "`docs/edge.md`",
        "docs/edge.md#the-page",
        "tests/test_references.py::test_dangling_references_are_found",
        "F1",
    )
    assert [text for text in wrong if not list(dangling(Prose("tests/a.py", 1, text, "comment")))] == []
    assert [text for text in wrong if not can_dangle("tests/a.py", text)] == []
    assert [text for text in right if list(dangling(Prose("tests/a.py", 1, text, "comment")))] == []
    assert list(dangling(Prose("docs/a.md", 1, "[page](none.md)", "page"))) == ["docs/a.md:1: ](none.md)"]
