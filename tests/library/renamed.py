"""Perceptrons of convolutional networks with hidden units in another order.

And what the theorem of ``recognize_network`` asks of them, written down by plain loops.
"""

import math
from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np

from equivlib import to_mlp
from equivlib.layers import Conv, Dense, Flatten, Network, ReLU


def matrices(mlp):
    """Return weight and bias of each Dense layer, dense and exact."""
    pairs = []
    for layer in mlp.layers:
        if isinstance(layer, Dense):
            weight = (
                layer.weight if isinstance(layer.weight, np.ndarray) else layer.weight.toarray()
            )
            bias = np.zeros(len(weight), dtype=int) if layer.bias is None else layer.bias
            pairs.append((weight.astype(object), bias.astype(object)))
    return pairs


def renamed(net, rng, *, factors="fractions", output=False):
    """Return the perceptron of a network with hidden units in random order and scale.

    ``factors`` are "fractions", "floats" or "ones"; with ``output`` the outputs are moved too.
    """
    mlp = to_mlp(net)
    layers = list(mlp.layers)
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    exact = factors == "fractions"
    pairs = {}
    for i in dense:
        weight, bias = layers[i].weight, layers[i].bias
        weight = weight if isinstance(weight, np.ndarray) else weight.toarray()
        pairs[i] = [
            part if part is None or not exact else part.astype(object) for part in (weight, bias)
        ]
    for i, following in zip(dense, [*dense[1:], None], strict=True):
        if following is None and not output:
            break
        units = len(pairs[i][0])
        order = rng.permutation(units)
        scale = _factors(rng, units, factors if following is not None else "ones")
        pairs[i] = [None if part is None else (part.T * scale).T[order] for part in pairs[i]]
        if following is not None:
            pairs[following][0] = (
                pairs[following][0] / scale if factors != "ones" else pairs[following][0]
            )[:, order]
    for i in dense:
        layers[i] = Dense(*pairs[i])
    return Network(layers, mlp.input_shape)


def _factors(rng, units, factors):
    if factors == "ones":
        return np.ones(units, dtype=int)
    if factors == "floats":
        return np.exp(rng.standard_normal(units))
    pairs = rng.integers(1, 6, (units, 2)).tolist()
    return np.array([Fraction(a, b) for a, b in pairs], dtype=object)


def _normal(values):
    total = sum(abs(Fraction(v)) for v in values)
    return tuple(Fraction(v) / total if total else Fraction(0) for v in values), total or Fraction(
        1
    )


def _before_relu(layers, x):
    """Return what each layer gives before its ReLU, exactly; with integers inside, for speed."""
    given, values, below = [], x, 1
    for weight, bias in layers:
        parts = [Fraction(v).denominator for part in (weight, bias) for v in part.flat]
        common = math.lcm(*parts)
        whole = np.vectorize(int, otypes=[object])
        values = whole(weight * common) @ values + whole(bias * common)[:, None] * below
        below *= common
        given.append(values * Fraction(1, below))
        values = np.maximum(values, 0)
    return given


def equal_up_to_renaming(first, second, rng):
    """Return whether two perceptrons have the same units but for their order and scale; exact."""
    x = rng.integers(-9, 10, (matrices(first)[0][0].shape[1], 12)).astype(object)
    pairs = zip(_in_order(first, x), _in_order(second, x), strict=True)
    return all(
        a.shape == b.shape and bool((a == b).all())
        for one, other in pairs
        for a, b in zip(one, other, strict=True)
    )


def _in_order(mlp, x):
    """Return weights and biases with hidden units in an order and a scale of their own.

    From the last hidden layer back, units are sorted by what they give on random inputs and by
    the weights that read them. One that gives zero always and is not read has a row alone.
    """
    layers = [list(pair) for pair in matrices(mlp)]
    given, lost = _before_relu(layers, x), []
    for i in range(len(layers) - 2, -1, -1):
        keys = []
        for unit, row in enumerate(given[i]):
            key, scale = _normal(row)
            column = layers[i + 1][0][:, unit]
            if not any(row):  # it gives zero always, so only the column tells its scale
                scale = 1 / _normal(column)[1]
            keys.append((key, tuple(Fraction(v) * scale for v in column), unit, scale))
        keys.sort(key=lambda entry: entry[:2])
        order = [unit for _, _, unit, _ in keys]
        scale = np.array([scale for *_, scale in keys], dtype=object)
        layers[i] = [(part[order].T / scale).T for part in layers[i]]
        layers[i + 1][0] = layers[i + 1][0][:, order] * scale
        lost += [(i, at) for at, (key, column, *_) in enumerate(keys) if not any(key + column)]
    for i in {i for i, _ in lost}:
        units = [unit for at, unit in lost if at == i]
        rows = sorted(_normal([*layers[i][0][unit], layers[i][1][unit]])[0] for unit in units)
        for unit, row in zip(units, rows, strict=True):
            layers[i][0][unit], layers[i][1][unit] = row[:-1], row[-1]
    return layers


