"""The command line: `python -m equivlib convert`, `inspect`, `plain` and `recognize`."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import __version__
from .convert import Cost, UnsupportedLayer, conversion_table, recognize_network, to_mlp
from .convert.plain import rewritten
from .convert.plan import network_dtype
from .convolution.matrix import MAX_BYTES, MatrixTooLarge, readable
from .convolution.patches import Array, DType
from .convolution.projection import NotAConvolution
from .files import replaced
from .interop.onnx import load, save
from .interop.onnx.reader import extracted
from .interop.onnx.stream import LIMIT
from .interop.onnx.writer import write_network
from .layers import Network
from .rounding import error_bound
from .tables import Table

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Ends of the process: all is well; the check failed, or a perceptron is no convolutional network;
#: nothing could be done; Ctrl+C.
FINE, DIFFERENT, REFUSED, INTERRUPTED = 0, 1, 2, 130

#: Seconds after which progress is told again.
PATIENCE = 2.0

DESCRIPTION = "Networks in ONNX files as other networks that equal them on every input."

EXAMPLES = """\
examples:
  python -m equivlib inspect net.onnx
      what each layer would cost as a fully connected one; nothing is built
  python -m equivlib inspect net.onnx --input-shape 3,224,224
      the same for a file that leaves the sizes of its input open
  python -m equivlib convert net.onnx mlp.onnx
      the equal perceptron, written after a check on 8 random inputs
  python -m equivlib convert net.onnx mlp.onnx --samples 100 --seed 1
      the same, checked on 100 other inputs
  python -m equivlib convert net.onnx mlp.onnx --output logits
      the same up to a value of the graph, for example before a last Softmax
  python -m equivlib plain net.onnx plain.onnx --pools --report plain.json
      the same network with plain convolutions and ReLU, and what became of each layer
  python -m equivlib recognize mlp.onnx net.onnx --input-shape 3,32,32
      the convolutional network that a perceptron is, whatever the order of its hidden units

exit codes:
  0 all is well; 1 the check failed; 2 refused, with the reason; 130 interrupted.
  After 1, 2 and 130 nothing is written, and what stood in OUT.onnx is unchanged.
