"""The six options of a convolution: their names, types and meaning, said once for the library."""

import inspect
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypedDict, TypeVar, get_args

Documented = TypeVar("Documented", bound=Callable[..., object])

PaddingMode: TypeAlias = Literal["zeros", "circular", "reflect", "replicate", "symmetric"]
PaddingWord: TypeAlias = Literal["valid", "same", "same_lower"]
Pairs: TypeAlias = tuple[tuple[int, int], ...]

#: One integer for all spatial axes, or one for each.
PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | PaddingWord | Sequence[int | tuple[int, int]]

PADDING_MODES: Final[tuple[PaddingMode, ...]] = get_args(PaddingMode)
PADDING_WORDS: Final[tuple[PaddingWord, ...]] = get_args(PaddingWord)


class GeometryOptions(TypedDict, total=False):
    """Keywords that every function of a convolution takes, as a dict to keep and to pass on.

    Attributes
    ----------
    **options : GeometryOptions

    Examples
    --------
    >>> from equivlib import conv
    >>> halved: GeometryOptions = {"stride": 2, "padding": 1}
    >>> conv([[1, 2, 4]], [[[1, 1]]], **halved)
    array([[1, 6]])
    """

    stride: PerAxis
    padding: Padding
    dilation: PerAxis
    groups: int
    padding_mode: PaddingMode
    flip: bool


class TransposeOptions(GeometryOptions, total=False):
    """Keywords of a transposed convolution."""

    output_padding: PerAxis
    output_shape: PerAxis | None


class PoolOptions(TypedDict, total=False):
    """Keywords of a pooling layer."""

    stride: PerAxis | None
    padding: Padding
    dilation: PerAxis
    ceil_mode: bool


#: What an option is unless it is given.
DEFAULTS: Final[GeometryOptions] = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "padding_mode": "zeros",
    "flip": False,
}

#: The same for a transposed convolution.
TRANSPOSE_DEFAULTS: Final[TransposeOptions] = {
    "output_padding": 0,
    "output_shape": None,
    **DEFAULTS,
}

#: The same for a pooling layer.
POOL_DEFAULTS: Final[PoolOptions] = {
    "stride": None,
    "padding": 0,
    "dilation": 1,
    "ceil_mode": False,
}

#: The line of a docstring that `lists_options` replaces.
PLACE: Final = "**options : GeometryOptions"

#: What that line becomes. The only description of the six options.
MEANING: Final = """\
stride, dilation : int or tuple of N int, default 1
    At least 1.
padding : int, tuple of N int, tuple of N ``(low, high)`` pairs, or str, default 0
    ``"valid"`` is 0. ``"same"`` gives ``ceil(n / stride)`` outputs, with an odd extra element at
    the high end (PyTorch, ONNX ``SAME_UPPER``); ``"same_lower"`` puts it at the low end.
groups : int, default 1
    Divides both channel counts; output channels of a group read only its input channels.
padding_mode : {"zeros", "circular", "reflect", "replicate", "symmetric"}
    What is read outside the input, as :func:`numpy.pad` continues it: nothing, the input repeated,
    mirrored without its edge, the edge itself, or mirrored with its edge. In scipy.ndimage
    ``"reflect"`` is what is ``"symmetric"`` here, and ``"mirror"`` what is ``"reflect"`` here.
flip : bool, default False
    Reverse the kernel along every spatial axis: the convolution of signal processing."""


def _listed(docstring: str | None) -> str | None:
    """Return a docstring with the options filled in; None under python -OO, which has none."""
    if docstring is None:
        return None
    lines = []
    for line in docstring.split("\n"):
        indent, found, _ = line.partition(PLACE)
        lines += [indent + said for said in MEANING.split("\n")] if found else [line]
    return "\n".join(lines)


GeometryOptions.__doc__ = _listed(GeometryOptions.__doc__)


def lists_options(documented: Documented) -> Documented:
    """Let a function or class show the six options, in its signature and in its docstring.

    The line ``**options : GeometryOptions`` of the docstring becomes the list of the options.
    ``help()``, the completion of a notebook and the API reference then show them; a type checker
    reads them from ``Unpack[GeometryOptions]``.
    """
    return _lists(documented, DEFAULTS)


def lists_transpose_options(documented: Documented) -> Documented:
    """Return the same for the options of a transposed convolution."""
    return _lists(documented, TRANSPOSE_DEFAULTS)


def lists_pool_options(documented: Documented) -> Documented:
    """Return the same for the options of a pooling layer, which its own docstring describes."""
    return _lists(documented, POOL_DEFAULTS)


def _lists(documented: Documented, defaults: Mapping[str, object]) -> Documented:
    """Put the keywords in the place of ``**options`` in the signature, and their list into text."""
    documented.__doc__ = _listed(documented.__doc__)
    function: Callable[..., object] = documented
    if isinstance(documented, type):
        function = vars(documented)["__init__"]
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
        for name, value in defaults.items()
    ]
    vars(function)["__signature__"] = signature.replace(parameters=parameters)
    return documented


#: What other libraries call an option, where spelling alone does not lead to its name here.
ELSEWHERE: Final = {
    "auto_pad": "padding",
    "boundary": "padding_mode",
    "dilation_rate": "dilation",
    "mode": "padding_mode",
    "pad": "padding",
}


