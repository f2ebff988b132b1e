"""Ma and Lu's experiment (arXiv 1712.01252), and what it did not compare: the one big matrix.

A network of two layers learns to give back the image that it reads. Its first layer has 128 kernels
of 4 x 4 with stride 2, its second is fully connected. The first layer comes in five forms, with the
same initial weights: see ``MODELS``.

Kinds of runs:

``pair``
    The convolution and the patch-wise dense layer, trained side by side: how far rounding takes
    them apart, step by step.
``search``
    One form, one learning rate, judged on the validation images.
``final``
    One form with the learning rate that its search has found, judged on the test images.

Each in two sizes, the original one and a small one that can be trained for longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import equivlib
from equivlib.layers import Conv, Dense, Flatten, Layer, Network, ReLU
from equivlib.train import SGD, Adam, predict, squared_error
from experiments import results

#: Of the original: 4 x 4 with stride 2, batches of 128, Adam's default rate, 400 epochs.
KERNEL, STRIDE, BATCH, RATE, ORIGINAL_EPOCHS = 4, 2, 128, 1e-3, 400


class Size(NamedTuple):
    """How large a network is, and what was affordable."""

    filters: int
    pixels: int  # along each axis of an image
    epochs: int  # of a final run, judged after each or, as this takes time, at its end
    each: bool
    search_epochs: int
    pair_epochs: int
    rates: tuple[float, ...]
    compared: tuple[str, ...]
    last_relu: bool = (
        True  # behind the second layer, as the original has it
    )


SIZES = {
    "small": Size(
        16,
        14,
        60,
        True,
        60,
        20,
        (3e-4, 1e-3, 3e-3),
        ("convolution", "released", "dense"),
    ),
    "small, no last ReLU": Size(
        16,
        14,
        60,
        True,
        60,
        20,
        (1e-3, 3e-3, 1e-2),
        ("convolution", "released", "dense"),
        False,
    ),
    "original": Size(
        128,
        28,
        3,
        False,
        5,
        1,
        (3e-5, 1e-4, 3e-4),
        ("convolution", "dense"),
    ),
}
SEEDS, SEARCH_SEED = range(10), 100
PAIRS = [("small", "Adam"), ("small", "SGD"), ("original", "Adam")]

#: Of the pairs. The original's code has a rate for Adam only.
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "Adam": lambda: Adam(RATE),
    "SGD": lambda: SGD(0.5),
}

Result = dict[str, Any]


class Data(NamedTuple):
    """Images (1, height, width) with grey values from 0 to 1."""

    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray


def data(dtype: Any = np.float32, pixels: int = 28) -> Data:
    """The 1,000 training, 1,000 test and 500 validation images, all different.

    Each class has 200 images in a row in the file: 100 of them for training, 100 as test images.
    The validation images are those that Fashion-MNIST calls its test images. With fewer ``pixels``
    along an axis each is the mean of several.
    """
    with np.load(results.DATA / "fashion.npz") as file:
        images, others = file["x"], file["test"]
    first = np.arange(len(images)) % 200 < 100
    parts = images[first], images[~first], others
    return Data(*(_scaled(part, dtype, pixels) for part in parts))


def _scaled(images: np.ndarray, dtype: Any, pixels: int) -> np.ndarray:
    side = images.shape[1] // pixels
    blocks = images.reshape(-1, 1, pixels, side, pixels, side)
    return (blocks.mean(axis=(3, 5)) / 255).astype(dtype)


class Patches(Layer):
    """One fully connected layer applied to each patch: what the original calls dense.

    Reads ``(positions, numbers of a patch)`` and gives ``(positions, filters)``.
    """

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.params["weight"] = weight

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return shapes[0][0], self.params["weight"].shape[-1]

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        rows = xs[0].reshape(-1, xs[0].shape[2])
        return (rows @ self.params["weight"]).reshape(
            *xs[0].shape[:2], -1
        )

    def parameter_gradients(
        self, xs: Any, y: np.ndarray, grad: np.ndarray
    ) -> Any:
        rows = xs[0].reshape(-1, xs[0].shape[2])
        return {"weight": rows.T @ grad.reshape(-1, grad.shape[2])}


class Released(Patches):
    """The same with weights of its own at each position: a locally connected layer."""

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        by_position = xs[0].swapaxes(0, 1) @ self.params["weight"]
        return np.ascontiguousarray(by_position.swapaxes(0, 1))

    def parameter_gradients(
        self, xs: Any, y: np.ndarray, grad: np.ndarray
    ) -> Any:
        return {
            "weight": xs[0].transpose(1, 2, 0) @ grad.swapaxes(0, 1)
        }


class Tied(Conv):
    """The one big matrix, with every entry computed from the kernel.

    Its gradient is the dense one at the places of each weight, summed over the ties.
    """

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        shape = xs[0].shape[1:]
        exact = (
            self.weight.dtype == object
        )  # which no sparse array holds
        W = equivlib.conv_matrix(
            self.weight,
            shape,
            format="dense" if exact else "csr",
            **self.options,
        )
        y = ((np.array(W) if exact else W) @ flat(xs[0]).T).T
        return y.reshape(-1, *self.output_shape(shape))

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        dense = flat(grad).T @ flat(x)
        numbers = np.arange(1, self.weight.size + 1)
        W = equivlib.conv_matrix(
            numbers.reshape(self.weight.shape),
            x.shape[1:],
            **self.options,
        ).tocoo()
        sums = np.zeros(self.weight.size, grad.dtype)
        np.add.at(sums, W.data - 1, dense[W.row, W.col])
        return sums.reshape(self.weight.shape)


class Model(NamedTuple):
    """A network, and what makes its input from images."""

    net: Network
    reads: Callable[[np.ndarray], np.ndarray]


class Start(NamedTuple):
    """Initial weights: the kernel, and the second layer for features in the order (filter, place)."""

    kernel: np.ndarray
    second: np.ndarray
    image: tuple[int, ...]
    last_relu: bool = True

    def geometry(self) -> equivlib.Geometry:
        return equivlib.Geometry(
            self.kernel.shape, self.image, stride=STRIDE
        )

    def patches(self) -> np.ndarray:
        """The kernels as columns: a row for each number of a patch."""
        return np.ascontiguousarray(
            self.kernel.reshape(len(self.kernel), -1).T
        )

    def last(self) -> np.ndarray:
        """The second layer for features in the order (place, filter)."""
        pixels, filters = len(self.second), len(self.kernel)
        parts = self.second.reshape(pixels, filters, -1)
        return parts.swapaxes(1, 2).reshape(pixels, -1)


def start(
    seed: int, size: Size = SIZES["original"], dtype: Any = np.float32
) -> Start:
    """Uniform initial weights between plus and minus the root of 6 over the fan-in."""
    rng = np.random.default_rng([1712, 1252, seed])
    image = (1, size.pixels, size.pixels)
    kernel = (size.filters, 1, KERNEL, KERNEL)
    features = equivlib.Geometry(
        kernel, image, stride=STRIDE
    ).matrix_shape[0]

    def uniform(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        limit = np.sqrt(6 / fan_in)
        return (rng.uniform(-1, 1, shape) * limit).astype(dtype)

    second = uniform((size.pixels**2, features), features)
    first = uniform(kernel, KERNEL * KERNEL)
    return Start(first, second, image, size.last_relu)


def flat(images: np.ndarray) -> np.ndarray:
    """One row for each image."""
    return images.reshape(len(images), -1)


def patches(images: np.ndarray) -> np.ndarray:
    """``(images, positions, numbers of a patch)``, by im2col."""
    columns = equivlib.im2col(images, (KERNEL, KERNEL), stride=STRIDE)
    return np.ascontiguousarray(columns.swapaxes(1, 2))


def _model(
    s: Start,
    first: Layer,
    reads: Callable[[np.ndarray], np.ndarray],
    *,
    places_first: bool = False,
) -> Model:
    """The network with this first layer."""
    second = s.last() if places_first else s.second
    ends = [ReLU()] if s.last_relu else []
    layers = [first, ReLU(), Flatten(), Dense(second), *ends]
    one = reads(np.zeros((1, *s.image), s.kernel.dtype))
    return Model(Network(layers, one.shape[1:]), reads)


def convolution(s: Start) -> Model:
    return _model(
        s, Conv(s.kernel, stride=STRIDE), lambda images: images
    )


def tied(s: Start) -> Model:
    return _model(
        s, Tied(s.kernel, stride=STRIDE), lambda images: images
    )


def patchwise(s: Start) -> Model:
    return _model(s, Patches(s.patches()), patches, places_first=True)


def released(s: Start) -> Model:
    own = [s.patches()] * math.prod(s.geometry().output_shape[1:])
    return _model(
        s, Released(np.array(own)), patches, places_first=True
    )


def dense(s: Start) -> Model:
    W = equivlib.conv_matrix(
        s.kernel, s.image, stride=STRIDE, format="dense"
    )
    return _model(s, Dense(W), flat)


#: The first layer as a convolution; as the matrix computed from its kernel; as one dense layer on
#: every patch; with the ties released, so that each position has its own weights; and as the whole
#: matrix, whose zeros are trained too.
MODELS: dict[str, Callable[[Start], Model]] = {
    "convolution": convolution,
    "tied": tied,
    "patchwise": patchwise,
    "released": released,
    "dense": dense,
}


def batches(count: int, epochs: int, seed: int) -> Iterator[np.ndarray]:
    """The images of each step, each epoch in another order."""
    rng = np.random.default_rng([2017, seed])
    for _ in range(epochs):
        order = rng.permutation(count)
        for begin in range(0, count, BATCH):
            yield order[begin : begin + BATCH]


def step(
    model: Model, optimizer: Any, images: np.ndarray
) -> tuple[float, np.ndarray]:
    """One step of training. The loss and the outputs of the images, before the step."""
    outputs = model.net(model.reads(images))
    loss, grad = squared_error(outputs, flat(images))
    model.net.backward(grad, to_input=False)
    optimizer.step(model.net)
    return loss, outputs


def error(model: Model, images: np.ndarray) -> float:
    """Mean squared error of a network that should give back the images."""
    outputs = predict(model.net, model.reads(images))
    return squared_error(outputs, flat(images))[0]


def kernel_of(model: Model, like: np.ndarray) -> np.ndarray:
    """The kernels of a convolution or of the patch-wise layer."""
    weight = model.net.layers[0].params["weight"]
    same = weight.shape == like.shape
    return weight if same else weight.T.reshape(like.shape)


def together(
    models: list[Model],
    s: Start,
    images: np.ndarray,
    order: Iterator[np.ndarray],
    optimizers: list[Any],
) -> Iterator[Result]:
    """Train two models side by side, and tell at each step how far apart they are."""
    for chosen in order:
        batch = images[chosen]
        (loss, one), (other_loss, other) = (
            step(model, optimizer, batch)
            for model, optimizer in zip(models, optimizers, strict=True)
        )
        kernels = [kernel_of(model, s.kernel) for model in models]
        yield {
            "loss": loss,
            "other": other_loss,
            "outputs": mean_norm(one - other),
            "size": mean_norm(one),
            "weights": float(np.linalg.norm(kernels[0] - kernels[1])),
        }


def mean_norm(rows: np.ndarray) -> float:
    """Mean length of the rows, added up in double precision."""
    rows = rows.reshape(len(rows), -1).astype(float)
    return float(np.linalg.norm(rows, axis=1).mean())


def first_outputs(model: Model, images: np.ndarray) -> np.ndarray:
    """What the first layer gives, in the order (filter, place)."""
    layer = model.net.layers[0]
    y = layer.forward(model.reads(images))
    return flat(y.swapaxes(1, 2) if isinstance(layer, Patches) else y)


def parts(model: Model, s: Start) -> Result:
    """The first matrix in three parts, as squared lengths.

    The nearest convolution, what differs from it at the places of its weights, and what stands at
    the empty places. The three are orthogonal.
    """
    weight = model.net.layers[0].params["weight"].astype(float)
    if isinstance(model.net.layers[0], Released):
        mean = weight.mean(axis=0)
        near = len(weight) * float((mean**2).sum())
        untied = float(((weight - mean) ** 2).sum())
        return {"near": near, "untied": untied, "outside": 0.0}
    options = s.kernel.shape, s.image
    nearest = equivlib.project(weight, *options, stride=STRIDE)
    places = equivlib.conv_matrix(
        np.ones_like(s.kernel), s.image, stride=STRIDE
    )
    counts = places.nnz / s.kernel.size
    near = counts * float((nearest.weight**2).sum())
    stored = float(places.multiply(weight**2).sum())
    return {
        "near": near,
        "untied": stored - near,
        "outside": float((weight**2).sum()) - stored,
    }


def short(value: Any) -> Any:
    """Six digits, in numbers and in lists and dicts of numbers."""
    if isinstance(value, dict):
        return {name: short(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def histogram(weights: np.ndarray, limit: float = 1.0) -> list[int]:
    """How many weights lie in each of 40 bins between minus and plus ``limit``."""
    counts, _ = np.histogram(
        weights.ravel(), bins=40, range=(-limit, limit)
    )
    return counts.tolist()


def dead(model: Model, images: np.ndarray) -> int:
    """Outputs that are 0 for every image, though the pixel is not.

    The last ReLU gives them no gradient any more.
    """
    outputs = predict(model.net, model.reads(images))
    silent = ~outputs.any(axis=0)
    return int((silent & flat(images).any(axis=0)).sum())


def projected(model: Model, s: Start) -> Model:
    """The network with the convolution nearest to its first matrix."""
    weight, last = (
        model.net.layers[position].params["weight"]
        for position in (0, 3)
    )
    if isinstance(model.net.layers[0], Released):
        nearest = Patches(weight.mean(axis=0))
    else:
        kernel = equivlib.project(
            weight, s.kernel.shape, s.image, stride=STRIDE
        ).weight
        nearest = Conv(kernel, stride=STRIDE)
        model = model._replace(reads=lambda images: images)
    layers = [nearest, *model.net.layers[1:]]
    shape = model.reads(np.zeros((1, *s.image), last.dtype)).shape[1:]
    return model._replace(net=Network(layers, shape))


def some_steps(count: int, most: int = 40) -> list[int]:
    """At most so many of the first ``count`` steps, ever fewer of them."""
    chosen = np.geomspace(1, count, most).round().astype(int) - 1
    return np.unique(chosen).tolist()


def run_pair(setting: Result) -> Result:
    """The convolution and the patch-wise layer side by side."""
    size, seed = SIZES[setting["size"]], setting["seed"]
    dtype = np.dtype(f"float{setting['bits']}")
    images = data(dtype, size.pixels)
    s = start(seed, size, dtype)
    models = [convolution(s), patchwise(s)]
    order = batches(len(images.train), size.pair_epochs, seed)
    optimizers = [OPTIMIZERS[setting["optimizer"]]() for _ in models]
    found = list(together(models, s, images.train, order, optimizers))
    steps = some_steps(len(found))
    result: Result = {
        name: [found[i][name] for i in steps] for name in found[0]
    }
    first = [first_outputs(model, images.test) for model in models]
    kernels = [kernel_of(model, s.kernel) for model in models]
    return short(
        {
            **result,
            "steps": [i + 1 for i in steps],
            "first difference": mean_norm(first[0] - first[1]),
            "first size": mean_norm(first[0]),
            "test": [error(model, images.test) for model in models],
            "dead": [dead(model, images.train) for model in models],
            "histograms": [
                histogram(kernel) for kernel in (s.kernel, *kernels)
            ],
        }
    )


def run_one(setting: Result) -> Result:
    """One form: a search, or a final run."""
    size, seed = SIZES[setting["size"]], setting["seed"]
    images, s = data(pixels=size.pixels), start(seed, size)
    model = MODELS[setting["model"]](s)
    searching = setting["kind"] == "search"
    judges = images.validation if searching else images.test
    optimizer = Adam(setting["rate"])
    epochs = size.search_epochs if searching else size.epochs
    order = batches(len(images.train), epochs, seed)
    result: Result = {
        "epochs": [],
        "judged": [],
        "train": [],
        "parts": [],
    }
    for epoch in range(1, epochs + 1):
        for _ in range(-(-len(images.train) // BATCH)):
            step(model, optimizer, images.train[next(order)])
        if searching or size.each or epoch == epochs:
            result["epochs"].append(epoch)
            result["judged"].append(error(model, judges))
            if not searching:
                result["train"].append(error(model, images.train))
                if setting["model"] != "convolution":
                    result["parts"].append(parts(model, s))
    if not searching:
        result["dead"] = dead(model, images.train)
        if setting["model"] != "convolution":
            nearest = projected(model, s)
            result["projected"] = error(nearest, images.test)
    return short(result)


def run(setting: Result) -> Result:
    """The result of one setting."""
    kind = run_pair if setting["kind"] == "pair" else run_one
    return kind(setting)


def best(runs: list[Result], size: str, model: str) -> Result:
    """Rate and number of epochs with the smallest error of a form on the validation images."""
    found = results.select(runs, kind="search", size=size, model=model)
    error, rate, epochs = min(
        (error, run["setting"]["rate"], epoch)
        for run in found
        for epoch, error in zip(
            run["result"]["epochs"],
            run["result"]["judged"],
            strict=True,
        )
        if epoch <= SIZES[size].epochs
    )
    return {"error": error, "rate": rate, "epochs": epochs}


def settings(runs: list[Result]) -> list[Result]:
    """The searches and the pairs; when the searches are done, the final runs too."""
    search = [
        {
            "kind": "search",
            "size": name,
            "model": model,
            "rate": rate,
            "seed": SEARCH_SEED,
        }
        for name, size in SIZES.items()
        for model in size.compared
        for rate in size.rates
    ]
    pairs = [
        {
            "kind": "pair",
            "size": name,
            "optimizer": optimizer,
            "bits": bits,
            "seed": seed,
        }
        for name, optimizer in PAIRS
        for bits in (32, 64)
        for seed in SEEDS
        if name == "small" or bits == 32 or seed in range(3)
    ]
    if results.missing(search, runs):
        return search + pairs
    final = [
        {
            "kind": "final",
            "size": name,
            "model": model,
            "rate": best(runs, name, model)["rate"],
            "seed": seed,
        }
        for name, size in SIZES.items()
        for seed in SEEDS
        for model in size.compared
    ]
    return search + pairs + final
