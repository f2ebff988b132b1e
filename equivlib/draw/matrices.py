"""The matrices of one kernel under several options, drawn in labelled cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions
from ._cells import grid
from ._entries import matrix_cells, require_one_channel, rows_in_words, text_size, weight_labels
from ._style import WIDTH, Drawing, check_across, figure_of, house_style


def matrices(
    cases: Mapping[str, GeometryOptions],
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    names: str = "k",
    across: int = 2,
) -> Drawing:
    """Draw the matrices of one kernel under several options, side by side, equal weights alike.

    Parameters
    ----------
    cases : mapping of str to mapping
        Title and geometry options of each matrix.
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    names : str
        Letter of the weights.
    across : int, default 2
        Matrices in a row of the figure.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no case, more than one channel, or more than two spatial axes.

    See Also
    --------
    structure : one matrix of any number of channels, axes and rows.

    Examples
    --------
    >>> cases = {"valid": {}, "stride 2": {"stride": 2}}
    >>> matrices(cases, (1, 1, 2), (1, 4))  # doctest: +NORMALIZE_WHITESPACE
    Matrices of the same kernel, row by row, a dot for an empty entry:
    valid: k0 k1 . . | . k0 k1 . | . . k0 k1; stride 2: k0 k1 . . | . . k0 k1.
    """
    if not cases:
        raise ValueError("cases (={}) must hold at least one title with its options")
    check_across(across)
    geometries = {
        title: Geometry(tuple(weight_shape), tuple(input_shape), **options)
        for title, options in cases.items()
    }
    for geometry in geometries.values():
        require_one_channel(geometry)
    labels = weight_labels(geometry, names)
    with house_style():
        figure = _matrices_figure(geometries, labels, across)
    told = (f"{name}: {rows_in_words(g, labels)}" for name, g in geometries.items())
    alt = f"Matrices of the same kernel, row by row, a dot for an empty entry: {'; '.join(told)}."
    return Drawing(figure, alt)


def _matrices_figure(geometries: Mapping[str, Geometry], labels: list[str], across: int) -> Figure:
    columns = max(g.matrix_shape[1] for g in geometries.values())
    each = list(geometries.items())
    lines = [each[i : i + across] for i in range(0, len(each), across)]
    unit = WIDTH / (across * (columns + 0.9) + 0.3)
    heights = [max(g.matrix_shape[0] for _, g in line) for line in lines]
    figure = figure_of(sum(h * unit + 0.42 for h in heights) + 0.1)
    total, top = figure.get_figheight(), 0.0
    for line, height in zip(lines, heights, strict=True):
        top += 0.34
        for place, (name, geometry) in enumerate(line):
            shape = geometry.matrix_shape
            left = (0.6 + place * (columns + 0.9)) * unit
            box = (left / WIDTH, 1 - (top + shape[0] * unit) / total)
            drawn = figure.add_axes((*box, shape[1] * unit / WIDTH, shape[0] * unit / total))
            grid(drawn, shape).set_title(name)
            matrix_cells(drawn, geometry, labels, text_size(unit, 8.5))
        top += height * unit + 0.08
    return figure
