"""What all tests share: how hypothesis runs. A busy machine is not a failure, so nothing here measures time."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "targetry",
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("targetry")
# As many as RELIABILITY B6 says, for tests/test_any_input.py: `scripts/test --hypothesis-profile many tests/test_any_input.py`
settings.register_profile("many", settings.get_profile("targetry"), max_examples=25_000, database=None)