def check_names(
    given: Mapping[str, object],
    of: str,
    known: Sequence[str] = (),
    options: Collection[str] = DEFAULTS.keys(),
) -> None:
    """Refuse an option that there is not: name it, the nearest known one, and the list.

    Parameters
    ----------
    given : mapping
        The options as they were passed on.
    of : str
        What they were passed to, for the message.
    known : sequence of str
        Other keywords that might have been meant, which ``of`` takes by themselves.
    options : collection of str
        The names there are.
    """
    unknown = [name for name in given if name not in options]
    if not unknown:
        return
    name = unknown[0]
    import difflib  # only for a message

    names = [*options, *known]
    near = ELSEWHERE.get(name)
    if name in DEFAULTS:  # spelled well, but not for this
        near = None
    elif near not in names:
        near = next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.4)), None)
    hint = f"; did you mean {near}?" if near else "."
    raise ValueError(
        f"{name} (={given[name]!r}) is not an option of {of}{hint} "
        f"The options are {', '.join(options)}"
    )


#: Padding words of other libraries that have a word here.
_WORDS_ELSEWHERE: Final = {
    "same_upper": "'same'",
    "notset": "0 or the (low, high) pairs of the node's pads",
}

#: Padding modes of other libraries, in small letters.
_MODES_ELSEWHERE: Final[dict[str, PaddingMode]] = {
    "constant": "zeros",
    "fill": "zeros",
    "grid-constant": "zeros",
    "wrap": "circular",
    "grid-wrap": "circular",
    "edge": "replicate",
    "nearest": "replicate",
    "mirror": "reflect",
    "symm": "symmetric",
    "grid-mirror": "symmetric",
}

_NDIMAGE: Final = " (in scipy.ndimage \"reflect\" is 'symmetric' here, and \"mirror\" is 'reflect')"
_MODE_NOTES: Final = {
    "mirror": _NDIMAGE,
    "grid-mirror": _NDIMAGE,
    "constant": " (with the constant 0)",
    "fill": " (with fillvalue 0)",
    "grid-constant": " (with cval 0)",
    "wrap": " (as in numpy.pad, ONNX, and the filters of scipy.ndimage; its interpolation differs)",
}


def padding_elsewhere(word: str, extents: Sequence[int]) -> str:
    """Return what a padding word of another library is here, or nothing if it is not known.

    Parameters
    ----------
    word : str
    extents : sequence of int
        Elements from the first to the last that a kernel reads along each axis,
        ``dilation * (kernel - 1) + 1``.
    """
    small = word.lower()
    if small == "full":
        return (
            f"'full' is padding={shortest([(e - 1, e - 1) for e in extents])} here, dilation * "
            "(kernel - 1) on both sides (with flip=True for a convolution of numpy or scipy, "
            "without for a correlation)"
        )
    if small == "causal":
        lows = tuple((e - 1, 0) for e in extents)
        more = "" if len(lows) == 1 else " if every axis is causal, and (0, 0) for one that is not"
        return f"'causal' is padding={lows} here, (dilation * (kernel - 1), 0){more}"
    if small in PADDING_WORDS:
        return f"{word!r} is padding={small!r} here"
    if small in _WORDS_ELSEWHERE:
        return f"{word!r} is padding={_WORDS_ELSEWHERE[small]} here"
    mode = small if small in PADDING_MODES else _MODES_ELSEWHERE.get(small)
    return f"{word!r} is padding_mode={mode!r} here, beside a number in padding" if mode else ""


def mode_elsewhere(mode: str) -> str:
    """Return what a padding mode of another library is here, or nothing if it is not known."""
    small = mode.lower()
    if small in PADDING_MODES:
        same = f"{mode!r} is padding_mode={small!r} here"
        if small == "reflect":
            same += ", mirrored without its edge, as in TensorFlow, numpy and PyTorch"
        return same
    if small in _MODES_ELSEWHERE:
        same = f"{mode!r} is padding_mode={_MODES_ELSEWHERE[small]!r} here"
        return same + _MODE_NOTES.get(small, "")
    import difflib

    near = difflib.get_close_matches(small, PADDING_MODES, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def flat_elsewhere(padding: Sequence[object], axes: int) -> str:
    """Return both readings of a flat list of paddings, or nothing if it is none."""
    whole = [n for n in padding if isinstance(n, numbers.Integral) and not isinstance(n, bool)]
    ends = [int(n) for n in whole]
    if len(padding) != 2 * axes or len(ends) < len(padding) or min(ends) < 0:
        return ""
    onnx = list(zip(ends[:axes], ends[axes:], strict=True))
    torch = list(zip(ends[::2], ends[1::2], strict=True))[::-1]
    if onnx == torch:
        return f"a flat list of two ends for each axis is padding={shortest(onnx)} here"
    return (
        f"a flat list is padding={shortest(onnx)} here if it is ONNX's pads (all low ends, then "
        f"all high ends), and padding={shortest(torch)} if it is that of PyTorch's F.pad (low and "
        "high end of the last axis, then of the one before it)"
    )


def shortest(pairs: Sequence[tuple[int, int]]) -> int | tuple[int, ...] | Pairs:
    """Return the shortest form of ``padding`` that says these (low, high) pairs."""
    if any(low != high for low, high in pairs):
        return tuple(pairs)
    ends = {low for low, _ in pairs}
    return ends.pop() if len(ends) == 1 else tuple(low for low, _ in pairs)
