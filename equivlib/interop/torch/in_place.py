"""Operations of PyTorch that change their input, where something reads it again afterwards."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ...convert import UnsupportedLayer

if TYPE_CHECKING:
    import torch

#: Methods and functions whose result may share its numbers with what they read.
VIEWS = {"contiguous", "dropout", "flatten", "permute", "reshape", "squeeze", "transpose"}
VIEWS |= {
    "unflatten",
    "unsqueeze",
    "view",
    "getitem",
    "chunk",
    "split",
    "narrow",
    "select",
    "unbind",
}
VIEWS |= {"expand", "movedim", "swapaxes", "swapdims", "unfold"}

IN_PLACE = {operator.iadd, operator.isub, operator.imul, operator.itruediv}


def check_in_place(root: torch.nn.Module, graph: torch.fx.Graph) -> None:
    """Refuse a graph in which a value is read after it was changed in place.

    Tracing records what each operation reads, not that the numbers there are others by then.
    """
    place = {node: i for i, node in enumerate(graph.nodes)}
    origin: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in graph.nodes:
        read = node.all_input_nodes
        shares = read and (_is_view(root, node) or _changes(root, node))
        origin[node] = origin[read[0]] if shares else node
    for node in graph.nodes:
        if not _changes(root, node):
            continue
        changed = origin[node]
        for later in list(graph.nodes)[place[node] + 1 :]:
            if later.target in ("size", getattr):
                continue
            for read in later.all_input_nodes:
                if origin[read] is changed and place[read] < place[node]:
                    raise UnsupportedLayer(
                        f"node {node.name!r} changes in place what node {later.name!r} reads after "
                        "it: let it return a new value"
                    )


def _changes(root: torch.nn.Module, node: torch.fx.Node) -> bool:
    if not node.all_input_nodes:
        return False
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(node.target), "inplace", False))
    if node.op == "call_method":
        return bool(node.target.endswith("_"))
    name = getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace")) or node.target in IN_PLACE or name.endswith("_")


def _is_view(root: torch.nn.Module, node: torch.fx.Node) -> bool:
    if node.op == "call_module":
        kind = type(root.get_submodule(node.target)).__name__
        return kind in ("Identity", "Flatten", "Unflatten") or "Dropout" in kind
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name in VIEWS
