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
