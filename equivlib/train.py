"""Just enough training for small experiments: two losses, two optimisers, mini-batches."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .convolution.patches import Array, as_array
from .layers import Network

#: From outputs and targets to the loss, a number, and its gradient with respect to the outputs.
Loss: TypeAlias = Callable[[Array, Array], tuple[float, Array]]

#: A parameter by the position of its layer and its name.
Key: TypeAlias = tuple[int, str]

#: Entries that :class:`Adam` changes at a time.
BLOCK = 2**15


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    r"""Compute the mean negative logarithm of the softmax's probability of the right class.

    .. math:: L = -\frac{1}{B} \sum_i \log \frac{e^{z_{i, t_i}}}{\sum_c e^{z_{i, c}}}

    Parameters
    ----------
    logits : ndarray, shape ``(batch, classes)``
        Without a Softmax layer.
    labels : ndarray of int, shape ``(batch,)``
        The right class, from 0.

    Returns
    -------
    float, ndarray of the shape of ``logits``
        The loss and its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import log_softmax
    >>> logits, labels = np.array([[1.0, 2.0, 0.5], [3.0, -1.0, 0.0]]), np.array([1, 2])
    >>> loss, _ = cross_entropy(logits, labels)
    >>> bool(np.isclose(loss, -log_softmax(logits, axis=1)[[0, 1], labels].mean()))
    True
    """
    labels = np.asarray(labels)
    whole = labels.dtype.kind in "iu" and labels.shape == logits.shape[:1]
    if logits.ndim != 2 or not whole or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels (of shape {labels.shape}, dtype {labels.dtype}) must be integers from 0 to "
            f"classes - 1, one for each row of logits (of shape {logits.shape})"
        )
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(sums[:, 0]) - shifted[rows, labels]))
    grad = powers / sums
    grad[rows, labels] -= 1
    return loss, grad / len(labels)


def squared_error(outputs: Array, targets: Array) -> tuple[float, Array]:
    r"""Compute the mean square of the differences, over the batch and all outputs.

    .. math:: L = \frac{1}{n} \sum_i (y_i - t_i)^2

    Parameters
    ----------
    outputs, targets : ndarray, of one shape

    Returns
    -------
    float, ndarray of the shape of ``outputs``
        The loss and its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.array([[1.0, 4.0]]), np.array([[0.0, 2.0]]))
    (2.5, array([[1., 2.]]))
    """
    if outputs.shape != np.shape(targets):
        raise ValueError(
            f"targets (of shape {np.shape(targets)}) must have the shape of the outputs, "
            f"{outputs.shape}"
        )
    difference = outputs - targets
    return float(np.mean(difference**2)), difference * (2 / difference.size)


class Optimizer(Protocol):
    """What changes the parameters of a network after its :meth:`Network.backward`."""

    def step(self, net: Network) -> None:
        """Change every parameter once."""


class SGD:
    r"""Stochastic gradient descent, with momentum.

    .. math:: v \leftarrow \mu v + g + \lambda p, \quad p \leftarrow p - \eta v

    Parameters
    ----------
    rate : float
        The learning rate :math:`\eta`.
    momentum : float, default 0
        :math:`\mu`.
    weight_decay : float, default 0
        :math:`\lambda`.

    Examples
    --------
    The minimum of :math:`(p - 3)^2`, by halving the distance each time:

    >>> import numpy as np
    >>> from equivlib.layers import Dense
    >>> net, optimizer = Network([Dense([[0.0]])], (1,)), SGD(0.25)
    >>> for _ in range(3):
    ...     _, grad = squared_error(net([[1.0]]), np.array([[3.0]]))
    ...     _ = net.backward(grad)
    ...     optimizer.step(net)
    >>> net.layers[0].weight
    array([[2.625]])
    """

    def __init__(self, rate: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.rate = _checked("rate", rate, 0, math.inf)
        self.momentum = _checked("momentum", momentum, 0, 1)
        self.weight_decay = _checked("weight_decay", weight_decay, 0, math.inf)
        self._velocity: dict[Key, Array] = {}

    def step(self, net: Network) -> None:
        """Change every parameter once."""
        for key, value, grad in _with_gradients(net):
            velocity = grad + self.weight_decay * value
            if key in self._velocity:
                velocity += self.momentum * self._velocity[key]
            self._velocity[key] = velocity
            _set(net, key, value - self.rate * velocity)


class Adam:
    r"""Steps that hardly depend on the scale of the gradients; the first has the size of the rate.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
              p \leftarrow p - \eta \,
              \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    rate : float, default 0.001
        The learning rate :math:`\eta`.
    betas : tuple of float, default (0.9, 0.999)
    eps : float, default 1e-8
    weight_decay : float, default 0
        :math:`\lambda`: times the parameter, added to its gradient.
    decoupled : bool, default False
        Whether the decay acts on the parameter itself instead of on its gradient, so that it is not
        rescaled with it: :math:`p \leftarrow (1 - \eta \lambda) p` before each step ("AdamW").

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization", ICLR 2015.
    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    The first step has the size of the learning rate, up to ``eps``:

    >>> from equivlib.layers import Dense
    >>> net = Network([Dense([[5.0]])], (1,))
    >>> _ = net.backward(net([[1000.0]]))
    >>> Adam(0.5).step(net)
    >>> net.layers[0].weight.round(6)
    array([[4.5]])
    """

    def __init__(
        self,
        rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        self.rate = _checked("rate", rate, 0, math.inf)
        self.betas = _checked("betas[0]", betas[0], 0, 1), _checked("betas[1]", betas[1], 0, 1)
        self.eps = _checked("eps", eps, 0, math.inf)
        self.weight_decay = _checked("weight_decay", weight_decay, 0, math.inf)
        self.decoupled = bool(decoupled)
        self._steps = 0
        self._moments: dict[Key, tuple[Array, Array]] = {}

    def step(self, net: Network) -> None:
        """Change every parameter once."""
        self._steps += 1
        for key, value, grad in _with_gradients(net):
            if key not in self._moments:
                zeros = np.zeros(value.shape, np.result_type(value, grad))
                self._moments[key] = zeros, zeros.copy()
            moments = self._moments[key]
            changed = np.empty(value.shape, np.result_type(value, *moments))
            flat = [a.reshape(-1) for a in (value, grad, *moments, changed)]
            # Block by block: what a step computes in between stays in the cache.
            for start in range(0, value.size, BLOCK):
                self._change(*(a[start : start + BLOCK] for a in flat))
            _set(net, key, changed)

    def _change(
        self, value: Array, grad: Array, mean: Array, square: Array, changed: Array
    ) -> None:
        """Step some entries, writing the moments and ``changed``."""
        first, second = self.betas
        if self.decoupled:
            value = value * (1 - self.rate * self.weight_decay)
        elif self.weight_decay:
            grad = grad + self.weight_decay * value
        mean *= first
        mean += (1 - first) * grad
        square *= second
        square += (1 - second) * grad * grad
        deviation = np.sqrt(square / (1 - second**self._steps)) + self.eps
        np.subtract(value, self.rate / (1 - first**self._steps) * mean / deviation, out=changed)


def _checked(name: str, value: float, least: float, below: float) -> float:
    if isinstance(value, bool) or not least <= value < below:
        rule = f"at least {least}" if below == math.inf else f"from {least} to less than {below}"
        raise ValueError(f"{name} (={value!r}) must be a number {rule}")
    return value


def _with_gradients(net: Network) -> list[tuple[Key, Array, Array]]:
    if not net.gradients:
        raise ValueError("an optimiser needs the gradients of a backward pass")
    found = []
    for position, name, value in net.parameters():
        if scipy.sparse.issparse(value) or value.dtype.kind != "f":
            raise ValueError(
                f"{name} of {net.label(position)} (of dtype {value.dtype}) must be an ndarray of "
                "floating-point numbers to be trained"
            )
        found.append(((position, name), value, net.gradients[position][name]))
    return found


def _set(net: Network, key: Key, value: Array) -> None:
    """Give a layer a new array: the old one may be the caller's."""
    net.layers[key[0]].params[key[1]] = value


