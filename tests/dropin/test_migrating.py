"""docs/migrating.md: its tests, ids, options and names exist, and its snippets run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from dropin.shop import Shop
from support.cases import each_case
from targetry._client.options import CLIENT_OPTIONS

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "migrating.md").read_text("utf-8")
SNIPPETS = re.findall(r"^(<!-- needs a server -->\n)?```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
LEDGER = TEXT[TEXT.index("## Every deliberate difference") : TEXT.index("## What is not there")]
ROWS = [
    line for line in LEDGER.splitlines() if line.startswith("|") and not line.startswith(("| Id", "| ---"))
]
OF_1_1_0 = {
    "client",
    "organization_id",
    "timeout",
    "server_domain",
    "secure",
    "target_location_hint",
    "logger",
    "decisioning_method",
    "polling_interval",
    "maximum_wait_ready",
    "artifact_location",
    "artifact_payload",
    "environment_id",
    "environment",
    "cdn_environment",
    "cdn_base_path",
    "telemetry_enabled",
    "version",
    "property_token",
    "events",
}


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippet_runs(number: int, shop: Shop) -> None:
    server, code = SNIPPETS[number]
    names = {"__name__": "__main__"}
    if server:
        names["server_domain"] = shop.options["server_domain"]
    exec(compile(code, f"migrating.md, snippet {number}", "exec"), names)  # noqa: S102  running it is the test
    assert bool(shop.requests) is bool(server)


@cache
def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@each_case("path, name", NAMED_TESTS)
def test_named_test_exists(path: str, name: str) -> None:
    assert name in functions_of(path)


@each_case("row", ROWS, ids=lambda row: row[2:50])
def test_row_has_old_and_new_behavior_reason_and_test(row: str) -> None:
    _, official, ours, why, tests = (cell.strip() for cell in row.strip("|").split("|"))
    assert all((official, ours, why))
    assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`(, `tests/[\w/]+\.py::\w+`)*", tests)


def test_every_known_difference_is_accounted_for_once() -> None:
    named = re.findall(r"\b[DB]-\d\d\b", TEXT)
    known = [f"D-{n:02}" for n in range(1, 56)] + [f"B-{n:02}" for n in range(1, 66)]
    assert sorted(named) == sorted(known)


def test_every_new_option_is_named() -> None:
    new = TEXT[TEXT.index("## What is new") : TEXT.index("## Every deliberate difference")]
    assert [name for name in CLIENT_OPTIONS if name not in OF_1_1_0 and f"`{name}`" not in new] == []
