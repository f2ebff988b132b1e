"""What an output of a chain of layers depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..convolution.options import GeometryOptions
from ._cells import cell, half
from ._chain import DIFFERENT, SHARED, Layers, Level, canvas, draw_padding, levels_of, write_name
from ._style import EMPTY, INK, TEXT, Drawing, house_style

#: The number of weights of each layer and its options, by its name.
Sizes: TypeAlias = Mapping[str, tuple[int, GeometryOptions]]


def receptive_field(layers: Sizes, size: int, outputs: Sequence[int]) -> Drawing:
    """Draw what one or two outputs of a chain of layers depend on, from layer to layer.

    Parameters
    ----------
    layers : mapping of str to (number of weights, options)
        Name, number of weights and options of each layer, as in :class:`~equivlib.Geometry`; on
        one axis.
    size : int
        Numbers of the input.
    outputs : sequence of int
        One or two outputs of the last layer.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no layer, or an output does not exist.

    Examples
    --------
    >>> layers = {"conv": (3, {}), "pool": (2, {"stride": 2})}
    >>> receptive_field(layers, 8, [0, 1])  # doctest: +NORMALIZE_WHITESPACE
    Numbers in each layer: input 8, conv 6, pool 3. Output 0 sees places 0 to 3 of the input,
    output 1 sees places 2 to 5: 4 places each, 2 apart.
    """
    kernels: Layers = {
        name: (np.ones(m, dtype=int), options) for name, (m, options) in layers.items()
    }
    levels = levels_of(kernels, np.zeros(size, dtype=int))
    there = len(levels[-1].values)
    if len(outputs) not in (1, 2) or not all(0 <= i < there for i in outputs):
        raise ValueError(f"outputs (={list(outputs)}) must be one or two from 0 to {there - 1}")
    last = levels[-1]
    seen = [last.field(i) for i in outputs]
    with house_style():
        figure = _field_figure(levels, outputs)
    sizes = ", ".join(f"{level.name} {len(level.values)}" for level in levels)
    told = ", ".join(
        f"output {i} sees places {first} to {end}" + " of the input" * (not place)
        for place, (i, (first, end)) in enumerate(zip(outputs, seen, strict=True))
    )
    apart = f" each, {last.step * abs(outputs[-1] - outputs[0])} apart" if len(outputs) == 2 else ""
    alt = f"Numbers in each layer: {sizes}. {told[0].upper()}{told[1:]}: {last.span} places{apart}."
    return Drawing(figure, alt)


def _field_figure(levels: Sequence[Level], outputs: Sequence[int]) -> Figure:
    gap, line = 2.0, 0.34  # cells from row to row; inches for what an output sees
    deep = gap * (len(levels) - 1) + 1
    figure, (axes,), side = canvas(levels, deep, extra=line * len(outputs))
    sets = _dependencies(levels, outputs)
    for place, (level, depends) in enumerate(zip(levels, sets, strict=True)):
        y = gap * (len(levels) - 1 - place)
        write_name(axes, level, y, side)
        draw_padding(axes, level, y, "")
        for i in range(len(level.values)):
            by = [number for number, some in enumerate(depends) if i in some]
            colours = [(SHARED, DIFFERENT)[number] for number in by] or [EMPTY]
            cell(axes, (y, level.left(i)), "", colours[0], TEXT)
            if len(colours) == 2:
                half(axes, (y, level.left(i)), colours[1])
        if place + 1 < len(levels):
            _lines(axes, levels, place, sets, y, gap)
    for number, i in enumerate(outputs):
        first, end = levels[-1].field(i)
        top = deep + (line * number + 0.06) / side
        y = top + 0.08 / side
        axes.plot([first, first, end + 1, end + 1], [top, y, y, top], color=INK, linewidth=1.2,
                  linestyle=("-", (0, (4, 1.5)))[number], clip_on=False)  # fmt: skip
        axes.text((first + end + 1) / 2, y + 0.03 / side, f"output {i}: places {first} to {end}",
                  ha="center", va="top")  # fmt: skip
    return figure


def _dependencies(levels: Sequence[Level], outputs: Sequence[int]) -> list[list[set[int]]]:
    """Return for each level and output the numbers, padding included, that it depends on."""
    sets = [[{i} for i in outputs]]
    for level in reversed(levels[:-1]):
        taps, dilation, stride, low, _ = level.read
        offsets = [dilation * a - low for a in range(taps)]
        sets.insert(0, [{stride * i + o for i in some for o in offsets} for some in sets[0]])
    return sets


def _lines(
    axes: Axes,
    levels: Sequence[Level],
    place: int,
    sets: list[list[set[int]]],
    y: float,
    gap: float,
) -> None:
    """Draw from the ends of what an output depends on in one row to those in the row above."""
    here, above = levels[place], levels[place + 1]
    for number, (low, high) in enumerate(zip(sets[place], sets[place + 1], strict=True)):
        style = ("-", (0, (4, 1.5)))[number]
        for end, side in ((min, 0), (max, 1)):
            xs = [here.left(end(low)) + side, above.left(end(high)) + side]
            axes.plot(xs, [y, y - gap + 1], color=INK, linewidth=0.9, linestyle=style)
