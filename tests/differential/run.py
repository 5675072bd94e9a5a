"""Comparison of Targetry with the Node SDK on many random cases.

    PYTHONPATH=tests .venv/bin/python -m differential.run --seed 1 --cases 20000

Prints each kind of difference once, with a small question that shows it; exits 1 when there is any.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from differential.cases import cases
from differential.compare import differences, for_node, for_targetry
from differential.engine import Targetry
from differential.node import NodeProgram, missing
from differential.shrink import shrunk


def disagreements(node: NodeProgram, question: dict[str, Any]) -> list[str]:
    """Return how the two engines differ on one question."""
    answer = node.ask(for_node(question))
    return differences(question, answer, Targetry().ask(for_targetry(question, answer)))


def kind(difference: str) -> str:
    """Return the kind of a difference: its text without indexes."""
    return (
        difference
        if difference.startswith("error: ")
        else re.sub(r"\[\d+\]", "[]", difference.partition(": ")[0])
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--most", type=int, default=10, help="stop after so many kinds of differences")
    parser.add_argument("--ignore", default="^$", help="a pattern of kinds that are known already")
    chosen = parser.parse_args(arguments)
    if reason := missing("decide.cjs"):
        sys.exit(reason)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    seen: dict[str, int] = {}
    with NodeProgram("decide.cjs") as node:
        for number, question in enumerate(cases(chosen.seed, chosen.cases)):
            if sys.stderr.isatty() and number % 100 == 0:
                sys.stderr.write(f"\r{number} of {chosen.cases}")
            for difference in disagreements(node, question):
                name = kind(difference)
                if name not in seen and not re.search(chosen.ignore, name):
                    seen |= dict.fromkeys(_show(node, number, question, name), 0)
                if name in seen:
                    seen[name] += 1
            if len(seen) >= chosen.most:
                break
    for name, count in seen.items():
        _say(f"{count:6} × {name}")
    _say(f"{number + 1} cases, {len(seen)} kinds of differences")
    return 1 if seen else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _show(node: NodeProgram, number: int, question: dict[str, Any], name: str) -> list[str]:
    """Print a small question with this kind of difference; return all kinds that it shows."""
    small = shrunk(question, lambda candidate: name in map(kind, disagreements(node, candidate)))
    found = disagreements(node, small)
    _say(f"── case {number}: {name}")
    for difference in found:
        _say(f"   {difference[:400]}")
    _say(f"   {json.dumps(small, ensure_ascii=False)}\n")
    return [name, *map(kind, found)]


if __name__ == "__main__":
    sys.exit(main())
