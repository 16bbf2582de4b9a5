"""What holds for all unit tests."""

from hypothesis import HealthCheck, settings

# A busy machine must fail no test: how long an example takes says nothing about what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