def fit(
    net: Network,
    x: ArrayLike,
    targets: ArrayLike,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int = 1,
    batch_size: int = 64,
    seed: int | np.random.Generator = 0,
    callback: Callable[[int, float], object] | None = None,
    progress: bool = False,
) -> list[float]:
    """Train a network by mini-batches, each epoch in another random order.

    Parameters
    ----------
    net : Network
        Its layers get new parameters.
    x : array_like, shape ``(samples, *input_shape)``
    targets : array_like, shape ``(samples, ...)``
        What ``loss`` compares the outputs with.
    loss : callable
        :func:`cross_entropy`, :func:`squared_error`, or a function like them.
    optimizer : SGD or Adam
    epochs : int, default 1
    batch_size : int, default 64
    seed : int or Generator, default 0
        Of the order. With one seed, on one machine and one number of threads, every run gives the
        same numbers. A generator goes on where it is.
    callback : callable, optional
        Called as ``callback(steps, loss)`` after each step, with the number of steps done and the
        loss of the batch before the step. It may look at the network, change the learning rate of
        the optimiser, or return True to end the training.
    progress : bool, default False
        Show a bar and the loss on the standard error stream.

    Returns
    -------
    list of float
        Mean loss of each epoch, of each batch before its step; of the last epoch as far as it went.

    Raises
    ------
    ValueError
        If ``x`` does not hold samples of the network's input shape, or ``targets`` as many; if
        ``epochs`` or ``batch_size`` is not a positive integer.

    Examples
    --------
    A line through points finds the coefficients of numpy's least squares:

    >>> import numpy as np
    >>> from equivlib.layers import Dense
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> y = 3 * x - 1 + np.random.default_rng(0).normal(size=x.shape)
    >>> net = Network([Dense([[0.0]], [0.0])], (1,))
    >>> losses = fit(net, x, y, loss=squared_error, optimizer=SGD(0.5), epochs=99, batch_size=20)
    >>> found = net.layers[0].weight[0, 0], net.layers[0].bias[0]
    >>> bool(np.allclose(found, np.polyfit(x[:, 0], y[:, 0], deg=1)))
    True

    Until a loss is small enough:

    >>> net, steps = Network([Dense([[0.0]], [0.0])], (1,)), []
    >>> def small_enough(done, loss):
    ...     steps.append(done)
    ...     return loss < 2
    >>> _ = fit(net, x, y, loss=squared_error, optimizer=SGD(0.5), epochs=99, batch_size=20,
    ...         callback=small_enough)
    >>> steps
    [1, 2]
    """
    inputs, wanted = as_array("x", x), np.asarray(targets)
    if inputs.shape[1:] != net.input_shape or len(wanted) != len(inputs) or not len(inputs):
        raise ValueError(
            f"x (of shape {inputs.shape}) must be (samples, *input_shape) with input_shape "
            f"(={net.input_shape}), and targets (of shape {wanted.shape}) as many, at least one"
        )
    for name, count in (("epochs", epochs), ("batch_size", batch_size)):
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"{name} (={count!r}) must be an integer of at least 1")
    rng = np.random.default_rng(seed)
    means, steps, ended = [], 0, False
    for epoch in range(epochs):
        order = rng.permutation(len(inputs))
        total, seen = 0.0, 0
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            value, grad = loss(net(inputs[batch]), wanted[batch])
            net.backward(grad, to_input=False)
            optimizer.step(net)
            steps, seen = steps + 1, seen + len(batch)
            total += value * len(batch)
            if progress:
                share = seen / len(order)
                told = f"{share:4.0%}  loss {total / seen:.4f}"
                show_progress(f"epoch {epoch + 1}/{epochs}", share, told)
            if ended := callback is not None and bool(callback(steps, value)):
                break
        means.append(total / seen)
        if progress:
            sys.stderr.write("\n")
        if ended:
            break
    return means