# --- random networks ----------------------------------------------------------------------------


def random_network(seed):
    """Return a network of two to four layers: convolutions, and up to two dense ones.

    With one or two spatial axes, up to four channels, stride, padding, dilation, some of them with
    a channel that is a multiple of another one, or with a channel of zeros.
    """
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(1, 3))
    shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(5, 10, axes)))
    first, depth = shape, int(rng.integers(2, 5))
    heads, biased = int(rng.integers(0, 3)), bool(rng.random() < 0.8)
    layers = []
    for _ in range(max(1, depth - heads)):
        conv = _random_convolution(rng, shape, biased)
        layers += [conv, ReLU()]
        shape = conv.output_shape(shape)
    if heads:
        layers.append(Flatten())
        features = math.prod(shape)
        for _ in range(heads):
            units = int(rng.integers(2, 7))
            bias = rng.integers(-9, 10, units) if biased else None
            layers += [Dense(rng.integers(-9, 10, (units, features)), bias), ReLU()]
            features = units
    return Network(layers[:-1], first)


def _random_convolution(rng, shape, biased):
    axes = len(shape) - 1
    while True:
        kernel, stride = rng.integers(1, 4, axes), rng.integers(1, 3, axes)
        dilation = rng.integers(1, 3, axes) if rng.random() < 0.2 else np.ones(axes, dtype=int)
        reach = dilation * (kernel - 1)
        padding = [tuple(rng.integers(0, most + 1, 2).tolist()) for most in reach.tolist()]
        channels = int(rng.integers(1, 5))
        weight = rng.integers(-9, 10, (channels, shape[0], *kernel))
        bias = rng.integers(-9, 10, channels)
        if channels > 1 and rng.random() < 0.3:
            times = int(rng.integers(1, 3))
            weight[1], bias[1] = weight[0] * times, bias[0] * times
        if channels > 1 and rng.random() < 0.3:
            weight[-1] = 0
        options = {
            "stride": tuple(stride.tolist()),
            "padding": tuple(padding),
            "dilation": tuple(dilation.tolist()),
        }
        conv = Conv(weight, bias if biased else None, **options)
        try:
            if math.prod(conv.output_shape(shape)[1:]) > 1:
                return conv
        except ValueError:
            continue  # the kernel is larger than what it reads, so draw again


# --- what the theorem asks ----------------------------------------------------------------------


def broken_properties(net):
    """Return the numbers of the properties, as in the theorem, that a network does not have."""
    broken, shape = set(), net.input_shape
    groups = [[channel] for channel in range(shape[0])]
    factors = [Fraction(1)] * shape[0]
    for position, layer in enumerate(net.layers):
        if isinstance(layer, Conv):
            view = _View(layer, shape, groups, factors)
            broken |= view.broken()
            groups, factors = view.groups_of_outputs()
            shape = net.shapes[position]
        elif isinstance(layer, Dense):
            spatial = layer.weight.reshape(-1, *shape)
            read = [np.argwhere(unit)[:, 1:] for unit in spatial if unit.any()]
            ends = [(at.min(axis=0), at.max(axis=0)) for at in read]
            full = [not low.any() and (high == np.array(shape[1:]) - 1).all() for low, high in ends]
            if 2 * sum(full) < len(full):
                broken.add("head")
            break
    return broken


