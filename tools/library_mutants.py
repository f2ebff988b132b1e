"""Change the library one small step at a time, and see that one of its tests fails.

The tests are collected once, in one process, which is forked for each mutant: the copy gives the
changed function its new code and runs the tests that execute the changed line, quick killers
first, until one fails. What runs when the package is imported (constants, decorators, defaults) is
changed in a copy that imports it anew. Each outcome is one line of a file, so a study that was
stopped goes on where it was. A survivor has to be killed by a new test, or listed in
tests/library/mutants.yml with the reason why it says the same.

Maintained tools do not fit: mutmut 3 leaves decorated functions out, here most of the public ones,
and constants; cosmic-ray starts an interpreter for each mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib.machinery
import importlib.util
import json
import os
import pickle
import random
import resource
import select
import signal
import sys
import tempfile
import time
import types
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any

import mutants
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "equivlib" / "convolution"
TESTS = ROOT / "tests" / "library" / "convolution"
EQUIVALENT = ROOT / "tests" / "library" / "mutants.yml"
#: Lowest first: what the others stand on.
MODULES = (
    "axis", "geometry", "csr", "patches", "functional", "matrix", "projection", "recognition",
    "symbol", "norms", "spectrum", "options", "pattern",
)  # fmt: skip
#: The files that know most of what is read at import, tried first.
FIRST_FILES = ("test_options.py", "test_errors.py", "test_boundaries.py", "test_geometry.py")

SWAPPED = {"minimum": "maximum", "maximum": "minimum", "zeros": "ones", "ones": "zeros"}
#: Calls that only a type checker or a reader of messages needs.
LEFT_OUT = {"TypeVar", "overload"}
#: Beyond what a test took before, on the processor, it is stopped: seconds, and a factor.
GRACE, FACTOR = 5.0, 10.0


# --- the mutants --------------------------------------------------------------------------------


@dataclass
class Mutant:
    """One change of a module: which node becomes what."""

    module: str
    place: str  # the function it is in, or the module
    owner: str  # the outermost function, whose code is replaced; nothing at the level of a module
    line: str
    change: str
    lines: range  # of the statement that is changed
    node: ast.AST
    changed: ast.AST
    number: int = 0  # among those of the same place, line and change

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is called in the file of outcomes, wherever the line has moved to."""
        return f"{self.module}.{self.place}", self.line, self.change, self.number


@cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module; a copy of this process changes it."""
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def of_module(module: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    return mutants_of(
        module, (PACKAGE / f"{module}.py").read_text(encoding="utf-8"), parsed(module)
    )


def mutants_of(module: str, source: str, tree: ast.Module) -> list[Mutant]:
    """Return every mutant of a source and its tree."""
    texts = source.splitlines()
    found, seen = [], Counter[tuple[str, str, str, int]]()
    for node, changed, place, owner, lines in _statements(tree.body, "module", ""):
        told = f"{_told(node)} -> {_told(changed)}"
        line = texts[node.lineno - 1].strip()  # type: ignore[attr-defined]
        mutant = Mutant(module, place, owner, line, told, lines, node, changed)
        mutant.number = seen[mutant.key]
        seen[(*mutant.key[:3], 0)] += 1
        found.append(mutant)
    return found


def _told(node: ast.AST) -> str:
    """Return the text of a node; of an error without its message."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return f"raise {ast.unparse(node.exc.func)}"
    return ast.unparse(node)


Change = tuple[ast.AST, ast.AST, str, str, range]


def _statements(body: Sequence[ast.stmt], place: str, owner: str) -> Iterator[Change]:
    """Yield the changes of statements, with where they are."""
    for number, statement in enumerate(body):
        docstring = number == 0 and isinstance(statement, ast.Expr)
        if not docstring and not _for_types_alone(statement):
            yield from _statement(statement, place, owner)


