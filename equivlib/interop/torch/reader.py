"""Networks from PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.geometry import checked_shape
from ...convolution.matrix import MAX_BYTES
from ...convolution.patches import DType
from ...layers import Network
from ..graph import Builder, Value, located, not_supported
from .in_place import check_in_place
from .operations import METHODS, Key, function_rules, module_rules
from .shapes import BatchSize, Traced, call, numbers, optional_numbers

if TYPE_CHECKING:
    import torch

#: Arguments of an operation of the graph, with results of earlier ones in place of nodes.
Args: TypeAlias = tuple[object, ...]
Kwargs: TypeAlias = Mapping[str, object]


def from_torch(module: torch.nn.Module, input_shape: Sequence[int]) -> Network:
    r"""Return the network equal to a PyTorch module in eval mode.

    .. math:: net(x) = module(x)

    for every batch ``x``, up to rounding. The module is traced with ``torch.fx``: its own Python
    code runs once on placeholders, so it may have shortcuts and functions but no decisions that
    depend on numbers. Then it runs on one random input, which must give what the network gives.

    ============================================  ================================================
    module, or function of that name              becomes
    ============================================  ================================================
    Conv1d to 3d, ConvTranspose1d to 3d, Linear   Conv, ConvTranspose, Dense
    BatchNorm1d to 3d                             BatchNorm, with the running statistics
    MaxPool1d to 3d, AvgPool1d to 3d              MaxPool, AvgPool
    AdaptiveAvgPool1d to 3d, mean                 AdaptiveAvgPool
    AdaptiveMaxPool1d to 3d, amax, amin, max      MaxPool
    ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh,      ReLU, LeakyReLU, ReLU6, or a sum of such
    Hardsigmoid, Softshrink, Threshold, abs
    Sigmoid, Tanh, Softmax                        Sigmoid, Tanh, Softmax
    x + y, x - y; x times, plus or over a number  Add; BatchNorm
    maximum, minimum                              Maximum, or a shifted ReLU
    x @ W, W @ x, einsum; sum                     Dense, or a Conv of one tap; a Conv of ones
    cat, stack                                    Concat
    indexing, chunk, split, flip, roll, expand    Rearrange
    Upsample, interpolate                         Resample, or Rearrange if nearest
    Unfold, Fold; PixelShuffle                    Rearrange, ConvTranspose; Rearrange
    Flatten, Unflatten, view, reshape             nothing, Flatten or Rearrange
    permute, transpose, squeeze, unsqueeze        nothing, or Rearrange
    ZeroPad, ConstantPad, F.pad                   a depthwise Conv of one tap, or Rearrange
    Dropout, Identity, contiguous                 nothing
    ============================================  ================================================

    Parameters
    ----------
    module : torch.nn.Module
        In eval mode, as all modules in it; of float32 or float64 parameters.
    input_shape : tuple of int
        ``(channels, *spatial)``, or ``(features,)``, without batch.

    Returns
    -------
    Network
        With copies of the parameters, in their precision.

    Raises
    ------
    UnsupportedLayer
        If an operation, or the way it is called, has no equivalent in ``Network``, or if it changes
        in place what is read again. Names the operation and its place in the module.
    ValueError
        If the module is in training mode, has parameters of another dtype, several inputs or
        outputs, or cannot be traced; if shapes do not fit; or if the network differs from it on a
        random input, because its trace does not show all that it does.

    Examples
    --------
    ::

        module = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3456, 10))
        net = from_torch(module.eval(), (1, 28, 28))
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module (={module!r}) must be a torch.nn.Module")
    shape = checked_shape("input_shape", input_shape, flat=True)
    dtype = _checked_dtype(module)
    if isinstance(module, tuple(module_rules())):
        module = torch.nn.Sequential(module)  # so that it is one step of what is traced
    try:
        graph = torch.fx.Tracer().trace(module)
    except Exception as error:  # it runs the module's own code, which may raise anything
        raise ValueError(
            f"module (of {type(module).__name__}) cannot be traced by torch.fx, because its code "
            f"decides by numbers or does something else that a graph cannot hold: {error}"
        ) from error
    net = _network(module, graph, Builder(shape, dtype, MAX_BYTES))
    _check(net, module, dtype)
    return net


def _checked_dtype(module: torch.nn.Module) -> DType:
    """Return the precision of a module, which must be in eval mode."""
    import torch

    training = [
        name or "the module itself" for name, part in module.named_modules() if part.training
    ]
    if training:
        raise ValueError(
            f"module must be in eval mode, and {len(training)} of its parts are in training mode, "
            f"first {training[0]}: call module.eval()"
        )
    dtypes = {parameter.dtype for parameter in module.parameters()}
    if not dtypes <= {torch.float32, torch.float64}:
        listed = ", ".join(sorted(map(str, dtypes)))
        raise ValueError(f"module (of {listed}) must have parameters of float32 or float64")
    return np.dtype(np.float32 if torch.float32 in dtypes else np.float64)


