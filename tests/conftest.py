"""Settings of hypothesis. Nothing measures time here: a busy machine is not a failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "quick", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("quick")
# For `scripts/test --all`, which `.ci/run` runs.
settings.register_profile("complete", settings.get_profile("quick"), max_examples=100)
# For tests/test_any_input.py: `scripts/test --hypothesis-profile many tests/test_any_input.py`.
settings.register_profile("many", settings.get_profile("quick"), max_examples=25_000, database=None)
