"""Write an ONNX file as a stream: the graph first, then one tensor after the other.

A message that holds all weights would be held twice when it is serialized. So the fields of the
graph are written one by one: `onnx` serializes what is small, and of a tensor only the head. All
sizes are known before the first number is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from ...convolution.matrix import MatrixTooLarge, readable
from ...convolution.patches import Array, DType

if TYPE_CHECKING:
    import onnx

#: Largest message of this format.
LIMIT = 2**31 - 1

#: Numbers of a weight that are made at a time.
NUMBERS = 2**21

#: Called with the bytes that are written and those of the whole file.
Progress: TypeAlias = Callable[[int, int], None]


class Dense(NamedTuple):
    """A tensor that stores every number, in blocks that are made when they are written."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[Array]]

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


class Sparse(NamedTuple):
    """A matrix that stores some numbers and their places, made when they are written."""

    name: str
    dtype: DType
    shape: tuple[int, int]
    nnz: int
    entries: Callable[[], tuple[Array, Array]]


class Part(NamedTuple):
    """Some bytes of a file: how many, and what makes them."""

    size: int
    make: Callable[[], Iterator[bytes | memoryview]]


def write_model(
    model: onnx.ModelProto,
    dense: Sequence[Dense],
    sparse: Sequence[Sparse],
    file: BinaryIO,
    progress: Progress | None = None,
) -> None:
    """Write a model without constants, and the constants, as one file.

    Raises
    ------
    MatrixTooLarge
        If the file would be over 2 GiB, before anything is written.
    """
    import onnx

    graph = onnx.GraphProto
    head = onnx.ModelProto()
    head.CopyFrom(model)
    head.ClearField("graph")
    parts = [_bytes(model.graph.SerializeToString())]
    parts += [_field(graph.INITIALIZER_FIELD_NUMBER, _dense(tensor)) for tensor in dense]
    parts += [_field(graph.SPARSE_INITIALIZER_FIELD_NUMBER, _sparse(matrix)) for matrix in sparse]
    whole = [_bytes(head.SerializeToString())]
    whole += [_field(onnx.ModelProto.GRAPH_FIELD_NUMBER, _joined(parts))]
    size, done = sum(part.size for part in whole), 0
    if size > LIMIT:
        raise MatrixTooLarge(
            f"the file would take {readable(size)}, over the {readable(LIMIT)} that its format "
            "allows"
        )
    for part in whole:
        for data in part.make():
            file.write(data)
            done += len(data)
            if progress is not None:
                progress(done, size)
    if done != size:  # a length in the file would be wrong
        raise AssertionError(f"{done} bytes are written, and {size} were announced")


def _bytes(data: bytes) -> Part:
    return Part(len(data), lambda: iter([data]))


def _joined(parts: Sequence[Part]) -> Part:
    return Part(
        sum(part.size for part in parts), lambda: (d for part in parts for d in part.make())
    )


def _field(number: int, content: Part) -> Part:
    """Return a field of a message: its key, the length of the content, and the content."""
    return _joined([_bytes(_varint(number << 3 | 2) + _varint(content.size)), content])


def _varint(value: int) -> bytes:
    """Return an integer seven bits at a time, the lowest first; the high bit says: one more."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _head(name: str, dtype: DType, shape: Sequence[int]) -> Part:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    return _bytes(onnx.TensorProto(name=name, data_type=kind, dims=shape).SerializeToString())


def _dense(tensor: Dense) -> Part:
    import onnx

    little = tensor.dtype.newbyteorder("<")

    def numbers() -> Iterator[memoryview]:
        for block in tensor.blocks():
            yield np.ascontiguousarray(block, dtype=little).reshape(-1).view(np.uint8).data

    raw = _field(onnx.TensorProto.RAW_DATA_FIELD_NUMBER, Part(tensor.nbytes, numbers))
    return _joined([_head(tensor.name, tensor.dtype, tensor.shape), raw])


def _sparse(matrix: Sparse) -> Part:
    import onnx

    # Values and places are made together, and written one after the other.
    made: list[tuple[Array, Array]] = []

    def values() -> Iterator[Array]:
        made.append(matrix.entries())
        yield made[0][0]

    def places() -> Iterator[Array]:
        yield made.pop()[1]

    message, index, count = onnx.SparseTensorProto, np.dtype(np.int64), (matrix.nnz,)
    return _joined(
        [
            _field(
                message.VALUES_FIELD_NUMBER, _dense(Dense(matrix.name, matrix.dtype, count, values))
            ),
            _field(message.INDICES_FIELD_NUMBER, _dense(Dense("", index, count, places))),
            _bytes(message(dims=matrix.shape).SerializeToString()),
        ]
    )
