"""List the packages whose version here is not that of the lock, as rows of a table."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.txt"


def locked(text: str) -> dict[str, str]:
    """Return the versions of a lock by the packages' normal names.

    Examples
    --------
    >>> locked("Some_Package==1.2 ; python_version > '3'")
    {'some-package': '1.2'}
    """
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.M)
    return {normal(name): version for name, version in pins}


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def rows(lock: dict[str, str], here: dict[str, str]) -> list[str]:
    """Return a row for each package that is here and differs.

    Examples
    --------
    >>> rows({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "3", "d": "4"})
    ['| b | 2 | 3 |', '| d | not locked | 4 |']
    """
    names = sorted(name for name in here if lock.get(name) != here[name])
    return [f"| {name} | {lock.get(name, 'not locked')} | {here[name]} |" for name in names]


def main() -> None:
    """Print the rows for the interpreter that runs this."""
    here = {normal(d.metadata["Name"]): d.version for d in distributions()}
    print("\n".join(rows(locked(LOCK.read_text(encoding="utf-8")), here)))


if __name__ == "__main__":
    main()