def _statement(node: ast.stmt, place: str, owner: str) -> Iterator[Change]:
    lines = _lines(node)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        name = node.name if place == "module" else f"{place}.{node.name}"
        parts: list[ast.AST] = list(node.decorator_list)
        if isinstance(node, ast.FunctionDef):
            parts += [d for d in (*node.args.defaults, *node.args.kw_defaults) if d is not None]
            inner = owner or name
        else:
            inner = ""
        for part in parts:
            yield from ((*pair, place, owner, lines) for pair in _below(part))
        yield from _statements(node.body, name, inner)
        return
    if _removable(node):
        yield node, ast.copy_location(ast.Pass(), node), place, owner, lines
    if isinstance(node, ast.Break | ast.Continue):
        other = ast.Continue() if isinstance(node, ast.Break) else ast.Break()
        yield node, ast.copy_location(other, node), place, owner, lines
    if isinstance(node, ast.Raise):  # what else it holds is its message
        return
    if isinstance(node, ast.If | ast.While):
        yield from ((*pair, place, owner, lines) for pair in _negated(node.test))
    for child in ast.iter_child_nodes(node):
        annotation = isinstance(node, ast.AnnAssign) and child is node.annotation
        if isinstance(child, ast.stmt):
            yield from _statements([child], place, owner) if not _is_text(child) else ()
        elif isinstance(child, ast.ExceptHandler):
            yield from _statements(child.body, place, owner)
        elif not annotation:
            yield from ((*pair, place, owner, lines) for pair in _below(child))


def _lines(node: ast.stmt) -> range:
    """Return the lines of a statement, of a compound one those of its head."""
    body = getattr(node, "body", None)
    end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
    return range(node.lineno, (end or node.lineno) + 1)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _for_types_alone(node: ast.stmt) -> bool:
    """Recognise imports, overloads, the list of public names and aliases of types."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.FunctionDef):
        return any(isinstance(d, ast.Name) and d.id in LEFT_OUT for d in node.decorator_list)
    if isinstance(node, ast.AnnAssign):
        alias = isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
        return node.value is None or (alias and "Literal" not in ast.unparse(node.value))
    typed = isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        typed and _name(node.value) in LEFT_OUT
    )


def _removable(node: ast.stmt) -> bool:
    """Return whether a statement does something that another name does not need."""
    if isinstance(node, ast.Assign):
        return isinstance(node.targets[0], ast.Subscript | ast.Attribute)
    yielding = isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom)
    return isinstance(node, ast.Expr | ast.Raise | ast.AugAssign) and not yielding


def _below(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield the changes of an expression and of its parts; a written-out text is a message."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and _name(node) in LEFT_OUT):
        return
    yield from _own(node)
    for child in ast.iter_child_nodes(node):
        inferred = isinstance(node, ast.Call) and _name(node) == "reshape" and _is_minus_one(child)
        if isinstance(child, ast.arguments):
            continue
        if inferred:  # NumPy infers any negative size, so only the sign says something
            yield child, copy.copy(child.operand)  # type: ignore[attr-defined]
        else:
            yield from _below(child)


def _own(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield the changes of one node itself: those of the book's cells, and some more."""
    for old, new in mutants.node_changes(node):
        yield old, ast.copy_location(new, old)
    for new in _more(node):
        yield node, ast.copy_location(new, node)
    if isinstance(node, ast.IfExp | ast.comprehension):
        conditions = node.ifs if isinstance(node, ast.comprehension) else [node.test]
        yield from (pair for condition in conditions for pair in _negated(condition))


def _more(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
        other = ast.IsNot() if isinstance(node.ops[0], ast.Is) else ast.Is()
        yield ast.Compare(node.left, [other], node.comparators)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield ast.Constant("" if node.value else "x")
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield ast.Constant(10 * node.value or 1.0)
    elif isinstance(node, ast.Call):
        if _name(node) in SWAPPED and isinstance(node.func, ast.Attribute):
            other_name = ast.Attribute(node.func.value, SWAPPED[_name(node)], ast.Load())
            yield ast.Call(other_name, node.args, node.keywords)
        for place, keyword in enumerate(node.keywords):
            flag = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)
            if keyword.arg and not flag:
                rest = [k for k in node.keywords if k is not node.keywords[place]]
                yield ast.Call(node.func, node.args, rest)


