"""Draw the picture of the README into _static/layer.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equivlib import draw

PATH = Path(__file__).resolve().parents[1] / "_static" / "layer.png"


def picture() -> draw.Drawing:
    """Return the layer of the picture: a kernel of 2 × 2 on an image of 3 × 3."""
    image = np.array([[[3, 1, 4], [1, 5, 9], [2, 6, 5]]])
    return draw.layer(np.array([[[[1, 2], [-1, 3]]]]), image, output=1)


if __name__ == "__main__":
    PATH.write_bytes(picture().png())
    print(picture().alt)
