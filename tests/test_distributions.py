"""Checks of the distributions: their contents and the version to release."""

from __future__ import annotations

import io
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from support.cases import each_case
from support.distributions import ROOT, check_contents, check_readme, released_version, with_home

README = "# Targetry\n\n[Adobe](https://example.com)\n"
FILES = ["README.md", "pyproject.toml", "src/targetry/__init__.py", "src/targetry/py.typed", "tests/a.py"]


def distributions(
    folder: Path, *, without: str = "", more: str = "", readme: str = README
) -> tuple[Path, Path, Path]:
    """Write the distributions of FILES, and return the paths of the list and of both."""
    listing = folder / "files"
    listing.write_text("\n".join(FILES), "utf-8")
    names = [name for name in [*FILES[:-1], "PKG-INFO", *filter(None, [more])] if name != without]
    with tarfile.open(folder / "a.tar.gz", "w:gz") as sdist, zipfile.ZipFile(folder / "a.whl", "w") as wheel:
        for name in names:
            sdist.addfile(tarfile.TarInfo(f"targetry-1/{name}"), io.BytesIO())
            if name.startswith("src/"):
                wheel.writestr(name.removeprefix("src/"), "")
        wheel.writestr("targetry-1.dist-info/METADATA", f"Name: targetry\n\n{readme}")
    return listing, folder / "a.tar.gz", folder / "a.whl"


def test_complete_distributions_have_nothing_wrong(tmp_path: Path) -> None:
    assert check_contents(*distributions(tmp_path)) == ""


@pytest.mark.parametrize(
    ("without", "more", "expected"),
    [
        ("src/targetry/py.typed", "", "missing: targetry/py.typed"),
        ("README.md", "", "a.tar.gz:\nmissing: README.md"),
        ("", "tests/a.py", "unexpected: tests/a.py"),
        ("", "src/targetry/secret.txt", "unexpected: targetry/secret.txt"),
    ],
    ids=["file of the package", "readme", "test", "file that the repository lacks"],
)
def test_wrong_file_of_a_distribution_is_named(
    tmp_path: Path, without: str, more: str, expected: str
) -> None:
    assert expected in check_contents(*distributions(tmp_path, without=without, more=more))


@pytest.mark.parametrize("link", ["](docs/a.md)", "](#b)", '<img src="docs/a.png">'])
def test_readme_of_a_package_index_links_to_addresses_alone(link: str, tmp_path: Path) -> None:
    wrong = check_contents(*distributions(tmp_path, readme=f"{README}[a{link}\n"))
    assert wrong == f"README.md:\nnot on a package index: {link}"


HOME = "https://github.example/acme/targetry"


def test_metadata_names_the_home_and_links_to_files_of_the_tag() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    made = tomllib.loads(with_home(pyproject, f"{HOME}.git", "1.2.0"))
    urls = made["project"].pop("urls")
    assert urls["Homepage"] == urls["Source"] == HOME
    assert urls["Changelog"] == f"{HOME}/blob/v1.2.0/CHANGELOG.md"
    readme = (ROOT / "README.md").read_text("utf-8")
    for one in made["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        readme = re.sub(one["pattern"], one["replacement"], readme)
    linked = re.findall(rf"{re.escape(HOME)}/blob/v1\.2\.0/([^)#\s]+)", readme)
    assert len(linked) > 20
    assert [name for name in linked if not (ROOT / name).exists()] == []
    assert check_readme(f"Name: targetry\n\n{readme}") == ""
    assert made["project"] == tomllib.loads(pyproject)["project"], "nothing else changes"


@each_case(
    "home",
    [
        "github.example/acme",
        "http://github.example/a/b",
        "https://github.example",
        'https://a.example/b"',
        "",
    ],
)
def test_home_that_is_no_repository_is_rejected(home: str) -> None:
    with pytest.raises(ValueError, match="not the address of a repository"):
        with_home((ROOT / "pyproject.toml").read_text("utf-8"), home, "1.2.0")


def test_home_needs_the_known_form_of_the_file() -> None:
    with pytest.raises(ValueError, match="different form"):
        with_home("\n[project.urls]\n", HOME, "1.2.0")


def test_version_with_a_dated_section_can_be_released() -> None:
    assert released_version('__version__ = "1.2.0"\n', "# Changelog\n\n## 1.2.0 (2026-12-01)\n") == "1.2.0"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("## 1.2.0 (unreleased)", "has no date"),
        ("## 1.1.0 (2026-12-01)", "is of 1.1.0, the package of 1.2.0"),
        ("", "no version was found"),
    ],
    ids=["without a date", "other version", "no section"],
)
def test_version_that_is_not_ready_is_rejected(section: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        released_version('__version__ = "1.2.0"\n', f"# Changelog\n\n{section}\n")