def _negated(test: ast.expr) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield the opposite of a condition, unless another change of it is that already."""
    turned = ast.Eq | ast.NotEq | ast.In | ast.NotIn | ast.Is | ast.IsNot
    single = isinstance(test, ast.Compare) and isinstance(test.ops[0], turned)
    if not single and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        yield test, ast.copy_location(ast.UnaryOp(ast.Not(), test), test)


def _is_minus_one(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and ast.unparse(node) == "-1"


def _name(node: ast.AST | None) -> str:
    function = getattr(node, "func", None)
    return getattr(function, "attr", None) or getattr(function, "id", "")


class _Put(ast.NodeTransformer):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.mutant.node:
            return self.mutant.changed
        return self.generic_visit(node)


def compiled(mutant: Mutant) -> types.CodeType:
    """Return the code of the changed module; only in a copy, because the tree is changed."""
    tree = ast.fix_missing_locations(_Put(mutant).visit(parsed(mutant.module)))
    return compile(tree, str(PACKAGE / f"{mutant.module}.py"), "exec")


# --- a changed library, in a copy of this process -----------------------------------------------


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of each function and method of a module."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_flags & 2:  # a function has fast locals, a class body has not
                yield constant
            else:
                yield from _codes(constant)


def put_into_functions(mutant: Mutant) -> None:
    """Give every function that the changed module defines its code anew."""
    new = {(c.co_qualname, c.co_firstlineno): c for c in _codes(compiled(mutant))}
    path = str(PACKAGE / f"{mutant.module}.py")
    for thing in FUNCTIONS[path]:
        code = thing.__code__
        changed = new.get((code.co_qualname, code.co_firstlineno))
        if changed is not None and code.co_qualname == mutant.owner:
            thing.__code__ = changed


FUNCTIONS: dict[str, list[types.FunctionType]] = defaultdict(list)


def find_functions() -> None:
    """Remember the functions of the package, decorated and wrapped ones too."""
    for thing in gc.get_objects():
        # Its type, because asking some objects of other packages for their class has effects.
        if type(thing) is types.FunctionType and str(PACKAGE) in thing.__code__.co_filename:
            FUNCTIONS[thing.__code__.co_filename].append(thing)


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from its changed code."""

    mutant: Mutant

    def get_code(self, _: str) -> types.CodeType:
        return compiled(self.mutant)


class _Finder:
    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.name = mutant, f"equivlib.convolution.{mutant.module}"

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        path = str(PACKAGE / f"{self.mutant.module}.py")
        loader = _Changed(name, path)
        loader.mutant = self.mutant
        return importlib.util.spec_from_file_location(name, path, loader=loader)


def import_anew(mutant: Mutant) -> None:
    """Forget the package and its tests, so that they are imported with the changed module."""
    own = ("equivlib", "test_", "conftest", "cases", "networks", "typed_calls")
    for name in [name for name in sys.modules if name.startswith(own)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(mutant))  # type: ignore[arg-type]


def in_copy(run: Callable[[], str], seconds: float) -> tuple[str, float]:
    """Return what ``run`` said in a copy of this process, and its time on the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told, tell = os.pipe()
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process = os.fork()
    if not process:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        try:
            said = run()
        except BaseException as error:
            said = f"killed by {type(error).__name__}"
        os.write(tell, said.encode(errors="replace")[:4000])
        os._exit(0)
    os.close(tell)
    waited = time.monotonic() + 60 * (seconds + 10)  # a copy that waits for something
    while not select.select([told], [], [], 5)[0]:
        if time.monotonic() > waited:
            os.kill(process, signal.SIGKILL)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(process, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not said:
        late = os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGKILL)
        said = "timed out" if late else f"killed by a crash (signal {os.WTERMSIG(status)})"
    return said, round(spent, 2)


# --- the tests ----------------------------------------------------------------------------------


@dataclass
class Known:
    """What a run of the unchanged library has shown."""

    seconds: dict[str, float]  # of each test, on the processor, without the reference
    lines: dict[str, dict[int, set[str]]]  # module: line: the tests that execute it
    at_import: dict[str, set[str]]  # module: functions that the import calls
    remembered: dict[bytes, Any]  # results of the reference, by function and arguments


REMEMBERED: dict[bytes, Any] = {}
SPENT = [0.0]


def remember_the_reference() -> None:
    """Let the plain loops of the reference compute each result once: no mutant changes them."""
    sys.path.insert(0, str(TESTS.parent))
    import reference

    for name in ("conv", "entries", "matrix", "im2col"):
        setattr(reference, name, _remembering(name, getattr(reference, name)))


def _remembering(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def remembering(*args: Any, **options: Any) -> Any:
        key = pickle.dumps((name, args, sorted(options.items())))
        if key not in REMEMBERED:
            start = time.process_time()
            REMEMBERED[key] = function(*args, **options)
            SPENT[0] += time.process_time() - start
        return copy.copy(REMEMBERED[key])

    return remembering


def _run(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run one test and return whether it failed, or could not even be reported on."""
    from _pytest.runner import runtestprotocol

    try:
        return any(r.failed for r in runtestprotocol(item, log=False, nextitem=following))
    except Exception:
        return True


