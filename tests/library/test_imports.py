"""What `import equivlib` brings in, and which names are there. Who imports whom: `make lint`."""

import subprocess
import sys

import equivlib

OPTIONAL = {"sympy", "matplotlib", "torch", "onnx", "onnxruntime"}


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


def test_importing_the_readers_imports_no_framework():
    code = "import sys, equivlib.interop.torch, equivlib.interop.onnx; print(*sys.modules)"
    found = run(code).stdout.split()
    assert "equivlib.interop.onnx" in found
    assert OPTIONAL.isdisjoint(found)


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
        "plain_report",
        "to_plain",
        "PlainReport",
        "to_mlp",
        "Projection",
        "Recognition",
        "pattern",
    }
    assert names <= set(equivlib.__all__)
    assert all(hasattr(equivlib, name) for name in equivlib.__all__)
