"""Networks from PyTorch modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from ...convert import UnsupportedLayer
from ...convolution.geometry import checked_shape
from ...convolution.matrix import MAX_BYTES
from ...layers import Network
from ..graph import Builder, Value
from .in_place import check_in_place
from .operations import FUNCTIONS, METHODS, MODULES, Called, Key
from .shapes import BATCH, Traced, numbers, view

if TYPE_CHECKING:
    import torch


def from_torch(module: torch.nn.Module, input_shape: Sequence[int]) -> Network:
    r"""The network that a PyTorch module is in eval mode.

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
    AdaptiveAvgPool1d to 3d, mean over space      AdaptiveAvgPool
    AdaptiveMaxPool1d to 3d                       MaxPool, if all windows are of one size
    ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh       ReLU, LeakyReLU, ReLU6, or a sum of such
    Sigmoid, Tanh, Softmax                        Sigmoid, Tanh, Softmax
    x + y, x - y; x times, plus or over a number  Add; BatchNorm
    Flatten, Unflatten, view, reshape             nothing, Flatten or Rearrange
    permute, transpose, squeeze, unsqueeze        nothing, or Rearrange
    ZeroPad, F.pad                                a depthwise Conv of one tap
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
        Names the operation, its place in the module, and why it is not read.
    ValueError
        If the module is in training mode or cannot be traced, if shapes do not fit, or if it does
        something that its trace does not show.

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
    try:
        if isinstance(module, tuple(MODULES())):
            module = torch.nn.Sequential(module)  # so that it is one step of what is traced
        graph = torch.fx.Tracer().trace(module)
    except Exception as error:  # it runs the module's own code, which may raise anything
        raise ValueError(
            f"module (of {type(module).__name__}) cannot be traced by torch.fx, because its code "
            f"decides by numbers or does something else that a graph cannot hold: {error}"
        ) from error
    dtype = np.float32 if torch.float32 in dtypes else np.float64
    net = _network(module, graph, Builder(shape, dtype, MAX_BYTES))
    _check(net, module, dtype)
    return net


def _check(net: Network, module: torch.nn.Module, dtype: DTypeLike) -> None:
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
    values: dict[torch.fx.Node, Traced] = {}
    check_in_place(module, graph)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        names = ", ".join(node.name for node in inputs) or "none"
        raise ValueError(f"module must have one input, and has {len(inputs)}: {names}")
    for node in _needed(graph):
        try:
            values[node] = _result(module, b, node, values)
        except UnsupportedLayer as error:
            raise UnsupportedLayer(f"{_label(module, node)}: {error}") from None
        except ValueError as error:
            raise ValueError(f"{_label(module, node)}: {error}") from None
    result = values[next(iter(reversed(graph.nodes)))]
    if not isinstance(result, Value):
        raise ValueError(f"module must have one output that depends on its input, not {result!r}")
    return b.network(result)


def _needed(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    """The nodes that the output depends on, and the input, in their order."""
    wanted: set[torch.fx.Node] = {
        node for node in graph.nodes if node.op in ("placeholder", "output")
    }
    for node in reversed(graph.nodes):
        if node in wanted:
            wanted.update(node.all_input_nodes)
    return [node for node in graph.nodes if node in wanted]


def _label(root: torch.nn.Module, node: torch.fx.Node) -> str:
    target = node.target
    if node.op == "call_module":
        kind = type(root.get_submodule(target)).__name__
        return f"module {target!r} ({kind})"
    named = target if isinstance(target, str) else getattr(target, "__name__", repr(target))
    return f"node {node.name!r} ({named})"


def _result(
    root: torch.nn.Module, b: Builder, node: torch.fx.Node, values: dict[torch.fx.Node, Traced]
) -> Traced:
    """What a node gives: a value of the network, a constant, a shape, or a size."""
    import torch

    def known(argument: torch.fx.node.Argument) -> torch.fx.node.Argument:
        return torch.fx.map_arg(argument, lambda other: values[other])

    args, kwargs = known(node.args), known(node.kwargs)
    if node.op == "placeholder":
        return b.input
    if node.op == "output":
        result: Traced = args[0]
        return result
    if node.op == "get_attr":
        found = root
        for part in node.target.split("."):
            found = getattr(found, part)
        return None if found is None else numbers(found)
    if node.op == "call_module":
        module = root.get_submodule(node.target)
        rule = next((r for kind, r in MODULES().items() if isinstance(module, kind)), None)
        if rule is None:
            raise UnsupportedLayer(_not_known(type(module).__name__, MODULES()))
        if len(args) != 1 or kwargs or not isinstance(args[0], Value):
            raise UnsupportedLayer("it must read one value that depends on the input")
        return rule(b, args[0], module)
    if node.op == "call_method":
        if node.target not in METHODS:
            raise UnsupportedLayer(_not_known(node.target, METHODS))
        return _called(METHODS[node.target], b, args, kwargs)
    functions = FUNCTIONS()
    if node.target not in functions:
        name = getattr(node.target, "__name__", repr(node.target))
        raise UnsupportedLayer(_not_known(name, functions))
    return _called(functions[node.target], b, args, kwargs)


def _called(
    rule: Called, b: Builder, args: tuple[Traced, ...], kwargs: dict[str, Traced]
) -> Traced:
    if rule is not view and any(isinstance(x, str) and x == BATCH for x in args):
        raise UnsupportedLayer("it computes with the size of the batch")
    try:
        return rule(b, *args, **kwargs)
    except TypeError as error:  # an argument that the rule does not have
        raise UnsupportedLayer(f"this way to call it is not read: {error}") from None


def _not_known(name: str, known: Iterable[str | Key]) -> str:
    names = sorted({key if isinstance(key, str) else key.__name__ for key in known})
    return f"{name} is not known; known are {', '.join(names)}"
