"""Shapes in a traced PyTorch module, and what can be an argument there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.patches import Array
from ..graph import Builder, Value

if TYPE_CHECKING:
    import torch

#: What a node of a trace gives: a value of the network, a constant, a number, a shape.
Traced: TypeAlias = Value | Array | float | str | tuple[int | str, ...] | None

#: Sizes one by one, or all of them at once.
Sizes: TypeAlias = int | str | Sequence[int | str]

#: Stands for the size of the batch, which the network leaves open.
BATCH: Final = "the size of the batch"


def numbers(tensor: torch.Tensor) -> Array:
    """A copy of a tensor's numbers."""
    array: Array = tensor.detach().cpu().numpy().copy()
    return array


def optional_numbers(tensor: torch.Tensor | None) -> Array | None:
    """The same of a parameter that a module may lack."""
    return None if tensor is None else numbers(tensor)


def value_of(x: object) -> Value:
    if not isinstance(x, Value):
        raise UnsupportedLayer("it must read a value that depends on the input")
    return x


def constant_of(array: object) -> Array:
    if not isinstance(array, np.ndarray):
        raise UnsupportedLayer("its weight must be a parameter of the module")
    return array


def _listed(sizes: tuple[Sizes, ...]) -> list[int | str]:
    """One by one, or all of them at once."""
    first = sizes[0] if len(sizes) == 1 else None
    if isinstance(first, (tuple, list)):
        return list(first)
    return cast(list[int | str], list(sizes))


def flatten(b: Builder, x: Traced, start_dim: int = 0, end_dim: int = -1) -> Value:
    x = value_of(x)
    rank = len(x.shape) + 1
    start, end = start_dim % rank, end_dim % rank
    if start == 0:
        raise UnsupportedLayer(f"start_dim (={start_dim}) must leave the batch axis")
    inner = x.shape[: start - 1], x.shape[start - 1 : end], x.shape[end:]
    return b.reshape(x, (*inner[0], math.prod(inner[1]), *inner[2]))


def view(b: Builder, x: Traced, *sizes: Sizes, shape: Sequence[int | str] | None = None) -> Value:
    x = value_of(x)
    target = _listed(sizes) if shape is None else list(shape)
    first, *rest = target or [""]
    if (first != -1 and first != BATCH) or BATCH in rest or not rest:
        raise UnsupportedLayer(
            f"the shape {tuple(target)} must begin with the size of the batch, as x.size(0) or -1"
        )
    size = math.prod(x.shape)
    inner = [n for n in rest if isinstance(n, int)]
    if inner.count(-1) == 1 and first == BATCH:
        others = -math.prod(inner)
        inner[inner.index(-1)] = size // others if others else 0
    if len(inner) < len(rest) or any(n < 1 for n in inner):
        raise ValueError(f"the shape {tuple(target)} does not fit a value of shape {x.shape}")
    return b.reshape(x, inner)


def unflatten(b: Builder, x: Traced, dim: int, sizes: Sequence[int]) -> Value:
    x = value_of(x)
    shape = x.shape
    axis = dim % (len(shape) + 1)
    if axis == 0:
        raise UnsupportedLayer("the batch axis is not unflattened")
    return view(b, x, shape=[BATCH, *shape[: axis - 1], *sizes, *shape[axis:]])


def permute(b: Builder, x: Traced, *dims: Sizes) -> Value:
    x = value_of(x)
    listed, rank = _listed(dims), len(x.shape) + 1
    axes = [axis % rank for axis in listed if isinstance(axis, int)]
    if axes[:1] != [0] or len(axes) < len(listed):
        raise UnsupportedLayer(f"the axes {tuple(listed)} must leave the batch axis first")
    return b.transpose(x, [axis - 1 for axis in axes[1:]])


def transpose(b: Builder, x: Traced, dim0: int, dim1: int) -> Value:
    x = value_of(x)
    axes = list(range(len(x.shape) + 1))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return permute(b, x, axes)


def index_select(b: Builder, x: Traced, dim: int, index: Traced) -> Value:
    """Of a flat value, if it only changes the order."""
    x = value_of(x)
    places = constant_of(index)
    flat = len(x.shape) == 1 and dim % 2 == 1
    if not flat or sorted(places.tolist()) != list(range(x.shape[0])):
        raise UnsupportedLayer("it is read where it only changes the order of a flat value")
    return b.seen(x, places)


def squeeze(b: Builder, x: Traced, dim: int | Sequence[int] | None = None) -> Value:
    x = value_of(x)
    rank = len(x.shape) + 1
    gone = {axis % rank for axis in ([dim] if isinstance(dim, int) else dim or ())}
    if not gone or 0 in gone:
        raise UnsupportedLayer(f"dim (={dim}) must name axes other than that of the batch")
    return b.reshape(x, [n for i, n in enumerate(x.shape, start=1) if i not in gone or n != 1])


def unsqueeze(b: Builder, x: Traced, dim: int) -> Value:
    x = value_of(x)
    shape = list(x.shape)
    axis = dim % (len(shape) + 2)
    if axis == 0:
        raise UnsupportedLayer("nothing comes before the batch axis")
    return b.reshape(x, [*shape[: axis - 1], 1, *shape[axis - 1 :]])


def size(b: Builder, x: Traced, dim: int | None = None) -> Traced:
    x = value_of(x)
    whole: tuple[int | str, ...] = (BATCH, *x.shape)
    return whole if dim is None else whole[dim]


def attribute(b: Builder, x: Traced, name: str) -> Traced:
    if name != "shape":
        raise UnsupportedLayer(f"the attribute {name!r} is not read")
    return size(b, x)


def item(b: Builder, sizes: Traced, index: int | slice) -> Traced:
    if not isinstance(sizes, tuple):
        raise UnsupportedLayer("indexing is read on shapes only")
    return sizes[index]
