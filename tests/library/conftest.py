"""Settings shared by the library's tests."""

import os

from hypothesis import settings

# The same examples on every run and machine: a failure can be repeated, and is never a surprise.
settings.register_profile("library", derandomize=True, deadline=None, max_examples=120)
# Other examples each time, and many: what is found is printed with the seed that repeats it.
settings.register_profile("thorough", deadline=None, max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "library"))
