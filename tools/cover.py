"""Draw the cover of the book into _static/cover.svg: the matrix of one layer, a colour a weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import equivlib
from equivlib.labels import TAP_COLOURS

PATH = Path(__file__).resolve().parents[1] / "_static" / "cover.svg"
IMAGE, KERNEL, STRIDE = (6, 12), (3, 3), 2
ALT = (
    f"The matrix of a layer with a kernel of {KERNEL[0]} × {KERNEL[1]} and stride {STRIDE} on an "
    f"image of {IMAGE[0]} × {IMAGE[1]}: each row holds the same nine weights, each in its colour, "
    "further to the right from row to row, and all else is empty."
)


def cover() -> str:
    """Return the drawing as SVG: a square for each entry that is not empty, a path for each weight.

    The ground is that of the page, light or dark, with a faint line around the matrix.
    """
    taps = np.arange(1, 1 + np.prod(KERNEL)).reshape(1, 1, *KERNEL)
    matrix = equivlib.conv_matrix(taps, (1, *IMAGE), stride=STRIDE, padding=1).tocoo()
    height, width = matrix.shape
    paths = []
    for tap, colour in enumerate(TAP_COLOURS, start=1):
        places = zip(matrix.row[matrix.data == tap], matrix.col[matrix.data == tap], strict=True)
        squares = "".join(f"M{x} {y}h.92v.92h-.92z" for y, x in places)
        paths.append(f'<path fill="{colour}" d="{squares}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-.2 -.2 {width + 0.4} {height + 0.4}" '
        f'width="{10 * width}" height="{10 * height}">\n<title>{ALT}</title>\n'
        f'<path fill="none" stroke="#8b8b86" stroke-width=".12" '
        f'd="M-.1-.1h{width}.1v{height}.1h-{width}.1z"/>\n' + "\n".join(paths) + "\n</svg>\n"
    )


if __name__ == "__main__":
    PATH.write_text(cover(), encoding="utf-8")
    print(ALT)
