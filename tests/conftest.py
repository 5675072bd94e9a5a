"""Settings of hypothesis and garbage collection, and the certificate authority of the tests.

Nothing measures time here: a busy machine is not a failure.
"""

import gc
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# Loading the certificates of the platform would be the largest cost of a client, in each process.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "authority.pem")

settings.register_profile(
    "quick", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("quick")
# For `scripts/test --all`, which `.ci/run` runs. Its examples depend on the test alone, so that a
# change does not fail for an old defect that new random examples find; the other profiles find it.
settings.register_profile("complete", settings.get_profile("quick"), max_examples=100, derandomize=True)
# For tests/test_any_input.py: `scripts/test --hypothesis-profile many tests/test_any_input.py`.
settings.register_profile("many", settings.get_profile("quick"), max_examples=25_000, database=None)


def pytest_collection_finish() -> None:
    """Exempt all modules and collected tests from garbage collection.

    They live until the end. Otherwise each `gc.collect()` of a test traverses a million objects,
    and each forked process copies the memory of their headers.
    """
    gc.collect()
    gc.freeze()
