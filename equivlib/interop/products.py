"""Products of a value and constants as both frameworks write them: matmul and einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from ..convert import UnsupportedLayer
from ..convolution.patches import Array
from .graph import Builder, Operand, Value


def matmul(b: Builder, x: Operand, y: Operand) -> Value:
    """Multiply as numpy's matmul does, where one of the two is constant."""
    if isinstance(x, Value) and isinstance(y, Value):
        raise UnsupportedLayer("a product of two activations is not piecewise linear")
    if isinstance(x, Value):
        return _multiplied(b, x, np.asarray(y), first=True)
    if isinstance(y, Value):
        return _multiplied(b, y, np.asarray(x), first=False)
    raise UnsupportedLayer("it must read a value that depends on the input")


def _multiplied(b: Builder, x: Value, constants: Array, *, first: bool) -> Value:
    """Name the axes of a product; a vector is a row if it is first, else a column."""
    if not constants.size:
        raise ValueError(f"constants of shape {constants.shape} have no elements")
    if x.batched and len(x.shape) < (1 if first else 2):
        if b.batch != 1:
            raise UnsupportedLayer("it sums over the batch axis")
        x = b.opened(x)
    if first and constants.ndim == 2 and x.shape:
        return b.dense(x, constants.T)
    ours = ascii_lowercase[: len(x.shape)]
    lead, kept, summed = ours[:-2], ours[:-1] if first else ours[-1:], ours[-1:]
    if len(ours) == 1 and not x.batched:
        kept = ""
    elif not first:
        summed = ours[-2]
    if not constants.ndim or not ours:
        raise ValueError("a product of matrices needs an axis of both operands")
    x, constants, names = _matched(b, x, constants, lead)
    if constants.ndim == len(names) + 1:
        return b.contract(x, ours, constants, names + summed, kept if first else lead + kept)
    if first:
        return b.contract(x, ours, constants, f"{names}{summed}N", f"{kept}N")
    return b.contract(x, ours, constants, f"{names}M{summed}", f"{lead}M{kept}")


def _matched(b: Builder, x: Value, constants: Array, lead: str) -> tuple[Value, Array, str]:
    """Match the axes of constants before their matrix with the first ones of a value, by name."""
    many = constants.shape[:-2]
    while len(many) > len(lead) and many[0] == 1:
        constants, many = constants[0], many[1:]
    if len(many) > len(lead):
        raise UnsupportedLayer(f"constants of shape {constants.shape} widen a value of {x.shape}")
    lead = lead[len(lead) - len(many) :]
    first = len(x.shape[:-2]) - len(many)
    wide = np.broadcast_shapes(x.shape[first : first + len(many)], many)
    x = b.expand(x, (*x.shape[:first], *wide, *x.shape[first + len(many) :]))
    names = "".join(name for name, n, size in zip(lead, many, wide, strict=True) if n == size)
    alone = tuple(0 if n != size else slice(None) for n, size in zip(many, wide, strict=True))
    return x, constants[alone], names


def summed(b: Builder, equation: str, operands: Sequence[Operand]) -> Value:
    """Read an einsum of a value and at most one array of constants."""
    ranks = [x.rank if isinstance(x, Value) else np.ndim(x) for x in operands]
    equation = _spelt(equation.replace(" ", ""), ranks)
    terms, arrow, result = equation.partition("->")
    named = terms.split(",")
    values = [x for x in operands if isinstance(x, Value)]
    if len(named) != len(operands) or "." in equation or len(operands) > 2:
        raise UnsupportedLayer(f"the equation {equation!r} must name the axes of two operands")
    if len(values) != 1:
        raise UnsupportedLayer("a product of two activations is not piecewise linear")
    if not arrow:
        result = "".join(sorted(n for n in set(terms) if terms.count(n) == 1 and n.isalpha()))
    place = 0 if isinstance(operands[0], Value) else 1
    x, letters = values[0], named[place]
    others = named[1 - place] if len(named) == 2 else ""
    constants = np.asarray(operands[1 - place] if len(named) == 2 else 1.0)
    if x.batched and b.batch == 1:
        x = b.opened(x)
    if x.batched:
        first = letters[:1]
        if first in letters[1:] or first in others or result[:1] != first:
            raise UnsupportedLayer(
                f"the equation {equation!r} must leave the batch axis first and alone"
            )
        letters, result = letters[1:], result[1:]
    return b.contract(x, letters, constants.astype(b.dtype), others, result)


#: Letters for the axes that dots stand for.
DOTS = "STUVWXYZ"


def _spelt(equation: str, ranks: Sequence[int]) -> str:
    """Return an equation with letters in place of dots, which mean the last of those axes."""
    terms, arrow, result = equation.partition("->")
    named = terms.split(",")
    if "..." not in terms or set(DOTS) & set(equation) or len(named) != len(ranks):
        return equation
    counts = [rank - len(term) + 3 for term, rank in zip(named, ranks, strict=True)]
    dotted = [count for term, count in zip(named, counts, strict=True) if "..." in term]
    if min(dotted) < 0 or max(dotted) > len(DOTS):
        return equation
    most = DOTS[len(DOTS) - max(dotted) :]
    if not arrow:
        alone = sorted(n for n in set(terms) if terms.count(n) == 1 and n.isalpha())
        result = "..." + "".join(alone)
    spelt = [
        term.replace("...", DOTS[len(DOTS) - count :] if count else "")
        for term, count in zip(named, counts, strict=True)
    ]
    return f"{','.join(spelt)}->{result.replace('...', most)}"
