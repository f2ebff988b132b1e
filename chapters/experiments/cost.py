"""What one layer costs: the same convolution computed in several ways, timed side by side.

Each layer has square images and kernels, as many outputs as inputs, and numbers of float32. Inputs
and weights are small integers, so that every way has to give the same result: exactly where sums of
integers are exact, and after rounding to integers for the Fourier transform and PyTorch. Only then
the clock starts. It is that of the processor time of this process, on one thread, so that other
programs do not count. In each round every way is timed once, one after the other, so that whatever
slows the machine down meets all of them; all rounds are stored, in seconds.

Rounds that follow each other are not independent. So everything is measured five times over, each
sweep in a process of its own, and what is compared are the ratios of five such passes. The layer
``BASE`` is in three sweeps of each pass: early, in the middle, and at the end.

Times belong to the machine. What to compare are ratios within one run.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal

import equivlib
from equivlib.layers import Conv, Dense
from experiments import protocol

ALONE = True
PASSES = range(5)
ROUNDS = 5
# A way that takes more than SLOW seconds is timed in fewer rounds.
SLOW, SLOW_ROUNDS = 0.1, 2
# Seconds that one timing takes at least: fast ways are called several times.
SHORTEST = max(
    2e-3, 50 * time.get_clock_info("process_time").resolution
)
Layer = dict[str, int]
BASE: Layer = {"side": 16, "kernel": 3, "channels": 16, "batch": 16}
WAYS = (
    "dense",
    "CSR",
    "im2col",
    "direct",
    "FFT",
    "Python loop",
    "loop over outputs",
    "C loop",
    "PyTorch",
)
# The largest matrix in bytes, dense: of all ways, of the search for the break-even, of training.
LARGEST, LARGEST_PAIR, LARGEST_TRAINED = 2**29, 2**27, 2**26
# Up to how many products, outputs, and products the three loops are timed: a second at most.
PRODUCTS, OUTPUTS, C_PRODUCTS = 10**7, 15 * 10**4, 4 * 10**7


def grid(**sizes: Iterable[int]) -> list[Layer]:
    """All combinations of the given sizes, the rest as in BASE."""
    return [
        BASE | dict(zip(sizes, values, strict=True))
        for values in product(*sizes.values())
    ]


SIDES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
SWEEPS: dict[str, list[Layer]] = {
    "side": grid(side=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)),
    "channels": grid(side=(8,), channels=(1, 2, 4, 8, 16, 32, 64)),
    "kernel": grid(kernel=(1, 3, 5, 7, 9, 11, 15)),
    "one channel": grid(
        side=(64,), kernel=(1, 3, 5, 7, 9, 11, 15, 21), channels=(1,)
    ),
    "break-even": grid(
        channels=(1, 4, 16, 64), batch=(1, 16, 256), side=SIDES
    ),
    "training": grid(
        channels=(1, 4, 16, 64), side=(1, 2, 3, 4, 6, 8, 12, 16)
    ),
    "batch": grid(batch=(1, 4, 16, 64, 256)),
}
# What one pass takes, in seconds of one core, for the plan.
SECONDS = {
    "machine": 4,
    "side": 32,
    "channels": 18,
    "kernel": 24,
    "one channel": 22,
    "break-even": 30,
    "training": 24,
    "batch": 17,
}
PEAK = 2048  # rows and columns of the matrices of the machine's peak
COPY = 2**28  # bytes that are copied to measure the memory
Ways = dict[str, Callable[[], Any]]


def tasks() -> list[protocol.Task]:
    """The machine, and the sweeps; nothing is searched."""
    return [
        protocol.Task({"sweep": sweep}, seconds=seconds, judges=PASSES)
        for sweep, seconds in SECONDS.items()
    ]


def settings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All sweeps of the first pass, then all of the second: so a layer is timed at far times."""
    return sorted(
        protocol.settings(tasks(), runs),
        key=lambda asked: asked["seed"],
    )


def run(
    setting: dict[str, Any], rounds: int = ROUNDS
) -> dict[str, Any]:
    """Seconds of each way in each round, layer by layer, after all ways gave the same result."""
    sweep, seed = setting["sweep"], setting["seed"]
    if sweep == "machine":
        seconds = measure(peak_and_copy(), rounds)
        return {"seconds": seconds, "machine": machine(), "gpu": None}
    make = {"training": training, "break-even": pair}.get(
        sweep, forward
    )
    timed_layers = []
    for layer in SWEEPS[sweep]:
        ways = make(layer | {"seed": seed})
        if ways:
            timed_layers.append(
                layer | {"seconds": measure(ways, rounds)}
            )
    return {"layers": timed_layers}


