"""Settings shared by the library's tests."""

from hypothesis import settings

# The same examples on every run and machine: a failure can be repeated, and is never a surprise.
settings.register_profile("library", derandomize=True, deadline=None, max_examples=120)
settings.load_profile("library")