"""

CONVERT = """\
Write the multilayer perceptron that equals a network on every input. The file it writes holds
Gemm and Relu only, for the flattened input. It prints a table of the layers, then applies both
files to random inputs, with onnxruntime if that is installed. If they differ by more than
rounding can explain, it writes nothing and ends with 1. If the network cannot be converted, it
ends with 2.
"""

INSPECT = """\
Print what each layer would cost as it is, as a fully connected layer with a sparse matrix, and as
one with a dense matrix, which is also a 1 x 1 convolution. Nothing is built.
"""

PLAIN = """\
Write the same network with plain convolutions only: dilation 1, one group, the same padding at both
ends of an axis, batch normalisation folded, averages as convolutions. It prints what became of each
layer and why, then applies both files to random inputs, with onnxruntime if that is installed. If
they differ by more than rounding can explain, it writes nothing and ends with 1. If a layer has no
plain form, it ends with 2.
"""

RECOGNIZE = """\
Print the convolutional network that a perceptron of Gemm (or MatMul and Add) and Relu is, up to
the order and the positive scales of its hidden units, and write it to OUT.onnx if that is given.
It is compared with the perceptron on random inputs before. If the perceptron is no such network,
it prints at which layer and why, and ends with 1.
"""

#: Roundings of a weight of the recognised network, for each that the bound counts: the rows and
#: columns of a perceptron are scaled once each, and back.
SCALED = 16


class Different(Exception):
    """The check failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the number is the exit code."""
    options = _parser().parse_args(arguments)
    facts: dict[str, Any] = {"version": __version__, "command": options.command}
    try:
        if options.report is not None:
            _differ(options, facts)  # so that the report of a refusal is no other file
        with nullcontext() if options.report is None else replaced(options.report) as file:
            if file is not None:
                file.touch()  # what cannot be written is refused before anything else is
            code, message = _ended(options, facts)
            if file is not None:
                written = {**facts, "written": code == FINE, "error": message or None}
                file.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        if message:
            print(f"error: {message}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    return code


def _ended(options: argparse.Namespace, facts: dict[str, Any]) -> tuple[int, str]:
    """Run the command; return the exit code, and the error if there is one."""
    try:
        options.run(options, facts)
    except Different as error:
        return DIFFERENT, str(error)
    except (ValueError, OSError, MemoryError) as error:
        return REFUSED, " ".join(str(error).split()) or type(error).__name__
    except ImportError as error:
        return REFUSED, f"{error}: reading and writing ONNX files needs the package onnx"
    return FINE, ""


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m equivlib", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="{convert,inspect,plain,recognize}"
    )
    made = {
        name: commands.add_parser(name, help=short, description=long, formatter_class=raw)
        for name, short, long in (
            ("convert", "write the equivalent perceptron", CONVERT),
            ("inspect", "print what it would cost", INSPECT),
            ("plain", "write the same network with plain convolutions", PLAIN),
        )
    }
    for name, run in (("convert", _convert), ("inspect", _inspect), ("plain", _plain)):
        made[name].set_defaults(run=run, report=None)
        _add_input(made[name])
    for name in ("convert", "plain"):
        _add_output(made[name])
    made["convert"].add_argument(
        "--sparse",
        action="store_true",
        help="write matrices with the places of their numbers, where that is shorter",
    )
    made["plain"].add_argument(
        "--pools", action="store_true", help="write max pooling as convolutions and ReLU too"
    )
    _add_recognize(
        commands.add_parser(
            "recognize",
            help="find the convolutional network that a perceptron is",
            description=RECOGNIZE,
            formatter_class=raw,
        )
    )
    return parser


def _add_recognize(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_recognize)
    command.add_argument("input", metavar="MLP.onnx", help="opset 7 or newer")
    command.add_argument(
        "output", metavar="OUT.onnx", nargs="?", help="the network, replaced if it exists"
    )
    command.add_argument(
        "--input-shape",
        type=_shape,
        metavar="C,H,W",
        required=True,
        help="channels and sizes of what the first layer reads",
    )
    command.add_argument(
        "--tol", type=_noise, default=0.0, help="noise of the weights, relative (default: 0)"
    )
    _add_check(command)


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("output", metavar="OUT.onnx", help="replaced if it exists")
    command.add_argument(
        "--max-bytes",
        type=_count,
        default=MAX_BYTES,
        metavar="N",
        help="refuse to build larger matrices (default: 4 GiB)",
    )
    _add_check(command)


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--samples", type=_count, default=8, help="random inputs of the check (default: 8)"
    )
    command.add_argument("--seed", type=_seed, default=0, help="of these inputs (default: 0)")
    command.add_argument(
        "--report", metavar="FILE.json", type=Path, help="write what is printed as JSON too"
    )


def _add_input(command: argparse.ArgumentParser) -> None:
    """Add what says which network is read."""
    command.add_argument("input", metavar="IN.onnx", help="opset 7 or newer")
    command.add_argument(
        "--input-shape",
        type=_shape,
        metavar="C,H,W",
        help="without batch, if the file leaves sizes open",
    )
    command.add_argument(
        "--output",
        dest="value",
        metavar="NAME",
        help="the value of the graph that is the output, if not its one output: an error names "
        "one that stops before what cannot be converted",
    )


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))


def _count(text: str) -> int:
    number = _seed(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return number


def _seed(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not an integer of at least 0")
    return int(digits)


def _noise(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a finite number of at least 0")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the commands -------------------------------------------------------------------------------


def _inspect(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    net = _loaded(options)
    total = _print_table(net, facts)
    written = total.dense * network_dtype(net).itemsize
    sparse = readable(total.nbytes)
    print(f"\nas Dense and ReLU: {total.depth} layers, {sparse} sparse, {readable(written)} dense")
    if written > LIMIT:
        print(
            f"convert refuses it without --sparse: a file holds {readable(LIMIT)} at most, and "
            "dense matrices unless told otherwise"
        )


def _convert(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    net, dtype = _read(options, facts)
    total = _print_table(net, facts)
    size = total.dense * dtype.itemsize
    if size > LIMIT and not options.sparse:
        raise MatrixTooLarge(
            f"the file would take {readable(size)}, over the {readable(LIMIT)} that its format "
            "allows: zeros of sparse weights are written, unless --sparse is given"
        )
    if total.nbytes > options.max_bytes:
        raise MatrixTooLarge(
            f"the sparse matrices would take {readable(total.nbytes)}, over --max-bytes "
            f"{options.max_bytes}; `python -m equivlib inspect` lists them"
        )
    _say(f"building {total.depth} layers, {readable(total.nbytes)}")
    mlp = to_mlp(net, matrix_free=True, dtype=dtype)  # each is built when it is written
    trial = _trial([net], options, dtype, "the perceptron")
    del net
    with replaced(options.output) as file:
        _write(mlp, file, dtype, options, facts)
        del mlp  # what the check reads is as large again
        _check(trial, trial.x.reshape(len(trial.x), -1), file, options, facts)


def _plain(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    net, dtype = _read(options, facts)
    made = rewritten(net, pools=options.pools, max_bytes=options.max_bytes, dtype=dtype)
    print(made.report)
    facts["layers"] = [entry.__dict__ for entry in made.report]
    if made.network is None:
        assert made.error is not None
        text = str(made.error).replace("max_bytes (=", "--max-bytes (=")
        raise type(made.error)(text)
    # Averages axis by axis take other roundings than those of whole windows.
    trial = _trial([net, made.network], options, dtype, "the plain network")
    del net
    with replaced(options.output) as file:
        _write(made.network, file, dtype, options, facts)
        del made  # what the check reads is as large again
        _check(trial, trial.x, file, options, facts)


def _recognize(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    source = _differ(options, facts)
    _say(f"reading {source}")
    mlp = load(source)
    try:
        net = recognize_network(mlp, options.input_shape, tol=options.tol)
    except NotAConvolution as error:
        raise Different(f"{source} is no convolutional network: {error}") from None
    print(net)
    facts["network"] = str(net).splitlines()
    _say(f"checking {options.samples} random inputs")
    if not _agree(net, mlp, options, facts):
        raise Different("the two differ by more than rounding can explain; nothing is written")
    if options.output is not None:
        _say(f"writing {options.output}")
        save(net, options.output)


def _agree(net: Network, mlp: Network, options: argparse.Namespace, facts: dict[str, Any]) -> bool:
    """Return whether a recognised network agrees with its perceptron; with noise, only tell it."""
    rng = np.random.default_rng(options.seed)
    x = rng.standard_normal((options.samples, *net.input_shape))
    expected = mlp(x.reshape(len(x), *mlp.input_shape)).reshape(len(x), -1)
    dtype = network_dtype(mlp)
    bound = SCALED * error_bound(net, x, dtype).reshape(len(x), -1)
    print(f"\n{len(x)} random inputs, the network and the perceptron:")
    figures = _judged(expected, net(x).reshape(len(x), -1), bound, dtype)
    facts["check"] = {"samples": len(x), "by": ["equivlib", "equivlib"], **figures}
    return options.tol > 0 or bool(figures["equal"])


def _read(options: argparse.Namespace, facts: dict[str, Any]) -> tuple[Network, DType]:
    """Return the network and its precision."""
    source = _differ(options, facts)
    _say(f"reading {source}")
    net = _loaded(options)
    return net, network_dtype(net)


def _loaded(options: argparse.Namespace) -> Network:
    return load(
        options.input,
        input_shape=options.input_shape,
        output=options.value,
        max_bytes=max(MAX_BYTES, getattr(options, "max_bytes", MAX_BYTES)),
    )


def _differ(options: argparse.Namespace, facts: dict[str, Any]) -> Path:
    """Return the file to read, after a look at the names of all files: none may be another."""
    source = Path(options.input)
    facts.update(input=str(source), output=options.output and str(options.output))
    files = {"IN.onnx": source}
    if options.output is not None:
        files["OUT.onnx"] = Path(options.output)
    if options.report is not None:
        files["--report"] = options.report
    names = list(files)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if files[first].absolute() == files[second].absolute() or (
                files[first].exists()
                and files[second].exists()
                and files[first].samefile(files[second])
            ):
                raise ValueError(f"{second} (={files[second]}) must not be the file {first} too")
    return source


def _print_table(net: Network, facts: dict[str, Any]) -> Cost:
    """Print a line for each layer, and the sums, which are returned too."""
    table = conversion_table(net)
    rows: list[tuple[object, ...]] = []
    counts = [sum(p.size for p in layer.params.values()) for layer in net.layers]
    for cost, shape, count in zip(table, net.shapes, counts, strict=True):
        output = " x ".join(map(str, shape))
        rows.append((str(cost.position), cost.layer, output, count, cost.stored, cost.dense))
    total = table.total
    rows.append(("", "total", "", sum(counts), total.stored, total.dense))
    headings = ["layer", "", "output", "parameters", "stored numbers", "dense numbers"]
    print(Table(headings, rows, align="lllrrr"))
    facts["layers"] = [
        {**cost.__dict__, "output": list(shape), "parameters": count}
        for cost, shape, count in zip(table, net.shapes, counts, strict=True)
    ]
    return total


class Progress:
    """Tell how much of a file is written, if it takes long."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def __call__(self, done: int, size: int) -> None:
        """Say it if that is due again."""
        if done < size and time.monotonic() > self.told + PATIENCE:
            self.told = time.monotonic()
            _say(f"written {readable(done)} of {readable(size)}")


