"""Figures: what they say is what the library computes; bad input is refused."""

import io

import matplotlib.image
import numpy as np
import pytest

from equivlib import conv, draw

KERNEL = np.array([[[1, -2, 1]]])
SIGNAL = np.array([[3, 1, 4, 1, 5]])


def test_the_description_names_what_the_marked_output_reads():
    drawing = draw.layer(KERNEL, SIGNAL, output=1)
    assert "it reads k0 on x[1], k1 on x[2], k2 on x[3]" in drawing.alt
    assert f"its value is {conv(SIGNAL, KERNEL)[0, 1]}." in drawing.alt
    assert repr(drawing) == drawing.alt


def test_the_description_leaves_out_what_meets_padding():
    assert "it reads k1 on x[0], k2 on x[1]," in draw.layer(KERNEL, SIGNAL, padding=1).alt


def test_the_description_of_matrices_spells_them_out():
    cases = {"none": {}, "mirror": {"padding": 1, "padding_mode": "reflect"}}
    alt = draw.matrices(cases, (1, 1, 3), (1, 4)).alt
    assert "none: k0 k1 k2 . | . k0 k1 k2;" in alt
    assert "mirror: k1 k0+k2 . . | k0 k1 k2 . | . k0 k1 k2 | . . k0+k2 k1." in alt


def test_the_same_drawing_is_the_same_file_every_time():
    first, second = (draw.layer(KERNEL, SIGNAL).png() for _ in range(2))
    assert first == second


def test_a_marked_output_changes_the_picture():
    assert draw.layer(KERNEL, SIGNAL, output=0).png() != draw.layer(KERNEL, SIGNAL, output=2).png()


def test_a_notebook_gets_the_picture_with_its_description():
    data, metadata = draw.layer(KERNEL, SIGNAL)._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"]
    pixels = matplotlib.image.imread(io.BytesIO(data["image/png"]))
    assert pixels.shape[1] == draw.WIDTH * draw.DPI


def test_each_weight_has_its_own_colour_in_the_picture():
    pixels = matplotlib.image.imread(io.BytesIO(draw.layer(KERNEL, SIGNAL).png()))[..., :3]
    found = {tuple(colour) for colour in (pixels.reshape(-1, 3) * 255).round().astype(int)}
    for colour in draw.TAP_COLOURS[:3]:
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in found


def test_images_are_named_with_their_sizes():
    alt = draw.images({"one": np.zeros((2, 3)), "two": np.eye(4)}, of="test images").alt
    assert alt == "Grey test images side by side: one (2 × 3 pixels), two (4 × 4 pixels)."


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: draw.layer(KERNEL, SIGNAL, output=3), r"output \(=3\).* 0 to 2"),
        (lambda: draw.layer(np.ones((1, 2, 3)), np.ones((2, 5))), "weight_shape"),
        (lambda: draw.layer(np.ones((1, 1, 2, 2, 2)), np.ones((1, 3, 3, 3))), "weight_shape"),
        (lambda: draw.matrices({}, (1, 1, 3), (1, 5)), "cases"),
        (lambda: draw.images({}), "planes"),
        (lambda: draw.images({"line": np.ones(3)}), "planes"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(action, message):
    with pytest.raises(ValueError, match=message):
        action()
