"""Add, and Network: layers in order, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..convolution.geometry import checked_shape
from ..convolution.patches import Array, as_array, is_module
from ..tables import Table
from .base import Arrays, Gradients, Layer, Parameter, Shape


class _Joined(Layer):
    """A layer that reads several earlier ones."""

    def __init__(self, *sources: int) -> None:
        super().__init__()
        if len(sources) < 2:
            raise ValueError(f"sources (={sources}) of {self.name} must be at least two layers")
        self.sources = tuple(Layer(source=source).sources[0] for source in sources)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.sources))})"

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape != shapes[0] for shape in shapes):
            listed = ", ".join(map(str, shapes))
            raise ValueError(f"the inputs (of shapes {listed}) must be of one shape")
        return shapes[0]


class Add(_Joined):
    """The sum of the outputs of earlier layers: how shortcuts end.

    Parameters
    ----------
    *sources : int
        Positions of the layers in the network, -1 for its input. At least two.

    Examples
    --------
    A block with a shortcut: ``x + relu(w * x)``.

    >>> import numpy as np
    >>> from equivlib.layers import Conv, ReLU
    >>> net = Network([Conv([[[2]]]), ReLU(), Add(1, -1)], (1, 3))
    >>> net(np.array([[-1, 0, 5]]))
    array([[-1,  0, 15]])
    """

    def forward(self, *xs: Array) -> Array:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (grad,) * len(xs)


class Maximum(_Joined):
    r"""The largest of the outputs of earlier layers, number by number.

    .. math:: y = \max(x_1, x_2, \dots)

    Parameters
    ----------
    *sources : int
        Positions of the layers in the network, -1 for its input. At least two.

    Notes
    -----
    Where several are largest, the gradient goes to the first.

    Examples
    --------
    The larger of a number and its double:

    >>> import numpy as np
    >>> from equivlib.layers import Conv
    >>> net = Network([Conv([[[2]]]), Maximum(0, -1)], (1, 3))
    >>> net(np.array([[-1, 0, 5]]))
    array([[-1,  0, 10]])
    """

    def forward(self, *xs: Array) -> Array:
        return reduce(np.maximum, xs)

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        waiting, grads = np.ones(y.shape, dtype=bool), []
        for x in xs:
            chosen = waiting & (x == y)
            grads.append(np.where(chosen, grad, 0))
            waiting &= ~chosen
        return tuple(grads)


class Concat(_Joined):
    """The channels, or the numbers, of earlier layers one after the other.

    Parameters
    ----------
    *sources : int
        Positions of the layers in the network, -1 for its input. At least two, whose outputs
        differ in their number of channels at most.

    Examples
    --------
    Two channels, of which the second is the double of the first:

    >>> import numpy as np
    >>> from equivlib.layers import Conv
    >>> net = Network([Conv([[[2]]]), Concat(-1, 0)], (1, 3))
    >>> net(np.array([[-1, 0, 5]]))
    array([[-1,  0,  5],
           [-2,  0, 10]])
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            listed = ", ".join(map(str, shapes))
            raise ValueError(
                f"the inputs (of shapes {listed}) must be alike but for their channels"
            )
        return sum(shape[0] for shape in shapes), *shapes[0][1:]

    def forward(self, *xs: Array) -> Array:
        return np.concatenate(xs, axis=1)

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        ends = np.cumsum([x.shape[1] for x in xs])[:-1]
        return tuple(np.split(grad, ends, axis=1))