def _write(
    net: Network, file: Path, dtype: DType, options: argparse.Namespace, facts: dict[str, Any]
) -> None:
    _say(f"writing {options.output}")
    sparse = getattr(options, "sparse", False)
    with file.open("wb") as stream:
        write_network(net, stream, sparse=sparse, dtype=dtype, progress=Progress())
    facts["bytes"] = file.stat().st_size


# --- the check ----------------------------------------------------------------------------------


class Trial(NamedTuple):
    """Random inputs, how far rounding can take the outputs apart, and what is compared."""

    x: Array
    bound: Array | None
    name: str


def _trial(nets: Sequence[Network], options: argparse.Namespace, dtype: DType, name: str) -> Trial:
    """Return random inputs, and the largest bound of equal networks if every layer has one."""
    rng = np.random.default_rng(options.seed)
    x = rng.standard_normal((options.samples, *nets[0].input_shape)).astype(dtype)
    try:
        bounds = [error_bound(net, x, dtype) for net in nets]
    except UnsupportedLayer:
        return Trial(x, None, name)
    return Trial(x, np.max(bounds, axis=0), name)


def _check(
    trial: Trial, inputs: Array, file: Path, options: argparse.Namespace, facts: dict[str, Any]
) -> None:
    """Refuse a file that gives something else for the inputs than the file that is read."""
    _say(f"checking {readable(facts['bytes'])} with {len(inputs)} random inputs")
    facts["check"] = _compared(trial, options, file, inputs)
    if not facts["check"]["equal"]:
        raise Different("the two differ by more than rounding can explain; nothing is written")


