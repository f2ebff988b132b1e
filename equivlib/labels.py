"""How weights, inputs and outputs are called, written and coloured, the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def labels(name: str, shape: Sequence[int]) -> list[str]:
    """Name each element of an array: ``name`` with its index along every axis longer than 1.

    Parameters
    ----------
    name : str
    shape : tuple of int

    Returns
    -------
    list of str
        In row-major order.

    Examples
    --------
    A kernel of 2 × 2 for one channel in and out::

        k00 k01
        k10 k11

    >>> labels("k", (1, 1, 2, 2))
    ['k00', 'k01', 'k10', 'k11']
    """
    comma = "," if any(n > 10 for n in shape) else ""
    named = []
    for index in np.ndindex(*shape):
        told = [str(i) for i, n in zip(index, shape, strict=True) if n > 1]
        named.append(name + comma.join(told))
    return named


def written(value: object) -> str:
    """Return a number as figures show it: three digits of a float, anything exact in full."""
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value:.3g}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    # Not 1e+03: up to a million the digits are more familiar than the power.
    return f"{value:.0f}" if 999.5 <= abs(float(value)) < 1e6 else f"{value:.3g}"


def check_text(name: str, *texts: str) -> None:
    r"""Refuse text that no page can hold: control characters and lone halves of characters.

    Parameters
    ----------
    name : str
        The argument that it comes from, for the message.
    *texts : str

    Raises
    ------
    ValueError
        If a text has such a character; a line break and a tab are none.

    Examples
    --------
    >>> check_text("title", "a < b", "x²")
    >>> check_text("title", "a\x00")
    Traceback (most recent call last):
    ValueError: title (with 'a\x00') must be text that a page can hold, and has '\x00'
    """
    for text in texts:
        found = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", text)
        if found:
            raise ValueError(
                f"{name} (with {text[:40]!r}) must be text that a page can hold, and has "
                f"{found[0]!r}"
            )


#: One colour for each weight, in turn. Paul Tol's "light" scheme (Technical Note
#: SRON/EPS/TN/09-002): made to fill labelled cells, told apart with every kind of colour vision.
TAP_COLOURS = (
    "#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BBCC33", "#AAAA00",
    "#DDDDDD",
)  # fmt: skip
