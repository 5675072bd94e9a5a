"""Documentation site: pages, links between them, API names, texts for language models."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import targetry
from support.cases import each_case

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
built = pytest.mark.skipif(not (SITE / "llms.txt").exists(), reason="the site is not built: run scripts/docs")


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_site", ROOT / "docs" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_site"] = module
    spec.loader.exec_module(module)
    return module


BUILD = builder()


def test_each_public_name_is_on_one_api_page() -> None:
    pages = [(page, importlib.import_module(page.module)) for page in BUILD.api_pages()]
    listed = [(name, id(getattr(module, name))) for page, module in pages for name in page.names]
    names = {name for name in targetry.__all__ if not name.startswith("_")}
    assert names - {name for name, _ in listed} == set()
    # Integrations of two frameworks may name two things alike.
    assert [one for one, count in Counter(listed).items() if count > 1] == []


def test_navigation_has_each_page_once() -> None:
    listed = re.findall(r"([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    expected = [*BUILD.pages().values(), *(page.file for page in BUILD.api_pages())]
    assert sorted(listed) == sorted(expected)


@each_case(
    "link, expected",
    [
        ("[a](CHANGELOG.md)", "[a](changelog.md)"),
        ("[a](docs/edge.md#routes)", "[a](edge.md#routes)"),
        ("[a](docs/README.md)", "[a](index.md)"),
        ("[docs/edge.md](docs/edge.md)", "[The edge: the Delivery API on localhost](edge.md)"),
        ("[a](LICENSE)", "a"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("[a](#routes)", "[a](#routes)"),
        ('<img src="docs/images/a.png">', '<img src="images/a.png">'),
        ("```\n[a](LICENSE)\n```", "```\n[a](LICENSE)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_become_text(link: str, expected: str) -> None:
    assert BUILD.relinked(link, "README.md", "index.md", BUILD.pages()) == expected


def test_each_page_has_a_title_and_a_description() -> None:
    for source in BUILD.pages():
        text = (ROOT / source).read_text("utf-8")
        assert BUILD.title_of(text), source
        assert BUILD.description_of(text), source


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("---\ntitle: a\ndescription: It is short\n---\n# a\n\nMore.", "It is short"),
        ("# a\n\n```sh\nls\n```\n\nThe [first](x.md) sentence. The second.", "The first sentence."),
    ],
    ids=["front matter", "first sentence"],
)
def test_description_of_a_page(text: str, description: str) -> None:
    assert BUILD.description_of(text) == description


def test_row_that_describes_a_name_has_an_anchor_and_is_found() -> None:
    row = "<tr>\n<td><code>--port N</code></td>\n<td>Port to <b>listen</b> on.</td>\n</tr>"
    page = {"location": "edge-options/", "level": 1, "title": "Options", "text": "…", "path": ["Reference"]}
    html, entries = BUILD.index_rows(f"<tr><th>Option</th></tr>{row}{row}", page)
    assert html.count('<tr id="port">') == 1
    assert entries == [
        {
            "location": "edge-options/#port",
            "level": 2,
            "title": "--port",
            "text": "Port to listen on.",
            "path": ["Reference"],
        }
    ]


@built
def test_list_for_language_models_has_each_page_once() -> None:
    listed = re.findall(r"^- \[.+?\]\((.+?)\): .+$", (SITE / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted({*BUILD.pages().values(), *(page.file for page in BUILD.api_pages())})
    assert all((SITE / place).is_file() for place in listed)


@built
def test_pages_load_nothing_from_elsewhere() -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|link|source)\b[^>]*\b(?:src|href)=\"?(https?:)?//", re.IGNORECASE
    )
    pages = list(SITE.rglob("*.html"))
    assert len(pages) > 20
    assert [page for page in pages if loaded.search(page.read_text("utf-8"))] == []


@built
def test_links_of_the_built_site_lead_somewhere() -> None:
    anchors = {
        page: set(re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))) for page in SITE.rglob("*.html")
    }
    broken = []
    for page in anchors:
        if page.name == "404.html":
            continue
        for target in re.findall(r'<a [^>]*\bhref="([^"]+)"', page.read_text("utf-8")):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:|//", target):
                continue
            file = page if not path else (page.parent / path).resolve()
            file = file / "index.html" if file.is_dir() else file
            if not file.exists() or (anchor and file in anchors and anchor not in anchors[file]):
                broken.append((page.relative_to(SITE).as_posix(), target))
    assert broken == []
