"""Builder of the documentation site around Zensical: `stage` before it, `finish` after it.

`stage` copies the Markdown pages of the repository into `build/docs`, with links that fit the site,
and writes the API pages. `finish` adds `llms.txt`, `llms-full.txt`, the Markdown twin of each page
and the files of the playground. `scripts/docs` calls both.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import targetry
import targetry.errors
import targetry.models

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STAGED = ROOT / "build" / "docs"
SITE = ROOT / "site"
PLAYGROUND = ROOT / ".envs" / "playground"

# pages outside of docs/, and where they are on the site
OTHERS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security-policy.md",
    "benchmarks/RESULTS.md": "results.md",
    "tests/README.md": "test-suite.md",
}
LEFT_OUT = {"docs/README.md"}  # the list of pages, which the site has as its navigation

LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
PICTURE = re.compile(r'(?<=src="|set=")(?![a-z]+:|/)([^"\s]+)(?=")')
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
REFERENCES = ("options/", "edge-options/", "metrics/")  # pages with a name in each row
ROW = re.compile(r"<tr>\s*<td><code>(?P<name>[^<]+)</code></td>(?P<cells>.*?)</tr>", re.DOTALL)

SUMMARY = (
    "Targetry is the open Python SDK for Adobe Target's server-side API: a drop-in for target-python-sdk 1.1.0, "
    "typed, sync and asyncio, with on-device decisions and a local edge that needs no Adobe account."
)


class ApiPage(NamedTuple):
    """Page of public names. `module` is where they are imported from."""

    file: str
    title: str
    module: str
    names: list[str]


def api_pages() -> list[ApiPage]:
    """Return the API pages; each public name is on one of them."""
    models = set(targetry.models.__all__)
    errors = [name for name, _ in inspect.getmembers(targetry.errors, inspect.isclass)]
    errors = [name for name in errors if getattr(targetry.errors, name).__module__ == "targetry.errors"]
    face = [
        name
        for name in targetry.__all__
        if name not in models and name not in errors and not name.startswith("_")
    ]
    pages = [
        ApiPage("api/client.md", "targetry", "targetry", sorted(face)),
        ApiPage("api/models.md", "targetry: models", "targetry", sorted(models)),
        ApiPage("api/errors.md", "targetry: errors and warnings", "targetry.errors", sorted(errors)),
    ]
    listed = {name: getattr(targetry, name, None) for page in pages for name in page.names}
    for module_name in public_modules():
        module = importlib.import_module(module_name)
        # A name that a second module exports is on the page of the first.
        names = [name for name in module.__all__ if listed.get(name) is not getattr(module, name)]
        listed |= {name: getattr(module, name) for name in names}
        file = f"api/{module_name.removeprefix('targetry.')}.md"
        pages.append(ApiPage(file, module_name, module_name, sorted(names)))
    return pages


def public_modules() -> Iterator[str]:
    """Yield the public modules next to `targetry` itself that say what they export."""
    package = Path(targetry.__file__).parent
    files = {*package.glob("*.py"), *package.glob("*/__init__.py"), *package.glob("contrib/*.py")}
    for path in sorted(files):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not parts or parts[0].startswith("_") or parts[0] in NOT_PUBLIC:
            continue
        if "\n__all__" in path.read_text("utf-8"):
            yield ".".join(("targetry", *parts))


NOT_PUBLIC = {"compat", "models", "errors", "pytest_plugin", "edge", "cli"}


def pages() -> dict[str, str]:
    """Return the file of each page of the repository, relative to its root, and its place."""
    own = {f"docs/{path.relative_to(DOCS).as_posix()}" for path in DOCS.rglob("*.md")}
    found = {name: name.removeprefix("docs/") for name in sorted(own - LEFT_OUT)}
    return found | OTHERS


def stage() -> None:
    """Write the pages and files that Zensical reads."""
    shutil.rmtree(STAGED, ignore_errors=True)
    places = pages()
    for source, place in places.items():
        target = STAGED / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / source).read_text("utf-8")
        target.write_text(relinked(text, source, place, places), "utf-8")
    for path in DOCS.rglob("*"):
        if path.is_file() and path.parent != DOCS and path.suffix not in {".md", ".pyc"}:
            target = STAGED / path.relative_to(DOCS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    for page in api_pages():
        target = STAGED / page.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(api_page(page), "utf-8")


def api_page(page: ApiPage) -> str:
    """Return the Markdown of an API page, whose directives mkdocstrings fills."""
    return f"# {page.title}\n\n" + "\n".join(f"::: {page.module}.{name}" for name in page.names) + "\n"


def relinked(text: str, source: str, place: str, places: dict[str, str]) -> str:
    """Return a page with links that lead to pages of the site; those to other files become text.

    A label that is the name of a file becomes the title of its page. Pictures under docs/ are on
    the site too.
    """
    folder = os.path.dirname(source)
    start = os.path.dirname(place) or "."

    def picture(hit: re.Match[str]) -> str:
        file = os.path.normpath(os.path.join(folder, hit.group()))
        return os.path.relpath(file.removeprefix("docs/"), start)

    def link(hit: re.Match[str]) -> str:
        label, target = hit.groups()
        path, hash, anchor = target.partition("#")
        if not path or "://" in target or target.startswith("mailto:"):
            return hit.group()
        file = os.path.normpath(os.path.join(folder, path))
        if file == "docs/README.md":
            file = "README.md"
        if file in places:
            if label == f"[{path}]":  # the name of a file, of which readers of the site know the title
                label = f"[{title_of((ROOT / file).read_text('utf-8'))}]"
            return f"{label}({os.path.relpath(places[file], start)}{hash}{anchor})"
        if file.startswith("docs/"):
            return hit.group()
        return label[1:-1]

    def prose(part: str) -> str:
        return PICTURE.sub(picture, LINK.sub(link, part))

    pieces, end = [], 0
    for fence in FENCE.finditer(text):
        pieces += [prose(text[end : fence.start()]), fence.group()]
        end = fence.end()
    return "".join([*pieces, prose(text[end:])])


def title_of(text: str) -> str:
    """Return the first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


