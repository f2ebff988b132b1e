"""Arguments of traced calls, the rules that handle shapes, and how a rule is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from types import EllipsisType, UnionType
from typing import (
    TYPE_CHECKING,
    Final,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.patches import Array
from ..graph import Builder, Operand, Value

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class BatchSize(Enum):
    """The size of the batch, which the network leaves open."""

    BATCH = "batch"

    def __repr__(self) -> str:
        return self.value


BATCH: Final = BatchSize.BATCH

#: A size in a shape, batch included.
Size: TypeAlias = int | BatchSize

#: Sizes one by one, or all of them at once.
Sizes: TypeAlias = Size | Sequence[Size]

#: Axes one by one, or all of them at once.
Axes: TypeAlias = int | Sequence[int]


class Extremes(NamedTuple):
    """The largest or smallest numbers along an axis; where they stand is not known."""

    values: Value
    indices: None = None


#: Result of a node of a trace: a value of the network, a constant, a number, a shape, several.
Traced: TypeAlias = (
    Value | Array | float | str | BatchSize | tuple[Size, ...] | tuple[Value, ...] | Extremes | None
)

#: What stands between the brackets of an index.
Index: TypeAlias = int | slice | Array | EllipsisType | None

#: Rule of a function or method, with the arguments of its call.
Called: TypeAlias = Callable[..., Traced]


def numbers(tensor: torch.Tensor) -> Array:
    """Return a copy of a tensor's numbers."""
    array: Array = tensor.detach().cpu().numpy().copy()
    return array


def optional_numbers(tensor: torch.Tensor | None) -> Array | None:
    """Return a copy of a parameter's numbers, or None if the module lacks it."""
    return None if tensor is None else numbers(tensor)


# --- calls --------------------------------------------------------------------------------------


def call(rule: Called, b: Builder, args: Sequence[object], kwargs: Mapping[str, object]) -> Traced:
    """Call a rule with the arguments of a traced call.

    Only arguments that do not fit the rule's signature and annotations are an UnsupportedLayer. An
    exception within the rule is a bug of the rule, and passes as it is.
    """
    signature = _signature(rule)
    try:
        bound = signature.bind(b, *args, **kwargs)
    except TypeError as error:
        raise UnsupportedLayer(f"unsupported arguments: {error}") from None
    for name, argument in list(bound.arguments.items())[1:]:
        kinds = _kinds(signature.parameters[name].annotation)
        for leaf in _leaves(argument):
            _check(name, leaf, kinds)
    return rule(*bound.args, **bound.kwargs)


@cache
def _signature(rule: Called) -> inspect.Signature:
    return inspect.signature(rule, eval_str=True)


def _kinds(annotation: object) -> tuple[object, ...]:
    """Return the members of a union, or the one type that it is."""
    union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if union else (annotation,)


def _leaves(argument: object) -> Iterator[object]:
    if isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _leaves(part)
    else:
        yield argument


def _check(name: str, argument: object, kinds: tuple[object, ...]) -> None:
    """Refuse a tensor, the size of the batch or a number where a rule does not take it."""
    if isinstance(argument, BatchSize) and BatchSize not in kinds:
        raise UnsupportedLayer("it computes with the size of the batch")
    if isinstance(argument, (Value, np.ndarray)):
        fits = (Value if isinstance(argument, Value) else Array) in kinds
    else:
        fits = kinds not in ((Value,), (Array,))
    if fits:
        return
    if Value in kinds:
        raise UnsupportedLayer("it must read a value that depends on the input")
    what = "a parameter of the module" if Array in kinds else "given by numbers, not by a tensor"
    raise UnsupportedLayer(f"its {name} must be {what}")


def _listed(given: Iterable[T | Sequence[T]]) -> list[T]:
    """Return the sizes or axes that are given one by one, or all of them at once."""
    listed: list[T] = []
    for each in given:
        listed += each if isinstance(each, (tuple, list)) else [cast(T, each)]
    return listed


# --- rules --------------------------------------------------------------------------------------


