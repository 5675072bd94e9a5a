"""Settings of hypothesis and garbage collection, the certificate authority, `--quick` and `--part`.

Nothing measures time here: a busy machine is not a failure.
"""

import gc
import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from support.parts import files_of_part

TESTS: Final = Path(__file__).parent
# Folders that `--quick` collects, and files whose tests start processes or take long all the same.
QUICK_FOLDERS: Final = frozenset(
    {"_client", "_runtime", "activities", "artifacts", "conformance", "delivery", "device", "flags"}
    | {"geo", "http", "humanize", "models", "notifications", "testing", "web"}
)
NOT_QUICK: Final = frozenset(
    {"_client/test_long_faults.py", "_runtime/test_forks.py", "models/test_threads.py"}
    | {f"notifications/test_{name}.py" for name in ("forks", "notifier", "spool")}
    | {f"test_{name}.py" for name in ("activity_pages", "any_input", "container", "docs", "import")}
    | {f"test_{name}.py" for name in ("optional_imports", "parity", "playground", "pytest_plugin")}
    | {f"test_{name}.py" for name in ("hooks", "language", "site_browser", "web_tutorial")}
)
PART: Final = pytest.StashKey[frozenset[Path]]()

gc.disable()  # until all tests are collected, of which garbage collections took a sixth of the time

# Loading the certificates of the platform would be the largest cost of a client, in each process.
os.environ["SSL_CERT_FILE"] = str(TESTS / "support" / "authority.pem")

settings.register_profile(
    "quick", deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("quick")
# For `scripts/test --all`, which `.ci/run` runs. Its examples depend on the test alone, so that a
# change does not fail for an old defect that new random examples find; the other profiles find it.
settings.register_profile("complete", settings.get_profile("quick"), max_examples=100, derandomize=True)
# For tests/test_any_input.py: `scripts/test --hypothesis-profile many tests/test_any_input.py`.
settings.register_profile("many", settings.get_profile("quick"), max_examples=25_000, database=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that `scripts/test` gives."""
    parser.addoption("--quick", action="store_true", help="only tests that need no process and no server")
    parser.addoption("--part", metavar="K/N", help="only the files of one of N parts")


def pytest_configure(config: pytest.Config) -> None:
    """Divide the files that the arguments name."""
    part = config.getoption("part")
    if part:
        roots = [Path(argument).resolve() for argument in config.args]
        files = {file for root in roots for file in root.rglob("test_*.py")}
        config.stash[PART] = files_of_part((file for file in files if not is_left_out(file, config)), part)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore what `--quick` and `--part` leave out, so that it is not even imported."""
    part = config.stash.get(PART, None)
    if is_left_out(collection_path, config) or (part is not None and collection_path not in part):
        return True
    return None


def is_left_out(path: Path, config: pytest.Config) -> bool:
    """Return whether `--quick` leaves out a file or folder."""
    if not config.getoption("quick") or not path.is_relative_to(TESTS):
        return False
    name = path.relative_to(TESTS)
    folder = name.parts[:1] if path.is_dir() else name.parts[:-1]
    return name.as_posix() in NOT_QUICK or (bool(folder) and folder[0] not in QUICK_FOLDERS)


def pytest_collection_finish() -> None:
    """Exempt all modules and collected tests from garbage collection.

    They live until the end. Otherwise each `gc.collect()` of a test traverses a million objects,
    and each forked process copies the memory of their headers. Other collections are rare, since
    tests that need one begin it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50)
    gc.enable()