def _check(net: Network, module: torch.nn.Module, dtype: DType) -> None:
    """Apply both to one random input: a trace does not show all that a module does."""
    import torch

    x = np.random.default_rng(0).standard_normal((1, *net.input_shape)).astype(dtype)
    device = next((parameter.device for parameter in module.parameters()), None)
    with torch.no_grad():
        expected = module(torch.tensor(x, device=device)).cpu().numpy()
    y = net(x)
    shape = expected.shape == y.shape
    difference = abs(y - expected).max() if shape else np.inf
    if not difference <= np.sqrt(np.finfo(dtype).eps) * abs(expected).max():
        raise ValueError(
            f"module (of {type(module).__name__}) does something that its trace does not show, "
            f"such as += on a value that is read again, or a hook: on one random input it differs "
            f"from what was read by {difference:.3g}"
        )


def _network(module: torch.nn.Module, graph: torch.fx.Graph, b: Builder) -> Network:
    check_in_place(module, graph)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        names = ", ".join(node.name for node in inputs) or "none"
        raise ValueError(f"module must have one input, and has {len(inputs)}: {names}")
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)  # the output does not depend on it
    result = _interpreter(module, graph, b).run(b.input, enable_io_processing=False)
    if not isinstance(result, Value):
        raise ValueError(f"module must have one output that depends on its input, not {result!r}")
    return b.network(result)


def _interpreter(root: torch.nn.Module, graph: torch.fx.Graph, b: Builder) -> torch.fx.Interpreter:
    """Run a graph on values in place of tensors; the rule of each operation reads it."""
    from torch import fx

    class Reader(fx.Interpreter):  # type: ignore[misc]
        def run_node(self, n: fx.Node) -> Traced:
            with located(_label(root, n)):
                read: Traced = super().run_node(n)
                return read

        def get_attr(self, target: str, args: Args, kwargs: Kwargs) -> Traced:
            return optional_numbers(super().get_attr(target, args, kwargs))

        def call_module(self, target: str, args: Args, kwargs: Kwargs) -> Traced:
            if _is_constant((*args, *kwargs.values())):
                return _computed(super().call_module, target, args, kwargs)
            return _read_module(b, root.get_submodule(target), args, kwargs)

        def call_method(self, target: str, args: Args, kwargs: Kwargs) -> Traced:
            if _is_constant((*args, *kwargs.values())):
                return _computed(super().call_method, target, args, kwargs)
            if target not in METHODS:
                raise not_supported(target, METHODS)
            return call(METHODS[target], b, args, kwargs)

        def call_function(self, target: Key, args: Args, kwargs: Kwargs) -> Traced:
            if _is_constant((*args, *kwargs.values())):
                return _computed(super().call_function, target, args, kwargs)
            if target not in function_rules():
                raise not_supported(_name(target), map(_name, function_rules()))
            return call(function_rules()[target], b, args, kwargs)

    reader = Reader(root, graph=graph)
    reader.extra_traceback = False  # it would change messages, and the class of a KeyError
    return reader


def _is_constant(arguments: object) -> bool:
    """Return whether no part of the arguments of a call depends on the input."""
    if isinstance(arguments, (tuple, list)):
        return all(map(_is_constant, arguments))
    if isinstance(arguments, slice):
        return _is_constant((arguments.start, arguments.stop, arguments.step))
    return not isinstance(arguments, (Value, BatchSize))


def _computed(run: Callable[..., object], target: object, args: Args, kwargs: Kwargs) -> Traced:
    """Let PyTorch compute what depends on parameters and sizes alone."""
    import torch

    def tensors(argument: object) -> object:
        is_array = isinstance(argument, np.ndarray)
        return torch.from_numpy(argument) if is_array else argument

    def arrays(result: object) -> object:
        return numbers(result) if isinstance(result, torch.Tensor) else result

    given = torch.fx.node.map_aggregate((args, dict(kwargs)), tensors)
    with torch.no_grad():
        result: Traced = torch.fx.node.map_aggregate(run(target, *given), arrays)
    return result


def _read_module(b: Builder, module: torch.nn.Module, args: Args, kwargs: Kwargs) -> Value:
    rule = next((rule for kind, rule in module_rules().items() if isinstance(module, kind)), None)
    if rule is None:
        raise not_supported(_name(type(module)), map(_name, module_rules()))
    if len(args) != 1 or kwargs or not isinstance(args[0], Value):
        raise UnsupportedLayer("it must read one value that depends on the input")
    return rule(b, args[0], module)


def _label(root: torch.nn.Module, node: torch.fx.Node) -> str:
    target = node.target
    if node.op == "call_module":
        return f"module {target!r} ({_name(type(root.get_submodule(target)))})"
    return f"node {node.name!r} ({target if isinstance(target, str) else _name(target)})"


def _name(operation: Key) -> str:
    return getattr(operation, "__name__", repr(operation))
