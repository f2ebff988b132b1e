"""Read numbers that an ONNX file keeps in other files, all of them in its own folder."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...convolution.patches import Array
from .file import checked_shape, is_external

if TYPE_CHECKING:
    import onnx

#: What says where the numbers of a tensor are.
KEYS = {"location", "offset", "length", "checksum", "basepath"}


class Folder:
    """The folder of an ONNX file, and how many bytes of other files may still be read."""

    def __init__(self, path: str | os.PathLike[str], max_bytes: float) -> None:
        file = Path(path)
        self.folder = file.parent.resolve()
        self.max_bytes, self.read = max_bytes, file.stat().st_size

    def array(self, tensor: onnx.TensorProto, name: str) -> Array:
        """Return the numbers of a tensor that is stored in another file."""
        assert is_external(tensor)
        dtype = checked_shape(tensor, name)
        found = {entry.key: entry.value for entry in tensor.external_data}
        if len(found) < len(tensor.external_data) or not set(found) <= KEYS:
            raise ValueError(f"tensor {name!r} says twice, or strangely, where its numbers are")
        file = self._file(found.get("location", ""), name)
        size, count = file.stat().st_size, math.prod(tensor.dims)
        offset = _number(found.get("offset", "0"), name)
        length = _number(found.get("length", str(max(size - offset, 0))), name)
        if length != count * dtype.itemsize or offset + length > size:
            raise ValueError(
                f"tensor {name!r} of shape {tuple(tensor.dims)} needs {count * dtype.itemsize} "
                f"bytes, and has {length} at {offset} of a file with {size}"
            )
        self.read += length
        if self.read > self.max_bytes:
            raise ValueError(
                f"tensor {name!r}: the file and its numbers in other files have over "
                f"max_bytes (={self.max_bytes})"
            )
        stored = np.dtype(np.uint8) if dtype == np.bool_ else dtype.newbyteorder("<")
        with file.open("rb") as stream:
            stream.seek(offset)
            array = np.fromfile(stream, stored, count)
        return array.astype(dtype, copy=False).reshape(tuple(tensor.dims))

    def _file(self, location: str, name: str) -> Path:
        """Return the file with the numbers, if it is one in the folder, links followed."""
        try:
            file = (self.folder / location).resolve()
            inside = bool(location) and file.is_relative_to(self.folder)
            found = inside and file.is_file()
        except (OSError, ValueError, RuntimeError):  # a zero byte, a long name, a loop of links
            inside = found = False
        if not inside:
            raise ValueError(
                f"tensor {name!r} is stored in {location[:200]!r}, which is not in the folder of "
                "the file and is not opened"
            )
        if not found:
            raise ValueError(f"tensor {name!r} is stored in {location[:200]!r}, which is no file")
        return file


def _number(text: str, name: str) -> int:
    """Return a count of bytes."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"tensor {name!r} has a strange offset or length: {text[:40]!r}")
    return int(text)
