"""Plain oracles: what the chapters compare the library with.

They share no code with it and use none of the book's formulas. NumPy
pads an array that holds the name of each input number, and a loop
slides the kernel over it and notes which number each weight meets.
"""

import math

import numpy as np

#: What numpy.pad calls each padding mode.
NUMPY_NAME = {
    "zeros": "constant",
    "circular": "wrap",
    "replicate": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
}


def seen(sizes, padding=0, padding_mode="zeros"):
    """Which place of a channel each place of the padded one shows.

    Places are counted row by row; -1 is a zero of the padding.
    """
    places = np.arange(math.prod(sizes)).reshape(sizes)
    ends = np.broadcast_to(np.transpose(padding), (2, len(sizes))).T
    nothing = {"constant_values": -1} if padding_mode == "zeros" else {}
    return np.pad(places, ends, NUMPY_NAME[padding_mode], **nothing)


def products(
    weight_shape,
    input_shape,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    padding_mode="zeros",
):
    """The shape of the output, and each product that it sums.

    A product is the index of the output it adds to, the index of its
    weight, and the place of its input number in vec(x).
    """
    outputs, channels, *taps = weight_shape
    shown = seen(input_shape[1:], padding, padding_mode)
    stride = np.broadcast_to(stride, len(taps))
    dilation = np.broadcast_to(dilation, len(taps))
    last = np.subtract(shown.shape, dilation * np.subtract(taps, 1))
    positions = [
        len(range(0, end, step))
        for end, step in zip(last, stride, strict=True)
    ]
    met = []
    for u, *i in np.ndindex(outputs, *positions):
        first = u // (outputs // groups) * channels  # of its group
        for c, *a in np.ndindex(channels, *taps):
            place = shown[tuple(stride * i + dilation * a)]
            if place >= 0:
                read = (first + c) * math.prod(input_shape[1:]) + place
                met.append(((u, *i), (u, c, *a), read))
    return (outputs, *positions), met


def plain_convolution(x, weight, bias=0, **options):
    """The definition: each output is its bias and its products."""
    shape, met = products(weight.shape, x.shape, **options)
    bias = np.asarray(bias)
    y = np.zeros(shape, dtype=np.result_type(x, weight, bias))
    y.T[:] = bias  # the same number at all positions of a channel
    for output, tap, read in met:
        y[output] += weight[tap] * x.flat[read]
    return y


def plain_gradients(x, weight, g, **options):
    """What every product adds to the gradients of input and kernel."""
    for_x = np.zeros(x.size, dtype=np.result_type(weight, g))
    for_weight = np.zeros(weight.shape, dtype=np.result_type(x, g))
    for output, tap, read in products(weight.shape, x.shape, **options)[
        1
    ]:
        for_x[read] += weight[tap] * g[output]
        for_weight[tap] += x.flat[read] * g[output]
    return for_x.reshape(x.shape), for_weight


def plain_taps(weight_shape, input_shape, **options):
    """The tap matrices: a 1 wherever the weight meets a number."""
    shape, met = products(weight_shape, input_shape, **options)
    rows = np.arange(math.prod(shape)).reshape(shape)
    taps = np.zeros(
        (*weight_shape, rows.size, math.prod(input_shape)), dtype=int
    )
    for output, tap, read in met:
        taps[(*tap, rows[output], read)] = 1
    return taps
