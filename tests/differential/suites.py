"""The SDK-agnostic suites as questions for an engine and expected answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SUITES = Path(__file__).parents[3] / "shared" / "conformance"
_KINDS: dict[str, type | tuple[type, ...]] = {
    "expect.any(String)": str,
    "expect.any(Number)": (int, float),
    "expect.any(Object)": dict,
}


@dataclass(frozen=True)
class SuiteCase:
    name: str
    question: dict[str, Any]
    response: Any
    notification: Any
    checks_notification: bool


def artifact(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SUITES / "artifacts" / f"{name}.json").read_text("utf-8"))
    return loaded


def artifact_names() -> list[str]:
    return sorted(path.stem for path in (SUITES / "artifacts").glob("*.json"))


def suite_cases() -> Iterator[SuiteCase]:
    for path in sorted((SUITES / "models").glob("TEST_SUITE_*.json")):
        suite = json.loads(path.read_text("utf-8"))
        for name, case in suite["test"].items():
            yield _case(f"{path.stem.removeprefix('TEST_SUITE_')}/{name}", suite, case)


def _case(name: str, suite: dict[str, Any], case: dict[str, Any]) -> SuiteCase:
    question = {
        "artifact": artifact(case.get("artifact") or suite["artifact"]),
        "conf": {**suite.get("conf", {}), **case.get("conf", {})},
        "request": case["input"]["request"],
        "sessionId": case["input"].get("sessionId"),
        "now": _epoch_ms(case.get("mockDate")),
        "geo": case.get("mockGeo"),
    }
    sent = case.get("notificationOutput")
    return SuiteCase(
        name, question, case.get("output"), sent and sent["request"], "notificationOutput" in case
    )


def _epoch_ms(date: dict[str, int] | None) -> int | None:
    if date is None:
        return None
    when = datetime(
        date["year"],
        date["month"] + 1,
        date["date"],
        date["hours"],
        date["minutes"],
        date.get("seconds", 0),
        tzinfo=UTC,
    )
    return int(when.timestamp() * 1000)


def shortfall(expected: Any, actual: Any, path: str = "") -> str | None:
    """Return where `actual` lacks something of `expected`, or None; lists compare by position."""
    if isinstance(expected, str) and expected in _KINDS:
        return None if isinstance(actual, _KINDS[expected]) else f"{path}: {actual!r} is no {expected}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = (shortfall(value, actual.get(key), f"{path}.{key}") for key, value in expected.items())
        return next((text for text in found if text), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        found = (shortfall(want, got, f"{path}[{i}]") for i, (want, got) in pairs)
        return next((text for text in found if text), None)
    return None if expected == actual else f"{path}: expected {expected!r}, got {actual!r}"
