"""The two layers that are measured, and other ways to make and apply their matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from equivlib import Geometry

Array = NDArray[Any]


class Case(NamedTuple):
    """A layer of 3 × 3 kernels with padding 1, in float32."""

    name: str
    weight: Array
    input_shape: tuple[int, int, int]

    @property
    def geometry(self) -> Geometry:
        """Its shapes and sizes."""
        return Geometry(self.weight.shape, self.input_shape, padding=1)


def case(name: str, out_channels: int, input_shape: tuple[int, int, int]) -> Case:
    """Return a case with random weights, the same ones every time."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((out_channels, input_shape[0], 3, 3), dtype=np.float32)
    return Case(name, weight, input_shape)


CASES = (case("A", 16, (3, 64, 64)), case("B", 64, (64, 56, 56)))


def floor(geometry: Geometry) -> tuple[Array, Array]:
    """Return the least that any builder has to do: fresh arrays of that size, written once."""
    data, indices = np.empty(geometry.nnz, np.float32), np.empty(geometry.nnz, np.int32)
    data.fill(1)
    indices.fill(1)
    return data, indices


def by_coordinates(layer: Case) -> Any:
    """List every (row, column, number), let scipy sort them: the usual way."""
    out_channels, in_channels, taps, _ = layer.weight.shape
    _, height, width = layer.input_shape
    u, i, j, c, a, b = np.ogrid[:out_channels, :height, :width, :in_channels, :taps, :taps]
    y, x = i + a - 1, j + b - 1
    inside = np.broadcast_to(
        (y >= 0) & (y < height) & (x >= 0) & (x < width),
        np.broadcast_shapes(u.shape, i.shape, j.shape, c.shape, a.shape, b.shape),
    )
    everywhere = inside.shape
    rows = np.broadcast_to(((u * height + i) * width + j).astype(np.int32), everywhere)[inside]
    columns = np.broadcast_to(((c * height + y) * width + x).astype(np.int32), everywhere)[inside]
    numbers = np.broadcast_to(layer.weight[:, None, None], everywhere)[inside]
    return scipy.sparse.coo_array((numbers, (rows, columns)), layer.geometry.matrix_shape).tocsr()


def by_kronecker(layer: Case) -> Any:
    """Sum over the taps of (weights of the tap) ⊗ (rows' shift) ⊗ (columns' shift)."""
    _, height, width = layer.input_shape
    total = None
    for a, b in np.ndindex(3, 3):
        shifts = scipy.sparse.kron(
            scipy.sparse.eye_array(height, k=a - 1, dtype=np.float32),
            scipy.sparse.eye_array(width, k=b - 1, dtype=np.float32),
            format="csr",
        )
        term = scipy.sparse.kron(layer.weight[:, :, a, b], shifts, format="csr")
        total = term if total is None else total + term
    return total
