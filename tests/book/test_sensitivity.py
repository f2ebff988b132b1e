"""The chapters can fail: with an error planted in the library, each of them does."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import CHAPTERS, ROOT

ERRORS = {
    "a sign in the matrix": (
        "csr.py",
        "_view(data, region)[...] = values",
        "= values",
        "= -values",
    ),
    "a dropped tap": ("axis.py", "taps = taps[read[taps] != PADDING]", "PADDING]", "PADDING][1:]"),
}
STRICT_NBVAL = [
    "-m",
    "pytest",
    "--nbval",
    "--nbval-current-env",
    "-q",
    "-p",
    "no:cacheprovider",
    "-o",
    "filterwarnings=",
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_the_library_fails_every_chapter(tmp_path, error):
    name, line, right, wrong = ERRORS[error]
    shutil.copytree(ROOT / "equivlib", tmp_path / "equivlib")
    source = (tmp_path / "equivlib" / name).read_text(encoding="utf-8")
    assert source.count(line) == 1
    planted = source.replace(line, line.replace(right, wrong))
    (tmp_path / "equivlib" / name).write_text(planted, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, *STRICT_NBVAL, *map(str, CHAPTERS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"FAILED (?:\S*/)?(\S+\.ipynb)", told.stdout))
    assert failed == {path.name for path in CHAPTERS}, told.stdout
