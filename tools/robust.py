"""Run every notebook under other conditions: threads, BLAS kernels and seeds.

Each notebook runs once with one and with two BLAS threads, once with each of the other kernels
that OpenBLAS can be told to use here, and once for each of twenty other seeds. A shift is added to
every seed of numpy.random.default_rng but in cells with the tag fixed-seed: those compare with a
stored or a published run. Every assertion has to hold each time. Other versions of Python are the
interpreter that make is given: make PYTHON=python3.12 robust.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

import replay

SECONDS = 300.0
THREADS = ("1", "2")
KERNELS = ("Haswell", "Zen", "SkylakeX", "Sandybridge")
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE")


def failures(stems: Sequence[str], offsets: Sequence[int], at_once: int | None = None) -> list[str]:
    """Return the notebooks that fail, each with the seeds at which they do."""
    found = []
    for stem in stems:
        path = replay.notebook(stem)
        cells = replay.cells(path)
        runs = [
            lambda path=path, cells=cells, offset=offset: replay.Replay(path, offset).run_all(cells)
            for offset in offsets
        ]
        outcomes = replay.in_copies(runs, seconds=SECONDS, at_once=at_once)
        failed = [(o, f) for o, f in zip(offsets, outcomes, strict=True) if f]
        found += [f"{failure} (seeds + {offset})" for offset, failure in failed]
    return found


def conditions() -> list[dict[str, str]]:
    """Yield the variables of each run in its own interpreter: threads, then kernels that start."""
    chosen = [dict.fromkeys(VARIABLES[:2], threads) for threads in THREADS]
    for kernel in KERNELS:
        variables = {"OPENBLAS_CORETYPE": kernel}
        probe = "import numpy as np; a = np.eye(64); assert (a @ a == a).all()"
        # A kernel that this processor cannot run ends the probe, not the study.
        if (
            subprocess.run(
                [sys.executable, "-c", probe], env=_with(variables), check=False
            ).returncode
            == 0
        ):
            chosen.append(variables)
        else:
            print(f"the kernel {kernel} does not run on this processor: left out", flush=True)
    return chosen


def _with(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, **variables}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "stems", nargs="*", help="such as 02_one_dimension; default: every notebook"
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many other seeds")
    parser.add_argument("--here", action="store_true", help="seeds only, in this process")
    arguments = parser.parse_args()
    stems = arguments.stems or ["intro", *replay.stems()]
    bad = 0
    if not arguments.here:
        for variables in conditions():
            said = " ".join(f"{name}={value}" for name, value in variables.items())
            command = [sys.executable, __file__, "--here", "--seeds", "0", *stems]
            print(f"{said} ...", flush=True)
            bad += subprocess.run(command, env=_with(variables), check=False).returncode != 0
        print(f"{arguments.seeds} other seeds ...", flush=True)
    # Without other seeds, the stored ones: one run for the conditions that the caller has set.
    replay.warm_up()
    offsets = range(1, arguments.seeds + 1) if arguments.seeds else (0,)
    found = failures(stems, offsets)
    print("\n".join(found) or "every assertion holds", flush=True)
    return 1 if found or bad else 0


if __name__ == "__main__":
    sys.exit(main())