def _compared(
    trial: Trial, options: argparse.Namespace, written: Path, inputs: Array
) -> dict[str, Any]:
    """Return and print how the file that is read and the one that is written agree."""
    (x, bound, name), source = trial, Path(options.input)
    first, by = _applied(source, x, lambda: _loaded(options), options.value)
    second, also_by = _applied(written, inputs, lambda: load(written))
    expected = first.reshape(len(x), -1).astype(np.float64)
    found = second.reshape(len(x), -1)
    if found.shape != expected.shape:
        raise Different(
            f"the shapes differ: {source.name} by {by} gives {first.shape[1:]} for an input, "
            f"{name} by {also_by} {second.shape[1:]}; nothing is written"
        )
    print(f"\n{len(x)} random inputs, {source.name} by {by}, {name} by {also_by}:")
    flat = None if bound is None else bound.reshape(len(x), -1)
    return {
        "samples": len(x),
        "by": [by, also_by],
        **_judged(expected, found, flat, x.dtype),
    }


def _judged(expected: Array, found: Array, bound: Array | None, dtype: DType) -> dict[str, Any]:
    """Return and print how far two outputs are apart, and whether rounding can explain it."""
    difference, largest = abs(found - expected), float(abs(expected).max())
    # The bound is for the worst case. Where it is wide, half of the digits must agree all the same.
    digits = math.sqrt(np.finfo(dtype).eps) * largest
    allowed = np.full(difference.shape, digits)
    figures = {"largest difference": float(difference.max())}
    if bound is not None:
        figures["bound from rounding"] = float(bound.max())
        allowed = np.minimum(allowed, bound)
    figures |= {"largest output": largest, "half of its digits": digits}
    for label, value in figures.items():
        print(f"{label:<19} {value:.3g}")
    return {
        **{k: v if math.isfinite(v) else None for k, v in figures.items()},
        "equal": bool((difference <= allowed).all()),  # not so if anything is nan
    }


def _applied(
    file: Path, x: Array, otherwise: Callable[[], Network], value: str | None = None
) -> tuple[Array, str]:
    """Return what a file gives, or some value of its graph, and who computed it."""
    try:
        import onnxruntime
    except ImportError:
        return otherwise()(x), "equivlib"
    try:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        key = "session.model_external_initializers_file_folder_path"
        settings.add_session_config_entry(key, str(file.absolute().parent))
        model = str(file) if value is None else extracted(file, value)
        session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        if len(entry.shape) < x.ndim:  # one sample, without a batch axis
            return np.stack([session.run(None, {entry.name: each})[0] for each in x]), "onnxruntime"
        fixed = entry.shape[0] if isinstance(entry.shape[0], int) else len(x)
        outputs = [
            _run(session, entry.name, x[i : i + fixed], fixed) for i in range(0, len(x), fixed)
        ]
        return np.concatenate(outputs), "onnxruntime"
    except Exception as error:  # it has no float64 form of some operators, among other things
        _say(f"onnxruntime does not run {file.name}: {str(error).splitlines()[0]}")
        return otherwise()(x), "equivlib"


def _run(session: InferenceSession, name: str, x: Array, fixed: int) -> Array:
    """Return one batch, filled up if the file fixes how many there are."""
    filled = np.concatenate([x, np.zeros((fixed - len(x), *x.shape[1:]), dtype=x.dtype)])
    y: Array = session.run(None, {name: filled})[0]
    # A graph for one sample may drop the axis of the batch, or move it.
    return y.reshape(1, *y.shape[y.shape[:1] == (1,) :]) if fixed == 1 else y[: len(x)]
