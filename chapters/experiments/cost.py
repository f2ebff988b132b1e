"""What one layer costs: the same convolution computed in several ways, timed side by side.

Each run is one layer with square images and kernels, as many outputs as inputs, and numbers of
float32. Inputs and weights are small integers, so that every way has to give the same result:
exactly where sums of integers are exact, and after rounding to integers for the Fourier transform.
Only then the clock starts. It is that of the processor time of this process, on one thread, so that
other programs do not count. In each round every way is timed once, one after the other, so that
whatever slows the machine down meets all of them; all rounds are stored, in seconds.

Times belong to the machine. What to compare are ratios within one run.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.fft

import equivlib
from equivlib.layers import Conv, Dense

ALONE = True
ROUNDS = 11
# Seconds that one timing takes at least: fast ways are called several times.
SHORTEST = max(
    2e-3, 50 * time.get_clock_info("process_time").resolution
)
LARGEST = 2**31  # bytes of the largest matrix that is built
BASE = {"side": 16, "kernel": 3, "channels": 16, "batch": 16}
SWEEPS: dict[str, list[dict[str, int]]] = {
    "side": [
        BASE | {"side": side}
        for side in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
    ],
    "kernel": [
        BASE | {"kernel": kernel} for kernel in (1, 3, 5, 7, 9, 11, 15)
    ],
    "kernel, one channel": [
        {"side": 64, "kernel": kernel, "channels": 1, "batch": 16}
        for kernel in (1, 3, 5, 7, 9, 11, 15, 21)
    ],
    "channels": [
        BASE | {"side": 8, "channels": channels}
        for channels in (1, 2, 4, 8, 16, 32, 64)
    ],
    "batch": [BASE | {"batch": batch} for batch in (1, 4, 16, 64, 256)],
}
TRAINED = [BASE | {"side": side} for side in (1, 2, 3, 4, 6, 8, 12, 16)]
PRODUCT = 2048  # rows and columns of the matrices of the machine's peak
COPY = 2**28  # bytes that are copied to measure the memory
Ways = dict[str, Callable[[], Any]]


def settings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The machine first, then the sweeps, then training."""
    layers = [
        {"sweep": sweep, "seed": 0, **layer}
        for sweep, layers in SWEEPS.items()
        for layer in layers
    ]
    steps = [
        {"sweep": "training", "seed": 0, **layer} for layer in TRAINED
    ]
    return [{"sweep": "machine", "seed": 0}, *layers, *steps]


def run(
    setting: dict[str, Any], rounds: int = ROUNDS
) -> dict[str, Any]:
    """Seconds of each way in each round, after all ways gave the same result."""
    if setting["sweep"] == "machine":
        ways = machine()
    elif setting["sweep"] == "training":
        ways = training(setting)
    else:
        ways = forward(setting)
        check(setting, ways)
    return {"seconds": measure(ways, rounds)} | torch_version()


def measure(ways: Ways, rounds: int) -> dict[str, list[float]]:
    """Every way once in each round."""
    calls = {}
    for name, way in ways.items():
        way()
        calls[name] = 1
        while (
            least := timed(way, calls[name]) * calls[name]
        ) < SHORTEST:
            calls[name] *= 1 + int(SHORTEST / max(least, SHORTEST / 9))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(
                float(f"{timed(way, calls[name]):.4g}")
            )
    return seconds


def timed(way: Callable[[], Any], calls: int) -> float:
    """Processor seconds for one call, averaged over several."""
    start = time.process_time()
    for _ in range(calls):
        way()
    return (time.process_time() - start) / calls


def machine() -> Ways:
    """A product of large matrices, and a copy of more bytes than fit into a cache."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, PRODUCT, PRODUCT), dtype=np.float32)
    product = np.empty_like(a)
    source = np.ones(COPY // 4, dtype=np.float32)
    target = np.empty_like(source)
    return {
        "matrix product": lambda: np.matmul(a, b, out=product),
        "copy": lambda: np.copyto(target, source),
    }


def layer(
    setting: dict[str, Any],
) -> tuple[equivlib.Geometry, np.ndarray, np.ndarray]:
    """Geometry, weight and batch of one setting."""
    side, kernel, channels = (
        setting[name] for name in ("side", "kernel", "channels")
    )
    rng = np.random.default_rng(setting["seed"])
    weight = rng.integers(-4, 5, (channels, channels, kernel, kernel))
    x = rng.integers(-4, 5, (setting["batch"], channels, side, side))
    geometry = equivlib.Geometry(
        weight.shape, x.shape[1:], padding=kernel // 2
    )
    return geometry, weight.astype(np.float32), x.astype(np.float32)


def forward(setting: dict[str, Any]) -> Ways:
    """The ways to compute one layer that its size allows."""
    geometry, weight, x = layer(setting)
    options = {"padding": geometry.padding}
    flat = x.reshape(len(x), -1)
    ways: Ways = {}
    if geometry.nbytes("float32", "dense") <= LARGEST:
        dense = equivlib.conv_matrix(
            weight, x.shape[1:], format="dense", **options
        )
        ways["dense"] = lambda: flat @ dense.T
    if geometry.nbytes("float32", "csr") <= LARGEST // 8:
        stored = equivlib.conv_matrix(weight, x.shape[1:], **options)
        columns = np.ascontiguousarray(flat.T)
        ways["CSR"] = lambda: (stored @ columns).T
    ways["im2col"] = lambda: by_columns(x, weight, geometry)
    ways["direct"] = lambda: by_shifts(x, weight, geometry)
    ways["FFT"] = lambda: by_transforms(x, weight, geometry)
    if with_torch():
        ways["PyTorch"] = by_torch(x, weight, geometry)
    return ways


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
    geometry, weight, x = layer(setting)
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
    geometry, weight, x = layer(setting)
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
    check_gradients(geometry, gradients)
    ways: Ways = {}
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
    for name in ("dense", "CSR"):
        other, entries = gradients[name]
        assert (other == back.reshape(other.shape)).all(), name
        if name == "CSR":
            entries = entries.toarray()
        at = entries[tied.row, tied.col].astype(float)
        sums = np.bincount(tied.data, at, minlength=by_weight.size)
        assert (sums == by_weight.ravel()).all(), name


def torch_version() -> dict[str, str]:
    """The version of PyTorch, if it was measured."""
    return {"torch": version("torch")} if with_torch() else {}
