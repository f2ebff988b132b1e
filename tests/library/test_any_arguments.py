"""The command line with any arguments: it ends with 0, 1 or 2, and leaves nothing behind."""

import contextlib
import io
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equivlib.cli import main
from equivlib.interop.onnx import save
from equivlib.layers import Conv, Dense, Flatten, Network, ReLU, Sigmoid

pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")

COMMANDS = ("convert", "inspect", "plain", "recognize")
OPTIONS = ("--input-shape", "--output", "--max-bytes", "--sparse", "--pools", "--samples", "--seed",
           "--report", "--tol", "--version", "--help", "--", "-", "--outp", "--in")  # fmt: skip
FILES = ("net.onnx", "mlp.onnx", "sigmoid.onnx", "text.onnx", "empty.onnx", "cut.onnx")
PATHS = (
    *FILES, "out.onnx", "folder", "folder/out.onnx", "no/out.onnx", "missing.onnx", "loop.onnx",
    "link.onnx", "pipe.onnx", "", ".", "/", "./net.onnx", "folder/../net.onnx", "a\x00b", "-x",
    "x" * 300, "new\nline.onnx", "\udcff.onnx", "ü.onnx", "r.json", "folder/r.json", "no/r.json",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "3", "-1", "1.5", "nan", "inf", "-inf", "1e-3", "1e400", "9" * 30,
           "9" * 5000, "²", "٣", "0x10", " 2 ", "", "1_0", "True")  # fmt: skip
SHAPES = ("1,5,5", "25", "1,25", "0", "1,-1,5", "1,,5", ",", "5,5,1", "1,5,5,1", "9" * 20 + ",1,1")

word = st.one_of(
    st.sampled_from(PATHS), st.sampled_from(NUMBERS), st.sampled_from(SHAPES),
    st.sampled_from(["layer0", "layer1", "output", "<b>"]), st.text(max_size=8),
)  # fmt: skip
pair = st.one_of(
    st.tuples(st.sampled_from(OPTIONS), word),
    st.tuples(st.just("--input-shape"), st.sampled_from(SHAPES)),
    st.tuples(st.just("--report"), st.sampled_from(PATHS)),
    st.tuples(st.sampled_from(["--seed", "--samples", "--max-bytes", "--tol"]),
              st.sampled_from(NUMBERS)),
    st.sampled_from([("--sparse",), ("--pools",)]),
)  # fmt: skip


@st.composite
def arguments(draw):
    """Return a command with its files and options in any order, mostly of their kinds."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.lists(st.one_of(st.sampled_from(COMMANDS + OPTIONS), word), max_size=8))
    command = draw(st.sampled_from(COMMANDS))
    places = [draw(st.sampled_from(FILES if draw(st.booleans()) else PATHS))]
    if command != "inspect":
        places.append(draw(st.sampled_from(["out.onnx", "folder/out.onnx", *PATHS])))
    options = [part for parts in draw(st.lists(pair, max_size=3)) for part in parts]
    if command == "recognize" and draw(st.booleans()):
        options += ["--input-shape", draw(st.sampled_from(SHAPES))]
    return [command, *places, *options]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder with right and wrong files."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((2, 1, 2, 2)).astype("f")
    last = rng.standard_normal((3, 32)).astype("f")
    net = Network([Conv(kernel), ReLU(), Flatten(), Dense(last)], (1, 5, 5))
    save(net, folder / "net.onnx")
    wide = rng.standard_normal((4, 25)).astype("f")
    save(Network([Dense(wide), ReLU(), Dense(last[:, :4])], (25,)), folder / "mlp.onnx")
    save(Network([Dense(wide), Sigmoid()], (25,)), folder / "sigmoid.onnx")
    (folder / "text.onnx").write_text("This is not a network.")
    (folder / "empty.onnx").touch()
    (folder / "cut.onnx").write_bytes((folder / "net.onnx").read_bytes()[:-9])
    return folder


def contents(folder):
    """Return what each file holds: all that a command may change."""
    files = (path for path in folder.rglob("*") if not path.is_symlink())
    return {path: path.read_bytes() if path.is_file() else b"" for path in files}


@contextlib.contextmanager
def copied(prepared, tmp_path):
    """Work in a fresh copy of the folder, with things that are no files beside them."""
    place = tmp_path / "work"
    shutil.copytree(prepared, place)
    (place / "folder").mkdir()
    (place / "loop.onnx").symlink_to("loop.onnx")
    (place / "link.onnx").symlink_to("net.onnx")
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "pipe.onnx")
    before = Path.cwd()
    os.chdir(place)
    try:
        yield place
    finally:
        os.chdir(before)
        shutil.rmtree(place)


def ended(given):
    """Run a command; return how it ends and what it prints."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(given)
        except SystemExit as end:  # argparse, for help and what it does not understand
            code = end.code
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()


def check(given, prepared, tmp_path):
    with copied(prepared, tmp_path) as place, warnings.catch_warnings():
        warnings.simplefilter("error")
        before = contents(place)
        code, out, err = ended(given)
        after = contents(place)
        assert code in (0, 1, 2)
        assert "Traceback" not in out + err
        assert bool(code) == ("error: " in err)
        changed = {path for path in before.keys() | after.keys()
                   if before.get(path) != after.get(path)}  # fmt: skip
        if code:  # at most the report, which says that nothing else is written
            assert len(changed) <= ("--report" in given or any("--rep" in part for part in given))
            assert all(b'"written": false' in after[path] for path in changed)
        assert not [path for path in after if path.name.endswith(".tmp")]
        read = [place / part for part in given[1:2] if "\x00" not in part]
        assert all(before.get(path) == after.get(path) for path in read if path in before)


@given(arguments())
@example(["convert", "net.onnx", "out.onnx", "--report", "no/r.json"]).via(
    "a report with no folder"
)
@example(["convert", "net.onnx", "out.onnx", "--report", "net.onnx"]).via("a report over the input")
@example(["convert", "net.onnx", "out.onnx", "--report", "a\x00b"]).via("a name with a zero byte")
@example(["plain", "net.onnx", "out.onnx", "--report", "folder"]).via("a report that is a folder")
@example(["convert", "net.onnx", "out.onnx", "--seed", "-1"]).via("a seed below 0")
@example(["convert", "\udcff.onnx", "out.onnx"]).via("a name that is no text")
@example(["inspect", "loop.onnx"]).via("a link to itself")
@example(["inspect", "pipe.onnx"]).via("a pipe")
@example(["recognize", "mlp.onnx", "--input-shape", "1,5,5", "--tol", "nan"]).via("a tol of nan")
@example(["convert", "net.onnx", "out.onnx", "--samples", "9" * 30]).via(
    "samples beyond all memory"
)
def test_any_arguments_end_with_a_code_and_leave_nothing_behind(prepared, tmp_path_factory, given):
    check(given, prepared, tmp_path_factory.mktemp("any"))
