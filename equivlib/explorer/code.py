"""The lines of Python that make the shown matrix, and the same layer in PyTorch."""

from __future__ import annotations

import numpy as np

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array

#: Arrays of more numbers are not spelled out: counted numbers stand in, and a line says so.
SPELLED = 2000

TORCH_MODES = {
    "zeros": "constant",
    "circular": "circular",
    "reflect": "reflect",
    "replicate": "replicate",
}


def code(weight: Array, x: Array, options: GeometryOptions, geometry: Geometry) -> str:
    """Return both, one after the other, ready to run."""
    stand_in = max(weight.size, x.size) > SPELLED
    head = "# the numbers are stand-ins: put yours in their place\n" if stand_in else ""
    return head + _equivlib(weight, x, options) + "\n\n" + _torch(weight, x, geometry)


def _equivlib(weight: Array, x: Array, options: GeometryOptions) -> str:
    told = "".join(f", {name}={value!r}" for name, value in options.items())
    if weight.dtype == object:  # no sparse matrix holds exact numbers
        told += ", format='dense'"
    return "\n".join(
        [
            "# the matrix, with equivlib",
            "import numpy as np",
            "from equivlib import conv_matrix",
            *_imports(weight, x),
            "",
            f"weight = np.array({_spelled(weight)})",
            f"x = np.array({_spelled(x)})",
            f"W = conv_matrix(weight, x.shape{told})",
            "y = W @ x.ravel()",
            "back = W.T @ y  # read by columns: the transposed convolution",
        ]
    )


def _imports(*arrays: Array) -> list[str]:
    exact = any("Fraction(" in repr(value) for array in arrays for value in array.flat)
    return ["from fractions import Fraction"] if exact else []


def _torch(weight: Array, x: Array, geometry: Geometry) -> str:
    ndim, pads = geometry.ndim, geometry.padding
    inside = all(low == high for low, high in pads) and not _by_index(geometry)
    complex_numbers = np.iscomplexobj(weight) or np.iscomplexobj(x)
    dtype = "torch.complex128" if complex_numbers else "torch.float64"
    told = {
        "stride": geometry.stride,
        "padding": tuple(low for low, _ in pads) if inside else (0,) * ndim,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
        "padding_mode": geometry.padding_mode if inside else "zeros",
    }
    usual = {
        "stride": (1,) * ndim,
        "padding": (0,) * ndim,
        "dilation": (1,) * ndim,
        "groups": 1,
        "padding_mode": "zeros",
    }
    unusual = "".join(f", {name}={value!r}" for name, value in told.items() if value != usual[name])
    flipped = f".flip({', '.join(str(2 + axis) for axis in range(ndim))})" if geometry.flip else ""
    channels = f"{geometry.in_channels}, {geometry.out_channels}, {geometry.kernel_size}"
    return "\n".join(
        [
            "# the same layer, in PyTorch",
            "import torch",
            *(["import numpy as np"] if max(weight.size, x.size) > SPELLED else []),
            *_imports(weight, x),
            "",
            f"x = torch.tensor({_spelled(x)}, dtype={dtype})",
            *([] if inside else [f"x = {_padded(geometry)}"]),
            f"layer = torch.nn.Conv{ndim}d({channels}{unusual}, bias=False, dtype={dtype})",
            f"weight = torch.tensor({_spelled(weight)}, dtype={dtype}){flipped}",
            "layer.load_state_dict({'weight': weight})",
            "y = layer(x)",
        ]
    )


def _by_index(geometry: Geometry) -> bool:
    """Return whether PyTorch lacks such padding: symmetric, or wider than it mirrors or wraps."""
    wide = any(max(axis.low, axis.high) >= axis.size for axis in geometry.axes)
    return geometry.padding_mode == "symmetric" or (geometry.padding_mode != "zeros" and wide)


def _padded(geometry: Geometry) -> str:
    """Return what PyTorch's layers cannot do: padding that is uneven or not known to them."""
    if _by_index(geometry):
        index = [axis.padded().tolist() for axis in geometry.axes]
        one = "".join(
            f"[{', '.join([':'] * (1 + number))}, {places}]" for number, places in enumerate(index)
        )
        return "x" + one
    pads = [n for pair in reversed(geometry.padding) for n in pair]
    return f"torch.nn.functional.pad(x, {pads}, mode={TORCH_MODES[geometry.padding_mode]!r})"


def _spelled(array: Array) -> str:
    if array.size > SPELLED:
        return f"np.arange({array.size}).reshape({array.shape})"
    return repr(array.tolist())
