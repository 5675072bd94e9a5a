"""Settings of hypothesis and garbage collection, the certificate authority, and `--quick`.

Nothing measures time here: a busy machine is not a failure.
"""

import gc
import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

TESTS: Final = Path(__file__).parent
# Folders that `--quick` collects, and files whose tests start processes or take long all the same.
QUICK_FOLDERS: Final = frozenset(
    {"_client", "_runtime", "activities", "artifacts", "conformance", "delivery", "device", "flags"}
    | {"geo", "http", "humanize", "models", "notifications", "testing", "web"}
)
NOT_QUICK: Final = frozenset(
    {"_client/test_long_faults.py", "_runtime/test_forks.py"}
    | {f"notifications/test_{name}.py" for name in ("forks", "notifier", "spool")}
    | {f"test_{name}.py" for name in ("activity_pages", "any_input", "container", "docs", "import")}
    | {f"test_{name}.py" for name in ("optional_imports", "parity", "playground", "pytest_plugin")}
    | {f"test_{name}.py" for name in ("hooks", "language", "site_browser", "web_tutorial")}
)

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
    """Add the option of `scripts/test --quick`."""
    parser.addoption("--quick", action="store_true", help="only tests that need no process and no server")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore what `--quick` leaves out, so that it is not even imported."""
    if not config.getoption("quick") or not collection_path.is_relative_to(TESTS):
        return None
    path = collection_path.relative_to(TESTS)
    if path.as_posix() in NOT_QUICK:
        return True
    return True if collection_path.is_dir() and path.parts and path.parts[0] not in QUICK_FOLDERS else None


def pytest_collection_finish() -> None:
    """Exempt all modules and collected tests from garbage collection.

    They live until the end. Otherwise each `gc.collect()` of a test traverses a million objects,
    and each forked process copies the memory of their headers.
    """
    gc.collect()
    gc.freeze()
