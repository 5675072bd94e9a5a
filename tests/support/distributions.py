"""Contents of sdist and wheel next to the files of the repository, and the version to release.

`distributions.py FILES SDIST WHEEL` fails if one of the distributions lacks a file or has one too
many; FILES lists the files of the repository. `distributions.py --version` prints the version to
release, and fails if CHANGELOG.md does not describe it yet.
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
    elif wrong := check_contents(*map(Path, sys.argv[1:])):
        sys.exit(wrong)


if __name__ == "__main__":
    main()
