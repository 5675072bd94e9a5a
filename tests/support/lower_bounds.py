"""Lowest versions of the direct dependencies in pyproject.toml, as constraints for pip.

The program prints one `name==version` per line, or with `--extras` the names of the extras that
`scripts/check-lower-bounds` installs. `scripts/test-spark --lowest` uses the rest.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
LARGE = {"spark"}
"""Extras that are too large for each run of the checks."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[\w+\])?>=(?P<version>[\w.]+)(?P<marker>\s*;.*)?")


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    return table


def lower_bounds(*, without: Collection[str] = ()) -> dict[str, str]:
    """Return the lowest version of each direct dependency, of the package and of its extras.

    Args:
        without: Extras to leave out.

    Raises:
        ValueError: A requirement is not of the form `name>=version`, or one name has two versions.
    """
    extras = {
        name: extra for name, extra in project()["optional-dependencies"].items() if name not in without
    }
    found: dict[str, str] = {}
    for requirement in (*project()["dependencies"], *(one for extra in extras.values() for one in extra)):
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} is not of the form name>=version")
        name, version = match["name"], match["version"]
        if found.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lower bounds: {found[name]} and {version}")
    return found


def main() -> None:
    if sys.argv[1:] == ["--extras"]:
        names = [name for name in project()["optional-dependencies"] if name not in LARGE]
        sys.stdout.write(",".join(names) + "\n")
    else:
        sys.stdout.writelines(f"{name}=={version}\n" for name, version in lower_bounds().items())


if __name__ == "__main__":
    main()
