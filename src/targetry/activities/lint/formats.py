"""Findings in the forms that other programs read: JSON, GitHub workflow commands, SARIF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from targetry.activities.lint.catalog import RULES
from targetry.activities.model.finding import Finding
from targetry.version import __version__

_SARIF_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def as_json(findings: Iterable[Finding]) -> str:
    """Return findings as a JSON list of objects with the fields of `Finding`."""
    return json.dumps([msgspec.to_builtins(one) for one in findings], indent=2) + "\n"


def as_github(findings: Iterable[Finding]) -> str:
    """Return findings as GitHub workflow commands, which annotate the lines of a pull request."""
    return "".join(
        f"::{one.level} file={_property(one.file)},line={one.line},col={one.column}"
        f",title={one.code}::{_data(_message(one))}\n"
        for one in findings
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(findings: Iterable[Finding]) -> str:
    """Return findings as a SARIF 2.1.0 log of one run."""
    codes = list(RULES)
    driver = {
        "name": "targetry activities check",
        "version": __version__,
        "rules": [
            {
                "id": rule.code,
                "shortDescription": {"text": rule.description},
                "defaultConfiguration": {"level": rule.level},
            }
            for rule in RULES.values()
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code)) for one in findings],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(finding: Finding, index: int) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {
        "artifactLocation": {"uri": quote(finding.file, safe="/:", errors="surrogateescape")},
        "region": region,
    }
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": _message(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _message(finding: Finding) -> str:
    return f"{finding.message}; {finding.hint}" if finding.hint else finding.message


FORMATS: Final[dict[str, Callable[[Iterable[Finding]], str]]] = {
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}
"""Formats of output by name, besides text."""