class _View:
    """A convolution with the input channels that are certain: rows place by place."""

    def __init__(self, conv, shape, groups, factors):
        self.conv, self.shape = conv, shape
        self.geometry = conv.geometry(shape)
        self.outputs = self.geometry.output_shape[1:]
        weight = conv.weight.astype(object)
        self.bias = [0] * len(weight) if conv.bias is None else [int(b) for b in conv.bias]
        kept = []
        for group in groups:  # channels of zeros are in no group
            columns = np.stack([weight[:, c] * factors[c] for c in group], axis=1)
            kept.append(np.sort(columns, axis=1))
        self.kernel = np.concatenate(kept, axis=1) if kept else weight[:, :0]
        self.weight = weight
        self.rows = {
            (c, o): self.row(self.kernel[c], o, self.bias[c])
            for c in range(len(weight))
            for o in np.ndindex(*self.outputs)
        }

    def row(self, kernel, place, bias, seen=None):
        """Return what a kernel reads at a place, as a dict, and its bias; only where it is seen."""
        read = {"bias": bias}
        places = [range(n) for n in self.shape[1:]]
        for at in product(*places):
            if seen is not None and not seen(at):
                continue
            each = zip(at, place, self.geometry.stride, self.geometry.padding,
                       self.geometry.dilation, kernel.shape[1:], strict=True)  # fmt: skip
            taps = [divmod(j - s * o + low, d) for j, o, s, (low, _), d, _ in each]
            inside = all(
                not rest and 0 <= tap < k
                for (tap, rest), k in zip(taps, kernel.shape[1:], strict=True)
            )
            for channel in range(len(kernel)):
                value = kernel[(channel, *(tap for tap, _ in taps))] if inside else 0
                read[(channel, *at)] = value
        return read

    def broken(self):
        """Return which of the properties 1 to 5 do not hold."""
        checks = {1: self.shows, 2: self.ends, 3: self.stride_is_least, 4: self.is_told_apart}
        checks[5] = self.reaches_as_far
        return {number for number, holds in checks.items() if not holds()}

    @property
    def live(self):
        return [c for c in range(len(self.weight)) if self.weight[c].any()]

    def shows(self):
        for c in self.live:
            shown = [_count(self.rows[c, o]) for o in np.ndindex(*self.outputs)]
            if not min(shown) or max(shown) < np.count_nonzero(self.kernel[c]):
                return False
        return bool(self.live)

    def ends(self):
        beside = {
            (*o[:axis], o[axis] + step, *o[axis + 1 :])
            for o in np.ndindex(*self.outputs)
            for axis, outputs in enumerate(self.outputs)
            for step in (-1, 1)
            if outputs > 1
        } - set(np.ndindex(*self.outputs))
        for c, place in product(self.live, sorted(beside)):
            asked = self.row(self.kernel[c], place, self.bias[c], self._seen_from(place))
            if any(_parallel(asked, row) for row in self.rows.values()):
                return False
        return True

    def _seen_from(self, place):
        """Return whether a place of the grid sees the weight that this one has for an input."""

        def seen(at):
            return all(
                any(0 <= j - s * (q - o) < n for o in range(outputs))
                for j, q, s, n, outputs in zip(
                    at, place, self.geometry.stride, self.shape[1:], self.outputs, strict=True
                )
            )

        return seen

    def stride_is_least(self):
        counts = {key: _count(row) for key, row in self.rows.items()}
        fullest = [key for key, count in counts.items() if count == max(counts.values())]
        for key, axis, sign in product(fullest, range(len(self.outputs)), (-1, 1)):
            n, stride = self.shape[1 + axis], self.geometry.stride[axis]
            for distance in range(1, stride if self.outputs[axis] > 1 else n):
                moved = {"bias": self.rows[key]["bias"]}
                for place, value in self.rows[key].items():
                    if place == "bias":
                        continue
                    to = place[1 + axis] + sign * distance
                    if 0 <= to < n:
                        moved[(*place[: 1 + axis], to, *place[2 + axis :])] = value
                if any(_parallel(moved, row) for row in self.rows.values()):
                    return False
        return True

    def is_told_apart(self):
        alike = {}
        for (c, o), row in self.rows.items():
            alike.setdefault(_direction(row), []).append((c, o))
        same = {tuple(g) for g in self.groups_of_outputs()[0]}
        for keys in alike.values():
            channels, places = tuple(sorted({c for c, _ in keys})), {o for _, o in keys}
            zero = not any(self.weight[c].any() for c in channels)
            if not zero and not (len(places) == 1 and (channels in same)):
                return False
        return True

    def reaches_as_far(self):
        for axis in range(2, self.weight.ndim):
            certain, every = (
                sorted({int(at[axis]) for at in np.argwhere(kernel != 0)})
                for kernel in (self.kernel, self.weight)
            )
            step = math.gcd(*(tap - certain[0] for tap in certain)) if certain else 1
            if not certain or any(
                not certain[0] <= tap <= certain[-1] or (step and (tap - certain[0]) % step)
                for tap in every
            ):
                return False
        return True

    def groups_of_outputs(self):
        """Return the channels that are multiples of each other, and by how much."""
        found, factors = {}, [Fraction(1)] * len(self.weight)
        for c in self.live:
            values = [*self.weight[c].ravel(), self.bias[c]]
            direction, factors[c] = _normal(values)
            found.setdefault(direction, []).append(c)
        return list(found.values()), factors


def _count(row):
    return sum(1 for key, value in row.items() if value and key != "bias")


def _direction(row):
    return _normal([row[key] for key in sorted(row, key=str)])[0]


def _parallel(asked, row):
    """Return whether a row is a positive multiple of what is asked, which must have a weight."""
    if not _count(asked):
        return False
    key = next(key for key, value in asked.items() if value and key != "bias")
    if row[key] * asked[key] <= 0:
        return False
    return all(row[k] * asked[key] == value * row[key] for k, value in asked.items())


def outcome(net, found):
    """Return how a network that was found compares with the one that it was made of."""
    of = [net.shapes[i] for i, layer in enumerate(net.layers) if isinstance(layer, Conv)]
    got = [found.shapes[i] for i, layer in enumerate(found.layers) if isinstance(layer, Conv)]
    if got[: len(of)] == of:  # a dense layer of few units may be a convolution by chance
        return "found"
    return "found with a longer head" if len(got) < len(of) else "found with other grids"


def tally(results):
    """Return the counts of ``(broken, outcome)`` as lines."""
    counts = Counter(
        (("all" if not broken else "not " + ", ".join(map(str, sorted(broken, key=str)))), what)
        for broken, what in results
    )
    return [
        f"{number:4d}  {properties:14s} {what}"
        for (properties, what), number in sorted(counts.items())
    ]