def measure(ways: Ways, rounds: int) -> dict[str, list[float]]:
    """Every way once in each round; slow ones in the first rounds only."""
    calls, last = {}, {}
    for name, way in ways.items():
        calls[name] = 1
        while (
            least := timed(way, calls[name]) * calls[name]
        ) < SHORTEST:
            calls[name] *= 1 + int(SHORTEST / max(least, SHORTEST / 9))
        last[name] = SLOW_ROUNDS if least > SLOW else rounds
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for each in range(rounds):
        for name, way in ways.items():
            if each < last[name]:
                seconds[name].append(
                    float(f"{timed(way, calls[name]):.3g}")
                )
    return seconds


def timed(way: Callable[[], Any], calls: int) -> float:
    """Processor seconds for one call, averaged over several."""
    start = time.process_time()
    for _ in range(calls):
        way()
    return (time.process_time() - start) / calls


def peak_and_copy() -> Ways:
    """A product of large matrices, and a copy of more bytes than fit into a cache."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, PEAK, PEAK), dtype=np.float32)
    product = np.empty_like(a)
    source = np.ones(COPY // 4, dtype=np.float32)
    target = np.empty_like(source)
    return {
        "matrix product": lambda: np.matmul(a, b, out=product),
        "copy": lambda: np.copyto(target, source),
    }


def machine() -> dict[str, str]:
    """The name of the machine, as far as it tells it."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    named = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "caches": caches(),
        "threads": "1",
        "BLAS": f"{blas['name']} {blas['version']}",
        "system": platform.system(),
    }
    return named | ({"torch": version("torch")} if with_torch() else {})


