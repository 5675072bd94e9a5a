"""Contents of sdist and wheel next to the files of the repository, and the version to release.

`distributions.py FILES SDIST WHEEL` fails if one of the distributions lacks a file or has one too
many; FILES lists the files of the repository. `distributions.py --version` prints the version to
release, and fails if CHANGELOG.md does not describe it yet. `distributions.py --home URL PYPROJECT`
changes a copy of pyproject.toml to name the repository at a URL.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ("src/", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".gitignore")
"""Contents of the sdist. Hatchling adds `.gitignore`, since it builds the wheel with it."""

SECTION = re.compile(r"^## (?P<version>\S+) \((?P<date>[^)]+)\)$", re.MULTILINE)
HOME = re.compile(r"https://[\w.-]+(?::\d+)?(?:/[\w.~-]+)+")
LINK_AS_TEXT = "replacement = '\\1'\n"
VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def of_sdist(files: Iterable[str]) -> set[str]:
    """Return the names in an sdist, without the folder that all are in."""
    return {name for name in files if name.startswith(SHIPPED)} | {"PKG-INFO"}


def of_wheel(files: Iterable[str]) -> set[str]:
    """Return the names in a wheel but those of its metadata."""
    return {name.removeprefix("src/") for name in files if name.startswith("src/")}


def difference(found: set[str], expected: set[str]) -> str:
    """Return what is wrong with the contents of a distribution, an empty text if nothing is."""
    lines = [f"missing: {name}" for name in sorted(expected - found)]
    return "\n".join(lines + [f"unexpected: {name}" for name in sorted(found - expected)])


def released_version(version: str, changelog: str) -> str:
    """Return the version to release.

    Args:
        version: Text of the module that defines the version.
        changelog: Text of CHANGELOG.md, whose newest section comes first.

    Raises:
        ValueError: The newest section is of another version, or has no date.
    """
    defined = VERSION.search(version)
    newest = SECTION.search(changelog)
    if defined is None or newest is None:
        raise ValueError("no version was found: src/targetry/version.py or CHANGELOG.md lacks it")
    if newest["version"] != defined[1]:
        raise ValueError(
            f"the newest section of CHANGELOG.md is of {newest['version']}, the package of {defined[1]}; "
            "change src/targetry/version.py or add the section"
        )
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", newest["date"]):
        raise ValueError(
            f"{defined[1]} has no date in CHANGELOG.md: it is marked {newest['date']!r}; write the day of release"
        )
    return defined[1]


def with_home(pyproject: str, home: str, version: str) -> str:
    """Return pyproject.toml with the addresses of a public repository.

    The metadata gets `Project-URL` fields, and links of the README lead to the files of the
    release's tag.

    Args:
        pyproject: Text of pyproject.toml.
        home: Address of the repository, at GitHub or a host with the same paths.
        version: The version to release, whose tag is `v<version>`.

    Raises:
        ValueError: The address is not one of a repository, or pyproject.toml has a different form.
    """
    home = home.removesuffix("/").removesuffix(".git")
    if not HOME.fullmatch(home):
        raise ValueError(
            f"the home is not the address of a repository: {home!r}; pass one like https://github.com/OWNER/targetry"
        )
    if pyproject.count(LINK_AS_TEXT) != 1 or "\n[project.urls]" in pyproject:
        raise ValueError(
            "pyproject.toml has a different form: a home fills [project.urls] and the replacement of links; "
            "change LINK_AS_TEXT in tests/support/distributions.py"
        )
    files = f"{home}/blob/v{version}"
    urls = {
        "Homepage": home,
        "Documentation": f"{files}/docs/README.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{home}/issues",
        "Source": home,
    }
    linked = pyproject.replace(LINK_AS_TEXT, f"replacement = '[\\1]({files}/\\2)'\n")
    return f"{linked}\n[project.urls]\n" + "".join(f'{name} = "{url}"\n' for name, url in urls.items())


def check_contents(listing: Path, sdist: Path, wheel: Path) -> str:
    """Return what is wrong with two distributions, an empty text if nothing is."""
    files = listing.read_text("utf-8").splitlines()
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as package:
        modules = {name for name in package.namelist() if ".dist-info/" not in name}
        (metadata,) = [name for name in package.namelist() if name.endswith(".dist-info/METADATA")]
        readme = check_readme(package.read(metadata).decode("utf-8"))
    wrong = {
        sdist.name: difference(inside, of_sdist(files)),
        wheel.name: difference(modules, of_wheel(files)),
        "README.md": readme,
    }
    return "\n".join(f"{name}:\n{text}" for name, text in wrong.items() if text)


def check_readme(metadata: str) -> str:
    """Return what is wrong with the README of a package index, an empty text if nothing is."""
    readme = metadata.partition("\n\n")[2]
    links = re.findall(r"\]\((?!https?:)[^)]*\)|<img[^>]*>", readme)
    if not readme.startswith("# Targetry"):
        return "the metadata has no README"
    return "\n".join(f"not on a package index: {link}" for link in links)


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        texts = [(ROOT / name).read_text("utf-8") for name in ("src/targetry/version.py", "CHANGELOG.md")]
        try:
            sys.stdout.write(released_version(*texts) + "\n")
        except ValueError as error:
            sys.exit(str(error))
    elif sys.argv[1:2] == ["--home"]:
        home, path = sys.argv[2], Path(sys.argv[3])
        version = VERSION.search((ROOT / "src/targetry/version.py").read_text("utf-8"))
        try:
            path.write_text(with_home(path.read_text("utf-8"), home, version[1] if version else ""), "utf-8")
        except ValueError as error:
            sys.exit(str(error))
    elif wrong := check_contents(*map(Path, sys.argv[1:])):
        sys.exit(wrong)


if __name__ == "__main__":
    main()
