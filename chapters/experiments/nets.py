"""MNIST-1D, and the networks that are compared on it: one shape, its zeros and its ties kept or not.

The shape is that of the convolutional network of the MNIST-1D benchmark
(github.com/greydanus/mnist1d, notebooks/models.py): three convolutions with stride 2, 25 channels
each, and one fully connected layer. Its three matrices have 475 x 40, 250 x 475 and 125 x 250
entries. A network of this shape is of one of these kinds:

``cnn``
    zeros and ties: the convolutions;
``local``
    zeros only: each place has weights of its own;
``ties``
    ties only: an entry depends on the offset between input and output, and no offset is left out;
``free``
    neither: every entry of the three matrices is a number of its own.

Beside them ``mlp`` is the perceptron of the benchmark, two hidden layers with a shortcut.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from mnist1d.data import get_dataset_args, make_dataset
from numpy.lib.stride_tricks import sliding_window_view

from equivlib import Geometry, conv_matrix
from equivlib.files import replaced
from equivlib.layers import (
    Add,
    Conv,
    Dense,
    Flatten,
    Layer,
    Network,
    ReLU,
)

LENGTH, CLASSES, CHANNELS, STRIDE = 40, 10, 25, 2
KERNELS = 5, 3, 3
PADDING = 1
KINDS = "cnn", "local", "ties", "free"
#: Training examples that are made at a time; fewer are the first of them.
POOLS = 4000, 60_000, 250_000
VALIDATED, JUDGED = 2000, 4000
MADE = Path(__file__).resolve().parents[2] / "_build" / "mnist1d"


# Data ---------------------------------------------------------------------------------------------


def made(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """MNIST-1D with its published settings, another seed and another number of examples.

    Many examples take longer to make than to read, so they are kept in a folder that may be
    deleted at any time.
    """
    file = MADE / f"{seed}_{count}.npz"
    if not file.exists():
        x, y = generated(seed, count)
        if count <= 20_000:
            return x, y
        MADE.mkdir(parents=True, exist_ok=True)
        with replaced(file) as new, new.open("wb") as stream:
            np.savez(stream, x=x, y=y)
    with np.load(file) as kept:
        return kept["x"], kept["y"]


def generated(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, made anew."""
    args = get_dataset_args()
    args.seed, args.num_samples, args.train_split = seed, count, 1.0
    new = make_dataset(args)
    return new["x"].astype(np.float32), new["y"].astype(np.int64)


@lru_cache(maxsize=2)
def pool(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples to train with, to validate with and to judge by, in this order."""
    return made(seed, count + VALIDATED + JUDGED)


def examples(
    seed: int, count: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Training, validation and judging examples of a seed."""
    size = next(size for size in POOLS if size >= count)
    x, y = pool(seed, size)
    ends = size, size + VALIDATED, size + VALIDATED + JUDGED
    parts = [
        slice(0, count),
        *(slice(*pair) for pair in pairwise(ends)),
    ]
    return tuple((x[part], y[part]) for part in parts)


# Layers -------------------------------------------------------------------------------------------


def uniform(
    shape: tuple[int, ...], inputs: int, rng: np.random.Generator
) -> np.ndarray:
    """PyTorch's default for weights and biases alike: within one over the root of the inputs."""
    bound = 1 / np.sqrt(inputs)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def dense(inputs: int, units: int, rng: np.random.Generator) -> Dense:
    """A fully connected layer as PyTorch starts it."""
    return Dense(
        uniform((units, inputs), inputs, rng),
        uniform((units,), inputs, rng),
    )


def windows(x: np.ndarray, kernel: int) -> np.ndarray:
    """What each place reads, ``(batch, places, kernel * channels)``, channels last."""
    batch, channels, length = x.shape
    padded = np.zeros((batch, length + 2 * PADDING, channels), x.dtype)
    padded[:, PADDING : PADDING + length] = x.swapaxes(1, 2)
    return sliding_window_view(
        padded.reshape(batch, -1), kernel * channels, axis=1
    )[:, :: STRIDE * channels]


def unwindows(back: np.ndarray, length: int) -> np.ndarray:
    """The sum of what each place gives back to what it has read, ``(batch, channels, length)``."""
    batch, places, kernel, channels = back.shape
    result = np.zeros(
        (batch, length + 2 * PADDING, channels), back.dtype
    )
    for tap in range(kernel):
        read = slice(tap, tap + STRIDE * (places - 1) + 1, STRIDE)
        result[:, read] += back[:, :, tap]
    return result[:, PADDING : PADDING + length].swapaxes(1, 2)


class Quick(Conv):
    """Conv on one axis with stride 2, made for many small steps: with the channels last in memory
    each patch is one piece, and the patches of the forward pass are kept for the gradient."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        super().__init__(weight, bias, stride=STRIDE, padding=PADDING)

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        (x,), (units, inputs, kernel) = xs, self.weight.shape
        patches = windows(x, kernel)
        self.patches = patches.reshape(-1, kernel * inputs)
        y = self.patches @ self._rows().T + self.bias
        return y.reshape(len(x), -1, units).swapaxes(1, 2)

    def _rows(self) -> np.ndarray:
        return self.weight.swapaxes(1, 2).reshape(len(self.weight), -1)

    def backward(self, xs: Any, y: np.ndarray, grad: np.ndarray) -> Any:
        (x,), (_, inputs, kernel) = xs, self.weight.shape
        back = self._flat(grad) @ self._rows()
        back = back.reshape(len(x), -1, kernel, inputs)
        return (unwindows(back, x.shape[2]),)

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        units, inputs, kernel = self.weight.shape
        rows = self._flat(grad).T @ self.patches
        return rows.reshape(units, kernel, inputs).swapaxes(1, 2)

    def _flat(self, grad: np.ndarray) -> np.ndarray:
        return grad.swapaxes(1, 2).reshape(-1, grad.shape[1])


class Local(Layer):
    """A locally connected layer on one axis with stride 2: weights of its own for each place.

    The weight is ``(places, kernel * inputs, units)``, the bias ``(units, places)``.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray,
        inputs: int,
    ) -> None:
        super().__init__()
        self.params = {"weight": weight, "bias": bias}
        self.inputs = inputs

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return self.params["bias"].shape

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        weight = self.params["weight"]
        kernel = weight.shape[1] // self.inputs
        patches = windows(xs[0], kernel)
        self.patches = np.ascontiguousarray(patches.swapaxes(0, 1))
        by_place = self.patches @ weight  # (places, batch, units)
        return by_place.transpose(1, 2, 0) + self.params["bias"]

    def backward(self, xs: Any, y: np.ndarray, grad: np.ndarray) -> Any:
        weight = self.params["weight"]
        back = grad.transpose(2, 0, 1) @ weight.swapaxes(1, 2)
        places, batch, _ = back.shape
        back = back.swapaxes(0, 1).reshape(
            batch, places, -1, self.inputs
        )
        return (unwindows(back, xs[0].shape[2]),)

    def parameter_gradients(
        self, xs: Any, y: np.ndarray, grad: np.ndarray
    ) -> Any:
        by_place = self.patches.swapaxes(1, 2) @ grad.transpose(2, 0, 1)
        return {"weight": by_place, "bias": grad.sum(axis=0)}


