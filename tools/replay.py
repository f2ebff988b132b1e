"""Run the code cells of a notebook in this process, and changed ones in copies of it.

A copy is made by forking just before a cell, so that nothing before it runs twice and no
interpreter starts: hundreds of changed cells a minute. Runs on Linux and macOS.
"""

from __future__ import annotations

import functools
import io
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
TARGET = re.compile(r"^\((cell-[\w-]+)\)=$", re.M)
FIXED_SEED = "fixed-seed"  # the tag of a cell whose seeds belong to what it says


@dataclass(frozen=True)
class Cell:
    """One code cell.

    Attributes
    ----------
    name : str
        For messages: the notebook and the number of the cell in it.
    source : str
    targets : tuple of str
        The link targets at the end of the text before it.
    tags : tuple of str
    """

    name: str
    source: str
    targets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@functools.cache
def cells(path: Path) -> tuple[Cell, ...]:
    """Return the code cells of a notebook in their order."""
    found, targets = [], ()
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "code":
            tags = tuple(cell.metadata.get("tags", ()))
            found.append(Cell(f"{path.stem}, cell {number}", cell.source, targets, tags))
            targets = ()
        elif cell.cell_type == "markdown":
            targets = _last_targets(cell.source)
    return tuple(found)


def _last_targets(text: str) -> tuple[str, ...]:
    """Return the targets in the last lines of a text: they belong to the cell that follows."""
    found: list[str] = []
    for line in reversed(text.strip().splitlines()):
        match = TARGET.match(line)
        if not match:
            break
        found.insert(0, match[1])
    return tuple(found)


@dataclass(frozen=True)
class Failure:
    """What stopped a run: the kind of the exception, where, and its first line."""

    kind: str
    cell: str
    text: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.kind} {self.text}".rstrip()


#: The kind of a failure that is none of Python's: the run took too long.
TOO_LONG = "TooLong"


class Replay:
    """The state that the cells of one notebook leave behind.

    Parameters
    ----------
    path : Path
        The notebook; its folder is where it imports from and reads data.
    offset : int
        Added to each seed of ``numpy.random.default_rng``, except in cells with the tag
        ``fixed-seed``.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path, self.offset = path, offset
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, cell: Cell) -> Failure | None:
        """Run one cell and say what stopped it, None if nothing did."""
        offset = 0 if FIXED_SEED in cell.tags else self.offset
        try:
            with _as_in_a_kernel(self.path.parent), _shifted_seeds(offset):
                exec(compile(cell.source, cell.name, "exec"), self.names)
        except Exception as error:
            text = (str(error).splitlines() or [""])[0]
            return Failure(type(error).__name__, cell.name, text[:200])
        finally:
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
        return None

    def run_all(self, following: Sequence[Cell]) -> Failure | None:
        """Run cells until one fails."""
        return next((failure for cell in following if (failure := self.run(cell))), None)

    def changed(self, source: str, cells: Sequence[Cell]) -> Callable[[], Failure | None]:
        """Return a run of these cells, the first with another source; for :func:`in_copies`."""
        return lambda: self.run_all((replace(cells[0], source=source), *cells[1:]))


@contextmanager
def _as_in_a_kernel(folder: Path) -> Iterator[None]:
    """Enter the notebook's folder and put it first in the path; print nothing."""
    before = Path.cwd()
    os.environ.setdefault("MPLBACKEND", "agg")
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with redirect_stderr(io.StringIO()):
                yield
    finally:
        os.chdir(before)
        with suppress(ValueError):
            sys.path.remove(str(folder))


@contextmanager
def _shifted_seeds(offset: int) -> Iterator[None]:
    import numpy as np

    made = np.random.default_rng
    if offset:
        np.random.default_rng = lambda seed=None: made(
            seed + offset if isinstance(seed, int) else seed
        )
    try:
        yield
    finally:
        np.random.default_rng = made


def in_copies(
    runs: Sequence[Callable[[], Failure | None]], *, seconds: float, at_once: int | None = None
) -> list[Failure | None]:
    """Return the outcome of each run, each in a copy of this process.

    Parameters
    ----------
    runs : sequence of callables
        Each returns a failure or None.
    seconds : float
        After so much time on the processor a run is stopped, however busy the machine is; its
        failure is of the kind ``TooLong``.
    at_once : int, optional
        How many copies run at the same time; by default one for each core.
    """
    if not hasattr(os, "fork"):
        raise SystemExit("this tool copies its process, which Windows cannot: run it in WSL")
    at_once = at_once or os.cpu_count() or 1
    outcomes: list[Failure | None] = [None] * len(runs)
    waiting = list(range(len(runs)))[::-1]
    running: dict[int, tuple[int, int]] = {}  # process: which run, where its outcome is read
    while waiting or running:
        while waiting and len(running) < at_once:
            which = waiting.pop()
            process, told = _start(runs[which], seconds)
            running[process] = which, told
        process, status = _wait(list(running))
        which, told = running.pop(process)
        outcomes[which] = _outcome(told, status)
    return outcomes


def _wait(processes: list[int]) -> tuple[int, int]:
    """Wait for the next of these processes to end; leave others that the program may have alone."""
    while True:
        for process in processes:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return ended, status
        time.sleep(0.002)


def _start(run: Callable[[], Failure | None], seconds: float) -> tuple[int, int]:
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads exist: those of BLAS are made anew
        process = os.fork()
    if process:
        os.close(tell)
        return process, told
    _renew_threads()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        failure = run()
        fields = "" if failure is None else "\0".join((failure.kind, failure.cell, failure.text))
        os.write(tell, fields.encode(errors="replace")[:4000])
        os._exit(0)
    except BaseException as error:
        os.write(tell, f"{type(error).__name__}\0a copy\0{error}".encode()[:4000])
        os._exit(0)
    finally:
        os._exit(1)


def _renew_threads() -> None:
    """Give Dask, if it has been used, a new thread for the one that a copy does not have."""
    utils = sys.modules.get("distributed.utils")
    if utils is not None:
        utils._offload_executor = ThreadPoolExecutor(1)


def _outcome(told: int, status: int) -> Failure | None:
    with os.fdopen(told, "rb") as pipe:
        fields = pipe.read().decode()
    if os.WIFSIGNALED(status):
        return Failure(TOO_LONG, "a copy", f"stopped by signal {os.WTERMSIG(status)}")
    return Failure(*fields.split("\0")) if fields else None


def warm_up() -> None:
    """Import what the notebooks import, so that no copy has to."""
    import matplotlib
    import scipy.linalg
    import scipy.signal  # noqa: F401

    import equivlib.draw  # noqa: F401

    matplotlib.use("agg")


def notebook(stem: str) -> Path:
    """Return the notebook of a chapter, or the front page."""
    path = ROOT / ("intro.ipynb" if stem == "intro" else f"chapters/{stem}.ipynb")
    if not path.is_file():
        raise ValueError(
            f"stem (={stem!r}) must be that of a notebook, for example 02_one_dimension"
        )
    return path


def stems() -> list[str]:
    """Return every chapter in reading order."""
    return [path.stem for path in sorted((ROOT / "chapters").glob("*.ipynb"))]
