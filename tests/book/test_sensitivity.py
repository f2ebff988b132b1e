"""Every page with code can fail: with an error planted in the library, each of them does."""

import shutil
import sys
from functools import partial

import pytest
import replay
from conftest import NOTEBOOKS, PROTOCOL, ROOT

ERRORS = {
    "a sign in the matrix": (
        "convolution/csr.py",
        "_view(data, region)[...] = values",
        "= values",
        "= -values",
    ),
    "a dropped tap": (
        "convolution/axis.py",
        "taps = taps[read[taps] != PADDING]",
        "PADDING]",
        "PADDING][1:]",
    ),
}


def failure_with(folder, path):
    """Return what stops a notebook that imports the library from this folder."""
    for name in [name for name in sys.modules if name.split(".")[0] == "equivlib"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    return replay.Replay(path).run_all(replay.cells(path))


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_the_library_fails_every_page(tmp_path, error):
    name, line, right, wrong = ERRORS[error]
    shutil.copytree(ROOT / "equivlib", tmp_path / "equivlib")
    source = (tmp_path / "equivlib" / name).read_text(encoding="utf-8")
    assert source.count(line) == 1
    planted = source.replace(line, line.replace(right, wrong))
    (tmp_path / "equivlib" / name).write_text(planted, encoding="utf-8")
    replay.warm_up()
    pages = [path for path in NOTEBOOKS if path != PROTOCOL]  # which has no matrix
    runs = [partial(failure_with, tmp_path, path) for path in pages]
    found = replay.in_copies(runs, seconds=120)
    told = dict(zip([path.stem for path in pages], found, strict=True))
    # A wrong matrix may also lead to an index that does not exist, so any failure of a cell counts.
    assert all(found), told
    assert not {failure.kind for failure in found} & {replay.TOO_LONG, "ModuleNotFoundError"}, told