def flatten(b: Builder, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    return b.flatten(x, start_dim, end_dim)


def view(b: Builder, x: Value, *sizes: Sizes, shape: Sizes = ()) -> Value:
    given = [*_listed(sizes), *_listed((shape,))]
    if BATCH in given[1:] or 0 in given:
        raise UnsupportedLayer(
            f"the shape {tuple(given)} must begin with the size of the batch, and hold it once"
        )
    return b.reshape(x, [n if isinstance(n, int) else 0 for n in given])


def unflatten(b: Builder, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    return b.unflatten(x, dim, sizes)


def permute(b: Builder, x: Value, *dims: Axes) -> Value:
    return b.permute(x, _listed(dims))


def transpose(b: Builder, x: Value, dim0: int, dim1: int) -> Value:
    return b.swap(x, dim0, dim1)


def index_select(b: Builder, x: Value, dim: int, index: Array) -> Value:
    return b.take(x, dim, index)


def squeeze(b: Builder, x: Value, dim: Axes | None = None) -> Value:
    return b.squeeze(x, _listed(() if dim is None else (dim,)), strict=False)


def unsqueeze(b: Builder, x: Value, dim: int) -> Value:
    return b.unsqueeze(x, [dim])


def size(b: Builder, x: Value, dim: int | None = None) -> Traced:
    whole: tuple[Size, ...] = (BATCH, *x.shape)
    return whole if dim is None else item(b, whole, dim)


def attribute(b: Builder, x: Traced | Sequence[Traced], name: str) -> Traced:
    if isinstance(x, Extremes) and name == "values":
        return x.values
    if name != "shape" or not isinstance(x, Value):
        raise UnsupportedLayer(f"the attribute {name!r} is not supported")
    return size(b, x)


def item(b: Builder, x: Traced | Sequence[Traced], index: Index | Sequence[Index]) -> Traced:
    """Index a value, or take one of several results, or a size of a shape."""
    if isinstance(x, Value):
        items = list(index) if isinstance(index, (tuple, list)) else [cast(Index, index)]
        return _indexed(b, x, items)
    if not isinstance(x, tuple) or not isinstance(index, (int, slice)):
        raise UnsupportedLayer("indexing is supported on shapes and on values")
    if isinstance(index, int) and not -len(x) <= index < len(x):
        raise ValueError(f"axis (={index}) must be one of the {len(x)} of its shape")
    return cast(Traced, x[index])


def _indexed(b: Builder, x: Value, items: list[Index]) -> Value:
    """Index a value by slices, integers, None, and at most one array."""
    named = sum(each is not None and each is not Ellipsis for each in items)
    place = next((i for i, each in enumerate(items) if each is Ellipsis), None)
    if place is not None:
        items[place : place + 1] = [slice(None)] * (x.rank - named)
    slices: dict[int, slice] = {}
    taken: dict[int, Array] = {}
    new: list[int] = []
    axis = position = 0
    for each in items:
        if each is None:
            new.append(position)
            position += 1
            continue
        if isinstance(each, slice):
            slices[axis] = _whole_numbers(each)
            position += 1
        elif isinstance(each, (int, np.ndarray, list)) and not isinstance(each, bool):
            taken[axis] = np.asarray(each)
            position += taken[axis].ndim
        else:
            raise UnsupportedLayer(f"the index {each!r} is not supported")
        axis += 1
    if _arrays(taken.values()) and len(taken) > 1:
        raise UnsupportedLayer("an array and other indices at a time are not supported")
    x = b.cut(x, slices)
    for place in sorted(taken, reverse=True):
        x = b.take(x, place, taken[place])
    return b.unsqueeze(x, new) if new else x


def _arrays(items: Iterable[object]) -> bool:
    return any(isinstance(each, np.ndarray) and each.ndim > 0 for each in items)


def _whole_numbers(part: slice) -> slice:
    for end in (part.start, part.stop, part.step):
        if end is not None and not isinstance(end, int):
            raise UnsupportedLayer(
                f"a slice from {part.start!r} to {part.stop!r} is not of numbers"
            )
    if part.step == 0:
        raise ValueError("the step of a slice must not be 0")
    return part


def cat(b: Builder, tensors: Operand | Sequence[Operand], dim: int = 0) -> Value:
    return b.concat(_listed((tensors,)), dim)


def stack(b: Builder, tensors: Value | Sequence[Value], dim: int = 0) -> Value:
    return b.concat([b.unsqueeze(x, [dim]) for x in _listed((tensors,))], dim)


def chunk(b: Builder, x: Value, chunks: int, dim: int = 0) -> Traced:
    if chunks < 1:
        raise ValueError(f"chunks (={chunks}) must be at least 1")
    return split(b, x, -(-_size(b, x, dim) // chunks), dim)


def split(b: Builder, x: Value, split_size: int | Sequence[int], dim: int = 0) -> Traced:
    if isinstance(split_size, int):
        if split_size < 1:
            raise ValueError(f"split_size (={split_size}) must be at least 1")
        total = _size(b, x, dim)
        starts = range(0, total, split_size)
        split_size = [min(split_size, total - start) for start in starts]
    return tuple(b.split(x, dim, split_size))


def _size(b: Builder, x: Value, dim: int) -> int:
    if not -x.rank <= dim < x.rank or dim % x.rank == 0:
        raise UnsupportedLayer(f"axis (={dim}) must be one of a value besides that of the batch")
    return b.sizes(x)[dim]


def unbind(b: Builder, x: Value, dim: int = 0) -> Traced:
    return tuple(b.take(x, dim, np.array(i)) for i in range(_size(b, x, dim)))


def select(b: Builder, x: Value, dim: int, index: int) -> Value:
    return b.take(x, dim, np.array(index))


def narrow(b: Builder, x: Value, dim: int, start: int, length: int) -> Value:
    return b.cut(x, {dim: slice(start, start + length)})


def flip(b: Builder, x: Value, *dims: Axes) -> Value:
    return b.flip(x, _listed(dims))


def roll(b: Builder, x: Value, shifts: Axes, dims: Axes) -> Value:
    return b.roll(x, _listed((shifts,)), _listed((dims,)))


def movedim(b: Builder, x: Value, source: Axes, destination: Axes) -> Value:
    origin, target = _listed((source,)), _listed((destination,))
    if len(origin) != len(target) or any(not -x.rank <= a < x.rank for a in (*origin, *target)):
        raise ValueError(f"axes (={origin}) must move to as many places (={target}) of {x.rank}")
    rest = iter([axis for axis in range(x.rank) if axis not in {a % x.rank for a in origin}])
    places = {t % x.rank: a % x.rank for a, t in zip(origin, target, strict=True)}
    return b.permute(x, [places[i] if i in places else next(rest) for i in range(x.rank)])


def expand(b: Builder, x: Value, *sizes: Sizes) -> Value:
    """Repeat along axes of size 1; -1 keeps a size, and the batch stays."""
    first, *inner = _listed(sizes)
    if first not in (-1, BATCH) or len(inner) != len(x.shape) or BATCH in inner:
        raise UnsupportedLayer(f"the shape {(first, *inner)} must begin with the size of the batch")
    return b.expand(
        x, [n if m == -1 else cast(int, m) for n, m in zip(x.shape, inner, strict=True)]
    )


def repeat(b: Builder, x: Value, *sizes: Axes) -> Value:
    return b.tile(x, _listed(sizes))


def windows(b: Builder, x: Value, dimension: int, size: int, step: int) -> Value:
    """Read windows along an axis; their elements become the last axis."""
    total = _size(b, x, dimension)
    if not 1 <= size <= total or step < 1:
        raise ValueError(f"size (={size}) must be one of windows in {total} elements, step {step}")
    axis = dimension % x.rank
    starts = np.arange(0, total - size + 1, step)
    b.check((len(starts), size))
    y = b.take(x, axis, starts[:, None] + np.arange(size))
    return movedim(b, y, axis + 1, -1)


def pixel_shuffle(b: Builder, x: Value, upscale_factor: int) -> Value:
    c, h, w, f = *_plane(x), upscale_factor
    if f < 1 or c % f**2:
        raise ValueError(f"upscale_factor (={f}) must fit a value of shape {x.shape}")
    y = b.permute(b.reshape(x, [0, c // f**2, f, f, h, w]), [0, 1, 4, 2, 5, 3])
    return b.reshape(y, [0, c // f**2, h * f, w * f])


def pixel_unshuffle(b: Builder, x: Value, downscale_factor: int) -> Value:
    c, h, w, f = *_plane(x), downscale_factor
    if f < 1 or h % f or w % f:
        raise ValueError(f"downscale_factor (={f}) must fit a value of shape {x.shape}")
    y = b.permute(b.reshape(x, [0, c, h // f, f, w // f, f]), [0, 1, 3, 5, 2, 4])
    return b.reshape(y, [0, c * f**2, h // f, w // f])


def channel_shuffle(b: Builder, x: Value, groups: int) -> Value:
    channels, *spatial = x.shape
    if groups < 1 or channels % groups:
        raise ValueError(f"groups (={groups}) must divide the {channels} channels")
    y = b.reshape(x, [0, groups, channels // groups, *spatial])
    return b.reshape(b.swap(y, 1, 2), [0, channels, *spatial])


def _plane(x: Value) -> tuple[int, int, int]:
    if len(x.shape) != 3:
        raise ValueError(f"a value of shape {x.shape} must have channels and two spatial axes")
    return x.shape[0], x.shape[1], x.shape[2]
