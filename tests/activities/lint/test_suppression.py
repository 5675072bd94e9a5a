"""Comments silence findings on their line or on the next one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from support.activities import write_files
from support.cases import each_case
from targetry.activities.lint.checker import check_folder
from targetry.activities.model.files import ActivityFolder

EXPERIENCES = """\
experiences:
  - {key: one, share: 40, offers: [{mbox: hero}]}
  - {key: two, share: 50, offers: [{mbox: hero}]}
"""
KEY = "key: hero\n"
LINES = EXPERIENCES.split("\n")
ABOVE = "\n".join([LINES[0], "  # targetry: ignore[TA204] a ramp", *LINES[1:]])
FOUND = "hero.yaml:3:3: warning TA204"

CASES: dict[str, tuple[str, list[str]]] = {
    "no comment": (EXPERIENCES, [FOUND]),
    "behind the line": (EXPERIENCES.replace("}]}\n", "}]}  # targetry: ignore[TA204] a ramp\n", 1), []),
    "above the line": (ABOVE, []),
    "above an empty line and a comment": (ABOVE.replace("a ramp\n", "a ramp\n\n  # more\n"), []),
    "two rules": (
        EXPERIENCES.replace("}]}\n", "}]}  #targetry:ignore[TA207, TA204]\n", 1),
        ["hero.yaml:3:52: warning TA900"],
    ),
    "another rule": (
        EXPERIENCES.replace("}]}\n", "}]}  # targetry: ignore[TA205]\n", 1),
        [FOUND, "hero.yaml:3:52: warning TA900"],
    ),
    "an unknown rule": (
        EXPERIENCES.replace("}]}\n", "}]}  # targetry: ignore[all]\n", 1),
        [FOUND, "hero.yaml:3:52: warning TA900"],
    ),
    "another line": (
        EXPERIENCES + "priority: 1  # targetry: ignore[TA204]\n",
        [FOUND, "hero.yaml:5:14: warning TA900"],
    ),
}


@each_case("name, files", CASES.items(), ids=CASES)
def test_comment_silences_rules_of_its_line(name: str, files: tuple[str, list[str]]) -> None:
    text, expected = files
    assert findings(KEY + text) == expected


def findings(text: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {"hero.yaml": text})
        found = check_folder(ActivityFolder(folder), 1_780_000_000_000)
    return [str(one).partition(one.code)[0] + one.code for one in found]


def test_errors_that_stop_a_compilation_cannot_be_silenced() -> None:
    text = f"{KEY}audience: geo.contry  # targetry: ignore[TA103]\n{EXPERIENCES.replace('40', '50')}"
    assert findings(text) == ["hero.yaml:2:15: error TA103", "hero.yaml:2:23: warning TA900"]
