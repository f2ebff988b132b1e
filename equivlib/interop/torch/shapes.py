"""Shapes in a traced PyTorch module, and what can be an argument there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.patches import Array
from ..graph import Builder, Value

#: Stands for the size of the batch, which the network leaves open.
BATCH: Final = "the size of the batch"


def numbers(tensor: Any) -> Any:
    """A copy of a tensor's numbers."""
    return None if tensor is None else tensor.detach().cpu().numpy().copy()


def value_of(x: Any) -> Value:
    if not isinstance(x, Value):
        raise UnsupportedLayer("it must read a value that depends on the input")
    return x


def constant_of(array: Any) -> Array:
    if not isinstance(array, np.ndarray):
        raise UnsupportedLayer("its weight must be a parameter of the module")
    return array


def flatten(b: Builder, x: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(value_of(x).shape) + 1
    start, end = start_dim % rank, end_dim % rank
    if start == 0:
        raise UnsupportedLayer(f"start_dim (={start_dim}) must leave the batch axis")
    inner = x.shape[: start - 1], x.shape[start - 1 : end], x.shape[end:]
    return b.reshape(x, (*inner[0], math.prod(inner[1]), *inner[2]))


def view(b: Builder, x: Any, *sizes: Any, shape: Any = None) -> Value:
    target = (
        list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else list(sizes)
    )
    target = list(shape) if shape is not None else target
    first, *rest = target or [None]
    if (first != -1 and first != BATCH) or BATCH in rest or not rest:
        raise UnsupportedLayer(
            f"the shape {tuple(target)} must begin with the size of the batch, as x.size(0) or -1"
        )
    size = math.prod(value_of(x).shape)
    if rest.count(-1) == 1 and first == BATCH:
        others = -math.prod(rest)
        rest[rest.index(-1)] = size // others if others else 0
    if any(not isinstance(n, int) or n < 1 for n in rest):
        raise ValueError(f"the shape {tuple(target)} does not fit a value of shape {x.shape}")
    return b.reshape(x, rest)


def unflatten(b: Builder, x: Any, dim: int, sizes: Sequence[int]) -> Value:
    shape = value_of(x).shape
    axis = dim % (len(shape) + 1)
    if axis == 0:
        raise UnsupportedLayer("the batch axis is not unflattened")
    inner = [BATCH, *shape[: axis - 1], *sizes, *shape[axis:]]
    return view(b, x, inner)


def permute(b: Builder, x: Any, *dims: Any) -> Value:
    listed = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    rank = len(value_of(x).shape) + 1
    axes = [axis % rank for axis in listed]
    if axes[:1] != [0]:
        raise UnsupportedLayer(f"the axes {tuple(listed)} must leave the batch axis first")
    return b.transpose(x, [axis - 1 for axis in axes[1:]])


def transpose(b: Builder, x: Any, dim0: int, dim1: int) -> Value:
    axes = list(range(len(value_of(x).shape) + 1))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return permute(b, x, axes)


def index_select(b: Builder, x: Any, dim: int, index: Any) -> Value:
    """Of a flat value, if it only changes the order."""
    places = constant_of(index)
    flat = len(value_of(x).shape) == 1 and dim % 2 == 1
    if not flat or sorted(places.tolist()) != list(range(x.shape[0])):
        raise UnsupportedLayer("it is read where it only changes the order of a flat value")
    return b.seen(x, places)


def squeeze(b: Builder, x: Any, dim: Any = None) -> Value:
    rank = len(value_of(x).shape) + 1
    gone = {axis % rank for axis in ([dim] if isinstance(dim, int) else dim or ())}
    if not gone or 0 in gone:
        raise UnsupportedLayer(f"dim (={dim}) must name axes other than that of the batch")
    return b.reshape(x, [n for i, n in enumerate(x.shape, start=1) if i not in gone or n != 1])


def unsqueeze(b: Builder, x: Any, dim: int) -> Value:
    shape = list(value_of(x).shape)
    axis = dim % (len(shape) + 2)
    if axis == 0:
        raise UnsupportedLayer("nothing comes before the batch axis")
    return b.reshape(x, [*shape[: axis - 1], 1, *shape[axis - 1 :]])


def size(b: Builder, x: Any, dim: int | None = None) -> Any:
    whole = (BATCH, *value_of(x).shape)
    return whole if dim is None else whole[dim]


def attribute(b: Builder, x: Any, name: str) -> Any:
    if name != "shape":
        raise UnsupportedLayer(f"the attribute {name!r} is not read")
    return size(b, x)


def item(b: Builder, sizes: Any, index: Any) -> Any:
    if not isinstance(sizes, tuple):
        raise UnsupportedLayer("indexing is read on shapes only")
    return sizes[index]