class Network:
    r"""Layers one after the other, each reading the one before it unless it names others.

    A layer reads an earlier one by its position in the list: ``source=3`` for layer 3,
    ``source=-1`` for the network's input. So a list can express every network without loops. The
    output is that of the last layer.

    Parameters
    ----------
    layers : sequence of Layer
    input_shape : tuple of int
        ``(channels, *spatial)``, or ``(features,)``, without batch.
    dtype : data type, optional
        Of what the network is made for, float64 if it is not given. It counts where no layer holds
        numbers that tell it.

    Attributes
    ----------
    layers : tuple of Layer
    dtype : data type
    input_shape, output_shape : tuple of int
    shapes : tuple of tuple of int
        The output shape of each layer.
    names : dict of int to str
        What a file calls the outputs of layers, if the network was read from one.
    gradients : tuple of dict
        After :meth:`backward`: for each layer the gradients of its parameters by name.

    Raises
    ------
    ValueError
        Names the layer, the argument, its value and the rule it breaks.

    Examples
    --------
    A residual block whose shortcut, layer 3, is a 1 x 1 convolution of what the block reads:

    >>> import numpy as np
    >>> from equivlib.layers import Conv, ReLU
    >>> rng = np.random.default_rng(0)
    >>> weight = lambda *shape: rng.integers(-2, 3, shape)
    >>> net = Network([
    ...     Conv(weight(4, 2, 3, 3), stride=2, padding=1),
    ...     ReLU(),
    ...     Conv(weight(4, 4, 3, 3), padding=1),
    ...     Conv(weight(4, 2, 1, 1), stride=2, source=-1),
    ...     Add(2, 3),
    ...     ReLU(),
    ... ], (2, 6, 6))
    >>> net
    Network for an input of (2, 6, 6)
    layer  reads  output     numbers
    0      input  (4, 3, 3)       72  Conv(weight (4, 2, 3, 3), stride=2, padding=1)
    1      0      (4, 3, 3)        0  ReLU()
    2      1      (4, 3, 3)      144  Conv(weight (4, 4, 3, 3), padding=1)
    3      input  (4, 3, 3)        8  Conv(weight (4, 2, 1, 1), stride=2, source=-1)
    4      2, 3   (4, 3, 3)        0  Add(2, 3)
    5      4      (4, 3, 3)        0  ReLU()

    The gradient of the sum of all outputs, against a difference quotient, which is exact as long
    as no ReLU switches:

    >>> x = rng.integers(-9, 9, (2, 6, 6))
    >>> gradient = net.backward(np.ones_like(net(x)))
    >>> gradient.shape
    (2, 6, 6)
    >>> step = np.zeros(x.shape)
    >>> step[1, 2, 3] = 1e-3
    >>> bool(np.isclose((net(x + step) - net(x)).sum() / 1e-3, gradient[1, 2, 3]))
    True
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Sequence[int],
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.input_shape = checked_shape("input_shape", input_shape, flat=True)
        self.layers = tuple(layers)
        if not self.layers:
            raise ValueError("layers must hold at least one layer")
        self.shapes: tuple[Shape, ...] = ()
        for position in range(len(self.layers)):
            self.shapes += (self._shape_of(position),)
        last = len(self.layers) - 1
        unread = set(range(last)) - {s for p in range(last + 1) for s in self.sources(p)}
        if unread:
            raise ValueError(
                f"{self.label(min(unread))} is read by no later layer and is not the last"
            )
        self.names: dict[int, str] = {}
        self.gradients: tuple[Gradients, ...] = ()
        self._values: list[Array] = []
        self._batch: Shape = ()

    def _shape_of(self, position: int) -> Shape:
        """Return the output shape of a layer, given those before it, or the error that names it."""
        layer = self.layers[position]
        if not isinstance(layer, Layer):
            raise ValueError(f"layers[{position}] (={layer!r}) must be a layer")
        for source in layer.sources:
            if source >= position:
                raise ValueError(
                    f"{self.label(position)} reads layer {source}, but can only read earlier ones"
                )
        try:
            return layer.output_shape(*self.input_shapes(position))
        except ValueError as error:
            raise ValueError(f"{self.label(position)}: {error}") from None

    def label(self, position: int) -> str:
        """Return what messages call a layer: its position and its name."""
        return f"layer {position} ({self.layers[position].name})"

    def sources(self, position: int) -> tuple[int, ...]:
        """Return the positions of the layers that a layer reads; -1 is the network's input."""
        return self.layers[position].sources or (position - 1,)

    def input_shapes(self, position: int) -> tuple[Shape, ...]:
        """Return the shapes of what a layer reads, one for each of its sources, without batch."""
        sources = self.sources(position)
        return tuple(self.shapes[s] if s >= 0 else self.input_shape for s in sources)

    @property
    def output_shape(self) -> Shape:
        """Shape of the output, without batch."""
        return self.shapes[-1]

    def samples(self, x: ArrayLike) -> tuple[Array, Shape]:
        """Return ``x`` with its batch axes made one, and what they were."""
        array = as_array("x", x)
        split = array.ndim - len(self.input_shape)
        if split < 0 or array.shape[split:] != self.input_shape:
            raise ValueError(
                f"x (of shape {array.shape}) must be (*batch, *input_shape) with input_shape "
                f"(={self.input_shape})"
            )
        batch = array.shape[:split]
        return array.reshape(math.prod(batch), *self.input_shape), batch

    def __call__(self, x: ArrayLike) -> Array:
        """Apply the network to ``x`` of shape ``(*batch, *input_shape)``.

        The outputs of all layers are kept for :meth:`backward` until the next call.
        """
        samples, batch = self.samples(x)
        values = [samples]
        for position, layer in enumerate(self.layers):
            values.append(layer.forward(*(values[s + 1] for s in self.sources(position))))
        self._batch, self._values = batch, values
        return values[-1].reshape(*batch, *self.output_shape)

    def backward(self, grad: ArrayLike, *, to_input: bool = True) -> Array | None:
        """Compute gradients by the chain rule, for the last input that the network was called with.

        Parameters
        ----------
        grad : array_like, of the shape of the output
            Gradient of a number with respect to the output.
        to_input : bool, default True
            Whether the gradient with respect to the input is wanted. Training does without.

        Returns
        -------
        ndarray, of the shape of the input, or None if it is not wanted
            Gradient with respect to the input. Those of the parameters are in ``gradients``.
        """
        if not self._values:
            raise ValueError("backward needs the network to be called with an input before")
        array = as_array("grad", grad)
        if array.shape != (*self._batch, *self.output_shape):
            raise ValueError(
                f"grad (of shape {array.shape}) must have the shape of the output, "
                f"{(*self._batch, *self.output_shape)}"
            )
        values = self._values
        grads: list[Array | None] = [None] * len(values)
        grads[-1] = array.reshape(values[-1].shape)
        gradients: list[Gradients] = []
        for position in reversed(range(len(self.layers))):
            sources, layer = self.sources(position), self.layers[position]
            reached = grads[position + 1]
            assert reached is not None  # a later layer reads this one
            given = tuple(values[s + 1] for s in sources), values[position + 1], reached
            gradients.append(layer.parameter_gradients(*given))
            if to_input or max(sources) >= 0:
                for source, part in zip(sources, layer.backward(*given), strict=True):
                    so_far = grads[source + 1]
                    grads[source + 1] = part if so_far is None else so_far + part
        self.gradients = tuple(reversed(gradients))
        if not to_input:
            return None
        return np.asarray(grads[0]).reshape(*self._batch, *self.input_shape)

    def parameters(self) -> Iterator[tuple[int, str, Parameter]]:
        """Yield the position of the layer, name and value of each parameter."""
        for position, layer in enumerate(self.layers):
            for name, value in layer.params.items():
                yield position, name, value

    def __repr__(self) -> str:
        rows = []
        for position, (layer, shape) in enumerate(zip(self.layers, self.shapes, strict=True)):
            reads = ", ".join("input" if s < 0 else str(s) for s in self.sources(position))
            numbers = layer.params.values()
            count = sum(n.nnz if hasattr(n, "nnz") else n.size for n in numbers)
            rows.append((str(position), reads, str(shape), count, repr(layer)))
        table = Table(["layer", "reads", "output", "numbers", ""], rows, align="lllrl")
        return f"Network for an input of {self.input_shape}\n{table}"


def checked_network(net: object) -> Network:
    """Return what must be a network, or the error that says how to make one."""
    if isinstance(net, Network):
        return net
    hint = "; equivlib.interop.torch.from_torch makes one of a module" if is_module(net) else ""
    raise ValueError(f"net (a {type(net).__name__}) must be an equivlib.Network{hint}")
