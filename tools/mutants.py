"""Change the guarding cells one small step at a time, and see that a cell fails.

A guarding cell has a link target, so a theorem or a formula names it as its check. Operators,
comparisons, constants and indices are changed; sizes, seeds, data, printing and plotting are not.
A mutant that no cell of the notebook notices survives, unless tests/book/equivalent lists it with
the reason why it says the same.
"""

from __future__ import annotations

import argparse
import ast
import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import replay
import yaml

EQUIVALENT = replay.ROOT / "tests" / "book" / "equivalent"
SECONDS = 30.0

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}

#: What a symbol is assumed to be, and what it is assumed to be instead: an assumption that no
#: assertion needs is a hypothesis that nothing guards.
WEAKER = {"positive": "nonnegative", "negative": "nonpositive", "nonzero": "real"}
ASSUMPTIONS = {*WEAKER, *WEAKER.values(), "integer", "complex", "even", "odd"}

#: Calls whose constants are sizes, seeds, data, printing or plotting.
LEFT_OUT = {
    "print", "default_rng", "integers", "standard_normal", "normal", "uniform", "choice",
    "permutation", "random", "symbol_array", "symbols", "Symbol", "Function", "IndexedBase",
    "axis_symbols", "explore", "explore_network", "suptitle", "set_title", "savefig", "display",
}  # fmt: skip
#: Calls that make an array, or count: arguments of numbers alone are sizes.
SIZES = {
    "range",
    "ndindex",
    "arange",
    "linspace",
    "zeros",
    "ones",
    "eye",
    "empty",
    "full",
    "product",
}
#: Keywords whose literal values are the sizes and options of a case.
OPTIONS = {
    "stride", "padding", "dilation", "groups", "size", "shape", "seed", "rng", "max_bytes",
    "steps", "epochs", "batch_size", "rate", "width", "label", "title", "alpha", "strict",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the line it is in, the piece before and after, and the changed cell."""

    line: str
    change: str
    source: str = field(repr=False)


def mutants(source: str) -> list[Mutant]:
    """Return every mutant of a cell, in the order of its lines."""
    tree = ast.parse(source)
    lines = source.splitlines()
    found = []
    for node, changed in _changes(tree):
        old, new = ast.unparse(node), ast.unparse(changed)
        text = _replaced(source, node, f"({new})" if isinstance(node, ast.expr) else new)
        found.append(Mutant(lines[node.lineno - 1].strip(), f"{old} -> {new}", text))
    return found


def _replaced(source: str, node: Any, new: str) -> str:
    """Return the source with one expression written anew; columns are counted in bytes."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = b"".join(lines)
    return (whole[:start] + new.encode() + whole[end:]).decode()


def _changes(tree: ast.Module) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of an expression and what it becomes."""
    shown = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    for statement in tree.body:
        if statement is not shown:
            yield from _walk(statement, claimed=False)


def _walk(node: ast.AST, *, claimed: bool) -> Iterator[tuple[Any, Any]]:
    """Yield the changes below a node; inside an assertion (``claimed``) literals are the claim."""
    if isinstance(node, ast.Call):
        yield from _fewer_assumptions(node)
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and _left_out(node)):
        return
    if isinstance(node, ast.Assert):
        yield from _walk_claim(node.test)
        return
    if not claimed and _is_data(node):
        return
    if not (claimed and _only_loosens(node)):
        yield from node_changes(node)
    for child in _children(node):
        yield from _walk(child, claimed=claimed)


def _fewer_assumptions(call: ast.Call) -> Iterator[tuple[Any, Any]]:
    """Yield a symbol without one of its assumptions, or with a weaker one."""
    for place, keyword in enumerate(call.keywords):
        if keyword.arg in ASSUMPTIONS and getattr(keyword.value, "value", None) is True:
            changed = copy.deepcopy(call)
            del changed.keywords[place]
            yield call, changed
            if keyword.arg in WEAKER:
                changed = copy.deepcopy(call)
                changed.keywords[place].arg = WEAKER[keyword.arg]
                yield call, changed


def _only_loosens(node: ast.AST) -> bool:
    """Recognise "all are equal" asked of any: still true, and nothing else is claimed."""
    if not isinstance(node, ast.Call):
        return False
    of = node.func.value if isinstance(node.func, ast.Attribute) else None
    size = isinstance(of, ast.Call) and _name(of) in {"abs", "absolute"}
    return _name(node) == "all" or (_name(node) == "max" and size)


def _walk_claim(test: ast.expr) -> Iterator[tuple[Any, Any]]:
    """Yield the changes of what is asserted; turning the whole of it round would prove nothing."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq | ast.NotEq | ast.In):
        for child in ast.iter_child_nodes(test):
            yield from _walk(child, claimed=True)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _walk_claim(test.operand)
    else:
        yield from _walk(test, claimed=True)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that may be changed."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword) and child.arg in OPTIONS and _literal(child.value):
            continue
        if isinstance(node, ast.For | ast.comprehension) and child is node.iter and _literal(child):
            continue
        if isinstance(node, ast.Call) and _name(node) in SIZES and _literal(child):
            continue
        if isinstance(node, ast.Dict) and child in node.values:
            key = node.keys[node.values.index(child)]
            if isinstance(key, ast.Constant) and key.value in OPTIONS and _literal(child):
                continue
        if isinstance(node, ast.FunctionDef | ast.Lambda) and isinstance(child, ast.arguments):
            continue
        if isinstance(
            child, ast.expr_context | ast.operator | ast.cmpop | ast.boolop | ast.unaryop
        ):
            continue
        yield child


def _is_data(node: ast.AST) -> bool:
    """Tell sizes and data outside an assertion: n, m = 7, 3 or a list of numbers."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is not None and _literal(node.value)
    return isinstance(node, ast.List | ast.Tuple) and bool(node.elts) and _literal(node)


def _left_out(call: ast.Call) -> bool:
    function = call.func
    drawn = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return _name(call) in LEFT_OUT or (drawn and function.value.id in {"draw", "plt", "ax", "axes"})


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literal(node: ast.AST) -> bool:
    """Return whether it is made of numbers and strings alone."""
    if isinstance(node, ast.UnaryOp):
        return _literal(node.operand)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(_literal, node.elts))
    if isinstance(node, ast.Dict):
        return all(map(_literal, node.values))
    if isinstance(node, ast.Call) and _name(node) in {"Fraction", "Rational"}:
        return all(map(_literal, node.args))
    return isinstance(node, ast.Constant)


def _measured(node: ast.Compare) -> bool:
    """Return a measured number against a decimal: to be exactly equal makes no difference."""
    return any(isinstance(n, ast.Constant) and isinstance(n.value, float) for n in ast.walk(node))


def node_changes(node: ast.AST) -> Iterator[tuple[Any, Any]]:
    """Yield the changes of one node itself."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not _text(node):
        yield node, _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node, node.operand
    elif isinstance(node, ast.BoolOp):
        yield node, _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            ordered = isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
            if type(operator) in COMPARISONS and not (ordered and _measured(node)):
                changed = copy.deepcopy(node)
                changed.ops[place] = COMPARISONS[type(operator)]()
                yield node, changed
    elif isinstance(node, ast.Constant):
        yield from ((node, ast.Constant(value)) for value in _other_values(node.value))
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        index = ast.BinOp(node.slice, ast.Sub(), ast.Constant(1))
        yield node, _with(node, slice=index)
    elif isinstance(node, ast.Call) and _name(node) in SWAPPED:
        other = SWAPPED[_name(node)]
        function = node.func
        renamed: ast.expr = (
            ast.Attribute(function.value, other, ast.Load())
            if isinstance(function, ast.Attribute)
            else ast.Name(other, ast.Load())
        )
        yield node, _with(node, func=renamed)


def _other_values(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1] if value == 0 else [value + 1, value - 1]
    return []


def _text(node: ast.BinOp) -> bool:
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def _with(node: Any, **parts: Any) -> Any:
    changed = copy.deepcopy(node)
    for name, part in parts.items():
        setattr(changed, name, part)
    return changed


def load(stem: str) -> dict[str, list[dict[str, str]]]:
    """Return the mutants of a chapter that say the same, by cell: line, change, and why."""
    path = EQUIVALENT / f"{stem}.yml"
    if not path.is_file():
        return {}
    listed = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for target, entries in listed.items():
        for entry in entries:
            if set(entry) != {"line", "change", "why"} or not str(entry["why"]).strip():
                raise ValueError(
                    f"{path.name}, {target}: entry (={entry}) must have line, change, why"
                )
    return listed


@dataclass
class Report:
    """What became of the mutants of a chapter."""

    mutants: int = 0
    equivalent: int = 0
    survivors: list[tuple[str, Mutant]] = field(default_factory=list)
    unused: list[str] = field(
        default_factory=list
    )  # listed as equivalent, but no such mutant lives

    @property
    def share(self) -> float:
        """Survivors among the mutants that are not equivalent."""
        return len(self.survivors) / max(self.mutants - self.equivalent, 1)


def study(stem: str, only: str | None = None, at_once: int | None = None) -> Report:
    """Run every mutant of the guarding cells of a chapter."""
    path = replay.notebook(stem)
    cells = replay.cells(path)
    listed = {
        (target, entry["line"], entry["change"])
        for target, entries in load(stem).items()
        for entry in entries
    }
    report, used, state = Report(), set(), replay.Replay(path)
    for position, cell in enumerate(cells):
        if cell.targets and (only is None or only in cell.targets):
            made = mutants(cell.source)
            runs = [state.changed(mutant.source, cells[position:]) for mutant in made]
            outcomes = replay.in_copies(runs, seconds=SECONDS, at_once=at_once)
            report.mutants += len(made)
            for mutant, failure in zip(made, outcomes, strict=True):
                keys = {(target, mutant.line, mutant.change) for target in cell.targets} & listed
                if failure is None and keys:
                    report.equivalent += 1
                    used |= keys
                elif failure is None:
                    report.survivors.append((cell.targets[0], mutant))
        if failure := state.run(cell):
            raise RuntimeError(f"nothing is changed, and {failure}")
    if only is None:
        report.unused = sorted(map(str, listed - used))
    return report


def _print(report: Report) -> None:
    """Print the survivors as the entries that would list them as equivalent."""
    last = None
    for target, mutant in report.survivors:
        if target != last:
            print(f"{target}:")
            last = target
        entry = {"line": mutant.line, "change": mutant.change, "why": ""}
        text = yaml.safe_dump([entry], allow_unicode=True, sort_keys=False, width=1000)
        print(text, end="")
    for entry in report.unused:
        print(f"# listed as equivalent, but there is no such mutant that survives: {entry}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stems", nargs="*", help="such as 02_one_dimension; default: all chapters")
    parser.add_argument("--only", help="one cell (cell-thm-entry)")
    parser.add_argument("--most", type=float, default=0.02, help="share that may survive")
    arguments = parser.parse_args()
    total = Report()
    for stem in arguments.stems or replay.stems():
        report = study(Path(stem).stem, arguments.only)
        _print(report)
        print(
            f"# {stem}: {report.mutants} mutants, {report.equivalent} equivalent, "
            f"{len(report.survivors)} survive ({report.share:.1%})",
            flush=True,
        )
        total.mutants += report.mutants
        total.equivalent += report.equivalent
        total.survivors += report.survivors
        total.unused += report.unused
    print(f"# in all {total.mutants} mutants, {len(total.survivors)} survive ({total.share:.1%})")
    return 1 if total.share > arguments.most or total.unused else 0


if __name__ == "__main__":
    sys.exit(main())