class Offsets(Layer):
    """Ties without zeros: an entry depends on its channels and on the offset of input and output.

    The convolution whose kernel reaches every input from every output; with so long a kernel its
    matrix is the quickest way. The weight is ``(units, inputs, offsets)``, the bias ``(units,)``.
    """

    def __init__(
        self, weight: np.ndarray, bias: np.ndarray, length: int
    ) -> None:
        super().__init__()
        self.params = {"weight": weight, "bias": bias}
        units, inputs, offsets = weight.shape
        self.places = (offsets - length) // STRIDE + 1
        read = (
            np.arange(length) - STRIDE * np.arange(self.places)[:, None]
        )
        offset = read + STRIDE * (self.places - 1)
        pair = np.arange(units)[:, None] * inputs + np.arange(inputs)
        names = pair[:, None, :, None] * offsets + offset[:, None, :]
        self.names = names.reshape(units * self.places, inputs * length)

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return len(self.params["bias"]), self.places

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        self.matrix = self.params["weight"].ravel()[self.names]
        y = xs[0].reshape(len(xs[0]), -1) @ self.matrix.T
        bias = self.params["bias"][:, None]
        return y.reshape(len(y), -1, self.places) + bias

    def backward(self, xs: Any, y: np.ndarray, grad: np.ndarray) -> Any:
        back = grad.reshape(len(grad), -1) @ self.matrix
        return (back.reshape(xs[0].shape),)

    def parameter_gradients(
        self, xs: Any, y: np.ndarray, grad: np.ndarray
    ) -> Any:
        weight = self.params["weight"]
        flat = grad.reshape(len(grad), -1)
        whole = flat.T @ xs[0].reshape(len(flat), -1)
        sums = np.bincount(
            self.names.ravel(), whole.ravel(), weight.size
        )
        return {
            "weight": sums.reshape(weight.shape).astype(weight.dtype),
            "bias": grad.sum(axis=(0, 2)),
        }


# Networks -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def geometries() -> tuple[Geometry, ...]:
    """Those of the three convolutions."""
    shape: tuple[int, ...] = (1, LENGTH)
    found = []
    for kernel in KERNELS:
        weight = (CHANNELS, shape[0], kernel)
        found.append(
            Geometry(weight, shape, stride=STRIDE, padding=PADDING)
        )
        shape = found[-1].output_shape
    return tuple(found)


