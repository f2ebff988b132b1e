"""Run the experiments that are not yet in chapters/data.

    make experiments
    python -m experiments [NAME ...] [--workers N] [--plan]     (in the folder chapters)

The plan and its cost are printed first. Each run is kept as soon as it is done, so a stopped
command goes on where it was. To run an experiment again, delete its file of results.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    wait,
)
from multiprocessing import get_context
from typing import Any

from equivlib.tables import Table
from equivlib.train import show_progress
from experiments import protocol, results

#: In the order in which they run: what is short first, what is timed alone last.
EXPERIMENTS = (
    "the_paper",
    "samples",
    "published",
    "more_data",
    "sharing",
    "let_go",
    "regularised",
    "largest",
    "emergence",
    "growing",
    "beyond",
    "cost",
)
# One thread for each worker: two that share the cores are slower than one after the other.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def module(name: str) -> Any:
    """An experiment."""
    return importlib.import_module(f"experiments.{name}")


def work(name: str, setting: dict[str, Any]) -> dict[str, Any]:
    """One run, with what is needed to repeat it; seconds of this processor, whatever else runs."""
    start = time.process_time()
    result = module(name).run(setting)
    seconds = round(time.process_time() - start, 2)
    return {
        "setting": setting,
        "result": result,
        "seconds": seconds,
        "versions": results.versions(),
    }


def asked(
    experiment: Any, runs: list[results.Run]
) -> list[dict[str, Any]]:
    """All runs that an experiment needs so far: those of its tasks, or what it says itself."""
    if hasattr(experiment, "settings"):
        return experiment.settings(runs)
    return protocol.settings(experiment.tasks(), runs)


def print_plan(names: tuple[str, ...], workers: int) -> None:
    """What there is and what is missing, with its cost in seconds of one core."""
    total, rows = 0.0, []
    for name in names:
        runs = results.load(name)
        done = sum(run["seconds"] for run in runs)
        tasks = getattr(module(name), "tasks", list)()
        left = protocol.plan(tasks, runs)
        total += left.seconds
        rows.append(
            (
                name,
                len(runs),
                f"{done:.0f}",
                left.runs,
                f"{left.seconds:.0f}",
            )
        )
    head = [
        "experiment",
        "runs there",
        "core-seconds",
        "missing",
        "core-seconds",
    ]
    print(Table(head, rows))
    print(
        f"about {total / 3600 / workers:.1f} hours with {workers} workers",
        flush=True,
    )


def complete(name: str, workers: int) -> None:
    """Run what is missing of an experiment, in its order, until it asks for nothing more."""
    experiment = module(name)
    alone = getattr(experiment, "ALONE", False)
    workers = 1 if alone else workers
    runs, start = results.load(name), time.perf_counter()
    running: dict[Future[Any], dict[str, Any]] = {}
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        max_tasks_per_child=1 if alone else None,
    ) as pool:
        while missing := results.missing(asked(experiment, runs), runs):
            total = len(runs) + len(missing)
            passed = time.perf_counter() - start
            show_progress(
                name,
                len(runs) / total,
                f"{len(runs)}/{total} runs, {passed:.0f} s ",
            )
            begun = list(running.values())
            for setting in missing:
                if len(running) == workers:
                    break
                if setting not in begun:
                    running[pool.submit(work, name, setting)] = setting
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                runs.append(future.result())
            results.save(name, runs)
    results.save(name, runs, complete=True)
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
    parser.add_argument(
        "--plan",
        action="store_true",
        help="print what is missing and what it costs, and end",
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
    names = tuple(arguments.names) or EXPERIMENTS
    print_plan(names, arguments.workers)
    if not arguments.plan:
        for name in names:
            complete(name, arguments.workers)
    return 0


if __name__ == "__main__":
    # By its full name: what the workers are given to call has to be in a module they can import.
    sys.exit(importlib.import_module("experiments.__main__").main())