def show_progress(what: str, share: float, told: str, width: int = 30) -> None:
    """Draw a bar over the one before, on the standard error stream.

    Parameters
    ----------
    what : str
        Name of the work, to the left of the bar.
    share : float
        From 0 to 1, how much of it is done.
    told : str
        What stands to the right of the bar.
    width : int, default 30
        Signs that the bar takes.
    """
    bar = "#" * round(share * width)
    sys.stderr.write(f"\r{what} [{bar:<{width}}] {told}")
    sys.stderr.flush()


def predict(net: Network, x: ArrayLike, *, batch_size: int = 256) -> Array:
    """Compute the outputs of a network, for some samples at a time to bound the memory.

    Parameters
    ----------
    net : Network
    x : array_like, shape ``(samples, *input_shape)``
    batch_size : int, default 256

    Examples
    --------
    >>> import numpy as np
    >>> from equivlib.layers import ReLU
    >>> x = np.random.default_rng(0).normal(size=(5, 3))
    >>> bool((predict(Network([ReLU()], (3,)), x, batch_size=2) == x.clip(0)).all())
    True
    """
    inputs = as_array("x", x)
    starts = range(0, max(len(inputs), 1), batch_size)
    return np.concatenate([net(inputs[start : start + batch_size]) for start in starts])


def he_normal(
    shape: Sequence[int], seed: int | np.random.Generator = 0, dtype: DTypeLike = np.float32
) -> Array:
    r"""Draw random weights with which a layer and its ReLU keep the mean square, on average.

    That is the average over the weights, for inputs without padding and a bias of 0. Normally
    distributed with standard deviation :math:`\sqrt{2 / n}`, n the number of inputs of one
    output: ``prod(shape[1:])``.

    Parameters
    ----------
    shape : tuple of int
        Of a convolution or a fully connected layer: outputs first.
    seed : int or Generator, default 0
        A generator gives other numbers each time.
    dtype : data type, default float32

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import numpy as np
    >>> weight = he_normal((400, 8, 5, 5), seed=1)
    >>> bool(np.isclose(weight.std(), np.sqrt(2 / (8 * 5 * 5)), rtol=0.01))
    True
    """
    normal = np.random.default_rng(seed).standard_normal(tuple(shape))
    scaled: Array = (normal * math.sqrt(2 / math.prod(shape[1:]))).astype(dtype)
    return scaled