def processor() -> str:
    """Its name; Linux tells it in a file, other systems tell Python."""
    file, told = Path("/proc/cpuinfo"), {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    name = told.get("model name") or platform.processor()
    numbers = [
        f"{part} {told[key]}"
        for part, key in (("family", "cpu family"), ("model", "model"))
        if key in told
    ]
    return ", ".join([name or platform.machine(), *numbers])


def caches() -> str:
    """The sizes of the caches of data that the first core uses."""
    found = []
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    for cache in sorted(folder.glob("index*")):
        level, kind, size = (
            (cache / name).read_text(encoding="utf-8").strip()
            for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found.append(f"L{level} {re.sub('K$', ' KiB', size)}")
    return ", ".join(found) or "not told"


def build(
    setting: dict[str, Any],
) -> tuple[equivlib.Geometry, np.ndarray, np.ndarray]:
    """Geometry, weight and batch of one layer."""
    side, kernel, channels = (
        setting[name] for name in ("side", "kernel", "channels")
    )
    rng = np.random.default_rng(setting.get("seed", 0))
    weight = rng.integers(-4, 5, (channels, channels, kernel, kernel))
    x = rng.integers(-4, 5, (setting["batch"], channels, side, side))
    geometry = equivlib.Geometry(
        weight.shape, x.shape[1:], padding=kernel // 2
    )
    return geometry, weight.astype(np.float32), x.astype(np.float32)


def forward(setting: dict[str, Any]) -> Ways:
    """The ways to compute one layer that its size allows, checked."""
    geometry, weight, x = build(setting)
    options = {"padding": geometry.padding}
    flat = x.reshape(len(x), -1)
    ways: Ways = {}
    if geometry.nbytes("float32", "dense") <= LARGEST:
        ways["dense"] = by_matrix(x, weight, geometry)
    if geometry.nbytes("float32", "csr") <= LARGEST // 4:
        stored = equivlib.conv_matrix(weight, x.shape[1:], **options)
        columns = np.ascontiguousarray(flat.T)
        ways["CSR"] = lambda: (stored @ columns).T
    ways["im2col"] = lambda: by_columns(x, weight, geometry)
    ways["direct"] = lambda: by_shifts(x, weight, geometry)
    ways["FFT"] = lambda: by_transforms(x, weight, geometry)
    outputs = len(x) * geometry.matrix_shape[0]
    products = outputs * weight[0].size
    if products <= PRODUCTS:
        ways["Python loop"] = by_python(x, weight, geometry)
    if outputs <= OUTPUTS:
        ways["loop over outputs"] = lambda: by_outputs(
            x, weight, geometry
        )
    if products <= C_PRODUCTS:
        ways["C loop"] = lambda: by_c(x, weight)
    if with_torch():
        ways["PyTorch"] = by_torch(x, weight, geometry)
    check(setting, ways)
    return ways


def pair(setting: dict[str, Any]) -> Ways:
    """What the search for the break-even compares: the full matrix and the patches."""
    geometry, weight, x = build(setting)
    if geometry.nbytes("float32", "dense") > LARGEST_PAIR:
        return {}
    ways: Ways = {
        "dense": by_matrix(x, weight, geometry),
        "im2col": lambda: by_columns(x, weight, geometry),
    }
    if with_torch():
        ways["PyTorch"] = by_torch(x, weight, geometry)
    check(setting, ways)
    return ways


def by_matrix(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> Callable[[], np.ndarray]:
    """The full matrix times the batch; the matrix is built before."""
    dense = equivlib.conv_matrix(
        weight, x.shape[1:], format="dense", padding=geometry.padding
    )
    flat = x.reshape(len(x), -1)
    return lambda: flat @ dense.T


def by_columns(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> np.ndarray:
    """im2col, then one matrix product for each sample."""
    columns = equivlib.im2col(
        x, geometry.kernel_size, padding=geometry.padding
    )
    return np.matmul(weight.reshape(len(weight), -1), columns)


def by_shifts(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> np.ndarray:
    """Shift the image, multiply by the weights of one tap, add; no columns are written.

    With the rows of the padded image one behind the other, what one tap reads at all positions is
    one stretch of it. The few places between two rows are computed too and left out at the end.
    """
    (rows, columns), (high, wide) = (
        geometry.output_shape[1:],
        geometry.kernel_size,
    )
    padded = np.pad(x, [(0, 0), (0, 0), *geometry.padding])
    width = padded.shape[-1]
    padded = padded.reshape(*x.shape[:2], -1)
    span = (rows - 1) * width + columns
    sums = np.zeros((len(x), len(weight), rows * width), x.dtype)
    part = np.empty((len(x), len(weight), span), x.dtype)
    for a in range(high):
        for b in range(wide):
            start = a * width + b
            taps = np.ascontiguousarray(weight[:, :, a, b])
            np.matmul(
                taps, padded[:, :, start : start + span], out=part
            )
            sums[:, :, :span] += part
    return sums.reshape(len(x), len(weight), rows, width)[..., :columns]


def by_python(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> Callable[[], np.ndarray]:
    """The definition, one product after the other, in plain Python.

    The numbers are Python's and lie in lists, which a loop reads faster than an array.
    """
    padded = np.pad(x, [(0, 0), (0, 0), *geometry.padding])
    images, kernels = padded.tolist(), weight.tolist()
    rows, columns = geometry.output_shape[1:]
    shape = (len(x), *geometry.output_shape)

    def loop() -> np.ndarray:
        outputs = []
        for image in images:
            for kernel in kernels:
                for i in range(rows):
                    for j in range(columns):
                        total = 0.0
                        for plane, taps in zip(
                            image, kernel, strict=True
                        ):
                            for a, row in enumerate(taps):
                                line = plane[i + a]
                                for b, tap in enumerate(row, j):
                                    total += tap * line[b]
                        outputs.append(total)
        return np.array(outputs, np.float32).reshape(shape)

    return loop


def by_outputs(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> np.ndarray:
    """A loop over the outputs, each one call of NumPy for its patch."""
    high, wide = geometry.kernel_size
    padded = np.pad(x, [(0, 0), (0, 0), *geometry.padding])
    y = np.empty((len(x), *geometry.output_shape), x.dtype)
    for n, u, i, j in np.ndindex(*y.shape):
        patch = padded[n, :, i : i + high, j : j + wide]
        y[n, u, i, j] = np.vdot(patch, weight[u])
    return y


def by_c(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """For each pair of channels the loop of scipy, written in C without any cutting into blocks."""
    y = np.zeros((len(x), len(weight), *x.shape[2:]), x.dtype)
    for n, u, c in np.ndindex(*y.shape[:2], x.shape[1]):
        y[n, u] += scipy.signal.correlate2d(
            x[n, c], weight[u, c], "same"
        )
    return y


def with_torch() -> bool:
    """Whether PyTorch is there: it is not needed, only measured."""
    return importlib.util.find_spec("torch") is not None


def by_torch(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> Callable[[], np.ndarray]:
    """PyTorch's own convolution, on one thread as all others."""
    import torch

    torch.set_num_threads(1)
    image, kernel = torch.from_numpy(x), torch.from_numpy(weight)
    padding = tuple(low for low, _ in geometry.padding)
    convolve = torch.nn.functional.conv2d
    return lambda: convolve(image, kernel, padding=padding).numpy()


def transform_size(geometry: equivlib.Geometry) -> tuple[int, ...]:
    """Points of the transform along each axis: the image, and zeros on one side of it."""
    return tuple(
        scipy.fft.next_fast_len(axis.size + axis.low, real=True)
        for axis in geometry.axes
    )


def by_transforms(
    x: np.ndarray, weight: np.ndarray, geometry: equivlib.Geometry
) -> np.ndarray:
    """Transform, multiply at each frequency, transform back."""
    size = transform_size(geometry)
    kernel = np.zeros((*weight.shape[:2], *size), weight.dtype)
    for tap in np.ndindex(*geometry.kernel_size):
        place = (
            a - axis.low
            for a, axis in zip(tap, geometry.axes, strict=True)
        )
        kernel[
            :, :, *(p % s for p, s in zip(place, size, strict=True))
        ] += weight[:, :, *tap]
    axes = (2, 3)
    weights = scipy.fft.rfftn(kernel, axes=axes).conj()
    images = scipy.fft.rfftn(x, size, axes=axes)
    half = weights.shape[2:]
    weights = np.ascontiguousarray(
        weights.reshape(*weight.shape[:2], -1).transpose(2, 0, 1)
    )
    images = np.ascontiguousarray(
        images.reshape(*x.shape[:2], -1).transpose(2, 1, 0)
    )
    products = np.ascontiguousarray(
        np.matmul(weights, images).transpose(2, 1, 0)
    )
    products = products.reshape(len(x), len(weight), *half)
    y = scipy.fft.irfftn(products, size, axes=axes)
    return y[(..., *(slice(axis.outputs) for axis in geometry.axes))]


def check(setting: dict[str, Any], ways: Ways) -> None:
    """All ways give the same integers."""
    geometry, weight, x = build(setting)
    expected = equivlib.conv(
        x, weight, padding=geometry.padding
    ).reshape(len(x), -1)
    for name, way in ways.items():
        y = way().reshape(len(x), -1)
        if name in ("FFT", "PyTorch"):
            assert abs(y - expected).max() < 0.25, name
            y = np.rint(y)
        assert (y == expected).all(), name


def training(setting: dict[str, Any]) -> Ways:
    """One step of gradient descent: output, both gradients, the weights moved; and its parts."""
    geometry, weight, x = build(setting)
    if geometry.nbytes("float32", "dense") > LARGEST_TRAINED:
        return {}
    options = {"padding": geometry.padding}
    grad = np.roll(x, 1, axis=0)  # any numbers of the right shape
    flat, flat_grad = x.reshape(len(x), -1), grad.reshape(len(x), -1)
    stored = equivlib.conv_matrix(weight, x.shape[1:], **options)
    layers = {
        "dense": (Dense(stored.toarray()), flat, flat_grad),
        "CSR": (Dense(stored), flat, flat_grad),
        "convolution": (Conv(weight, **options), x, grad),
    }
    gradients = {name: step(*parts) for name, parts in layers.items()}
    if with_torch():
        steps = torch_steps(x, weight, grad, stored.toarray(), geometry)
        gradients |= {name: way() for name, way in steps.items()}
    check_gradients(geometry, gradients)
    ways: Ways = dict(steps) if with_torch() else {}
    for name, (form, inputs, grads) in layers.items():
        y = form.forward(inputs)
        parts = {
            "": partial(step, form, inputs, grads),
            ", output": partial(form.forward, inputs),
            ", input gradient": partial(
                form.backward, (inputs,), y, grads
            ),
            ", weight gradient": partial(
                form.parameter_gradients, (inputs,), y, grads
            ),
        }
        ways |= {name + part: way for part, way in parts.items()}
    return ways


def torch_steps(
    x: np.ndarray,
    weight: np.ndarray,
    grad: np.ndarray,
    matrix: np.ndarray,
    geometry: equivlib.Geometry,
) -> Ways:
    """The same step by PyTorch, for the full matrix and for the convolution."""
    import torch

    torch.set_num_threads(1)
    padding = tuple(low for low, _ in geometry.padding)
    convolve = partial(torch.nn.functional.conv2d, padding=padding)
    rows = len(x)
    return {
        "PyTorch, dense": torch_step(
            torch.nn.functional.linear,
            x.reshape(rows, -1),
            matrix,
            grad.reshape(rows, -1),
        ),
        "PyTorch, convolution": torch_step(convolve, x, weight, grad),
    }


def torch_step(
    function: Callable[..., Any],
    x: np.ndarray,
    weight: np.ndarray,
    grad: np.ndarray,
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Both gradients by PyTorch, and the weights moved by next to nothing."""
    import torch

    inputs = torch.from_numpy(x.copy()).requires_grad_()
    weights = torch.from_numpy(weight.copy()).requires_grad_()
    grads = torch.from_numpy(grad.copy())

    def once() -> tuple[np.ndarray, np.ndarray]:
        inputs.grad = weights.grad = None
        function(inputs, weights).backward(grads)
        with torch.no_grad():
            weights.sub_(weights.grad, alpha=1e-30)
        return inputs.grad.numpy(), weights.grad.numpy()

    return once


def step(
    layer: Any, x: np.ndarray, grad: np.ndarray
) -> tuple[Any, Any]:
    """Both gradients; the weight moves by so little that it stays what it is."""
    y = layer.forward(x)
    (back,) = layer.backward((x,), y, grad)
    by_weight = layer.parameter_gradients((x,), y, grad)["weight"]
    layer.params["weight"] -= by_weight * np.float32(1e-30)
    return back, by_weight


def check_gradients(
    geometry: equivlib.Geometry, gradients: dict[str, tuple[Any, Any]]
) -> None:
    """Equal for the input; for the weights equal once the tied entries are summed."""
    back, by_weight = gradients["convolution"]
    names = np.arange(by_weight.size).reshape(by_weight.shape)
    tied = equivlib.conv_matrix(
        names, geometry.input_shape, padding=geometry.padding
    ).tocoo()
    for name, (other, entries) in gradients.items():
        apart = abs(other.reshape(back.shape) - back).max()
        assert apart <= (0.25 if "PyTorch" in name else 0), name
        if "convolution" in name:
            sums = entries.astype(float).ravel()
        else:
            if name == "CSR":
                entries = entries.toarray()
            at = entries[tied.row, tied.col].astype(float)
            sums = np.bincount(tied.data, at, minlength=by_weight.size)
        apart = abs(sums - by_weight.ravel()).max()
        assert apart <= (0.25 if "PyTorch" in name else 0), name


# What a chapter asks of the stored runs ------------------------------------------------------------


def ratios(
    runs: list[dict[str, Any]],
    sweep: str,
    layer: Layer,
    way: str,
    other: str,
) -> np.ndarray:
    """Of each pass, the median over its rounds of the time of one way by that of another."""
    found = []
    for run in runs:
        if run["setting"]["sweep"] != sweep:
            continue
        for timed_layer in run["result"]["layers"]:
            if layer.items() <= timed_layer.items():
                seconds = timed_layer["seconds"]
                if way in seconds and other in seconds:
                    both = zip(
                        seconds[way], seconds[other], strict=False
                    )
                    found.append(np.median([a / b for a, b in both]))
    return np.array(found)


def series(
    runs: list[dict[str, Any]],
    sweep: str,
    size: str,
    ways: Iterable[str],
) -> dict[str, tuple[list[int], np.ndarray]]:
    """Milliseconds of each way along a sweep: a row for each pass, the median of its rounds."""
    layers = [
        run["result"]["layers"]
        for run in runs
        if run["setting"]["sweep"] == sweep
    ]
    drawn = {}
    for way in ways:
        there = [
            place
            for place, layer in enumerate(layers[0])
            if way in layer["seconds"]
        ]
        medians = [
            [np.median(each[place]["seconds"][way]) for place in there]
            for each in layers
        ]
        sizes = [layers[0][place][size] for place in there]
        drawn[way] = (sizes, 1000 * np.array(medians))
    return drawn
