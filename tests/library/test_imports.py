"""What `import equivlib` brings in, and which module may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import equivlib

PACKAGE = Path(equivlib.__file__).parent

OPTIONAL = {"sympy", "matplotlib", "torch", "onnx"}

# A module imports only from those above it.
LAYERS = [
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
]
CORE = LAYERS[: LAYERS.index("spectrum") + 1]
PRESENT = [name for name in LAYERS if (PACKAGE / f"{name}.py").exists()]


def imported(name, *, anywhere):
    """The full names that a module of the package imports, at its top or anywhere in it."""
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(["equivlib"] * (node.level > 0) + [node.module] * bool(node.module))
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
    packages = {full_name.split(".")[0] for full_name in imported(name, anywhere=True)}
    assert OPTIONAL.isdisjoint(packages)


@pytest.mark.parametrize("name", PRESENT)
def test_a_module_imports_only_from_those_above_it(name):
    allowed = set(LAYERS[: LAYERS.index(name)])
    parts = [full_name.split(".") for full_name in imported(name, anywhere=False)]
    own = {part[1] for part in parts if part[0] == "equivlib"}
    assert own <= allowed


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
        "tap_matrix",
        "NotAConvolution",
        "Network",
        "UnsupportedLayer",
        "to_cnn",
        "to_mlp",
    }
    assert names <= set(equivlib.__all__)
    assert all(hasattr(equivlib, name) for name in equivlib.__all__)
