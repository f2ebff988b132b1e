"""Run the experiments that are not yet in chapters/data.

    make experiments
    python -m experiments [NAME ...] [--workers N]        (in the folder chapters)

Each run is kept as soon as it is done, so a stopped command goes on where it was. To run an
experiment again, delete its file of results.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from experiments import results

EXPERIMENTS = (
    "the_paper",
    "degrees_of_freedom",
    "learning_the_structure",
    "cost",
)
# One thread for each worker: two that share the cores are slower than one after the other.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def work(name: str, setting: dict[str, Any]) -> dict[str, Any]:
    """One run, with what is needed to repeat it."""
    experiment = importlib.import_module(f"experiments.{name}")
    start = time.perf_counter()
    result = experiment.run(setting)
    seconds = round(time.perf_counter() - start, 2)
    return {
        "setting": setting,
        "result": result,
        "seconds": seconds,
        "versions": results.versions(),
    }


def bar(
    name: str, done: int, total: int, start: float, width: int = 30
) -> None:
    """Show how far an experiment is, on the standard error stream."""
    filled = "#" * round(width * done / total)
    passed = time.perf_counter() - start
    sys.stderr.write(
        f"\r{name} [{filled:<{width}}] {done}/{total} runs, {passed:.0f} s "
    )
    sys.stderr.flush()


def complete(name: str, workers: int) -> None:
    """Run what is missing of an experiment, until it asks for nothing more."""
    experiment = importlib.import_module(f"experiments.{name}")
    alone = getattr(experiment, "ALONE", False)
    runs = results.load(name)
    start = time.perf_counter()
    with ProcessPoolExecutor(
        1 if alone else workers, mp_context=get_context("spawn")
    ) as pool:
        while missing := results.missing(
            experiment.settings(runs), runs
        ):
            total = len(runs) + len(missing)
            bar(name, len(runs), total, start)
            waiting = [
                pool.submit(work, name, setting) for setting in missing
            ]
            try:
                for future in as_completed(waiting):
                    runs.append(future.result())
                    results.save(name, runs)
                    bar(name, len(runs), total, start)
            finally:  # after an error or Ctrl-C, what has not begun does not begin
                for future in waiting:
                    future.cancel()
    sys.stderr.write(
        f"\n{name}: {len(runs)} runs in {results.path(name)}\n"
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(EXPERIMENTS)}",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="runs at a time (default: the cores)",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(EXPERIMENTS):
        parser.error(
            f"NAME must be of {', '.join(EXPERIMENTS)}, not {', '.join(sorted(unknown))}"
        )
    for variable in THREADS:
        os.environ.setdefault(
            variable, "1"
        )  # read by the workers when they start
    for name in arguments.names or EXPERIMENTS:
        complete(name, arguments.workers)
    return 0


if __name__ == "__main__":
    # By its full name: what the workers are given to call has to be in a module they can import.
    sys.exit(importlib.import_module("experiments.__main__").main())
