"""Grey images side by side."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ._style import WIDTH, Drawing, check_across, figure_of, house_style, size_in_words


def images(planes: Mapping[str, ArrayLike], *, across: int = 2, of: str = "images") -> Drawing:
    """Draw grey images side by side, each stretched from its least to its greatest value.

    Parameters
    ----------
    planes : mapping of str to array_like, shape ``(height, width)``
        Title and values of each image.
    across : int, default 2
        Images in a row of the figure.
    of : str
        What they are images of, for the alt text.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no plane, one has not two axes, or ``across`` is not a positive integer.

    Examples
    --------
    >>> images({"flat": [[1, 1]], "step": [[0, 1], [0, 1]]})
    Grey images side by side: flat (1 × 2 pixels), step (2 × 2 pixels).
    """
    arrays = {name: as_array(name, plane) for name, plane in planes.items()}
    if not arrays or any(plane.ndim != 2 for plane in arrays.values()):
        shapes = {name: plane.shape for name, plane in arrays.items()}
        raise ValueError(f"planes (of shapes {shapes}) must be one or more two-dimensional arrays")
    check_across(across)
    with house_style():
        figure = _images_figure(arrays, across)
    told = ", ".join(f"{name} ({size_in_words(plane)} pixels)" for name, plane in arrays.items())
    return Drawing(figure, f"Grey {of} side by side: {told}.")


def _images_figure(arrays: Mapping[str, Array], across: int) -> Figure:
    lines = -(-len(arrays) // across)
    side = (WIDTH - 0.1 * (across + 1)) / across
    tallest = max(plane.shape[0] / plane.shape[1] for plane in arrays.values())
    figure = figure_of(lines * (side * tallest + 0.36) + 0.1)
    total = figure.get_figheight()
    for place, (name, plane) in enumerate(arrays.items()):
        line, column = divmod(place, across)
        left = 0.1 + column * (side + 0.1)
        bottom = total - (line + 1) * (side * tallest + 0.36)
        drawn = figure.add_axes(
            (left / WIDTH, bottom / total, side / WIDTH, side * tallest / total)
        )
        drawn.imshow(plane, cmap="gray", interpolation="nearest")
        drawn.set_xticks([])
        drawn.set_yticks([])
        drawn.set_title(name)
    return figure
