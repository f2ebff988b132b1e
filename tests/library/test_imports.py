"""What `import equivlib` brings in, and which module may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import equivlib

PACKAGE = Path(equivlib.__file__).parent

OPTIONAL = {"sympy", "matplotlib", "torch", "onnx", "onnxruntime"}

# A module imports only from those above it.
LAYERS = [
    "labels",
    "tables",
    "axis",
    "geometry",
    "pattern",
    "patches",
    "functional",
    "csr",
    "matrix",
    "converse",
    "recognition",
    "spectrum",
    "symbolic",
    "linear",
    "normalization",
    "pools",
    "rearrange",
    "layers",
    "train",
    "maps",
    "tournament",
    "plan",
    "convert",
    "rounding",
    "slide",
    "draw",
    "explore",
    "interop",
    "__main__",
]
CORE = LAYERS[: LAYERS.index("spectrum") + 1]
# The same rule inside a layer that is a package; its __init__ brings all of them together.
INSIDE = {
    "explore": ["words", "page", "facts", "code", "static", "chain", "network"],
    "draw": [
        "style",
        "cells",
        "entries",
        "matrix",
        "blocks",
        "grids",
        "gradient",
        "image",
        "heatmap",
        "columns",
        "sliding",
        "tournament",
        "shortcut",
        "curveplot",
        "inclusions",
        "plots",
        "roof",
        "intervals",
    ],
    "interop": [
        "graph",
        "onnx_file",
        "onnx_operators",
        "onnx_constants",
        "onnx_write",
        "onnx",
        "torch_shapes",
        "torch_operations",
        "torch_in_place",
        "torch_write",
        "torch",
    ],
}


def files(name):
    """The files of a layer: one module, or the modules of a package."""
    module = PACKAGE / f"{name}.py"
    return [module] if module.exists() else sorted((PACKAGE / name).glob("*.py"))


PRESENT = [name for name in LAYERS if files(name)]


def imported(path, *, anywhere):
    """The full names that a module of the package imports, at its top or anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = ["equivlib", *path.relative_to(PACKAGE).parent.parts]
    names = set()
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join(above + [node.module] * bool(node.module))
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return names


def run(code):
    """Run Python code in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_importing_the_library_imports_nothing_optional():
    found = run("import sys, equivlib; print(*sys.modules)").stdout.split()
    assert "equivlib" in found
    assert OPTIONAL.isdisjoint(found)


def test_importing_the_library_prints_nothing():
    done = run("import equivlib")
    assert (done.stdout, done.stderr) == ("", "")


def test_building_a_matrix_of_numbers_imports_nothing_optional():
    code = """
import sys
import numpy as np
import equivlib

weight = np.ones((1, 1, 3))
equivlib.conv_matrix(weight, (1, 5))
equivlib.conv_matrix(weight.astype(object), (1, 5), format="dense")
equivlib.conv_operator(weight, (1, 5)) @ np.ones(5)
print(*sys.modules)
"""
    assert OPTIONAL.isdisjoint(run(code).stdout.split())


@pytest.mark.parametrize("name", CORE)
def test_the_core_never_imports_an_optional_package(name):
    (module,) = files(name)
    packages = {full_name.split(".")[0] for full_name in imported(module, anywhere=True)}
    assert OPTIONAL.isdisjoint(packages)


@pytest.mark.parametrize("name", PRESENT)
def test_a_module_imports_only_from_those_above_it(name):
    allowed = {*LAYERS[: LAYERS.index(name)], *([name] if name in INSIDE else [])}
    for path in files(name):
        parts = [full_name.split(".") for full_name in imported(path, anywhere=False)]
        own = {part[1] for part in parts if part[0] == "equivlib"}
        assert own <= allowed, path.name


@pytest.mark.parametrize("name", INSIDE)
def test_inside_a_package_too_a_module_imports_only_from_those_above_it(name):
    for path in files(name):
        if path.stem != "__init__":
            allowed = INSIDE[name][: INSIDE[name].index(path.stem)]
            parts = [full_name.split(".") for full_name in imported(path, anywhere=True)]
            own = {part[2] for part in parts if part[:2] == ["equivlib", name]}
            assert own <= set(allowed), path.name


def test_importing_the_readers_imports_no_framework():
    code = "import sys, equivlib.interop.torch, equivlib.interop.onnx; print(*sys.modules)"
    found = run(code).stdout.split()
    assert "equivlib.interop.onnx" in found
    assert OPTIONAL.isdisjoint(found)


def test_every_file_belongs_to_a_layer():
    names = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert names - {"__init__"} <= set(LAYERS)
    assert {name for name in LAYERS if (PACKAGE / name).is_dir()} == set(INSIDE)


def test_the_public_names_are_those_of_the_contract():
    names = {
        "Geometry",
        "MatrixTooLarge",
        "col2im",
        "conv",
        "conv_matrix",
        "conv_operator",
        "conv_transpose",
        "dense_to_conv",
        "dense_to_pointwise",
        "dot_test",
        "im2col",
        "kernel_from_matrix",
        "operator_norm",
        "project",
        "recognize",
        "singular_values",
        "explore",
        "tap_matrix",
        "NotAConvolution",
        "Network",
        "UnsupportedLayer",
        "to_cnn",
        "to_mlp",
    }
    assert names <= set(equivlib.__all__)
    assert all(hasattr(equivlib, name) for name in equivlib.__all__)
