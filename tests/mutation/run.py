"""Mutation test of the rule core: all small changes, and whether a test detects them.

    scripts/mutate                          # all of the rule core
    scripts/mutate url compiler:200-260     # some modules, some lines
    scripts/mutate flags/value --tests flags    # another module, by the tests of a folder
    scripts/mutate --one-in 10 report/verdicts  # a sample, by tests/report/test_verdicts.py

Prints each mutant that survived and, for each module, the share that was killed. Each mutant runs
in its own process, forked after the libraries are loaded, as many at once as there are processors
(--jobs N). A mutant counts as killed too when it uses much more processor time than the tests do;
its line says so, as that of a mutant that waits.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType

import hypothesis
import json_logic  # noqa: F401  a library that tests load, as those below: loaded once, not for each mutant
import mmh3  # noqa: F401
import msgspec  # noqa: F401
import publicsuffixlist  # noqa: F401
import pytest

from mutation.collected import MutantTrials, limit_time
from mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "targetry"
DEVICE = PACKAGE / "device"
TESTS = {
    "activities": ["activities"],
    "allocation": ["allocation"],
    "artifact": ["artifact", "ruleset"],
    "artifact_limits": ["artifact_limits", "artifact"],
    "budget": ["truncation", "explanation"],
    "compiler": ["compiler", "ruleset"],
    "condition_tree": ["condition_tree", "explanation"],
    "decide": ["decide", "encoded_mboxes", "trace", "personalize", "matching"],
    "decide_mbox": ["decide_mbox"],
    "encoded_mboxes": ["encoded_mboxes"],
    "explanation": ["explanation"],
    "facts": ["facts", "decide", "reads"],
    "javascript": ["javascript", "compiler"],
    "matching": ["matching", "decide"],
    "murmur3": ["murmur3", "allocation"],
    "obfuscation": ["obfuscation"],
    "operators": ["compiler", "decide"],
    "personalize": ["personalize", "decide", "decide_mbox", "encoded_mboxes"],
    "qa_mode": ["qa_mode", "_client/decisions/test_qa_mode.py"],
    "reads": ["reads"],
    "remote": ["remote", "decide"],
    "ruleset": ["ruleset", "reads", "matching", "artifact"],
    "trace": ["trace", "matching"],
    "truncation": ["truncation"],
    "unusable_rules": ["unusable_rules"],
    "url": ["url"],
    "user_agent": ["user_agent"],
}
"""Module of the rule core → its tests, those that detect most mutants first.

A name is that of a file in tests/device, a path that of a file or folder in `tests`.
"""
_MORE_PROCESSOR_TIME = 3  # than the tests without a change use


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


def _tests_pass(module: str, tests: Sequence[str], tree: ast.Module) -> bool:
    """Run tests with the changed tree in place of the module, in a process of its own."""
    path = _source(module)
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    sys.meta_path.insert(0, _Changed(name, path, tree))
    return _run_pytest(tests) == 0


def _run_pytest(tests: Sequence[str], *plugins: object) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # The alarm of this process has the timer that the time limit of each test would use.
        options = ["-x", "-q", "--timeout=0", "--assert=plain", "-p", "no:cacheprovider"]
        options.append("--hypothesis-profile=mutation")
        return int(pytest.main([*options, *tests], plugins=plugins))


def _source(module: str) -> Path:
    return _only(DEVICE, f"{module}.py") if module in TESTS else PACKAGE / f"{module}.py"


def _tests(module: str) -> list[str]:
    """Return the paths of a module's tests."""
    if module not in TESTS:
        folder, _, name = module.rpartition("/")
        return [f"tests/{folder}/test_{name}.py"]
    tests = ROOT / "tests"
    return [
        str(tests / name if "/" in name else _only(tests / "device", f"test_{name}.py"))
        for name in TESTS[module]
    ]


def _only(folder: Path, name: str) -> Path:
    """Return the file of this name in the folder or below."""
    (path,) = folder.rglob(name)
    return path


