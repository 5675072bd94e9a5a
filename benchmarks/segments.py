"""False alarms of a report by segment: simulated tests of equal experiences.

    scripts/bench segments [--quick]

Each run draws the conversions of a test without any difference, follows it for 20 days, and reports
on its segments. The program counts the runs with a p-value below 0.05 in any segment, prints a
table and writes it to benchmarks/RESULTS.md. The last column corrects within each segment first.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

import numpy as np

from report import keep, machine, mark, markdown
from running import Progress
from targetry.ledger.event import ActivityDescription, ExperienceDescription
from targetry.ledger.sums import ActivitySums, Cohort, ExperienceSums
from targetry.report.by_segment import report_by_segment
from targetry.report.inference.multiple_comparisons import benjamini_hochberg
from targetry.report.options import ReportOptions
from targetry.report.report import build_report

ALPHA, RATE, DAYS, VISITORS = 0.05, 0.1, 20, 120
SEGMENTS = (0.5, 0.25, 0.15, 0.1)


class Drawn:
    """Sums of one simulated test, in whole and by segment."""

    has_sums = True

    def __init__(self, random: np.random.Generator, experiences: int) -> None:
        self.by_value = {f"s{n}": self._draw(random, part, experiences) for n, part in enumerate(SEGMENTS)}
        shares = tuple(ExperienceDescription(str(n), share=100 / experiences) for n in range(experiences))
        self.described = [ActivityDescription("1", "A/A", "ab", shares)]

    def _draw(self, random: np.random.Generator, part: float, experiences: int) -> ActivitySums:
        sums = ActivitySums()
        for n in range(experiences):
            visitors = random.poisson(VISITORS * len(SEGMENTS) * part, DAYS)
            conversions = random.binomial(visitors, RATE)
            pairs = enumerate(zip(visitors.tolist(), conversions.tolist(), strict=True))
            days = {day: Cohort(*pair) for day, pair in pairs}
            total = int(visitors.sum())
            sums.experiences[str(n)] = ExperienceSums(
                visitors=total, entered=total, conversions=int(conversions.sum()), cohorts=days
            )
        return sums

    def segments(
        self, name: str, cap: float | None = None, zone: tzinfo | None = None
    ) -> dict[str, dict[str, ActivitySums]]:
        return {value: {"1": sums} for value, sums in self.by_value.items()}

    def sums(
        self, cap: float | None = None, *, amounts: bool = False, zone: tzinfo | None = None
    ) -> dict[str, ActivitySums]:
        return {"1": self.by_value["s0"]}

    def visitors(self, history_ms: int, zone: tzinfo | None = None) -> Iterator[Any]:
        return iter(())


def alarms(drawn: Drawn, options: ReportOptions) -> tuple[bool, bool]:
    """Return whether a segment of the report is an alarm, and whether one is if corrected twice."""
    activities = build_report(drawn, drawn.described, options, now_ms=None).activities
    made = report_by_segment(drawn, "browser", options, activities)  # type: ignore[arg-type]
    once = [
        one.p_value for part in made.activities["1"] for one in part.experiences if one.p_value is not None
    ]
    twice: list[float] = []
    for sums in drawn.by_value.values():
        alone = build_report(_One(sums), drawn.described, options, now_ms=None).activities[0]
        twice += [
            one.metrics["conversion"].lift.p_value
            for one in alone.experiences[1:]
            if one.metrics["conversion"].lift
        ]
    return min(once, default=1) < ALPHA, min(benjamini_hochberg(twice), default=1) < ALPHA


class _One(Drawn):
    def __init__(self, sums: ActivitySums) -> None:
        self.by_value = {"s0": sums}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few runs, which write no results")
    parser.add_argument("--runs", type=int, default=2_000, help="simulated tests of each row")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    runs, progress = 100 if given.quick else given.runs, Progress()
    rows = [["Experiences", "Looks", "Once (≤ 5 %)", "Twice"]]
    for experiences in (2, 3, 5):
        for fixed in (True, False):
            progress(f"{experiences} experiences")
            random, options = np.random.default_rng([given.seed, experiences]), ReportOptions(fixed=fixed)
            found = np.array([alarms(Drawn(random, experiences), options) for _ in range(runs)]).sum(axis=0)
            once, twice = (int(one) / runs for one in found)
            error = 2.6 * math.sqrt(ALPHA * (1 - ALPHA) / runs)  # at 99 % confidence
            rows.append(
                [
                    str(experiences),
                    "1" if fixed else f"{DAYS}",
                    f"{once:.1%} {mark(once <= ALPHA + error)}",
                    f"{twice:.1%}",
                ]
            )
    progress("")
    title = (
        f"# False alarms by segment\n\nMade by `scripts/bench segments` on {machine()}: {runs:,} tests of equal "
        f"experiences in each row, with {len(SEGMENTS)} segments and 10 % conversions. Part of the tests in which any "
        "segment of any experience has a p-value below 0.05, corrected once by Benjamini and Hochberg, and by Holm "
        "within each segment before that."
    )
    text = f"{title}\n\n{markdown(rows)}"
    print(text)
    if not given.quick:
        keep(text)


if __name__ == "__main__":
    main()
