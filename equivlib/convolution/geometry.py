"""One convolution, described: the only place where options become shapes and sizes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, SupportsIndex, TypeAlias, TypedDict, TypeGuard, Unpack

import numpy as np
from numpy.typing import DTypeLike

from .axis import Axis
from .options import (
    DEFAULTS,
    PADDING_MODES,
    PADDING_WORDS,
    POOL_DEFAULTS,
    GeometryOptions,
    PaddingMode,
    Pairs,
    PerAxis,
    PoolOptions,
    check_names,
    flat_elsewhere,
    lists_options,
    lists_pool_options,
    mode_elsewhere,
    padding_elsewhere,
)

Format: TypeAlias = Literal["csr", "dense"]

FORMATS: tuple[Format, ...] = ("csr", "dense")


@lists_options
@dataclass(frozen=True, init=False)
class Geometry:
    r"""Everything about a convolution except its numbers.

    Along each spatial axis, output position ``o`` and kernel tap ``a`` read the input element

    .. math:: j = s\,o + d\,a - p

    with stride ``s``, dilation ``d`` and low padding ``p``, and there are
    ``(n + low + high - d*(k - 1) - 1) // s + 1`` output positions.

    Parameters
    ----------
    weight_shape : tuple of int
        ``(out_channels, in_channels // groups, *kernel_size)``.
    input_shape : tuple of int
        ``(in_channels, *spatial)``, without batch axes. Any number N >= 1 of spatial axes.
    **options : GeometryOptions

    Attributes
    ----------
    stride : tuple of int
        In full, one entry per spatial axis.
    dilation : tuple of int
        In full, one entry per spatial axis.
    padding : tuple of (int, int)
        In full, one (low, high) pair per spatial axis.
    output_shape : tuple of int
        ``(out_channels, *spatial)``.
    matrix_shape : tuple of int
        ``(prod(output_shape), prod(input_shape))``.
    nnz : int
        Numbers that the sparse matrix stores.

    Raises
    ------
    ValueError
        If a size is not a positive integer, the two shapes do not fit each other and ``groups``, an
        option is unknown or out of range, or the dilated kernel is larger than the padded input.

    Examples
    --------
    AlexNet's first layer as it was run on 227 x 227 pixels: the number of rows and columns of its
    matrix, and the share of entries that it stores.

    >>> layer = Geometry((96, 3, 11, 11), (3, 227, 227), stride=4)
    >>> layer.output_shape
    (96, 55, 55)
    >>> layer.matrix_shape
    (290400, 154587)
    >>> layer.nnz == 96 * 55 * 55 * 3 * 11 * 11
    True
    >>> print(f"{layer.nbytes('float32', 'dense') / layer.nbytes('float32', 'csr'):.0f}")
    213

    The output size agrees with :func:`numpy.convolve`:

    >>> import numpy as np
    >>> Geometry((1, 1, 3), (1, 7), padding=2).output_shape[1] == len(np.convolve([1] * 7, [1] * 3))
    True
    """

    weight_shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    flip: bool

    def __init__(
        self,
        weight_shape: Sequence[int],
        input_shape: Sequence[int],
        **options: Unpack[GeometryOptions],
    ) -> None:
        check_names(options, "Geometry")
        given: GeometryOptions = {**DEFAULTS, **options}
        weight = checked_shape("weight_shape", weight_shape)
        inputs = checked_shape("input_shape", input_shape)
        if len(weight) != len(inputs) + 1:
            raise ValueError(
                f"weight_shape (={weight}) must have one axis more than input_shape (={inputs}): "
                "(out_channels, in_channels // groups, *kernel) against (in_channels, *spatial)"
            )
        ndim = len(inputs) - 1
        groups = _integer("groups", given["groups"], minimum=1)
        _check_channels(weight, inputs, groups)
        padding_mode, flip = given["padding_mode"], given["flip"]
        _check_mode(padding_mode)
        if not isinstance(flip, (bool, np.bool_)):
            raise ValueError(f"flip (={flip!r}) must be True or False")
        strides = _per_axis("stride", given["stride"], ndim, minimum=1)
        dilations = _per_axis("dilation", given["dilation"], ndim, minimum=1)
        extents = _extents(weight[2:], dilations)
        pads = _parse_padding(given["padding"], inputs[1:], extents, strides)
        for axis, (n, (low, high), extent) in enumerate(
            zip(inputs[1:], pads, extents, strict=True)
        ):
            if extent > n + low + high:
                raise ValueError(
                    f"the kernel of weight_shape (={weight}) reaches over {extent} elements of "
                    f"spatial axis {axis} with dilation (={dilations[axis]}), but input_shape "
                    f"(={inputs}) with padding (={(low, high)}) has only {n + low + high}"
                )
        values = (weight, inputs, strides, pads, dilations, groups, padding_mode, bool(flip))
        for field, value in zip(fields(self), values, strict=True):
            object.__setattr__(self, field.name, value)

    @classmethod
    @lists_options
    def of_transpose(
        cls,
        weight_shape: Sequence[int],
        spatial: Sequence[int],
        *,
        output_padding: PerAxis = 0,
        output_shape: PerAxis | None = None,
        **options: Unpack[GeometryOptions],
    ) -> Geometry:
        r"""Return the convolution whose transpose takes ``spatial`` positions to a larger input.

        Several input sizes of a strided convolution give one output size, so the transpose has
        to be told which is meant: along each axis

        .. math:: n = s\,(o - 1) + d\,(k - 1) + 1 - low - high + output\_padding .

        Parameters
        ----------
        weight_shape : tuple of int
            As for the convolution, so ``(in_channels, out_channels // groups, *kernel)`` seen from
            its transpose.
        spatial : tuple of N int
            Positions that the transpose starts from: outputs of the convolution.
        output_padding : int or tuple of N int, default 0
            Less than the stride or the dilation of its axis.
        output_shape : tuple of N int, optional
            The size n itself, whatever ``output_padding`` says. With ``padding="same"`` or
            ``"same_lower"``, n is otherwise ``stride * spatial``, and ``output_padding`` adds to
            what is cut off.
        **options : GeometryOptions

        Raises
        ------
        ValueError
            As for :class:`Geometry`; also if ``output_padding`` is not less than stride or
            dilation, if ``output_shape`` cannot be reached, or if padding leaves nothing.

        Examples
        --------
        >>> Geometry.of_transpose((1, 1, 3), (4,), stride=2, output_padding=1).input_shape
        (1, 10)
        """
        check_names(options, "Geometry.of_transpose", ("output_padding", "output_shape"))
        given: GeometryOptions = {**DEFAULTS, **options}
        weight = checked_shape("weight_shape", weight_shape)
        ndim = len(weight) - 2
        if len(spatial) != ndim:
            raise ValueError(
                f"spatial (={tuple(spatial)}) must have as many axes as the kernel of weight_shape "
                f"(={weight}) has, {ndim}"
            )
        stride = _per_axis("stride", given["stride"], ndim, minimum=1)
        dilation = _per_axis("dilation", given["dilation"], ndim, minimum=1)
        extra = _per_axis("output_padding", output_padding, ndim, minimum=0)
        extents = _extents(weight[2:], dilation)
        padding = given["padding"]
        if isinstance(padding, str) and padding in ("same", "same_lower"):
            # The size is fixed, so what output_padding adds is padding that is cut off.
            sizes = tuple(s * o for s, o in zip(stride, spatial, strict=True))
            if any(extra):
                each = zip(stride, spatial, extents, extra, strict=True)
                totals = [max(s * (o - 1) + reach + e - s * o, 0) for s, o, reach, e in each]
                options["padding"] = _halved(totals, padding)
            least = tuple(n - e for n, e in zip(sizes, extra, strict=True))
        else:
            pairs = _parse_padding(padding, tuple(spatial), extents, stride)
            least = tuple(
                s * (o - 1) + extent - low - high
                for s, o, extent, (low, high) in zip(stride, spatial, extents, pairs, strict=True)
            )
        if output_shape is None:
            limits = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
            if any(e >= limit for e, limit in zip(extra, limits, strict=True)):
                raise ValueError(
                    f"output_padding (={output_padding!r}) must be less than stride (={stride}) "
                    f"or dilation (={dilation}) along each axis"
                )
            sizes = tuple(n + e for n, e in zip(least, extra, strict=True))
        else:
            sizes = _per_axis("output_shape", output_shape, ndim, minimum=1)
        if any(n < 1 for n in sizes):
            raise ValueError(
                f"padding (={padding!r}) leaves nothing of the output: spatial sizes {sizes} for "
                f"weight_shape (={weight}) and {tuple(spatial)} positions"
            )
        groups = _integer("groups", given["groups"], minimum=1)
        geometry = cls(weight, (weight[1] * groups, *sizes), **options)
        reached = geometry.output_shape[1:]
        if output_shape is not None and reached != tuple(spatial):
            raise ValueError(
                f"output_shape (={output_shape!r}) must be a size that the convolution takes to "
                f"{tuple(spatial)} positions; it takes it to {reached}"
            )
        return geometry

    @classmethod
    @lists_pool_options
    def of_pool(
        cls,
        input_shape: Sequence[int],
        kernel_size: PerAxis,
        **options: Unpack[PoolOptions],
    ) -> Geometry:
        r"""Return the depthwise convolution that reads the windows of a pooling layer.

        Parameters
        ----------
        input_shape : tuple of int
            ``(channels, *spatial)``.
        kernel_size : int or tuple of N int
            The window.
        stride : int or tuple of N int, optional
            By default the window itself, so that windows lie side by side.
        ceil_mode : bool, default False
            Add a last window that reaches over the high end, if it begins before that end:
            ``ceil((n + low + high - extent) / stride) + 1`` positions instead of the floor. It
            shows as more padding at the high end.
        padding, dilation
            As for :class:`Geometry`.

        Raises
        ------
        ValueError
            As for :class:`Geometry`, of which this takes the options.

        Examples
        --------
        Windows of two over five elements, without and with the last one::

            [0 1] [2 3] 4        [0 1] [2 3] [4 .]

        >>> Geometry.of_pool((1, 5), 2).output_shape
        (1, 2)
        >>> Geometry.of_pool((1, 5), 2, ceil_mode=True).output_shape
        (1, 3)

        A window may be larger than all that there is::

            [0 1 .]

        >>> Geometry.of_pool((1, 2), 3, stride=2, ceil_mode=True).output_shape
        (1, 1)
        """
        check_names(options, "Geometry.of_pool", options=POOL_DEFAULTS)
        shape = checked_shape("input_shape", input_shape)
        kernel, given = _pool_options(shape, kernel_size, options)
        pads = given["padding"]
        if options.get("ceil_mode", False):
            extents = _extents(kernel, given["dilation"])
            each = zip(shape[1:], pads, extents, given["stride"], strict=True)
            pads = tuple((pair[0], _ceil(n, pair, extent, s)) for n, pair, extent, s in each)
        windows = (shape[0], 1, *kernel)
        stride, dilation = given["stride"], given["dilation"]
        groups = shape[0]
        return cls(windows, shape, stride=stride, padding=pads, dilation=dilation, groups=groups)

    @staticmethod
    def pool_padding(
        input_shape: Sequence[int], kernel_size: PerAxis, **options: Unpack[PoolOptions]
    ) -> Pairs:
        """Return the padding of a pooling layer in full, without what ``ceil_mode`` adds.

        Parameters
        ----------
        input_shape, kernel_size, **options
            As for :meth:`of_pool`.

        Raises
        ------
        ValueError
            If an option is unknown or out of range.

        Examples
        --------
        >>> Geometry.pool_padding((1, 5), 4, padding=1, ceil_mode=True)
        ((1, 1),)
        """
        shape = checked_shape("input_shape", input_shape)
        return _pool_options(shape, kernel_size, options)[1]["padding"]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.input_shape) - 1

    @property
    def in_channels(self) -> int:
        """Channels of the input, all groups together."""
        return self.input_shape[0]

    @property
    def out_channels(self) -> int:
        """Channels of the output, all groups together."""
        return self.weight_shape[0]

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each spatial axis."""
        return self.weight_shape[2:]

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Spatial axes of the input."""
        return self.input_shape[1:]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The spatial axes, each with all that decides its indices."""
        each = zip(
            self.spatial_shape, self.kernel_size, self.stride, self.padding, self.dilation,
            strict=True,
        )  # fmt: skip
        return tuple(
            Axis(n, k, s, d, low, high, self.padding_mode, self.flip)
            for n, k, s, (low, high), d in each
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(out_channels, *spatial)`` of the output."""
        return self.out_channels, *(axis.outputs for axis in self.axes)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix: output and input elements."""
        return math.prod(self.output_shape), math.prod(self.input_shape)

    @property
    def nnz(self) -> int:
        """Numbers that the sparse matrix stores: pairs of an output and an input it reads."""
        per_channel_pair = math.prod(sum(run.stored for run in axis.runs) for axis in self.axes)
        return self.out_channels * self.weight_shape[1] * per_channel_pair

    @property
    def options(self) -> GeometryOptions:
        """The keywords that make this geometry again from its two shapes."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
            "flip": self.flip,
        }

    def nbytes(self, dtype: DTypeLike = np.float64, format: Format = "csr") -> int:
        """Return the number of bytes that the matrix takes, known before it is built.

        Parameters
        ----------
        dtype : data type of the weight
        format : {"csr", "dense"}

        Examples
        --------
        >>> layer = Geometry((64, 64, 3, 3), (64, 56, 56), padding=1)
        >>> sparse, dense = layer.nbytes("float32"), layer.nbytes("float32", "dense")
        >>> f"{sparse / 1e6:.0f} MB, {dense / 1e9:.0f} GB"
        '904 MB, 161 GB'
        """
        return matrix_nbytes(*self.matrix_shape, self.nnz, dtype, format)


def index_dtype(rows: int, columns: int, nnz: int) -> np.dtype[np.signedinteger]:
    """Return the type of the sparse indices: int32 while every index and count fits, else int64."""
    fits = max(rows, columns, nnz) <= np.iinfo(np.int32).max
    return np.dtype(np.int32 if fits else np.int64)


def matrix_nbytes(rows: int, columns: int, nnz: int, dtype: DTypeLike, format: Format) -> int:
    """Count the bytes of the arrays that make up a matrix."""
    check_format(format)
    itemsize = np.dtype(dtype).itemsize
    if format == "dense":
        return rows * columns * itemsize
    index = index_dtype(rows, columns, nnz).itemsize
    return nnz * (itemsize + index) + (rows + 1) * index


def check_format(format: str) -> None:
    """Refuse a matrix format that the library does not make."""
    if format not in FORMATS:
        raise ValueError(f"format (={format!r}) must be one of {', '.join(FORMATS)}")


def _has_index(value: object) -> TypeGuard[SupportsIndex]:
    return hasattr(value, "__index__")  # isinstance would take ten times as long


def _integer(name: str, value: object, minimum: int) -> int:
    rule = f"{name} (={value!r}) must be an integer of at least {minimum}"
    if isinstance(value, (bool, np.bool_)):
        raise ValueError(rule)
    if not _has_index(value):
        raise ValueError(rule)
    try:
        number = operator.index(value)
    except TypeError:  # an array of several numbers
        raise ValueError(rule) from None
    if number < minimum:
        raise ValueError(rule)
    return number


def checked_shape(name: str, value: object, *, flat: bool = False) -> tuple[int, ...]:
    """Return a shape as a tuple; refuse one without spatial axes, unless it may be flat."""
    least = 1 if flat else 2
    rule = "at least one size" if flat else "channels and at least one spatial axis"
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str):
        raise ValueError(f"{name} (={value!r}) must hold {rule}")
    if len(value) < least:
        raise ValueError(f"{name} (={value!r}) must hold {rule}")
    try:
        return tuple(_integer(f"{name}[{i}]", n, minimum=1) for i, n in enumerate(value))
    except ValueError as error:
        raise ValueError(f"{error}: {name} (={tuple(value)})") from None


def _per_axis(name: str, value: object, ndim: int, minimum: int) -> tuple[int, ...]:
    """Return an int for all axes, or one per axis."""
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        if len(value) != ndim:
            raise ValueError(
                f"{name} (={value!r}) must be one integer, or one for each of {ndim} spatial axes"
            )
        return tuple(_integer(f"{name}[{i}]", n, minimum) for i, n in enumerate(value))
    return (_integer(name, value, minimum),) * ndim


def kernel_shape(value: object, ndim: int) -> tuple[int, ...]:
    """Return ``kernel_size`` in full: an int for all axes, or one per axis."""
    if ndim < 1:
        raise ValueError(f"kernel_size (={value!r}) must have at least one spatial axis")
    return _per_axis("kernel_size", value, ndim, minimum=1)


def _check_channels(weight: tuple[int, ...], inputs: tuple[int, ...], groups: int) -> None:
    for name, count in (("in_channels", inputs[0]), ("out_channels", weight[0])):
        if count % groups:
            raise ValueError(
                f"{name} (={count}) must be divisible by groups (={groups}): "
                f"weight_shape (={weight}), input_shape (={inputs})"
            )
    if weight[1] * groups != inputs[0]:
        raise ValueError(
            f"weight_shape[1] (={weight[1]}) must be in_channels // groups "
            f"(={inputs[0]} // {groups}): weight_shape (={weight}), input_shape (={inputs})"
        )


def check_words(kernel: tuple[int, ...], options: GeometryOptions) -> None:
    """Refuse what needs no input to be refused: a padding word or mode that there is not."""
    given: GeometryOptions = {**DEFAULTS, **options}
    _check_mode(given["padding_mode"])
    if isinstance(given["padding"], str):
        dilation = _per_axis("dilation", given["dilation"], len(kernel), minimum=1)
        _check_word(given["padding"], _extents(kernel, dilation))


def _extents(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """Count the elements from the first to the last that a kernel reads along each axis."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def _check_word(padding: str, extents: tuple[int, ...]) -> None:
    if padding not in PADDING_WORDS:
        here = padding_elsewhere(padding, extents)
        raise ValueError(
            f"padding (={padding!r}) must be an integer, one integer or (low, high) pair for "
            f"each spatial axis, or one of {', '.join(PADDING_WORDS)}" + (here and f"; {here}")
        )


def _check_mode(mode: object) -> None:
    if not isinstance(mode, str) or mode not in PADDING_MODES:
        here = mode_elsewhere(mode) if isinstance(mode, str) else ""
        raise ValueError(
            f"padding_mode (={mode!r}) must be one of {', '.join(PADDING_MODES)}"
            + (here and f"; {here}")
        )


def _parse_padding(
    padding: object, sizes: tuple[int, ...], extents: tuple[int, ...], strides: tuple[int, ...]
) -> Pairs:
    """Return every form of ``padding`` as one (low, high) pair per axis."""
    if isinstance(padding, str):
        _check_word(padding, extents)
        if padding == "valid":
            return ((0, 0),) * len(sizes)
        each = zip(sizes, extents, strides, strict=True)
        totals = [max((-(-n // s) - 1) * s + extent - n, 0) for n, extent, s in each]
        return _halved(totals, padding)
    if not isinstance(padding, (Sequence, np.ndarray)):
        return ((_integer("padding", padding, minimum=0),) * 2,) * len(sizes)
    if len(padding) != len(sizes):
        here = flat_elsewhere(list(padding), len(sizes))
        raise ValueError(
            f"padding (={padding!r}) must have one integer or one (low, high) pair for each of "
            f"{len(sizes)} spatial axes" + (here and f"; {here}")
        )
    return tuple(_pair(f"padding[{i}]", entry) for i, entry in enumerate(padding))


class _Windows(TypedDict):
    """Options of a pooling layer in full, one entry for each spatial axis."""

    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]


def _pool_options(
    shape: tuple[int, ...], kernel_size: PerAxis, options: PoolOptions
) -> tuple[tuple[int, ...], _Windows]:
    """Return the window of a pooling layer and its options, all but ``ceil_mode``."""
    given: PoolOptions = {**POOL_DEFAULTS, **options}
    kernel = kernel_shape(kernel_size, len(shape) - 1)
    step = kernel if given["stride"] is None else given["stride"]
    stride = _per_axis("stride", step, len(kernel), minimum=1)
    dilation = _per_axis("dilation", given["dilation"], len(kernel), minimum=1)
    padding = _parse_padding(given["padding"], shape[1:], _extents(kernel, dilation), stride)
    return kernel, {"stride": stride, "padding": padding, "dilation": dilation}


def _ceil(n: int, padding: tuple[int, int], extent: int, stride: int) -> int:
    """Return the high padding with what a last window needs, if it begins before that end."""
    low, high = padding
    missing = (extent - n - low - high) % stride
    last = n + low + high + missing - extent  # where the window after the last whole one begins
    return high + (missing if 0 <= last < n + low else 0)


def _halved(totals: Sequence[int], word: str) -> Pairs:
    """Return so much padding at both ends together, an odd element where the word has it."""
    pairs = ((total // 2, total - total // 2) for total in totals)
    return tuple(pair if word == "same" else pair[::-1] for pair in pairs)


def _pair(name: str, entry: object) -> tuple[int, int]:
    if isinstance(entry, (Sequence, np.ndarray)) and not isinstance(entry, str):
        if len(entry) != 2:
            raise ValueError(f"{name} (={entry!r}) must be an integer or a (low, high) pair")
        return _integer(f"{name}[0]", entry[0], 0), _integer(f"{name}[1]", entry[1], 0)
    both = _integer(name, entry, minimum=0)
    return both, both
