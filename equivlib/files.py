"""Files that are replaced in one step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replaced"]


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a place to write in the same folder; move it to ``path`` if all goes well.

    So half a file is never seen, and after an error the old one is still whole.

    Parameters
    ----------
    path : path
        Replaced if it exists. The folder must be there.

    Raises
    ------
    ValueError
        If ``path`` is a folder, or is in a folder that does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replaced(Path(folder) / "numbers.txt") as new:
    ...         _ = new.write_text("1 2 3")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['numbers.txt']
    """
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{target} is a folder, and must be a file")
    if not target.parent.is_dir():
        raise ValueError(f"{target} cannot be written: the folder {target.parent} does not exist")
    written = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield written
        with written.open("rb+") as file:
            os.fsync(file.fileno())
        written.replace(target)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
