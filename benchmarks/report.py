"""Reports in Markdown, and the file with the last report of each benchmark."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from machine import cpu

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


def keep(text: str, path: Path = RESULTS) -> None:
    """Replace the report with the same title in the file; others are unchanged."""
    old = path.read_text("utf-8") if path.exists() else ""
    parts = {
        _title(part): part.strip() for part in re.split(r"^(?=# )", old, flags=re.MULTILINE) if part.strip()
    }
    parts[_title(text)] = text.strip()
    path.write_text("\n\n".join(parts.values()) + "\n", "utf-8")


def _title(part: str) -> str:
    return part.strip().partition("\n")[0]


def machine(*more: str) -> str:
    """Return the machine and the date of a run."""
    facts = (
        cpu(),
        f"{os.cpu_count()} cores",
        platform.system(),
        f"Python {platform.python_version()}",
        *more,
        f"Targetry {version('targetry')}",
        f"{datetime.now(UTC):%Y-%m-%d}",
    )
    return ", ".join(facts)


def us(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def mark(met: bool) -> str:
    return "✓" if met else "✗"


def markdown(table: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])
