"""Rules for all unit tests."""

import os

from hypothesis import HealthCheck, settings

# A busy machine must fail no test: how long an example takes says nothing about what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The unit tests are to be run after every change, so they are to take seconds; `quick` finds what
# one change breaks, `HYPOTHESIS_PROFILE=patient` tries twice as many examples.
settings.register_profile("quick", settings.get_profile("patient"), max_examples=50)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
