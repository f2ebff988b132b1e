"""Where the modules of earlier versions are: their old paths lead to the new ones, with a warning.

One table holds the old and the new path of each module. A finder at the end of ``sys.meta_path``,
asked only for what nobody else has found, reads it for ``import equivlib.converse``;
``__getattr__`` reads it for ``equivlib.converse``. Two old modules have the name of a function of
today (``explore`` and ``pattern``). Those are in ``sys.modules`` from the start, because an import
would put a module in the function's place.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = __name__.rpartition(".")[0]

MOVED = {
    "axis": "convolution.axis",
    "geometry": "convolution.geometry",
    "pattern": "convolution.pattern",
    "patches": "convolution.patches",
    "functional": "convolution.functional",
    "csr": "convolution.csr",
    "matrix": "convolution.matrix",
    "converse": "convolution.projection",
    "recognition": "convolution.recognition",
    "spectrum": "convolution.spectrum",
    "linear": "layers.affine",
    "pools": "layers.pooling",
    "normalization": "layers.normalization",
    "rearrange": "layers.rearrange",
    "maps": "convert.operators",
    "tournament": "convert.tournament",
    "plan": "convert.plan",
    "convert.table": "convert.conversion_table",
    "draw.blocks": "draw",
    "draw.cells": "draw",
    "draw.columns": "draw",
    "draw.curveplot": "draw",
    "draw.entries": "draw",
    "draw.gradient": "draw",
    "draw.heatmap": "draw",
    "draw.image": "draw",
    "draw.intervals": "draw",
    "draw.matrix": "draw",
    "draw.plots": "draw",
    "draw.roof": "draw",
    "draw.sliding": "draw",
    "draw.style": "draw",
    "explore": "explorer",
    "explore.chain": "explorer.chain",
    "explore.code": "explorer.code",
    "explore.facts": "explorer.facts",
    "explore.network": "explorer.network",
    "explore.page": "explorer.page",
    "explore.static": "explorer.svg",
    "interop.onnx_constants": "interop.onnx.constants",
    "interop.onnx_file": "interop.onnx.file",
    "interop.onnx_operators": "interop.onnx.operators",
    "interop.onnx_write": "interop.onnx.writer",
    "interop.torch_in_place": "interop.torch.in_place",
    "interop.torch_operations": "interop.torch.operations",
    "interop.torch_shapes": "interop.torch.shapes",
    "interop.torch_write": "interop.torch.writer",
}

#: Old modules whose names are functions of the package now.
SHADOWED = ("explore", "pattern")


def _new(old: str) -> ModuleType:
    """Return the module that was called ``old``; whoever asks for it is told where it is."""
    new = f"{PACKAGE}.{MOVED[old]}"
    # Level 1 is this line, 2 the function of this file that was asked, 3 whoever asked.
    warnings.warn(f"{PACKAGE}.{old} is now {new}", DeprecationWarning, stacklevel=3)
    return import_module(new)


class _Finder:
    """Finds modules by their old paths, and is the loader of what it has found."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        old = name.removeprefix(f"{PACKAGE}.")
        if old == name or old not in MOVED:
            return None
        return ModuleSpec(name, self, loader_state=_new(old))  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the machinery of imports, which forgets what it has made below."""

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        sys.modules[module.__name__] = module.__spec__.loader_state


class _Shadowed(ModuleType):
    """An old module whose name is a function's: ``from equivlib.explore import …`` reads it."""

    def __init__(self, old: str) -> None:
        super().__init__(f"{PACKAGE}.{old}")
        self.__path__ = []  # so that the modules that were inside it are looked for

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the machinery of imports asks for such
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        new = _new(self.__name__.removeprefix(f"{PACKAGE}."))
        # Known from now on, so that nobody is told twice.
        vars(self).update({key: it for key, it in vars(new).items() if not key.startswith("__")})
        return getattr(new, name)


def __getattr__(name: str) -> ModuleType:
    """Return the attributes of the package that were modules."""
    if name not in MOVED:
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
    module = sys.modules[f"{PACKAGE}.{name}"] = _new(name)
    setattr(sys.modules[PACKAGE], name, module)
    return module


sys.meta_path.append(_Finder())
for _name in SHADOWED:
    sys.modules[f"{PACKAGE}.{_name}"] = _Shadowed(_name)
