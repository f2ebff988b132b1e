"""What the suites do with a matrix: apply it to a batch, and read patches with it."""

import math

import numpy as np

from equivlib import conv_matrix


def apply(matrix, batch, shape):
    """Return the matrix times each flattened sample of the batch, as samples of the given shape."""
    flat = batch.reshape(len(batch), -1)
    return (matrix @ flat.T).T.reshape(len(batch), *shape)


def with_bias(y, bias):
    """Return the bias, one number for each channel, added to a batch; none if it is None."""
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


def patch_matrix(input_shape, kernel_size, dtype, **options):
    """Return the matrix of im2col: a depthwise convolution with one output channel for each tap."""
    channels, taps = input_shape[0], math.prod(kernel_size)
    one_hot = np.eye(taps, dtype=dtype).reshape(taps, 1, *kernel_size)
    weight = np.tile(one_hot, (channels, *(1,) * (one_hot.ndim - 1)))
    return conv_matrix(weight, input_shape, groups=channels, **options)
