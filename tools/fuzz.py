"""Fuzz the reader of ONNX files: valid graphs that are changed, and bytes that are no graphs.

A case by *structure* is a valid graph (tools/fuzz_seeds.py) after a few changes of its messages
(tools/fuzz_changes.py), which the parser of protobuf reads. It is loaded, inspected, converted to
a perceptron and to plain convolutions, and written. A case by *bytes* is a small file with flipped,
cut, repeated or spliced bytes; it is loaded.

Each step has to give a result or one of the errors that it documents, with a message that a
terminal can show. Anything else is a finding: another exception, a warning, ten seconds of work,
memory beyond the limits, a file that is opened outside of its folder, something that is written,
or numbers other than those of onnxruntime, which runs the same bytes of each tenth case.

Cases run in copies of this process, so a crash ends one case. Each is made from the seed and its
number alone. Outcomes are kept in _build/fuzz, where it goes on after it was stopped, until the
library is changed; a finding lies there as a file, and is repeated by its number:
tools/fuzz.py structure --case 1234.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import math
import mmap
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import onnx.reference
import onnxruntime
from fuzz_changes import changed, garbled, one
from fuzz_seeds import ROOT, seeds

from equivlib import to_mlp, to_plain
from equivlib.convert import UnsupportedLayer, conversion_table, plan
from equivlib.convolution.matrix import MatrixTooLarge
from equivlib.interop.onnx import load, reader
from equivlib.interop.onnx.reader import extracted
from equivlib.interop.onnx.writer import write_network
from equivlib.layers import Dense, Network

#: What the steps document. An OSError is about the place of a file, which is there in all cases.
DOCUMENTED = (ValueError, UnsupportedLayer, MatrixTooLarge)

#: Limits of one case: seconds of work, and bytes beyond those that this process takes anyway. What
#: the library is told is much less, because its limits hold for each value.
SECONDS, STUCK, MEMORY = 10.0, 300, 2**29
FILE_BYTES, VALUE_BYTES, MATRIX_BYTES = 2**20, 2**23, 2**22

#: Samples that are compared, at most: a file may fix any number.
MOST_SAMPLES = 64

#: Numbers beyond that overflow sooner or later.
USUAL = 1e6

#: Of each so many cases, one is compared with onnxruntime.
COMPARED = 10

#: Outcomes, one byte each in the file of a campaign.
NAMES = ("not run", "refused", "read", "converted", "equal to onnxruntime's", "equal to onnx's own",
         "not comparable", "FINDING", "STOPPED")  # fmt: skip
(NOT_RUN, REFUSED, READ, CONVERTED, EQUAL, EQUAL_TO_OWN, INCOMPARABLE, FINDING,
 STOPPED) = range(len(NAMES))  # fmt: skip

#: What a file makes happen beside reading its folder.
FORBIDDEN = (
    "subprocess.", "os.system", "os.exec", "os.fork", "socket.", "pickle.", "os.remove",
    "os.rename", "os.mkdir", "os.symlink", "shutil.", "urllib.", "ctypes.dlopen",
)  # fmt: skip


#: What a session is given, by the name of its input.
Fed: TypeAlias = dict[str, np.ndarray]


class Finding(Exception):
    """Something that must not happen."""


class Forbidden(BaseException):
    """An attempt to leave the folder: no handler in the library may catch it."""


class Watch:
    """Notice what is opened and written, while the library works."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = str(folder), False
        own = {sys.prefix, sys.base_prefix, *sys.path}
        self.own = tuple(str(Path(path).resolve()) for path in own if path)
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.fsdecode(arguments[0]), arguments[2]
            inside = os.path.realpath(path).startswith(self.folder + os.sep)
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            code = os.path.realpath(path).startswith(self.own) and path.endswith((".py", ".pyc"))
            if writes or not (inside or code):
                raise Forbidden(f"opens {path!r}, mode {arguments[1]!r}")
        elif event.startswith(FORBIDDEN):
            raise Forbidden(f"{event} {arguments!r}")


