"""Results in rows and columns: aligned text in a terminal, a table in a notebook or on a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from .labels import check_text

__all__ = ["Table"]

SIDES = {"l": "left", "r": "right"}


class Table:
    """Rows under headings.

    In a notebook it is shown as an HTML table, whose rows a screen reader announces by their first
    column; its text, ``str(table)``, has the same cells in aligned columns.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of sequences
        The cells of each row. A whole number is written with commas, anything else as ``str``
        writes it, so that the caller decides on the digits of other numbers.
    align : str, optional
        A letter for each column, ``l`` for left or ``r`` for right. By default the first column is
        aligned left, the others right.
    caption : str, optional
        What the table shows, above it.

    Raises
    ------
    ValueError
        If a row does not have as many cells as there are headings, or ``align`` as many letters, or
        if a text has characters that no page can hold.

    Examples
    --------
    >>> from equivlib.tables import Table
    >>> Table(["layer", "parameters"], [("convolution", 150), ("matrix", 4816896)])
    layer        parameters
    convolution         150
    matrix        4,816,896
    """

    def __init__(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        align: str | None = None,
        caption: str = "",
    ) -> None:
        self.headings = tuple(headings)
        self.rows = tuple(tuple(map(_text, row)) for row in rows)
        self.align = "l" + "r" * (len(self.headings) - 1) if align is None else align
        self.caption = caption
        columns = len(self.headings)
        if len(self.align) != columns or set(self.align) - set(SIDES):
            raise ValueError(
                f"align (={align!r}) must have one of 'l', 'r' for each of {columns} columns"
            )
        check_text("caption", self.caption)
        check_text("headings", *self.headings)
        for place, row in enumerate(self.rows):
            if len(row) != columns:
                raise ValueError(f"row {place} (={row}) must have {columns} cells")
            check_text(f"row {place}", *row)

    def __str__(self) -> str:
        lines = (self.headings, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "  ".join(
                cell.rjust(width) if side == "r" else cell.ljust(width)
                for cell, width, side in zip(line, widths, self.align, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.caption, *aligned] if self.caption else aligned)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        # An empty corner is no heading, so a screen reader has nothing to announce there.
        head = self._line(self.headings, ["th scope='col'" if h else "td" for h in self.headings])
        kinds = ["th scope='row'", *["td"] * (len(self.headings) - 1)]
        body = "".join(self._line(row, kinds) for row in self.rows)
        return f"<table class='results'>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def _line(self, cells: Sequence[str], kinds: Sequence[str]) -> str:
        """Return one row; it says the side of each column, for pages without a style sheet."""
        made = (
            f"<{kind} style='text-align: {SIDES[side]}'>{escape(cell)}</{kind.split()[0]}>"
            for cell, kind, side in zip(cells, kinds, self.align, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"


def _text(cell: object) -> str:
    whole = isinstance(cell, int) and not isinstance(cell, bool)
    return f"{cell:,}" if whole else str(cell)
