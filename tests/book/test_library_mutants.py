"""The tool that changes the library: what it changes, and what it tells apart."""

import ast
import importlib
import os
import signal

import library_mutants
import pytest


def changes(source):
    return [m.change for m in library_mutants.mutants_of("made_up", source, ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x):\n    return x + 1", ["x + 1 -> x - 1", "1 -> 2", "1 -> 0"]),
        ("def f(x):\n    return g(x, axis=a)", ["g(x, axis=a) -> g(x)"]),
        ("def f(x):\n    return g(x, strict=True)", ["True -> False"]),
        ("def f(x):\n    return x.reshape(-1)", ["-1 -> 1"]),
        ("def f(x):\n    return ~x", ["~x -> x"]),
        ("def f(x):\n    return x is None", ["x is None -> x is not None"]),
        ("def f(x):\n    return 'a' + x", ["'a' -> ''"]),
        ("def f(x):\n    return 0.5", ["0.5 -> 5.0"]),
        ("def f(x):\n    x += y\n    check(x)", ["x += y -> pass", "check(x) -> pass"]),
        ("def f(x):\n    x[a, b] = y", ["x[a, b] = y -> pass"]),
        ("def f(x):\n    return np.zeros(x)", ["np.zeros(x) -> np.ones(x)"]),
        (
            "def f(x):\n    if x < y:\n        raise ValueError('no')",
            ["x < y -> not x < y", "x < y -> x <= y", "raise ValueError -> pass"],
        ),
        (
            "def f(x):\n    while x:\n        break",
            ["x -> not x", "break -> continue"],
        ),
        ("LIMIT = 5\ndef f(x, y=0): return x", ["5 -> 6", "5 -> 4", "0 -> 1"]),
        # Docstrings, messages, types, and what only a type checker reads.
        ('"""Text."""\ndef f(x):\n    """Text."""\n    return x', []),
        ("def f(x: Literal['a']) -> Literal[1]:\n    return f'{x + 1}'", []),
        ("if TYPE_CHECKING:\n    n = 1\nT = TypeVar('T')\nPairs: TypeAlias = tuple[1, 2]", []),
        ("@overload\ndef f(x=1): ...", []),
    ],
)
def test_what_is_changed_and_what_is_not(source, expected):
    assert changes(source) == expected


def test_a_mutant_is_called_by_its_place_and_the_text_of_its_line():
    source = "class A:\n    def f(self):\n        return [1, 1]\n"
    first, *_, last = library_mutants.mutants_of("made_up", source, ast.parse(source))
    assert first.key == ("made_up.A.f", "return [1, 1]", "1 -> 2", 0)
    assert last.key == ("made_up.A.f", "return [1, 1]", "1 -> 0", 1)


def test_every_mutant_that_is_listed_as_equivalent_is_one_of_the_library():
    made = {mutant.key for module in library_mutants.MODULES
            for mutant in library_mutants.of_module(module)}  # fmt: skip
    assert library_mutants.equivalent() <= made


def test_every_module_is_studied():
    names = {path.stem for path in library_mutants.PACKAGE.glob("*.py")}
    assert names - {"__init__"} == set(library_mutants.MODULES)


def outputs_of_a_mutant(change):
    """Return, from a copy of this process, the outputs of an axis of which one thing is changed."""
    axis = importlib.import_module("equivlib.convolution.axis")
    library_mutants.find_functions()
    mutant = next(
        m for m in library_mutants.of_module("axis")
        if m.place == "Axis.outputs" and m.change == change
    )  # fmt: skip

    def run():
        library_mutants.put_into_functions(mutant)
        return str(axis.Axis(7, 3, 1, 1, 0, 0, "zeros", False).outputs)

    return library_mutants.in_copy(run, 20)[0]


def test_a_copy_runs_the_changed_function_and_this_process_the_old_one():
    axis = importlib.import_module("equivlib.convolution.axis")
    assert outputs_of_a_mutant("1 -> 2") == "6"
    assert axis.Axis(7, 3, 1, 1, 0, 0, "zeros", False).outputs == 5


def test_a_copy_that_never_ends_is_stopped():
    def run():
        signal.setitimer(signal.ITIMER_PROF, 0.2)
        while True:
            os.getpid()

    assert library_mutants.in_copy(run, 20)[0].startswith("timed out")
