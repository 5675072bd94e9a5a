"""Parts of a run of the tests, each a process of pytest that collects a part of the files.

`scripts/test` runs this module. All processes of pytest-xdist collect all tests and import all
libraries, which takes a fifth more processor time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import accumulate
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent.parent
NO_TESTS: Final = 5  # exit code of pytest
_MEMORY: Final = Path("/dev/shm")
_MEMORY_BYTES: Final = 4 << 30  # several times what a run has at once
# Time of the tests of a folder by their bytes, as a multiple of that of most folders.
_FACTORS: Final = {
    **dict.fromkeys(("_runtime", "batch", "contrib", "notifications", "otel", "report"), 2),
    **dict.fromkeys(("edge", TESTS.name), 3),
    **dict.fromkeys(("cli", "ledger"), 4),
    "e2e": 10,  # mostly waits for time limits
    "differential": 15,
}


def files_of_part(files: Iterable[Path], part: str) -> frozenset[Path]:
    """Return the files of `part`, such as `1/6`, and their folders.

    A part is a run of files in the order of their paths, as neighbors import the same libraries.
    The sizes decrease by the same step from part to part: of three, the first has half of all and
    the last a sixth. The small ones at the end balance what the large ones took longer than their
    sizes say.
    """
    number, parts = (int(text) for text in part.split("/"))
    sizes = {file: weight(file) for file in sorted(files)}
    ends = list(accumulate(range(parts, 0, -1)))
    total, before = sum(sizes.values()), 0
    found = set[Path]()
    for file, size in sizes.items():
        if bisect(ends, (before + size / 2) * ends[-1] / total) == number - 1:
            found.update((file, *file.parents))
        before += size
    return frozenset(found)


def weight(file: Path) -> int:
    """Return a measure of the time of a file's tests: its bytes by the factor of its folder."""
    folder = file.relative_to(TESTS).parent if file.is_relative_to(TESTS) else file.parent
    return file.stat().st_size * _FACTORS.get((folder.parts or (TESTS.name,))[0], 1)


def run(processes: int, parts: int, arguments: Sequence[str]) -> int:
    """Run pytest with arguments in parts, and print the output of each when it ends.

    Args:
        processes: Number of parts that run at once.
        parts: Number of parts. More of them end at the same time, and each takes a second to start.
        arguments: Arguments of pytest.

    Returns:
        0 if all parts succeeded and at least one had tests, else the exit code of one that did not.
    """
    began = time.monotonic()
    codes = list[int]()
    outcomes = Counter[str]()
    with temporary_files(_MEMORY, _MEMORY_BYTES), ThreadPoolExecutor(processes) as pool:
        running = [pool.submit(_run_part, f"{number + 1}/{parts}", arguments) for number in range(parts)]
        try:
            for done in as_completed(running):
                code, output = done.result()
                sys.stdout.write(output + "\n")
                sys.stdout.flush()
                codes.append(code)
                outcomes += outcomes_of(output)
                if code not in (0, NO_TESTS) and {"-x", "--exitfirst"} & {*arguments}:
                    break
        finally:
            pool.shutdown(cancel_futures=True)
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    total = ", ".join(f"{number} {name}" for name, number in outcomes.items()) or "no tests ran"
    seconds = time.monotonic() - began
    sys.stdout.write(f"{parts} parts, {len(failed)} of them failed: {total} in {seconds:.2f}s\n")
    return max(failed, default=0 if 0 in codes else NO_TESTS)


def outcomes_of(output: str) -> Counter[str]:
    """Return the number of tests of each outcome, from the last line of an output of pytest."""
    last = output.rstrip().rpartition("\n")[2]
    return Counter({name: int(number) for number, name in re.findall(r"(\d+) ([a-z]+)", last)})


@contextlib.contextmanager
def temporary_files(folder: Path, least_bytes: int) -> Iterator[None]:
    """Let tests have their temporary files in a folder, unless `TMPDIR` names another one.

    Args:
        folder: A folder in memory. Ledgers wait for a disk at each commit, which takes as long as
            all else of their tests.
        least_bytes: The folder is used if it has at least this much space.
    """
    if "TMPDIR" in os.environ or not _is_usable(folder, least_bytes):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="targetry-", dir=folder, ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o1777)  # as /tmp: if root runs the tests, PostgreSQL is another user
        os.environ["TMPDIR"] = made
        try:
            yield
        finally:
            del os.environ["TMPDIR"]


def _is_usable(folder: Path, least_bytes: int) -> bool:
    """Return whether a folder has the space, and can have the programs that tests write and run."""
    if not os.access(folder, os.W_OK | os.X_OK) or shutil.disk_usage(folder).free < least_bytes:
        return False
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC


def _run_part(part: str, arguments: Sequence[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "--part", part, *arguments]
    if sys.stdout.isatty():
        command.append("--color=yes")
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
