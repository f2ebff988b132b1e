"""Arguments of traced calls, the rules that handle shapes, and how a rule is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.patches import Array
from ..graph import Builder, Value

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

#: Result of a node of a trace: a value of the network, a constant, a number, a shape.
Traced: TypeAlias = Value | Array | float | str | BatchSize | tuple[Size, ...] | None

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


def attribute(b: Builder, x: Traced, name: str) -> Traced:
    if name != "shape" or not isinstance(x, Value):
        raise UnsupportedLayer(f"the attribute {name!r} is not supported")
    return size(b, x)


def item(b: Builder, sizes: Traced, index: int | slice) -> Traced:
    if not isinstance(sizes, tuple):
        raise UnsupportedLayer("indexing is supported on shapes only")
    if isinstance(index, int) and not -len(sizes) <= index < len(sizes):
        raise ValueError(f"axis (={index}) must be one of the {len(sizes)} of its shape")
    return sizes[index]