def run_until_one_fails(items: Sequence[pytest.Item], known: Known) -> str:
    """Return which test failed."""
    if not items:
        return "survived: no test executes it"
    for item, following in zip(items, [*items[1:], None], strict=True):
        seconds = GRACE + FACTOR * known.seconds.get(item.nodeid, 0)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        if _run(item, following):
            return f"killed by {item.nodeid}"
    return "survived"


def run_files(files: Sequence[str]) -> str:
    """Run whole files in turn, collected anew, and return the first that failed."""
    for file in files:
        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow", file]
        if pytest.main(options) not in (0, 5):
            return f"killed by {file}"
    return "survived"


def unchanged(items: Sequence[pytest.Item], into: Path) -> str:
    """Run the tests on the unchanged library and write down what they execute."""
    import coverage

    seconds, failed = {}, []
    cover = coverage.Coverage(data_file=None, config_file=False, include=[f"{PACKAGE}/*"])
    cover.start()
    for item, following in zip(items, [*items[1:], None], strict=True):
        signal.setitimer(signal.ITIMER_PROF, 0)
        cover.switch_context(item.nodeid)
        start, spent = time.process_time(), SPENT[0]
        if _run(item, following):
            failed.append(item.nodeid)
        seconds[item.nodeid] = time.process_time() - start - (SPENT[0] - spent)
    cover.stop()
    if failed:
        return f"{len(failed)} tests fail on the unchanged library, the first is {failed[0]}"
    lines = {
        Path(file).stem: {
            line: set(tests) - {""}
            for line, tests in cover.get_data().contexts_by_lineno(file).items()
        }
        for file in cover.get_data().measured_files()
    }
    into.write_bytes(pickle.dumps((seconds, lines, REMEMBERED)))
    return "known"


def called_at_import() -> dict[str, set[str]]:
    """Return the functions of each module that run when the package is imported."""
    called: dict[str, set[str]] = defaultdict(set)

    def profile(frame: types.FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)) and code.co_flags & 2:
            called[Path(code.co_filename).stem].add(code.co_qualname.split(".<locals>")[0])

    sys.setprofile(profile)
    try:
        import equivlib.convolution  # noqa: F401
    finally:
        sys.setprofile(None)
    return called


