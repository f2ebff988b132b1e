"""One spatial axis: the only place where options become indices.

A convolution reads the same way along every axis, so its whole pattern is the product of one small
table per axis. Patches, matrix, proofs and pictures all read these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Index: TypeAlias = NDArray[np.intp]

#: Marks a place that shows zero padding: it is read as 0 and stored nowhere.
PADDING = -1


class Run(NamedTuple):
    """Neighbouring output positions that read alike, each ``stride`` elements after the last."""

    start: int
    stop: int
    #: Input elements read at ``start``: different ones, ascending.
    elements: Index
    #: The taps that read them, those of one element next to each other.
    taps: Index
    #: Where the taps of each element begin.
    begins: Index

    @property
    def stored(self) -> int:
        """Pairs of an output and an input that it reads."""
        return (self.stop - self.start) * len(self.elements)


@dataclass(frozen=True)
class Axis:
    """Along one axis, output ``o`` and tap ``a`` read place ``s*o + d*a - low`` of the input."""

    size: int
    taps: int
    stride: int
    dilation: int
    low: int
    high: int
    mode: str
    flip: bool

    @property
    def extent(self) -> int:
        """Places from the first tap to the last."""
        return self.dilation * (self.taps - 1) + 1

    @property
    def outputs(self) -> int:
        """Number of output positions."""
        return (self.size + self.low + self.high - self.extent) // self.stride + 1

    def element(self, place: Index) -> Index:
        """Return the input element shown at any place, before, in or after the input.

        This is the whole meaning of a padding mode; a new mode is one more line here.
        """
        n = self.size
        if self.mode == "zeros":
            return np.where((place >= 0) & (place < n), place, PADDING)
        if self.mode == "circular":
            return place % n
        if self.mode == "replicate":
            return place.clip(0, n - 1)
        if self.mode == "symmetric":
            return np.minimum(place % (2 * n), (-1 - place) % (2 * n))
        period = max(2 * (n - 1), 1)  # reflect; a single element is its own mirror image
        return np.minimum(place % period, -place % period)

    def padded(self) -> Index:
        """Return the elements shown at the places ``-low`` to ``size + high - 1``, with padding."""
        return self.element(np.arange(-self.low, self.size + self.high))

    def offsets(self) -> list[int]:
        """Return the place of each tap relative to the first place that is read."""
        offsets = [self.dilation * a for a in range(self.taps)]
        return offsets[::-1] if self.flip else offsets

    def tap_slices(self) -> list[slice]:
        """Return for each tap the places of the padded axis that the outputs read."""
        span = self.stride * (self.outputs - 1) + 1
        return [slice(offset, offset + span, self.stride) for offset in self.offsets()]

    def reads(self, start: int = 0, stop: int | None = None) -> Index:
        """Return the input element for each (output position, tap), or ``PADDING``."""
        outputs = np.arange(start, self.outputs if stop is None else stop)
        return self.element(self.stride * outputs[:, None] + np.array(self.offsets()) - self.low)

    def counts(self) -> Index:
        """Return how many different input elements each output position reads."""
        lengths = [run.stop - run.start for run in self.runs]
        return np.repeat([len(run.elements) for run in self.runs], lengths)

    @property
    def inside(self) -> range:
        """The output positions whose taps all read the input itself, no padding."""
        first = -(-self.low // self.stride)
        last = (self.low + self.size - self.extent) // self.stride
        return range(first, min(last + 1, self.outputs))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The output positions as runs: however long the axis, one inside and a few at the borders.

        This is what makes building the matrix a matter of copying.
        """
        inside = self.inside
        if not inside:
            return tuple(self._run(o, o + 1) for o in range(self.outputs))
        before, after = range(inside.start), range(inside.stop, self.outputs)
        return (
            *(self._run(o, o + 1) for o in before),
            self._run(inside.start, inside.stop),
            *(self._run(o, o + 1) for o in after),
        )

    def _run(self, start: int, stop: int) -> Run:
        read = self.reads(start, start + 1)[0]
        taps = np.argsort(read, kind="stable")
        taps = taps[read[taps] != PADDING]
        met = read[taps]
        new = np.ones(len(met), dtype=bool)
        new[1:] = met[1:] != met[:-1]
        return Run(start, stop, met[new], taps, np.flatnonzero(new))

    def runs_within(self, start: int, stop: int) -> list[Run]:
        """Return the runs of the output positions ``start`` to ``stop`` alone."""
        cut = []
        for run in self.runs:
            begin, end = max(run.start, start), min(run.stop, stop)
            if begin < end:
                moved = run.elements + self.stride * (begin - run.start)
                cut.append(run._replace(start=begin, stop=end, elements=moved))
        return cut
