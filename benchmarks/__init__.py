"""Speed and memory of the library, as ratios measured in one run: ``python -m benchmarks``."""

import os

# NumPy's and PyTorch's threads share the cores: a pool that has nothing to do must not spin. Read
# when the libraries are loaded, so set before any of them is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
