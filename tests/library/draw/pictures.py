"""One small drawing of each kind, compared with a stored picture and used by other tests."""

from pathlib import Path

import numpy as np

from equivlib import draw

STORED = Path(__file__).parent / "images"
DPI = 60  # small files, in which a cell is still a dozen pixels wide

KERNEL = np.array([[[1, -2, 1]]])
SIGNAL = np.array([[3, 1, 4, 1, 5]])
IMAGE = np.arange(1, 17).reshape(4, 4)
MODES = ("zeros", "circular", "reflect", "replicate", "symmetric")


def waves(seed, runs, points):
    """Return numbers without a random generator, whose stream a new release may change."""
    at = np.arange(runs * points).reshape(runs, points)
    return np.sin(1.7 * at + seed)


def training():
    epochs = np.arange(20)
    return {
        name: (epochs, scale * np.exp(-epochs / 5) + 0.3 + 0.1 * waves(seed, 4, 20))
        for seed, (name, scale) in enumerate({"convolution": 1, "dense": 2}.items())
    }


def timings():
    sizes = np.array([8, 16, 32, 64])
    return {"im2col": (sizes, 0.5 * sizes**2), "dense": (sizes, 0.002 * sizes**4.0)}


def grey():
    rows, columns = np.mgrid[:24, :36]
    return np.sin(rows / 4) * np.cos(columns / 5)


DRAWINGS = {
    "layer": lambda: draw.layer(KERNEL, SIGNAL, output=1, padding=1),
    "matrices": lambda: draw.matrices(
        {mode: {"padding": 1, "padding_mode": mode} for mode in MODES}, (1, 1, 3), (1, 5)
    ),
    "structure_labelled": lambda: draw.structure((2, 2, 2), (2, 4)),
    "structure_sums": lambda: draw.structure(
        (1, 1, 3), (1, 5), padding=1, padding_mode="reflect"
    ),
    "structure_doubly_blocked": lambda: draw.structure((1, 1, 3, 3), (1, 7, 7), padding=1),
    "structure_channels": lambda: draw.structure((4, 2, 3, 3), (4, 6, 6), groups=2),
    "structure_large": lambda: draw.structure((2, 1, 3, 3), (1, 40, 40), padding=1),
    "structure_three_axes": lambda: draw.structure((1, 1, 2, 2, 2), (1, 4, 5, 5)),
    "grids": lambda: draw.grids(
        {"one": [["a", 0, "b"], [0, "a", 0]], "other": [["b", "c"], ["", "b"]]},
        blocks=(1, 0), names=("out", "in"),
    ),
    "inclusions": lambda: draw.inclusions((1, 1, 3), (1, 6)),
    "images": lambda: draw.images({"waves": grey(), "ramp": np.arange(24).reshape(4, 6)}),
    "patches": lambda: draw.patches(IMAGE[:3], 3, [0, 1, 6], padding=1),
    "patches_dilated": lambda: draw.patches(IMAGE, 2, [0, 3], dilation=2),
    "patches_grey": lambda: draw.patches(
        grey(), 7, [0, 300, 500], padding=3, padding_mode="reflect"
    ),
    "shared_gradient": lambda: draw.shared_gradient((1, 1, 2), [[3, 1, 4, 1]], [[1, 2, -1]]),
    "transpose": lambda: draw.transpose((1, 1, 3), (1, 5), column=2),
    "column_counts": lambda: draw.column_counts(
        {
            "n = 5": ((1, 1, 3), (1, 5), {"stride": 2}),
            "n = 4": ((1, 1, 2), (1, 4), {"padding": 1, "padding_mode": "reflect"}),
        }
    ),
    "full_extent": lambda: draw.full_extent((2, 3), (3, 4), at=(1, 0)),
    "crop": lambda: draw.crop(
        {"twos": ([1, -1], {"stride": 2}), "score": ([1, 2, -1], {})},
        [3, 1, 4, 1, 5, 9, 2, 6], 2, 6,
    ),
    "crop_padded": lambda: draw.crop(
        {"one": ([1, 2, 1], {"padding": 1}), "two": ([1, 1, 1], {"padding": 1})},
        [3, 1, 4, 1, 5, 9, 2], 1, 5,
    ),
    "receptive_field": lambda: draw.receptive_field(
        {"conv": (3, {"padding": 1}), "pool": (2, {"stride": 2}), "conv 2": (2, {})}, 10, [0, 2]
    ),
    "tournament": lambda: draw.tournament([[3, 1, 4], [1, 5, 9], [2, 6, 5]], nonnegative=True),
    "tournament_signed": lambda: draw.tournament([-5, -3, -4]),
    "shortcut": lambda: draw.shortcut(
        [[1, -1, 0], [2, 1, -1], [0, 2, 1]], [[1, -1, 0], [2, 1, -1], [0, 2, 1]], [3, -2, 1],
        follow=1,
    ),
    "shortcut_unsigned": lambda: draw.shortcut([[1, 1]], [[2], [0]], [3, -5], signed=False),
    "spectrum": lambda: draw.spectrum(
        {"falling": 0.8 ** np.arange(40), "linear": np.arange(30.0)[::-1]}
    ),
    "spectrum_linear": lambda: draw.spectrum({"linear": np.arange(8)}, log=False),
    "curves": lambda: draw.curves(training(), x_label="epoch", y_label="loss"),
    "curves_few_points": lambda: draw.curves(
        {"conv": ([10, 100, 1000], 1 + 0.2 * waves(1, 5, 3))},
        x_label="images", y_label="error", log_x=True, log_y=True,
    ),
    "estimates_rows": lambda: draw.estimates(
        {
            "published": (["logistic", "MLP", "CNN"], [[32], [68], [94]]),
            "repeated": (["logistic", "MLP", "CNN"], 5 * waves(3, 3, 10) + [[33], [66], [91]]),
        },
        labels=("model", "right, %"),
    ),
    "estimates_numbers": lambda: draw.estimates(
        {
            "MLP": ([250, 1000, 4000], 5 * waves(1, 3, 10) + [[40], [55], [65]]),
            "CNN": ([250, 1000], 5 * waves(2, 2, 10) + [[60], [80]]),
        },
        labels=("examples", "right, %"), log_x=True,
    ),
    "costs": lambda: draw.costs(timings(), x_label="side n", y_label="ms", slopes=(2, 4)),
    "roofline": lambda: draw.roofline(
        {"dense": ([2, 4, 4], [2e10, 3e10, 1e10]), "im2col": ([0.5, 1], [1e9, 2e9])},
        peak=1e11, bandwidth=1e10,
    ),
    "heat": lambda: draw.heat(
        {"kernel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]], "difference": np.eye(3) / 4}
    ),
    "heat_large": lambda: draw.heat({"waves": grey()}, across=1),
}  # fmt: skip