def description_of(text: str) -> str:
    """Return the description in the front matter of a page, else its first sentence."""
    named = re.search(r"\A---\n.*?^description: (.+?)$.*?^---$", text, re.MULTILINE | re.DOTALL)
    if named:
        return named[1]
    body = re.sub(r"\A---\n.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.split(r"\n\s*\n", FENCE.sub("", body)):
        line = " ".join(block.split())
        if line and not line.startswith(("#", "|", "-", "<", ":::", "!")):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("`", "")
            return re.split(r"(?<=[.!?]) ", plain)[0]
    return ""


def plain_pages() -> dict[str, str]:
    """Return the Markdown of each page as a reader without the site wants it, by its place."""
    found = {}
    for path in sorted(STAGED.rglob("*.md")):
        place = path.relative_to(STAGED).as_posix()
        if not place.startswith("api/"):
            found[place] = path.read_text("utf-8")
    for page in api_pages():
        found[page.file] = api_twin(page)
    return found


def api_twin(page: ApiPage) -> str:
    """Return an API page with signatures and docstrings as text."""
    module = importlib.import_module(page.module)
    parts = [f"# {page.title}"]
    for name in page.names:
        value = getattr(module, name)
        parts.append(f"## {name}{_signature(value)}")
        parts.append(inspect.getdoc(value) or "")
        if inspect.isclass(value):
            for member, function in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_") and member in vars(value):
                    parts.append(f"### {name}.{member}{_signature(function)}")
                    parts.append(inspect.getdoc(function) or "")
    return "\n\n".join(part for part in parts if part) + "\n"


def _signature(value: Any) -> str:
    if not inspect.isclass(value) and not inspect.isroutine(value):  # a proxy of Flask can be called too
        return ""
    try:
        return str(inspect.signature(value))
    except (NameError, TypeError, ValueError):  # annotations for type checkers, or no signature at all
        return ""


def llms(found: dict[str, str]) -> str:
    """Return the list of pages for language models: title, summary, one line per page."""
    lines = [
        f"- [{title_of(text)}]({place}): {description_of(text) or title_of(text)}"
        for place, text in found.items()
    ]
    return "\n".join(["# Targetry", "", f"> {SUMMARY}", "", "## Pages", "", *lines, ""])


def index_rows(html: str, page: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Return a built page whose table rows have anchors, and an entry of the search for each.

    A row starts with the name that it describes. Without an entry of its own, such a name is found
    on pages that mention it twice before the page that describes it.

    Args:
        html: The page.
        page: Its entry of the search.
    """
    entries: dict[str, dict[str, Any]] = {}

    def row(hit: re.Match[str]) -> str:
        name = hit["name"].partition(" ")[0]
        anchor = name.strip("-")
        if anchor in entries:
            return hit.group()
        text = " ".join(re.sub(r"<[^>]*>", " ", hit["cells"]).split())
        entry = {"location": f"{page['location']}#{anchor}", "level": 2, "title": name, "text": text}
        entries[anchor] = {**page, **entry}
        return hit.group().replace("<tr>", f'<tr id="{anchor}">', 1)

    return ROW.sub(row, html), list(entries.values())


def finish() -> None:
    """Add to the built site what Zensical does not make."""
    found = plain_pages()
    for place, text in found.items():
        target = SITE / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    (SITE / "llms.txt").write_text(llms(found), "utf-8")
    (SITE / "llms-full.txt").write_text("\n\n".join(found.values()), "utf-8")
    search = json.loads((SITE / "search.json").read_text("utf-8"))
    for page in [one for one in search["items"] if one["location"] in REFERENCES]:
        file = SITE / page["location"] / "index.html"
        html, entries = index_rows(file.read_text("utf-8"), page)
        file.write_text(html, "utf-8")
        search["items"] += entries
    (SITE / "search.json").write_text(json.dumps(search), "utf-8")
    if (PLAYGROUND / "wheels.json").exists():
        shutil.copytree(PLAYGROUND, SITE / "playground", dirs_exist_ok=True)
    files = [path for path in SITE.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"site/: {len(files)} files, {size / 1e6:.1f} MB")  # noqa: T201


def index_wheels(folder: Path) -> None:
    """Write the list of wheels that the playground loads; take out code for other platforms."""
    for path in (folder / "wheels").glob("*-*linux*.whl"):
        with zipfile.ZipFile(path) as wheel:
            parts = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith(".so")}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, content in parts.items():
                wheel.writestr(name, content)
    names = sorted(path.name for path in (folder / "wheels").glob("*.whl"))
    (folder / "wheels.json").write_text(json.dumps(names), "utf-8")


if __name__ == "__main__":
    {"stage": stage, "finish": finish, "wheels": lambda: index_wheels(PLAYGROUND)}[sys.argv[1]]()