class Place:
    """A folder with a model, a file of numbers, and ways that lead out."""

    def __init__(self, around: Path) -> None:
        self.folder, secret = around / "open", around / "secret"
        (self.folder / "deep").mkdir(parents=True)
        secret.mkdir()
        numbers = np.linspace(-1, 1, 1024, dtype=np.float32).tobytes()
        inside = [self.folder / "weights.bin", self.folder / "deep" / "weights.bin"]
        for file in (*inside, secret / "data.bin"):
            file.write_bytes(numbers)
        (self.folder / "link.bin").symlink_to(secret / "data.bin")
        (self.folder / "linked").symlink_to(secret)
        (self.folder / "loop.bin").symlink_to(self.folder / "loop.bin")
        os.mkfifo(self.folder / "pipe")
        self.model = self.folder / "model.onnx"
        self.model.touch()
        self.watch = Watch(self.folder)
        self.files = self.listed()

    def listed(self) -> list[str]:
        """Return the names of all files."""
        return sorted(str(path) for path in self.folder.parent.rglob("*"))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch a call of the library."""
        self.watch.on = True
        try:
            yield
        finally:
            self.watch.on = False


class Case(NamedTuple):
    """What is read: the bytes of a file, and with which arguments."""

    data: bytes
    options: dict[str, object]


# --- cases ---------------------------------------------------------------------------------------


def by_structure(seed: int, number: int) -> Case:
    """Return a changed graph; the first ones are the valid graphs themselves."""
    rng, known = np.random.default_rng([seed, number]), seeds()
    if number < len(known):
        return Case(known[number].SerializeToString(), {})
    data = changed(one(rng, known), rng)
    options: dict[str, object] = {}
    if rng.random() < 0.1:
        nodes = onnx.ModelProto.FromString(data).graph.node
        names = [name for node in nodes for name in node.output]
        options["output"] = one(rng, ["", "nowhere", *names])
    if rng.random() < 0.1:
        sizes = (0, 1, 2, 3, 4, 5, -1, 2**40)
        options["input_shape"] = tuple(one(rng, sizes) for _ in range(int(rng.integers(0, 5))))
    return Case(data, options)


def by_bytes(seed: int, number: int) -> Case:
    """Return a small file whose bytes are changed."""
    rng, known = np.random.default_rng([seed, number]), _small()
    return Case(garbled(one(rng, known), one(rng, known), rng), {})


def _small() -> list[bytes]:
    if not SMALL:
        files = (model.SerializeToString() for model in seeds())
        SMALL.extend(data for data in files if len(data) < 600)
    return SMALL


SMALL: list[bytes] = []
KINDS: dict[str, Callable[[int, int], Case]] = {"structure": by_structure, "bytes": by_bytes}


# --- what is checked -----------------------------------------------------------------------------


def run(kind: str, case: Case, place: Place, number: int, say: Callable[[int], None]) -> int:
    """Run one case and return its outcome, or raise a Finding or whatever else was raised.

    ``say`` is told before onnxruntime works, whose own crashes are no findings.
    """
    place.model.write_bytes(case.data)
    with place.watched():
        net = documented(lambda: load(place.model, max_bytes=FILE_BYTES, **case.options))
        if "output" in case.options:
            documented(lambda: extracted(place.model, case.options["output"], FILE_BYTES))
    if kind == "bytes" or net is None:
        return REFUSED if net is None else READ
    # What overflows in the arithmetic of a network is infinite: NumPy warns of that, or not.
    with place.watched(), np.errstate(all="ignore"):
        files = converted(net)
    outcome = READ if len(files) < 2 else CONVERTED
    if (number % COMPARED == 0 or number < len(seeds())) and "output" not in case.options:
        say(INCOMPARABLE)
        outcome = compared(net, case.data, files)
    if number % 100 == 0 and place.listed() != place.files:
        raise Finding("the files around the model have changed")
    return outcome


def documented(step: Callable[[], object]) -> object:
    """Return what a step gives, None for an error that it documents; raise what else it raises."""
    try:
        made = step()
    except DOCUMENTED as error:
        if type(error) not in DOCUMENTED:
            raise
        made, text = None, str(error)
    else:
        text = made if isinstance(made, str) else " "
    shown = text.replace("\n", "").isprintable()
    if not (shown and text and len(text) < 20_000):
        raise Finding(f"a text of {len(text)} characters that cannot be shown: {text[:99]!r}")
    return made


def converted(net: Network) -> list[bytes]:
    """Take a network through all that the command line does with it, nothing large.

    Return the files that are written: of the network, of its plain form, of its perceptron.
    """
    documented(lambda: str(net))
    costs = documented(lambda: conversion_table(net))
    documented(lambda: str(costs))
    made = [net, documented(lambda: to_plain(net, pools=True, max_bytes=MATRIX_BYTES))]
    if costs is not None and costs.total.dense * 8 < MATRIX_BYTES:
        made.append(documented(lambda: to_mlp(net, max_bytes=MATRIX_BYTES)))
    files = []
    for each in filter(None, made):
        file = io.BytesIO()
        if _is_small(each) and documented(lambda: write_network(each, file) or True):  # noqa: B023
            files.append(file.getvalue())
    documented(lambda: write_network(made[-1] or net, io.BytesIO(), sparse=True))
    return files


def _is_small(net: Network) -> bool:
    """Return whether a file with all zeros of its matrices is small."""
    matrices = [layer.weight.shape for layer in net.layers if isinstance(layer, Dense)]
    return sum(map(math.prod, matrices)) * 8 < MATRIX_BYTES


def compared(net: Network, data: bytes, files: list[bytes]) -> int:
    """Compare a network with what onnxruntime makes of the same bytes, where it runs them.

    It also has to give the same numbers for the files that are written. Perceptrons of absurd
    numbers overflow in other places, and are left out.
    """
    rng = np.random.default_rng(len(data))
    x = rng.standard_normal((2, *net.input_shape)).astype(net.dtype)
    try:
        expected, x, fed = by_onnxruntime(data, x)
    except Exception:  # it does not run everything that is read, and refuses by many classes
        return INCOMPARABLE
    if not np.isfinite(expected).all():
        return INCOMPARABLE
    with np.errstate(all="ignore"):
        found, outcome = net(x), EQUAL
        wrong = different(found, expected)
        if wrong:
            # Where the two programs differ, onnx's own evaluator says what the standard means.
            try:
                own = onnx.reference.ReferenceEvaluator(onnx.ModelProto.FromString(data))
                expected, outcome = own.run(None, fed)[0], EQUAL_TO_OWN
            except Exception:
                return INCOMPARABLE
            wrong = different(found, expected)
    usual = all(abs(value).max(initial=0) < USUAL for _, _, value in net.parameters())
    for file in files if usual and not wrong else ():
        flat = x.reshape(len(x), -1)
        # A perceptron takes the input flat.
        (entry,) = onnx.ModelProto.FromString(file).graph.input
        given = flat if len(entry.type.tensor_type.shape.dim) == 2 else x
        with contextlib.suppress(Exception):  # pools over four axes, for example
            made = by_onnxruntime(file, given)[0]
            # A zero of a matrix times what has overflowed on the way is no number.
            wrong = wrong or (np.isfinite(made).all() and different(made, expected))
    if wrong:
        raise Finding(wrong)
    return outcome


def different(found: np.ndarray, expected: np.ndarray) -> str:
    """Return how numbers differ from others by more than rounding, if they do."""
    if found.size != expected.size:
        return f"shape {found.shape}, and not {expected.shape}"
    if not np.isfinite(expected).all():
        return ""
    allowed = max(1e-5, 1e-3 * float(abs(expected).max(initial=0)))
    wrong = ~(abs(found.ravel() - expected.ravel()) <= allowed)
    if not wrong.any():
        return ""
    pair = found.ravel()[wrong][:3], expected.ravel()[wrong][:3]
    return f"{wrong.sum()} of {wrong.size} numbers differ: {pair[0]}, not {pair[1]}"


def by_onnxruntime(data: bytes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, Fed]:
    """Return what onnxruntime gives, the batch that it was given, and that by its name."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    if 0 < len(entry.shape) < x.ndim:  # one sample
        x, fed = x[:1], {entry.name: x[0]}
    else:
        batch = entry.shape[0]
        if isinstance(batch, int) and batch > MOST_SAMPLES:
            raise ValueError("so many samples take too much memory")
        x = np.resize(x, (batch, *x.shape[1:])) if isinstance(batch, int) and batch > 0 else x
        fed = {entry.name: x}
    return session.run(None, fed)[0], x, fed