class Study:
    """The plugin that runs the study in the place of the tests."""

    def __init__(self, arguments: argparse.Namespace, at_import: dict[str, set[str]]) -> None:
        self.arguments, self.at_import = arguments, at_import
        self.log, self.listed = arguments.log, equivalent()
        self.kills: dict[str, Counter[str]] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Let Hypothesis stop at the first failure: its smallest example is of no use here."""
        from hypothesis import Phase, settings

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile(
            "mutants", settings.get_profile("library"), phases=phases, database=None,
            report_multiple_bugs=False,
        )  # fmt: skip
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run every mutant that has no outcome yet."""
        self.items = {item.nodeid: item for item in session.items}
        self.known = self._known()
        self.rank = _ranks(list(self.items))
        by_line = [tests for lines in self.known.lines.values() for tests in lines.values()]
        self.executed = Counter(name for tests in by_line for name in tests)
        outcomes = read(self.log)
        find_functions()
        gc.collect()
        gc.freeze()
        with self.log.open("a", encoding="utf-8") as log:
            # What is known to say the same takes longest: every test has to run.
            for mutant in sorted(chosen(self.arguments), key=lambda m: m.key in self.listed):
                if self._is_due(mutant, outcomes.get(mutant.key)):
                    start = time.monotonic()
                    outcome, seconds = self._outcome(mutant)
                    wall = round(time.monotonic() - start, 1)
                    entry = dict(
                        zip(("place", "line", "change", "number"), mutant.key, strict=True)
                    )
                    entry |= {"outcome": outcome, "seconds": seconds, "wall": wall}
                    print(json.dumps(entry), file=log, flush=True)
        return True

    def _is_due(self, mutant: Mutant, outcome: str | None) -> bool:
        quick = self.arguments.seconds < 100
        again = self.arguments.again and not (quick and mutant.key in self.listed)
        return outcome is None or (again and outcome.startswith("survived"))

    def _needs_an_import(self, mutant: Mutant) -> bool:
        return not mutant.owner or mutant.owner in self.at_import[mutant.module]

    def _known(self) -> Known:
        """Return what the unchanged library does: from a file, with the tests that are new."""
        path = self.log.with_suffix(".known")
        seconds, lines = {}, {module: defaultdict(set) for module in MODULES}
        if path.is_file():
            seconds, stored, remembered = pickle.loads(path.read_bytes())
            REMEMBERED.update(remembered)
            for module, by_line in stored.items():
                lines.setdefault(module, defaultdict(set)).update(by_line)
        missing = [item for name, item in self.items.items() if name not in seconds]
        if missing:
            part = path.with_suffix(".part")
            said, _ = in_copy(partial(unchanged, missing, part), 10**6)
            if said != "known":
                raise RuntimeError(said)
            more_seconds, more_lines, remembered = pickle.loads(part.read_bytes())
            seconds |= more_seconds
            REMEMBERED.update(remembered)
            for module, by_line in more_lines.items():
                for line, tests in by_line.items():
                    lines.setdefault(module, defaultdict(set)).setdefault(line, set()).update(tests)
            path.write_bytes(
                pickle.dumps((seconds, {m: dict(x) for m, x in lines.items()}, REMEMBERED))
            )
        return Known(seconds, lines, self.at_import, REMEMBERED)

    def _outcome(self, mutant: Mutant) -> tuple[str, float]:
        if self._needs_an_import(mutant):
            own = (f"test_{mutant.module}.py", *FIRST_FILES)
            first = [str(TESTS / name) for name in own if (TESTS / name).is_file()]
            rest = sorted(str(path) for path in TESTS.glob("test_*.py") if str(path) not in first)
            quick = self.arguments.seconds < 100
            files = first if quick else [*first, *rest, str(PACKAGE)]
            said, seconds = in_copy(lambda: import_anew(mutant) or run_files(files), 900)
            return (f"{said} the first files" if quick and said == "survived" else said), seconds
        items, whole = self._tests(mutant)

        def run() -> str:
            put_into_functions(mutant)
            return run_until_one_fails(items, self.known)

        said, seconds = in_copy(run, GRACE)
        if said.startswith("killed by tests") or said.startswith("killed by equivlib"):
            self.kills[mutant.owner][said.removeprefix("killed by ")] += 1
        return (said if whole or said != "survived" else "survived the first tests"), seconds

    def _tests(self, mutant: Mutant) -> tuple[list[pytest.Item], bool]:
        """Return the tests that execute the changed lines, in the order in which to try them.

        Those that execute few lines come early: bad input, which is refused at once.
        """
        by_line = self.known.lines.get(mutant.module, {})
        names = {name for line in mutant.lines for name in by_line.get(line, ())} & set(self.items)
        kills, seconds = self.kills[mutant.owner], self.known.seconds
        order = sorted(
            names,
            key=lambda n: (-kills[n], seconds[n] > 0.05, self.rank[n] > 0, self.executed[n]),
        )
        taken, total = [], 0.0
        for name in order:
            total += seconds[name]
            if total > self.arguments.seconds:
                break
            taken.append(self.items[name])
        return taken, len(taken) == len(order)


