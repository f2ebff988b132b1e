"""The command line: `python -m equivlib convert` and `python -m equivlib inspect`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import __version__
from .convert import Cost, conversion_table, to_mlp
from .convert.plan import network_dtype
from .convolution.matrix import MAX_BYTES, MatrixTooLarge, readable
from .convolution.patches import Array
from .files import replaced
from .interop.onnx import load
from .interop.onnx.file import MAX_BYTES as FILE_BYTES
from .interop.onnx.reader import extracted
from .interop.onnx.writer import LIMIT, serialized
from .layers import Network
from .rounding import error_bound
from .tables import Table

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Ends of the process: all is well, the check failed, or nothing could be done.
FINE, DIFFERENT, REFUSED = 0, 1, 2

DESCRIPTION = "Networks in ONNX files as multilayer perceptrons that equal them on every input."

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


class Different(Exception):
    """The check failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the number is the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except Different as error:
        print(f"error: {error}", file=sys.stderr)
        return DIFFERENT
    except (ValueError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
    except ImportError as error:
        message = f"{error}: reading and writing ONNX files needs the package onnx"
    print(f"error: {message}", file=sys.stderr)
    return REFUSED


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m equivlib", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="{convert,inspect}")
    convert = commands.add_parser(
        "convert", help="write the equivalent perceptron", description=CONVERT, formatter_class=raw
    )
    inspect = commands.add_parser(
        "inspect", help="print what it would cost", description=INSPECT, formatter_class=raw
    )
    for command, run in ((convert, _convert), (inspect, _inspect)):
        command.set_defaults(run=run)
        _add_input(command)
    convert.add_argument("output", metavar="OUT.onnx", help="replaced if it exists")
    convert.add_argument(
        "--samples", type=_count, default=8, help="random inputs of the check (default: 8)"
    )
    convert.add_argument("--seed", type=int, default=0, help="of these inputs (default: 0)")
    convert.add_argument(
        "--max-bytes",
        type=_count,
        default=MAX_BYTES,
        metavar="N",
        help="refuse to build larger matrices (default: 4 GiB)",
    )
    return parser


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
    number = int(text) if text.strip().isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the commands -------------------------------------------------------------------------------


def _inspect(options: argparse.Namespace) -> int:
    net = _loaded(options)
    total = _print_table(net)
    written = total.dense * network_dtype(net).itemsize
    sparse = readable(total.nbytes)
    print(f"\nas Dense and ReLU: {total.depth} layers, {sparse} sparse, {readable(written)} dense")
    if written > LIMIT:
        print(f"convert refuses it: a file holds dense matrices, and {readable(LIMIT)} at most")
    return FINE


def _convert(options: argparse.Namespace) -> int:
    source, target = Path(options.input), Path(options.output)
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"OUT.onnx (={target}) must not be the file that is read")
    _say(f"reading {source}")
    net = _loaded(options)
    total = _print_table(net)
    size = total.dense * network_dtype(net).itemsize
    if size > LIMIT:
        raise MatrixTooLarge(
            f"the file would take {readable(size)}, over the {readable(LIMIT)} that its format "
            "allows: zeros of sparse weights are written"
        )
    _say(f"building {total.depth} layers, {readable(total.nbytes)}")
    mlp = to_mlp(net, max_bytes=options.max_bytes)
    _say(f"writing {target}, about {readable(size)}")
    data = serialized(mlp)
    with replaced(target) as written:
        written.write_bytes(data)
        _say(f"checking {options.samples} random inputs")
        if not _equal(net, source, written, options):
            raise Different("the two differ by more than rounding can explain; nothing is written")
    return FINE


def _loaded(options: argparse.Namespace) -> Network:
    return load(
        options.input,
        input_shape=options.input_shape,
        output=options.value,
        max_bytes=FILE_BYTES,
    )


def _print_table(net: Network) -> Cost:
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
    return total


# --- the check ----------------------------------------------------------------------------------


def _equal(net: Network, source: Path, written: Path, options: argparse.Namespace) -> bool:
    """Return whether the file that is read and the one that is written agree on random inputs."""
    dtype = network_dtype(net)
    rng = np.random.default_rng(options.seed)
    x = rng.standard_normal((options.samples, *net.input_shape)).astype(dtype)
    flat = x.reshape(len(x), -1)
    value = options.value
    given = source.read_bytes() if value is None else extracted(source, value, FILE_BYTES)
    first, by = _applied(given, source.name, x, lambda: net)
    second, also_by = _applied(
        written.read_bytes(), "the perceptron", flat, lambda: load(written, max_bytes=FILE_BYTES)
    )
    expected, found = first.reshape(len(x), -1).astype(np.float64), second.reshape(len(x), -1)
    if expected.shape != found.shape:
        raise Different(
            f"{source.name} gives {expected.shape[1]} numbers by {by} (of shape "
            f"{first.shape[1:]}), and the perceptron {found.shape[1]} (of shape "
            f"{net.output_shape}): the two read the file differently; nothing is written"
        )
    difference = abs(found - expected)
    bound = error_bound(net, x, dtype).reshape(len(x), -1)
    largest = float(abs(expected).max())
    print(f"\n{len(x)} random inputs, {source.name} by {by}, the perceptron by {also_by}:")
    print(f"largest difference  {difference.max():.3g}")
    print(f"bound from rounding {bound.max():.3g}")
    print(f"largest output      {largest:.3g}")
    # The bound is for the worst case. Where it is wide, half of the digits must agree all the same.
    digits = math.sqrt(np.finfo(dtype).eps) * largest
    print(f"half of its digits  {digits:.3g}")
    return bool((difference <= np.minimum(bound, digits)).all())  # not so if anything is nan


def _applied(
    file: bytes, name: str, x: Array, otherwise: Callable[[], Network]
) -> tuple[Array, str]:
    """Return what a file gives, and who computed it."""
    try:
        import onnxruntime
    except ImportError:
        return otherwise()(x), "equivlib"
    try:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        if len(entry.shape) < x.ndim:  # one sample, without a batch axis
            return np.stack([session.run(None, {entry.name: each})[0] for each in x]), "onnxruntime"
        fixed = entry.shape[0] if isinstance(entry.shape[0], int) else len(x)
        outputs = [
            _run(session, entry.name, x[i : i + fixed], fixed) for i in range(0, len(x), fixed)
        ]
        return np.concatenate(outputs), "onnxruntime"
    except Exception as error:  # it has no float64 form of some operators, among other things
        _say(f"onnxruntime does not run {name}: {str(error).splitlines()[0]}")
        return otherwise()(x), "equivlib"


def _run(session: InferenceSession, name: str, x: Array, fixed: int) -> Array:
    """Return one batch, filled up if the file fixes how many there are."""
    filled = np.concatenate([x, np.zeros((fixed - len(x), *x.shape[1:]), dtype=x.dtype)])
    y: Array = session.run(None, {name: filled})[0]
    return y[: len(x)]
