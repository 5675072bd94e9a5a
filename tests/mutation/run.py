"""Mutation test of the rule core: all small changes, and whether a test detects them.

    scripts/mutate                       # all of the rule core: most of an hour
    scripts/mutate url compiler:200-260     # some modules, some lines

Prints each mutant that survived and, for each module, the share that was killed. Each mutant runs
in its own process, forked after the libraries are loaded, as many at once as there are processors
(--jobs N). A mutant that takes much longer than the tests counts as killed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import hypothesis
import json_logic  # noqa: F401  a library that tests load, as those below: loaded once, not for each mutant
import mmh3  # noqa: F401
import msgspec  # noqa: F401
import publicsuffixlist  # noqa: F401
import pytest

from mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
DEVICE = ROOT / "src" / "targetry" / "device"
TESTS = {
    "allocation": ["allocation"],
    "artifact": ["artifact", "ruleset"],
    "compiler": ["compiler", "ruleset"],
    "decide": ["decide", "matching", "trace"],
    "facts": ["facts", "decide"],
    "javascript": ["javascript", "compiler"],
    "matching": ["matching", "decide"],
    "obfuscation": ["obfuscation"],
    "operators": ["compiler", "decide"],
    "personalize": ["personalize", "decide"],
    "remote": ["remote", "decide"],
    "ruleset": ["ruleset", "matching", "artifact"],
    "url": ["url"],
}
"""Module → its tests, those that detect most mutants first."""


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder that loads one module from a changed tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)  # noqa: S102


def _tests_pass(module: str, tree: ast.Module) -> bool:
    """Run the module's tests in a child process with the changed tree in its place."""
    path = _source(module)
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    sys.meta_path.insert(0, _Changed(name, path, tree))
    files = [str(_only(ROOT / "tests" / "device", f"test_{name}.py")) for name in TESTS[module]]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # The alarm of this process has the timer that the time limit of each test would use.
        options = ["-x", "-q", "--timeout=0", "--assert=plain", "-p", "no:cacheprovider"]
        options.append("--hypothesis-profile=mutation")
        return pytest.main([*options, *files]) == 0


def _source(module: str) -> Path:
    return _only(DEVICE, f"{module}.py")


def _only(folder: Path, name: str) -> Path:
    """Return the file of this name in the folder or below."""
    (path,) = folder.rglob(name)
    return path


def _try(module: str, tree: ast.Module, seconds: int) -> int:
    """Start a child that runs the tests within a time limit, and return its id.

    It exits with 0 if they pass.
    """
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = 1
        try:
            code = 0 if _tests_pass(module, tree) else 1
        finally:
            os._exit(code)
    return child


def _chosen(argument: str) -> Iterator[tuple[str, Mutant]]:
    module, _, lines = argument.partition(":")
    first, _, last = lines.partition("-")
    for mutant in mutants(_source(module).read_text("utf-8")):
        if not lines or int(first) <= mutant.line <= int(last or first):
            yield module, mutant


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE[:LINES]", default=sorted(TESTS))
    parser.add_argument("--jobs", type=int, metavar="N", default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        max_examples=100,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    for argument in chosen.modules:
        _report(argument, chosen.jobs)
    return 0


def _report(argument: str, jobs: int) -> None:
    module = argument.partition(":")[0]
    began = time.monotonic()
    unchanged = ast.parse(_source(module).read_text("utf-8"))
    _try(module, unchanged, 300)
    if os.wait()[1] != 0:
        sys.exit(f"the tests of {module} fail without a change")
    seconds = int(3 * jobs * (time.monotonic() - began)) + 5
    tried = lived = 0
    running: dict[int, Mutant] = {}

    def wait_for_one() -> bool:
        child, status = os.wait()
        mutant = running.pop(child)
        if status == 0:
            _say(f"{module}:{mutant}")
        return status == 0

    for _, mutant in _chosen(argument):
        tried += 1
        running[_try(module, mutant.tree, seconds)] = mutant
        if len(running) == jobs:
            lived += wait_for_one()
    while running:
        lived += wait_for_one()
    _say(
        f"{module}: {tried - lived} of {tried} mutants died, {100 * (tried - lived) / max(tried, 1):.1f} %\n"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