def _ranks(names: Sequence[str]) -> dict[str, int]:
    """Return for each test how many cases of its function come before it, in a fixed random order.

    So the first tests are one case of every function, then another of each.
    """
    shuffled = sorted(names)
    random.Random(0).shuffle(shuffled)
    seen, ranks = Counter[str](), {}
    for name in shuffled:
        function = name.split("[")[0]
        ranks[name] = seen[function]
        seen[function] += 1
    return ranks


# --- what comes of it ---------------------------------------------------------------------------


def chosen(arguments: argparse.Namespace) -> list[Mutant]:
    """Return the mutants that the command line names."""
    modules = arguments.modules or MODULES
    made = [mutant for module in modules for mutant in of_module(module)]
    return [m for m in made if arguments.only is None or arguments.only in f"{m.module}.{m.place}"]


def read(log: Path) -> dict[tuple[str, str, str, int], str]:
    """Return the outcomes so far; of a mutant that was run again the last one."""
    found = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        entry = json.loads(line)
        key = entry["place"], entry["line"], entry["change"], entry["number"]
        found[key] = entry["outcome"]
    return found


def equivalent() -> set[tuple[str, str, str, int]]:
    """Return the keys of the mutants that are listed as saying the same, each with a reason."""
    listed = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8"))
    keys = set()
    for place, entries in listed.items():
        for entry in entries:
            if set(entry) - {"number"} != {"line", "change", "why"} or not entry["why"].strip():
                raise ValueError(f"{EQUIVALENT.name}, {place}: {entry} must have line, change, why")
            keys.add((place, entry["line"], entry["change"], entry.get("number", 0)))
    return keys


def table(arguments: argparse.Namespace) -> int:
    """Print the survivors as entries to be listed, and a line for each module."""
    outcomes, listed = read(arguments.log), equivalent()
    rows = defaultdict(Counter)
    for mutant in chosen(arguments):
        outcome = outcomes.get(mutant.key, "not run")
        kind = outcome.split()[0].rstrip(":")
        if kind == "survived":
            kind = "equivalent" if mutant.key in listed else "left"
            if kind == "left":
                entry = {"line": mutant.line, "change": mutant.change, "why": ""}
                entry |= {"number": mutant.number} if mutant.number else {}
                print(f"# line {mutant.lines.start}, {outcome}\n{mutant.module}.{mutant.place}:")
                print(
                    yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=1000), end=""
                )
        rows[mutant.module][kind] += 1
    kinds = ("killed", "timed", "equivalent", "left", "not")
    print("| module | mutants | killed | timed out | equivalent | left | not run |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    total = Counter[str]()
    for module, row in rows.items():
        total += row
        print(f"| `{module}` | {row.total()} | {' | '.join(str(row[kind]) for kind in kinds)} |")
    print(f"| together | {total.total()} | {' | '.join(str(total[kind]) for kind in kinds)} |")
    others = total.total() - total["equivalent"]
    return 0 if total["not"] == 0 and total["left"] <= 0.01 * others else 1


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument("--only", help="places whose name has this in it")
    parser.add_argument("--seconds", type=float, default=1e9, help="of tests for each mutant")
    parser.add_argument("--again", action="store_true", help="run survivors again")
    parser.add_argument("--table", action="store_true", help="print what is known, run nothing")
    parser.add_argument(
        "--log", type=Path, default=Path(tempfile.gettempdir()) / "library_mutants.jsonl"
    )
    arguments = parser.parse_args()
    if not arguments.table:
        remember_the_reference()
        at_import = called_at_import()
        options = [
            "-q",
            "--tb=no",
            "-m",
            "not slow",
            "-s",
            "-pno:cacheprovider",
            "-pno:faulthandler",
        ]
        paths = [str(TESTS), str(PACKAGE), f"--ignore={TESTS / 'test_torch_oracle.py'}"]
        pytest.main([*options, *paths], plugins=[Study(arguments, at_import)])
    return table(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