def first_layers(
    kind: str, geometry: Geometry, rng: np.random.Generator
) -> Layer:
    """A new layer in the shape of one of the convolutions, as PyTorch starts it.

    The range of the start is one over the root of the inputs that an output can read.
    """
    units, inputs, kernel = geometry.weight_shape
    length, places = geometry.input_shape[1], geometry.output_shape[1]
    if kind == "cnn":
        reads = inputs * kernel
        weight = uniform((units, inputs, kernel), reads, rng)
        return Quick(weight, uniform((units,), reads, rng))
    if kind == "local":
        reads = inputs * kernel
        weight = uniform((places, reads, units), reads, rng)
        return Local(
            weight, uniform((units, places), reads, rng), inputs
        )
    if (
        kind == "ties"
    ):  # from the last output to the first input, and back
        reads, offsets = inputs * length, STRIDE * (places - 1) + length
        weight = uniform((units, inputs, offsets), reads, rng)
        return Offsets(weight, uniform((units,), reads, rng), length)
    return dense(inputs * length, units * places, rng)


def network(kind: str, rng: np.random.Generator) -> Network:
    """A new network of the shape of the convolutional one, of one of the kinds."""
    free = kind == "free"
    layers: list[Any] = []
    for geometry in geometries():
        layers += [first_layers(kind, geometry, rng), ReLU()]
    if not free:
        layers.append(Flatten())
    layers.append(dense(geometry.matrix_shape[0], CLASSES, rng))
    return Network(layers, (LENGTH,) if free else (1, LENGTH))


def mlp(rng: np.random.Generator, width: int) -> Network:
    """The perceptron of the benchmark: two hidden layers, a shortcut past the second."""
    layers = [
        dense(LENGTH, width, rng),
        ReLU(),
        dense(width, width, rng),
        ReLU(),
        Add(1, 3),
        dense(width, CLASSES, rng),
    ]
    return Network(layers, (LENGTH,))


def matrices(net: Network) -> Network:
    """The same function with fully connected layers and ReLU only, all entries stored.

    Column j of a matrix is what the layer gives for the j-th unit vector, without the bias.
    """
    layers: list[Any] = []
    shapes = [net.input_shape, *net.shapes]
    for position, layer in enumerate(net.layers):
        if isinstance(layer, Flatten):
            continue
        if not layer.params:
            layers.append(layer)
            continue
        shape = shapes[position]
        size = int(np.prod(shape))
        probes = np.zeros((size + 1, size), np.float32)
        probes[:size] = np.eye(size)
        y = layer.forward(probes.reshape(-1, *shape)).reshape(
            size + 1, -1
        )
        layers.append(Dense((y[:-1] - y[-1]).T.copy(), y[-1].copy()))
    return Network(layers, (int(np.prod(net.input_shape)),))


class Ties:
    """Which entries of the matrix of a convolution are one weight: `project`, fast enough for
    every step of a training."""

    def __init__(self, geometry: Geometry) -> None:
        names = np.arange(1, 1 + np.prod(geometry.weight_shape))
        named = conv_matrix(
            names.reshape(geometry.weight_shape),
            geometry.input_shape,
            stride=geometry.stride,
            padding=geometry.padding,
        ).toarray()
        self.mask = (named > 0).astype(np.float32)
        self.places = np.flatnonzero(named)
        self.names = named.ravel()[self.places] - 1
        self.counts = np.bincount(self.names, minlength=len(names))

    def means(self, matrix: np.ndarray) -> np.ndarray:
        """The nearest kernel, flat: the mean over the places of each weight."""
        there = matrix.ravel()[self.places]
        sums = np.bincount(
            self.names, there, minlength=len(self.counts)
        )
        return (sums / self.counts).astype(matrix.dtype)

    def difference(self, matrix: np.ndarray) -> np.ndarray:
        """The matrix minus the nearest convolution."""
        rest = matrix.copy()
        rest.ravel()[self.places] -= self.means(matrix)[self.names]
        return rest

    def distances(self, matrix: np.ndarray) -> list[float]:
        """Shares of the squared norm of a matrix: where a convolution has zeros, and what is lost
        by sharing the rest. With that of the nearest convolution they sum to 1."""
        rest, norm = self.difference(matrix), np.linalg.norm(matrix)
        outside = (np.linalg.norm(rest * (1 - self.mask)) / norm) ** 2
        unshared = (np.linalg.norm(rest * self.mask) / norm) ** 2
        return [round(float(outside), 6), round(float(unshared), 6)]


@lru_cache(maxsize=1)
def ties() -> tuple[Ties, ...]:
    """Those of the three convolutions."""
    return tuple(map(Ties, geometries()))


def renamed(net: Network, rng: np.random.Generator) -> Network:
    """The same function of a chain of Dense and ReLU: hidden units in another order, each scaled.

    A unit may be multiplied by a positive number if what reads it is divided by the same.
    """
    affine = [layer for layer in net.layers if isinstance(layer, Dense)]
    weights = [layer.weight for layer in affine]
    biases = [layer.bias for layer in affine]
    for i in range(len(affine) - 1):
        order = rng.permutation(len(weights[i]))
        scale = np.exp(rng.normal(size=len(order))).astype(np.float32)
        weights[i] = weights[i][order] * scale[:, None]
        biases[i] = biases[i][order] * scale
        weights[i + 1] = weights[i + 1][:, order] / scale
    new = iter(map(Dense, weights, biases))
    return Network(
        [
            next(new) if isinstance(layer, Dense) else layer
            for layer in net.layers
        ],
        net.input_shape,
    )
