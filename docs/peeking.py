"""Pictures of what looking every day does to a test: `scripts/docs peeking`.

A/A tests, whose experiences are equal, are simulated and looked at every day: with intervals for
one look, and with the confidence sequence of the report.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from targetry.report.inference.confidence_sequence import DEFAULT_PLANNED, ConfidenceSequence
from targetry.report.inference.statistics import normal_quantile
from targetry.report.panels import PALETTE

PICTURES = Path(__file__).resolve().parent / "images"
TESTS, DAYS, DAILY, RATE, ALPHA = 4_000, 60, 200, 0.1, 0.05  # DAILY visitors of each experience
FIXED, SEQUENCE = PALETTE[5], PALETTE[1]
THEMES = {"light": ("#ffffff", "#1b1f27", "#d9dee6"), "dark": ("#181c23", "#e5e8ee", "#3a424f")}


class Looks(NamedTuple):
    """Differences of the rates after each day, by test, with the half widths of both intervals."""

    differences: Any
    fixed: Any
    sequence: Any


def simulate(seed: int = 1) -> Looks:
    """Return the looks at A/A tests."""
    chance = np.random.default_rng(seed)
    visitors = DAILY * np.arange(1, DAYS + 1)
    a, b = (np.cumsum(chance.binomial(DAILY, RATE, (TESTS, DAYS)), axis=1) / visitors for _ in range(2))
    errors = np.sqrt((a * (1 - a) + b * (1 - b)) / visitors)
    sequence = ConfidenceSequence(ALPHA, DEFAULT_PLANNED)
    factors = np.array([sequence.multiplier(int(2 * one)) for one in visitors])
    return Looks(b - a, normal_quantile(1 - ALPHA) * errors, factors * errors)


def alarms(looks: Looks, half: Any) -> Any:
    """Return the part of the tests that have found a difference up to each day."""
    return np.maximum.accumulate(np.abs(looks.differences) > half, axis=1).mean(axis=0)


def example(looks: Looks) -> int:
    """Return a test in which only the interval for one look finds a difference, for some days."""
    outside = np.abs(looks.differences) > looks.fixed
    found = outside[:, 10:40].sum(axis=1)
    calm = ~(np.abs(looks.differences) > looks.sequence).any(axis=1)
    fits = calm & (found >= 3) & (found <= 6) & ~outside[:, :10].any(axis=1) & ~outside[:, 40:].any(axis=1)
    return int(np.flatnonzero(fits)[0])


def draw(looks: Looks, theme: str) -> None:
    """Write both pictures in a theme."""
    ground, ink, line = THEMES[theme]
    style = {
        "svg.fonttype": "path",
        "svg.hashsalt": "targetry",
        "font.size": 12,
        "text.color": ink,
        "axes.labelcolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.edgecolor": line,
        "axes.facecolor": ground,
    }
    with matplotlib.rc_context(style):
        for name, fill in (("one-test", draw_one_test), ("all-tests", draw_all_tests)):
            figure = Figure(figsize=(7, 3.6), layout="constrained", facecolor=ground)
            axes = figure.subplots()
            fill(axes, looks, ink)
            axes.set_xlim(1, DAYS)
            axes.set_xlabel("day")
            axes.grid(color=line, linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, loc="best", labelcolor=ink)
            path = PICTURES / f"peeking-{name}-{theme}.svg"
            figure.savefig(path, metadata={"Date": None}, facecolor=ground)


def draw_one_test(axes: Any, looks: Looks, ink: str) -> None:
    """Draw the difference in a test after each day, with both intervals."""
    days, chosen = np.arange(1, DAYS + 1), example(looks)
    difference = 100 * looks.differences[chosen]
    for half, color, name in (
        (looks.sequence, SEQUENCE, "confidence sequence"),
        (looks.fixed, FIXED, "interval for one look"),
    ):
        width = 100 * half[chosen]
        axes.fill_between(days, difference - width, difference + width, color=color, alpha=0.22, label=name)
    axes.plot(days, difference, color=ink, linewidth=1.6)
    axes.axhline(0, color=ink, linewidth=0.8, linestyle="--")
    wrong = days[np.abs(looks.differences[chosen]) > looks.fixed[chosen]]
    axes.plot(wrong, np.zeros(len(wrong)), "x", color=FIXED, markersize=8, label="false alarm")
    axes.set_ylim(-4, 4)
    axes.set_title("One test of two equal experiences", loc="left", weight="bold")
    axes.set_ylabel("difference, points")


def draw_all_tests(axes: Any, looks: Looks, ink: str) -> None:
    """Draw the part of the tests that a false alarm has stopped up to each day."""
    days = np.arange(1, DAYS + 1)
    for half, color, name in (
        (looks.fixed, FIXED, "intervals for one look"),
        (looks.sequence, SEQUENCE, "confidence sequence"),
    ):
        axes.plot(days, 100 * alarms(looks, half), color=color, linewidth=2, label=name)
    axes.axhline(100 * ALPHA, color=ink, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, None)
    axes.set_title(f"{TESTS:,} such tests, looked at every day", loc="left", weight="bold")
    axes.set_ylabel("stopped by a false alarm, %")


def main() -> None:
    """Draw the pictures in both themes, and print the part of the false alarms."""
    looks = simulate()
    for theme in THEMES:
        draw(looks, theme)
    for name, half in (("one look", looks.fixed), ("sequence", looks.sequence)):
        parts = alarms(looks, half)
        sys.stdout.write(
            f"{name}: "
            + ", ".join(f"day {day}: {100 * parts[day - 1]:.1f} %" for day in (1, 14, 30, DAYS))
            + "\n"
        )


if __name__ == "__main__":
    main()