def _try(module: str, tests: Sequence[str], tree: ast.Module, seconds: int) -> int:
    """Start a child that runs the tests within some processor time, and return its id.

    It exits with 0 if they pass.
    """
    child = os.fork()
    if child == 0:
        limit_time(seconds)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = 1
        try:
            code = 0 if _tests_pass(module, tests, tree) else 1
        finally:
            os._exit(code)
    return child


def _detected_in_functions(
    module: str, tests: Sequence[str], changes: Iterable[Mutant], seconds: int, jobs: int
) -> dict[int, str]:
    """Return the numbers of mutants of functions that a test detects.

    The value is the signal that ended a mutant, else empty.
    """
    deaths, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        output = open(report, "w", encoding="ascii")  # noqa: SIM115  closed with the process
        try:
            trials = MutantTrials(
                _source(module),
                enumerate(changes),
                lambda number, signal: print(number, signal, file=output, flush=True),
                seconds,
                jobs,
            )
            _run_pytest(tests, trials)
        finally:
            os._exit(0)
    os.close(report)
    with open(deaths, encoding="ascii") as lines:
        fields = [line.rstrip("\n").partition(" ") for line in lines]
    os.waitpid(child, 0)
    return {int(number): signal for number, _, signal in fields}


def _chosen(argument: str, one_in: int) -> Iterator[Mutant]:
    module, _, lines = argument.partition(":")
    first, _, last = lines.partition("-")
    for mutant in islice(mutants(_source(module).read_text("utf-8")), 0, None, one_in):
        if not lines or int(first) <= mutant.line <= int(last or first):
            yield mutant


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="MODULE[:LINES]",
        default=sorted(TESTS),
        help="a module of the rule core by its name, another one by its path in src/targetry",
    )
    parser.add_argument("--jobs", type=int, metavar="N", default=os.cpu_count() or 1)
    parser.add_argument("--one-in", type=int, metavar="N", default=1, help="apply each Nth change only")
    parser.add_argument(
        "--tests",
        nargs="+",
        metavar="PATH",
        help="files and folders in `tests` to run, not those of the table",
    )
    chosen = parser.parse_args(arguments)
    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "mutation",
        deadline=None,
        max_examples=40,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    for argument in chosen.modules:
        module = argument.partition(":")[0]
        if module not in TESTS and not _source(module).is_file():
            parser.error(
                f"no module {module!r}; give a name of {', '.join(TESTS)}, or a path in src/targetry"
            )
        tests = [f"tests/{path}" for path in chosen.tests] if chosen.tests else _tests(module)
        _report(module, tests, partial(_chosen, argument, chosen.one_in), chosen.jobs)
    return 0


def _report(module: str, tests: Sequence[str], changes: Callable[[], Iterable[Mutant]], jobs: int) -> None:
    _try(module, tests, ast.parse(_source(module).read_text("utf-8")), 300)
    _, status, usage = os.wait3(0)
    if status != 0:
        sys.exit(f"the tests of {module} fail without a change")
    seconds = int(_MORE_PROCESSOR_TIME * (usage.ru_utime + usage.ru_stime)) + 5
    detected = _detected_in_functions(module, tests, changes(), seconds, jobs)
    tried = lived = 0
    running: dict[int, Mutant] = {}

    def wait_for_one() -> bool:
        child, status = os.wait()
        mutant = running.pop(child)
        if status == 0:
            _say(f"{module}:{mutant}")
        elif os.WIFSIGNALED(status):
            _say(f"{module}:{mutant}  ({signal.Signals(os.WTERMSIG(status)).name})")
        return status == 0

    for number, mutant in enumerate(changes()):
        tried += 1
        if number in detected:
            if detected[number]:
                _say(f"{module}:{mutant}  ({detected[number]})")
            continue
        running[_try(module, tests, mutant.tree, seconds)] = mutant
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
