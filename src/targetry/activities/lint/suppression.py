"""Suppression of findings by comments: `# targetry: ignore[TA204] reason`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from targetry.activities.lint.catalog import RULES
from targetry.activities.model.finding import Finding

_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#\s*targetry:\s*ignore\[([^\]]*)\]")


class _Suppression(NamedTuple):
    """A rule that a comment silences on one line."""

    code: str
    file: str
    line: int
    column: int
    silenced_line: int


def suppress(findings: Iterable[Finding], texts: Mapping[str, str]) -> list[Finding]:
    """Return the findings that no comment silences, and those about needless comments (TA900).

    A comment silences rules on its own line or, if it stands alone, on the next line that is
    neither empty nor a comment.

    Args:
        findings: The findings of all files.
        texts: The files by name.
    """
    suppressions = [one for file, text in texts.items() for one in _suppressions(file, text)]
    places = {(one.file, one.silenced_line, one.code): one for one in suppressions}
    used: set[_Suppression] = set()
    kept = []
    for finding in findings:
        one = places.get((finding.file, finding.line, finding.code))
        if one is not None and RULES[finding.code].is_suppressible:
            used.add(one)
        else:
            kept.append(finding)
    return kept + [_needless(one) for one in suppressions if one not in used]


def _suppressions(file: str, text: str) -> Iterator[_Suppression]:
    if "targetry:" not in text:
        return
    lines = text.split("\n")
    for number, line in enumerate(lines):
        for match in _COMMENT.finditer(line):
            silenced = number
            if line.lstrip().startswith("#"):
                silenced = next((at for at in range(number, len(lines)) if _is_content(lines[at])), number)
            for code in match[1].split(","):
                yield _Suppression(code.strip(), file, number + 1, match.start() + 1, silenced + 1)


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _needless(one: _Suppression) -> Finding:
    rule = RULES.get(one.code)
    if rule is None:
        message = f"there is no rule {one.code!r}"
    elif rule.is_suppressible:
        message = f"{one.code} finds nothing on line {one.silenced_line}"
    else:
        message = f"{one.code} cannot be silenced"
    return Finding(
        code="TA900",
        level="warning",
        message=message,
        hint="remove the comment",
        file=one.file,
        line=one.line,
        column=one.column,
    )
