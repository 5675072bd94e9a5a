"""Mutants of functions, tried by tests that are collected once.

Importing and collecting takes longer than most tests. So one process collects the tests with the
module unchanged, and each of its children replaces the code of the changed functions. The test that
failed last runs first in the next child, since it often detects the next mutant too. A change
outside of functions, or one that no test detects here, is left to a run with a changed module.
"""

from __future__ import annotations

import ast
import gc
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

import pytest

from mutation.mutants import Mutant

MORE_PROCESSOR_TIME: Final = 10  # a mutant may wait this many times longer than it may compute
_FAILURE: Final = struct.Struct("i")
_SURVIVED, _DIED, _NOT_IN_FUNCTION = 0, 1, 3


class MutantTrials:
    """Plugin of pytest that runs the collected tests once for each mutant.

    Args:
        path: The module that the mutants change.
        changes: The mutants with their numbers.
        on_death: Called with the number of a detected mutant and the signal that ended it, or "".
        seconds: Processor time after which a mutant counts as detected.
        jobs: Number of mutants to try at once.
    """

    def __init__(
        self,
        path: Path,
        changes: Iterable[tuple[int, Mutant]],
        on_death: Callable[[int, str], None],
        seconds: int,
        jobs: int,
    ) -> None:
        self._path = path
        self._changes = changes
        self._on_death = on_death
        self._seconds = seconds
        self._jobs = jobs
        self._running: dict[int, int] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants instead of running the tests."""
        gc.unfreeze()
        functions = [
            one
            for one in gc.get_objects()
            if isinstance(one, FunctionType) and one.__code__.co_filename == str(self._path)
        ]
        unchanged = _codes(ast.parse(self._path.read_text("utf-8")), self._path)
        # Property tests take longest.
        items = sorted(session.items, key=lambda item: hasattr(getattr(item, "obj", None), "hypothesis"))
        failures, report = os.pipe()
        for number, mutant in self._changes:
            child = os.fork()
            if child == 0:
                limit_time(self._seconds)
                status, failed = _DIED, -1
                try:
                    if _replace(functions, unchanged, _codes(mutant.tree, self._path)):
                        failed = _first_failure(session, items)
                        status = _SURVIVED if failed < 0 else _DIED
                    else:
                        status = _NOT_IN_FUNCTION
                finally:
                    if status == _DIED:
                        os.write(report, _FAILURE.pack(failed))
                    os._exit(status)
            self._running[child] = number
            if len(self._running) == self._jobs:
                self._wait(items, failures)
        while self._running:
            self._wait(items, failures)
        return True

    def _wait(self, items: list[pytest.Item], failures: int) -> None:
        child, status = os.wait()
        number = self._running.pop(child)
        if os.WIFSIGNALED(status):
            self._on_death(number, signal.Signals(os.WTERMSIG(status)).name)
        elif os.WEXITSTATUS(status) == _DIED:
            (failed,) = _FAILURE.unpack(os.read(failures, _FAILURE.size))
            if failed >= 0 and self._jobs == 1:
                items.insert(0, items.pop(failed))
            self._on_death(number, "")


def limit_time(seconds: int) -> None:
    """End this process after some processor time, or after waiting for much longer."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(MORE_PROCESSOR_TIME * seconds)


def _first_failure(session: pytest.Session, items: list[pytest.Item]) -> int:
    """Run the tests until one fails, and return its position; -1 if none does."""
    for i, item in enumerate(items):
        following = items[i + 1] if i + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return i
    return -1


_Place = tuple[str, int]  # qualified name and first line


def _codes(tree: ast.Module, path: Path) -> dict[_Place, CodeType]:
    """Return the code of all functions of a module."""
    codes: dict[_Place, CodeType] = {}
    waiting = [compile(tree, str(path), "exec")]
    for code in waiting:
        codes[code.co_qualname, code.co_firstlineno] = code
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    return codes


def _replace(
    functions: Iterable[FunctionType],
    unchanged: dict[_Place, CodeType],
    changed: dict[_Place, CodeType],
) -> bool:
    """Give the changed code to functions, and return whether there is one that got it."""
    done = False
    for function in functions:
        place = function.__code__.co_qualname, function.__code__.co_firstlineno
        code = changed.get(place)
        if (
            code is not None
            and code != unchanged.get(place)
            and code.co_freevars == function.__code__.co_freevars
        ):
            function.__code__ = code
            done = True
    return done
