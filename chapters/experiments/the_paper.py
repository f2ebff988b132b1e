"""Ma and Lu's experiment (arXiv 1712.01252), and what it did not compare: the one big matrix.

A network of two layers learns to give back the image that it reads. Its first layer has kernels of
4 x 4 with stride 2, its second is fully connected. The first layer comes in five forms, with the
same initial weights: see ``MODELS``. The original size has 128 kernels on 28 x 28 pixels, the small
one 16 on 14 x 14, so that two cores can train it until it is done.

Kinds of runs:

``trained``
    One form in the small size, trained to its plateau, as :mod:`experiments.protocol` says it.
``pair``
    The convolution and the patch-wise dense layer with the same batches: how far rounding takes
    them apart, step by step.
``begun``
    One form in the original size after three epochs, the beginning of a training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import equivlib
from equivlib.layers import Conv, Dense, Flatten, Layer, Network, ReLU
from equivlib.train import SGD, Adam, fit, predict, squared_error
from experiments import protocol, results

#: Of the original: 4 x 4 with stride 2, batches of 128, Adam's default rate, 400 epochs.
KERNEL, STRIDE, BATCH, RATE, ORIGINAL_EPOCHS = 4, 2, 128, 1e-3, 400


class Size(NamedTuple):
    """How large a network is."""

    filters: int
    pixels: int  # along each axis of an image
    pair_epochs: int


SIZES = {"small": Size(16, 14, 20), "original": Size(128, 28, 1)}

#: Of the trained runs. A score is rounded to a quarter of a decibel, 3 % of the error in grey levels.
#: So a plateau is: no more than that gained in six checks, which are 600 steps or 75 epochs.
PLATEAU = protocol.Plateau(every=100, patience=6, most=40_000)
#: The first rates of every search.
RATES = (1e-3, 3e-3, 1e-2)
#: The first strengths of the decay of the weights that a regularised form tries.
DECAYS = (0.1, 0.3, 1.0)
COMPARED = ("convolution", "released", "dense")
#: About how long a run takes on one core, with the last ReLU and without.
SECONDS = {True: 7, False: 20}

PAIRS = [("small", "Adam"), ("small", "SGD"), ("original", "Adam")]
#: Where three epochs in the original size begin: the paper's rate kills most outputs at once.
BEGUN_RATE, BEGUN_EPOCHS = 1e-4, 3

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


def drawn(seed: int, pixels: int) -> Data:
    """The same test images, and other training and validation images for each seed.

    Those 1,500 are shuffled; no seed sees a test image before it is judged.
    """
    fixed = data(pixels=pixels)
    pool = np.concatenate([fixed.train, fixed.validation])
    order = np.random.default_rng([1708, seed]).permutation(len(pool))
    count = len(fixed.train)
    return Data(pool[order[:count]], fixed.test, pool[order[count:]])


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
    seed: int,
    size: Size = SIZES["original"],
    dtype: Any = np.float32,
    last_relu: bool = True,
) -> Start:
    """Uniform initial weights between plus and minus the root of 6 over the fan-in.

    The original has a ReLU behind its second layer, too.
    """
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
    return Start(first, second, image, last_relu)


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


def order_of(seed: int) -> np.random.Generator:
    """What draws the order of the images."""
    return np.random.default_rng([2017, seed])


def fit_model(
    model: Model, images: np.ndarray, **options: Any
) -> list[float]:
    """Let a model learn to give back its images: ``equivlib.train.fit`` with its ``options``."""
    given = {"loss": squared_error, "batch_size": BATCH, **options}
    return fit(model.net, model.reads(images), flat(images), **given)


def error(model: Model, images: np.ndarray) -> float:
    """Mean squared error of a network that should give back the images."""
    outputs = predict(model.net, model.reads(images))
    return squared_error(outputs, flat(images))[0]


def decibels(net: Network, x: np.ndarray, images: np.ndarray) -> float:
    """The score of a validation: -10 log10 of the mean squared error, to a quarter.

    For grey values up to 1 that is the "peak signal to noise ratio".
    """
    mean = squared_error(predict(net, x), images)[0]
    if not 0 < mean < math.inf:
        return -math.inf
    return round(-40 * math.log10(mean)) / 4


def kernel_of(model: Model, like: np.ndarray) -> np.ndarray:
    """The kernels of a convolution or of the patch-wise layer."""
    weight = model.net.layers[0].params["weight"]
    same = weight.shape == like.shape
    return weight if same else weight.T.reshape(like.shape)


def path(
    model: Model, s: Start, images: np.ndarray, **options: Any
) -> list[Result]:
    """Of each step: loss and outputs before it, and the kernels after it."""
    found: list[Result] = []

    def loss(
        outputs: np.ndarray, targets: np.ndarray
    ) -> tuple[float, np.ndarray]:
        value, grad = squared_error(outputs, targets)
        found.append({"loss": value, "outputs": outputs})
        return value, grad

    def after(steps: int, value: float) -> None:
        found[-1]["kernel"] = kernel_of(model, s.kernel)

    fit_model(model, images, loss=loss, callback=after, **options)
    return found


def together(
    models: list[Model],
    s: Start,
    images: np.ndarray,
    epochs: int,
    seed: int,
    optimizer: Callable[[], Any],
) -> list[Result]:
    """Train two models with the same batches, and tell at each step how far apart they are."""
    paths = [
        path(
            model,
            s,
            images,
            epochs=epochs,
            seed=order_of(seed),
            optimizer=optimizer(),
        )
        for model in models
    ]
    return [
        {
            "loss": one["loss"],
            "other": other["loss"],
            "outputs": mean_norm(one["outputs"] - other["outputs"]),
            "size": mean_norm(one["outputs"]),
            "weights": float(
                np.linalg.norm(one["kernel"] - other["kernel"])
            ),
        }
        for one, other in zip(*paths, strict=True)
    ]


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


def dead(model: Model, images: np.ndarray) -> int:
    """Outputs that are 0 for every image, though the pixel is not.

    The last ReLU gives them no gradient any more.
    """
    outputs = predict(model.net, model.reads(images))
    silent = ~outputs.any(axis=0)
    return int((silent & flat(images).any(axis=0)).sum())


def projected(model: Model, s: Start) -> Model:
    """The network with the convolution nearest to its first matrix."""
    if isinstance(model.net.layers[0], Conv):
        return model
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
    """The convolution and the patch-wise layer with the same batches."""
    size, seed = SIZES[setting["size"]], setting["seed"]
    dtype = np.dtype(f"float{setting['bits']}")
    images = data(dtype, size.pixels)
    s = start(seed, size, dtype)
    models = [convolution(s), patchwise(s)]
    optimizer = OPTIMIZERS[setting["optimizer"]]
    found = together(
        models, s, images.train, size.pair_epochs, seed, optimizer
    )
    steps = some_steps(len(found))
    result: Result = {
        name: [found[i][name] for i in steps] for name in found[0]
    }
    first = [first_outputs(model, images.test) for model in models]
    return {
        **result,
        "steps": [i + 1 for i in steps],
        "first difference": mean_norm(first[0] - first[1]),
        "first size": mean_norm(first[0]),
        "test": [error(model, images.test) for model in models],
        "dead": [dead(model, images.train) for model in models],
    }


def run_begun(setting: Result) -> Result:
    """The first epochs of one form in the original size."""
    size, seed = SIZES[setting["size"]], setting["seed"]
    images, s = data(pixels=size.pixels), start(seed, size)
    model = MODELS[setting["model"]](s)
    fit_model(
        model,
        images.train,
        epochs=BEGUN_EPOCHS,
        seed=order_of(seed),
        optimizer=Adam(BEGUN_RATE),
    )
    return {
        "test": error(model, images.test),
        "train": error(model, images.train),
        "dead": dead(model, images.train),
    }


def run_trained(setting: Result) -> Result:
    """One form to its plateau: what the search reads of it, and what judges it."""
    size, seed = SIZES["small"], setting["seed"]
    images = drawn(seed, size.pixels)
    s = start(seed, size, last_relu=setting["last_relu"])
    model = MODELS[setting["model"]](s)
    course: list[Result] = []

    def watch(steps: int, net: Network) -> None:
        if not setting["search"] and steps in SHOWN:
            course.append({"steps": steps, **judge(model, s, images)})

    outcome = protocol.train(
        model.net,
        (model.reads(images.train), flat(images.train)),
        (model.reads(images.validation), flat(images.validation)),
        rate=setting["rate"],
        rng=order_of(seed),
        plateau=PLATEAU,
        loss=squared_error,
        score=decibels,
        optimizer=lambda rate: Adam(
            rate,
            weight_decay=setting.get("decay", 0.0),
            decoupled=True,
        ),
        batch=BATCH,
        watch=watch,
    )
    if setting["search"]:
        return outcome.record()
    end = judge(model, s, images)
    course.append({"steps": outcome.steps, **end})
    result = {
        **outcome.record(),
        "end": end,
        "course": course,
        "dead": dead(model, images.train),
        "projected": error(projected(model, s), images.test),
    }
    outcome.restore(model.net)
    return {**result, "stopped early": judge(model, s, images)}


#: Steps after which a judged run is looked at, for the figures.
SHOWN = frozenset(
    np.geomspace(1, PLATEAU.most, 60).round().astype(int).tolist()
)


def judge(model: Model, s: Start, images: Data) -> Result:
    """Errors on the test and the training images, and the parts of the first matrix."""
    split = (
        {} if isinstance(model.net.layers[0], Conv) else parts(model, s)
    )
    return {
        "test": error(model, images.test),
        "train": error(model, images.train),
        **split,
    }


def run(setting: Result) -> Result:
    """The result of one setting."""
    kinds = {
        "pair": run_pair,
        "begun": run_begun,
        "trained": run_trained,
    }
    return short(kinds[setting["kind"]](setting))


def form(
    model: str, *, last_relu: bool = False, regularised: bool = False
) -> protocol.Task:
    """One form in the small size, trained to its plateau."""
    what = {
        "kind": "trained",
        "model": model,
        "last_relu": last_relu,
        "regularised": regularised,
    }
    return protocol.Task(
        what,
        RATES,
        SECONDS[last_relu],
        decays=DECAYS if regularised else (),
    )


def tasks() -> list[protocol.Task]:
    """The trained forms, bare and regularised; the pairs; the beginnings in the original size."""
    trained = [
        form(model, last_relu=last_relu)
        for last_relu in (False, True)
        for model in COMPARED
    ]
    trained += [
        form(model, regularised=True)
        for model in ("dense", "released", "convolution")
    ]
    pairs = [
        protocol.Task(
            {
                "kind": "pair",
                "size": size,
                "optimizer": optimizer,
                "bits": bits,
            },
            seconds=8 if size == "small" else 40,
            judges=protocol.SEEDS
            if size == "small" or bits == 32
            else range(3),
        )
        for size, optimizer in PAIRS
        for bits in (32, 64)
    ]
    begun = [
        protocol.Task(
            {"kind": "begun", "size": "original", "model": model},
            seconds=seconds,
        )
        for model, seconds in (("convolution", 28), ("dense", 67))
    ]
    return [*trained, *pairs, *begun]