# --- campaigns -----------------------------------------------------------------------------------


def version() -> str:
    """Return a mark of the library and of the cases: outcomes of another one tell nothing."""
    paths = [*(ROOT / "equivlib").rglob("*.py"), *Path(__file__).parent.glob("fuzz*.py")]
    sources = b"".join(path.read_bytes() for path in sorted(paths))
    return hashlib.sha256(sources).hexdigest()[:8]


class Campaign:
    """Cases of one kind and seed, and their outcomes in a file: one byte for each."""

    def __init__(self, kind: str, seed: int, count: int, folder: Path) -> None:
        self.kind, self.seed, self.count = kind, seed, count
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{kind}-{seed}-{version()}.outcomes"
        with self.file.open("ab") as file:
            file.truncate(max(file.tell(), count))
        with self.file.open("r+b") as file:
            self.outcomes = mmap.mmap(file.fileno(), 0)
        self.shared = mmap.mmap(-1, 8)  # with the copies of this process

    @property
    def now(self) -> int:
        """The case that runs, or ran when the process ended."""
        return int.from_bytes(self.shared[:], "little")

    def todo(self) -> Iterator[int]:
        """Yield the cases that have not been run."""
        for number in range(self.count):
            if self.outcomes[number] == NOT_RUN:
                self.shared[:] = number.to_bytes(8, "little")
                yield number

    def work(self, place: Place) -> None:
        """Run all cases that are left, in this process."""
        warnings.simplefilter("error")
        for number in self.todo():
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, STUCK)
            case = KINDS[self.kind](self.seed, number)
            say = lambda outcome, number=number: self.outcomes.__setitem__(number, outcome)  # noqa: E731
            try:
                outcome = run(self.kind, case, place, number, say)
            except (Exception, Forbidden) as error:
                place.watch.on, outcome = False, FINDING
                self.keep(number, case, error)
            self.outcomes[number] = outcome

    def keep(self, number: int, case: Case, error: BaseException | str) -> None:
        """Store a finding: the file, and what happened."""
        name = f"{self.kind}-{self.seed}-{number}"
        told = error if isinstance(error, str) else "".join(traceback.format_exception(error))
        (self.folder / f"{name}.onnx").write_bytes(case.data)
        text = f"{case.options}\n{told}"
        (self.folder / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
        print(f"case {number}: {told.strip().splitlines()[-1][:200]!r}", flush=True)

    def run(self, place: Place) -> None:
        """Run all cases that are left in copies of this process, a new one after each crash."""
        while self.count and NOT_RUN in self.outcomes[: self.count]:
            child = os.fork()
            if child == 0:
                _limit_memory()
                status = 1
                try:
                    self.work(place)
                    status = 0
                finally:
                    sys.stdout.flush()
                    os._exit(status)
            try:
                _, status = os.waitpid(child, 0)
            except KeyboardInterrupt:
                os.kill(child, signal.SIGKILL)
                raise
            if status and self.outcomes[self.now] == NOT_RUN:
                case = KINDS[self.kind](self.seed, self.now)
                self.outcomes[self.now] = STOPPED
                number = os.waitstatus_to_exitcode(status)
                ways = {-signal.SIGPROF: "over its seconds", -signal.SIGALRM: "it does not end"}
                self.keep(self.now, case, ways.get(number, f"the process ended with {number}"))

    def report(self, seconds: float) -> int:
        """Print the counts; return how many cases are findings."""
        counts = Counter(self.outcomes[: self.count])
        listed = ", ".join(f"{counts[code]:,} {NAMES[code]}" for code in sorted(counts))
        print(f"{self.count:,} cases by {self.kind}, {seconds:.0f} s now: {listed}")
        return counts[FINDING] + counts[STOPPED]


def _limit_memory() -> None:
    if sys.platform == "linux":  # others do not say how much a process takes
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def repeat(arguments: argparse.Namespace, place: Place) -> int:
    """Run one case here, with everything that it raises."""
    case = KINDS[arguments.kind](arguments.seed, arguments.case)
    print(f"{len(case.data)} bytes, {case.options}")
    if len(case.data) < 3000:
        with contextlib.suppress(Exception):
            print(onnx.printer.to_text(onnx.ModelProto.FromString(case.data)))
    warnings.simplefilter("error")
    print(NAMES[run(arguments.kind, case, place, arguments.case, lambda _: None)])
    return 0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--cases", type=int, default=10_000, help="how many in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this one alone, here")
    parser.add_argument("--here", action="store_true", help="in this process, to measure coverage")
    parser.add_argument("--anew", action="store_true", help="forget the outcomes so far")
    parser.add_argument("--log", type=Path, default=ROOT / "_build" / "fuzz", help="the folder")
    arguments = parser.parse_args()
    reader.VALUE_BYTES, plan.MAX_BYTES = VALUE_BYTES, MATRIX_BYTES
    # In memory where that is a folder: to write a file takes longer than to read one like these.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as around:
        place = Place(Path(around).resolve())
        if arguments.case is not None:
            return repeat(arguments, place)
        campaign = Campaign(arguments.kind, arguments.seed, arguments.cases, arguments.log)
        if arguments.anew or arguments.here:
            campaign.outcomes[:] = bytes(len(campaign.outcomes))
        by_onnx = sum(model.ByteSize() for model in seeds())
        print(f"{len(seeds())} valid graphs of {by_onnx:,} bytes", flush=True)
        begin = time.perf_counter()
        (campaign.work if arguments.here else campaign.run)(place)
        return 1 if campaign.report(time.perf_counter() - begin) else 0


if __name__ == "__main__":
    raise SystemExit(main())
