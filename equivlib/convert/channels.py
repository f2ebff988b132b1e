"""The channels of a layer of which nobody knows where its units stand, found from their rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice, product
from typing import TypeAlias

import numpy as np

from ..convolution.axis import Index
from ..convolution.patches import Array
from ..convolution.projection import NotAConvolution
from ..layers.base import Number, Shape
from .units import PIVOTS, Mask, Rows, objects, sign

#: A place on the lattice of a channel, or in the output of a layer.
Place: TypeAlias = tuple[int, ...]

#: What messages call the sign of a number.
SIGNS = {-1: "negative", 0: "zero", 1: "positive"}

#: Strides that are tried along each axis, the smallest first.
STRIDES = 3

#: Ways to place channels whose border rows are zero that are tried.
ALIGNMENTS = 64


# --- the channels of a layer --------------------------------------------------------------------


class Nearly(NotAConvolution):
    """A refusal that can name the unit that is in the way."""


class Channel:
    """Units that have one row at different places, followed from one of them.

    The kernel is what they have shown of it: ``values`` by the distance from the first unit's
    place, ``known`` where it has been seen.
    """

    def __init__(self, layer: Rows, seed: int, stride: Place) -> None:
        self.layer, self.seed, self.stride = layer, seed, stride
        self.origin = tuple(n - 1 for n in layer.grid.shape[1:])
        canvas = (layer.grid.shape[0], *(3 * n - 2 for n in layer.grid.shape[1:]))
        self.values = np.zeros(canvas, dtype=layer.rows.dtype)
        self.known = np.zeros(canvas, dtype=bool)
        self.bias, self.size = layer.seen[seed, -1], layer.size[seed]
        self.units: dict[Place, int] = {}
        self.scales: dict[Place, Number] = {}
        self.take((0,) * len(stride), seed, 1)

    def window(self, place: Place) -> tuple[slice, ...]:
        """Return what the unit at a place sees of the kernel, for which room is made."""
        sizes = self.layer.grid.shape[1:]
        moved = [s * at for s, at in zip(self.stride, place, strict=True)]
        ends = zip(moved, self.origin, sizes, self.values.shape[1:], strict=True)
        room = [(max(0, d - o), max(0, o - d + n - size)) for d, o, n, size in ends]
        if any(low or high for low, high in room):
            self.values = np.pad(self.values, [(0, 0), *room])
            self.known = np.pad(self.known, [(0, 0), *room])
            self.origin = tuple(o + low for o, (low, _) in zip(self.origin, room, strict=True))
        each = zip(moved, self.origin, sizes, strict=True)
        return (slice(None), *(slice(o - d, o - d + n) for d, o, n in each))

    def expected(self, place: Place) -> tuple[Array, Mask]:
        """Return the row and bias that a unit at a place has, and which numbers are known."""
        row = np.zeros(self.layer.rows.shape[1], dtype=self.values.dtype)
        known = np.ones(len(row), dtype=bool)
        window = self.window(place)
        row[:-1], row[-1] = self.values[window].ravel(), self.bias
        known[:-1] = self.known[window].ravel()
        grid = self.layer.grid
        for columns in self.layer.mixed:
            row[columns] = np.sort(row[columns] * grid.gauge[columns])
            # The scale of a unit that gives zero always is not known, so its column says nothing.
            known[columns] = known[columns].all() and not grid.silent[columns[0]]
        return row, known

    def take(self, place: Place, unit: int, scale: Number) -> None:
        """Put a unit at a place, and learn what it shows of the kernel."""
        self.units[place], self.scales[place] = unit, scale
        window = self.window(place)
        row = self.layer.seen[unit, :-1].reshape(self.layer.grid.shape)
        certain = self.layer.certain[:-1].reshape(self.layer.grid.shape)
        new = certain & ~self.known[window]
        self.values[window][new] = self.layer.numbers.ratio(row[new], scale)
        self.known[window][new] = True

    def find(self, place: Place, free: Mask) -> tuple[tuple[int, ...], int, Number] | None:
        """Return a free unit that can stand at a place, and its scale, after what speaks for it.

        That is a key: smaller for a unit of which all weights are known to be right, and for one
        of which more are.
        """
        expected, known = self.expected(place)
        units, scales = self.layer.matches(expected, known, self.size, free)
        if not len(units):
            return None
        reads = self.layer.reads[units]
        new = reads[:, self.layer.certain & ~known].sum(axis=1)
        agree = reads[:, known].sum(axis=1)
        best = int(np.lexsort((new, -agree, new > 0))[0])
        key = int(new[best] > 0), -int(agree[best]), int(new[best])
        return key, int(units[best]), scales[best]

    def follow(self, free: Mask) -> None:
        """Take units place by place, always the one for which most speaks."""
        free[self.seed] = False
        queue: list[tuple[tuple[int, ...], Place]] = []
        self._look_around(next(iter(self.units)), free, queue)
        while queue:
            key, place = heappop(queue)
            found = None if place in self.units else self.find(place, free)
            if found is None:
                continue
            if found[0] > key:  # a better unit has been taken since
                heappush(queue, (found[0], place))
                continue
            self.take(place, *found[1:])
            free[found[1]] = False
            self._look_around(place, free, queue)

    def _look_around(
        self, place: Place, free: Mask, queue: list[tuple[tuple[int, ...], Place]]
    ) -> None:
        for beside in _beside(place, self.stride):
            found = None if beside in self.units else self.find(beside, free)
            if found is not None:
                heappush(queue, (found[0], beside))

    def bounds(self) -> list[tuple[int, int]]:
        """Return along each axis the first place and the first after the last."""
        return [(min(along), max(along) + 1) for along in zip(*self.units, strict=True)]

    def reach(self) -> list[Index]:
        """Return along each axis the distances at which the kernel is not zero."""
        read = ~self.layer.numbers.near(self.values, 0, self.size)
        axes = range(read.ndim)
        along = [read.any(axis=tuple(a for a in axes if a != axis)) for axis in axes[1:]]
        return [np.flatnonzero(some) - o for some, o in zip(along, self.origin, strict=True)]


def _beside(place: Place, stride: Place) -> Iterator[Place]:
    """Yield the places one step away along each axis that has several."""
    for axis in range(len(place)):
        for step in (-1, 1) if stride[axis] else ():
            yield (*place[:axis], place[axis] + step, *place[axis + 1 :])


def strides(layer: Rows) -> list[Place]:
    """Return the strides to try: the distances at which the fullest unit has others like it.

    Along an axis on which it has none there is one place, and the stride is given as 0.
    """
    seed = _fullest(layer, layer.weighted)
    spatial = layer.grid.shape[1:]
    probe, free = Channel(layer, seed, (1,) * len(spatial)), layer.weighted
    free[seed] = False
    per_axis = []
    for axis, n in enumerate(spatial):
        found = []
        for distance in range(1, n):
            places = [
                tuple(sign * distance if a == axis else 0 for a in range(len(spatial)))
                for sign in (-1, 1)
            ]
            if any(probe.find(place, free) is not None for place in places):
                found.append(distance)
        per_axis.append(found[:STRIDES] or [0])
    return list(product(*per_axis))


def _fullest(layer: Rows, free: Mask) -> int:
    """Return the free unit that reads most: no row cut off at a border reads more than it."""
    return int(np.where(free, layer.reads[:, layer.certain].sum(axis=1), -1).argmax())


def channels(layer: Rows, stride: Place) -> list[Channel]:
    """Return the channels of all units that have weights, the fullest first."""
    free, channels = layer.weighted, []
    while free.any():
        seed = _fullest(layer, free)
        if not layer.reads[seed, :-1][layer.certain[:-1]].any():
            raise NotAConvolution(f"unit {seed} reads only units that cannot be told apart")
        channel = Channel(layer, seed, stride)
        channel.follow(free)
        channels.append(channel)
    return channels


# --- the grid of a layer ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Arrangement:
    """A place for every unit of a layer, and the offsets at which its kernels read.

    Attributes
    ----------
    shape : tuple of int
        ``(channels, *spatial)``.
    order, scale : ndarray, shape ``(channels, places)``
    offsets : list of ndarray of int
        Along each axis, input element minus stride times place.
    """

    shape: Shape
    order: Index
    scale: Array
    stride: Place
    offsets: list[Index]


def arrangements(layer: Rows) -> Iterator[Arrangement]:
    """Yield ways to place the units; the layer notes why others are none."""
    if not layer.weighted.any():
        layer.refuse(NotAConvolution("no unit reads anything of which the place is known"))
        return
    for stride in strides(layer):
        try:
            yield from _arranged(layer, stride, channels(layer, stride))
        except NotAConvolution as error:
            layer.refuse(error)


def _arranged(layer: Rows, stride: Place, channels: list[Channel]) -> Iterator[Arrangement]:
    """Yield ways to place the units of these channels and those without weights."""
    extents = [[stop - start for start, stop in channel.bounds()] for channel in channels]
    outputs = tuple(max(along) for along in zip(*extents, strict=True))
    if math.prod(outputs) == 1:
        raise NotAConvolution(
            f"no unit has the weights of unit {channels[0].seed}, moved along an axis"
        )
    choices = [_bases(channel, outputs, channels) for channel in channels]
    for bases in islice(product(*choices), ALIGNMENTS):
        try:
            arrangement = _placed(layer, stride, outputs, channels, bases)
        except NotAConvolution as error:
            layer.refuse(error)
        else:
            yield arrangement


def _bases(channel: Channel, outputs: Shape, channels: list[Channel]) -> list[Place]:
    """Return which place of a channel may be the first of the grid.

    There are several if the channel's kernel lies in padding at some places, because these have no
    weights. Those with which it reads at the same offsets as the other channels come first.
    """
    bounds = list(zip(channel.bounds(), outputs, strict=True))
    options = list(product(*(range(stop - n, start + 1) for (start, stop), n in bounds)))
    if len(options) == 1:
        return options
    full = [
        c
        for c in channels
        if all(b - a == n for (a, b), n in zip(c.bounds(), outputs, strict=True))
    ]
    reached = [_offsets(c, tuple(start for start, _ in c.bounds())) for c in full]

    def beyond(base: Place) -> int:
        total = 0
        for axis, own in enumerate(_offsets(channel, base)):
            others = [offsets[axis] for offsets in reached] or [own]
            low, high = min(o[0] for o in others), max(o[-1] for o in others)
            total += max(0, low - int(own[0])) + max(0, int(own[-1]) - high)
        return total

    return sorted(options, key=beyond)


def _offsets(channel: Channel, base: Place) -> list[Index]:
    """Return the offsets at which a channel reads along each axis, if its places begin at base."""
    each = zip(channel.reach(), channel.stride, base, strict=True)
    return [reach + s * first for reach, s, first in each]


def _placed(
    layer: Rows,
    stride: Place,
    outputs: Shape,
    channels: list[Channel],
    bases: tuple[Place, ...],
) -> Arrangement:
    """Return the arrangement in which each channel's places begin at its base."""
    idle = _idle(layer)
    order, scale = [], []
    for channel, base in zip(channels, bases, strict=True):
        for at in np.ndindex(*outputs):
            place = tuple(int(a) + b for a, b in zip(at, base, strict=True))
            if place in channel.units:
                order.append(channel.units[place])
                scale.append(channel.scales[place])
            else:
                unit = _idle_unit(layer, channel, place, idle)
                order.append(unit)
                scale.append(_idle_scale(layer, unit, channel.bias))
    for its_sign, others in idle.items():
        if len(others) % math.prod(outputs):
            raise NotAConvolution(
                f"unit {others[0]} has no weights, and of {len(others)} such units with a "
                f"{SIGNS[its_sign]} bias the channels of {outputs} places leave a part"
            )
        order += others
        scale += [_idle_scale(layer, unit, its_sign) for unit in others]
    shape = (len(order) // math.prod(outputs), *outputs)
    each = [_offsets(c, base) for c, base in zip(channels, bases, strict=True)]
    offsets = [np.unique(np.concatenate(along)) for along in zip(*each, strict=True)]
    units = np.array(order).reshape(shape[0], -1)
    scales = objects(scale, (len(scale),)).astype(layer.rows.dtype).reshape(units.shape)
    return Arrangement(shape, units, scales, stride, offsets)


def _idle(layer: Rows) -> dict[int, list[int]]:
    """Return the units without weights by the sign of their bias."""
    idle: dict[int, list[int]] = {-1: [], 0: [], 1: []}
    for unit in np.flatnonzero(~layer.weighted).tolist():
        idle[sign(layer.rows[unit, -1])].append(unit)
    return idle


def _idle_scale(layer: Rows, unit: int, bias: Number) -> Number:
    """Return the factor between the bias of a unit without weights and that of its channel."""
    own = layer.rows[unit, -1]
    return layer.numbers.ratio(np.array([own]), bias)[0] if own else 1


def _idle_unit(layer: Rows, channel: Channel, place: Place, idle: dict[int, list[int]]) -> int:
    """Take a unit without weights for a place at which the channel has none, or say why not."""
    expected, known = channel.expected(place)
    blank = layer.numbers.near(np.where(known, expected, 0)[:-1], 0, channel.size).all()
    units = idle[sign(channel.bias)]
    if not blank or not units:
        raise _missing(layer, channel, place)
    return units.pop(0)


def _missing(layer: Rows, channel: Channel, place: Place) -> NotAConvolution:
    """Return which unit comes nearest to one that is missing, and what is wrong with it."""
    first = tuple(start for start, _ in channel.bounds())
    at = tuple(int(a) - b for a, b in zip(place, first, strict=True))
    told = f"the channel of unit {channel.seed} has no unit at place {at}"
    expected, known = channel.expected(place)
    others = np.setdiff1d(np.flatnonzero(layer.weighted), list(channel.units.values()))
    strong = np.where(known, abs(expected), 0)
    if not len(others) or not strong[:-1].any():
        return NotAConvolution(told)
    columns = np.flatnonzero(known)
    best: tuple[int, int, int, Number] | None = None
    for unit in others.tolist():
        # A factor that most of the weights agree on would be right if few of them are wrong.
        for pivot in np.argsort(-strong[:-1], kind="stable")[:PIVOTS].tolist():
            row = layer.seen[unit]
            if not strong[pivot] or not row[pivot]:
                continue
            scale = layer.numbers.ratio(row[[pivot]], expected[pivot])[0]
            near = layer.numbers.near(row, scale * expected, abs(scale) * channel.size)
            wrong = columns[~near[columns]]
            if scale < 0 and not len(wrong):
                return Nearly(f"{told}: unit {unit} would be it, but for a negative scale")
            if scale > 0 and len(wrong) and (best is None or len(wrong) < best[0]):
                best = len(wrong), unit, int(wrong[0]), scale
    if best is None or 2 * best[0] > int((strong > 0).sum()):
        return NotAConvolution(told)
    _, unit, column, scale = best
    value, asked = layer.seen[unit, column], scale * expected[column]
    return Nearly(
        f"{told}: unit {unit} would be it, but its {layer.name(column)} is {value}, not {asked}"
    )
