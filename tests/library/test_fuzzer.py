"""The fuzzer itself: it finds errors that are planted, and nothing in the library as it is."""

import os
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")
pytest.importorskip("onnxruntime", reason="it computes what is compared: install the extra 'onnx'")
if not hasattr(os, "fork"):
    pytest.skip("the fuzzer copies its process by fork", allow_module_level=True)

TOOLS = Path(__file__).resolve().parents[2] / "tools"
if not TOOLS.is_dir():
    pytest.skip("the fuzzer is not part of the source archive", allow_module_level=True)
sys.path.insert(0, str(TOOLS))

import fuzz  # noqa: E402

from equivlib.convert import plan  # noqa: E402
from equivlib.interop import views  # noqa: E402
from equivlib.interop.onnx import operators, reader  # noqa: E402
from equivlib.interop.onnx.file import Node  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return fuzz.Place(tmp_path_factory.mktemp("fuzzed").resolve())


def small_limits(monkeypatch):
    monkeypatch.setattr(reader, "VALUE_BYTES", fuzz.VALUE_BYTES)
    monkeypatch.setattr(plan, "MAX_BYTES", fuzz.MATRIX_BYTES)


def first(place, kind, numbers):
    """Return the first thing that is found in some cases, and where."""
    for number in numbers:
        case = fuzz.KINDS[kind](0, number)
        try:
            fuzz.run(kind, case, place, number, lambda _: None)
        except (Exception, fuzz.Forbidden) as error:
            place.watch.on = False
            return number, error
    return None


def unguarded_index(monkeypatch):
    monkeypatch.setattr(Node, "value", lambda self, index=0: self.inputs[index])


def unguarded_version(monkeypatch):
    monkeypatch.setattr(reader, "opset", lambda model: int(model.opset_import[0].version))


def wrong_axis(monkeypatch):
    """Read a softmax as before version 13, where the axis was 1 unless given."""
    rule = lambda b, node: b.softmax(node.value(), node.integer("axis", 1))  # noqa: E731
    monkeypatch.setitem(operators.OPERATORS, "Softmax", rule)


def unescaped_name(monkeypatch):
    monkeypatch.setattr(views, "printable", lambda text: text)


def unguarded_place(monkeypatch):
    """Open what a file says, wherever it is."""
    monkeypatch.setattr(reader.Folder, "_file", lambda self, place, _: self.folder / place)


@pytest.mark.parametrize(
    ("plant", "kind", "found"),
    [
        (unguarded_index, "structure", "IndexError|AttributeError"),
        (wrong_axis, "structure", "numbers differ"),
        (unescaped_name, "structure", "cannot be shown"),
        (unguarded_place, "structure", "opens"),
        (unguarded_version, "bytes", "IndexError"),
    ],
)
def test_a_planted_error_is_found(plant, kind, found, place, monkeypatch):
    small_limits(monkeypatch)
    with monkeypatch.context() as planted, warnings.catch_warnings():
        warnings.simplefilter("error")
        plant(planted)
        number, error = first(place, kind, range(30_000)) or (None, None)
    print(f"{plant.__name__} by {kind}: case {number}, {error!r}")
    assert any(name in repr(error) for name in found.split("|"))


def test_nothing_is_found_in_the_library_as_it_is(place, monkeypatch):
    small_limits(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first(place, "structure", range(1400, 4000)) is None
        assert first(place, "bytes", range(3000)) is None
