"""What Binder would install, in an empty environment, runs the chapters and renders them."""

import os
import shutil
import subprocess
import time
import venv

import pytest
from conftest import CHAPTERS, NOTEBOOKS, ROOT

SECONDS = 120  # an installation may take, on a machine that has nothing else to do


class Binder:
    """An environment made by the steps of repo2docker, and a copy of what it would clone."""

    def __init__(self, place):
        self.home, self.tree = place / "environment", place / "tree"
        venv.create(self.home, with_pip=True, clear=True)
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        self.environment = {**clean, "PATH": f"{self.home / 'bin'}{os.pathsep}{clean['PATH']}"}
        started = time.perf_counter()
        self.run(ROOT, "pip", "install", "--quiet", "-r", "binder/requirements.txt")
        self.run(ROOT, "binder/postBuild")
        self.seconds = time.perf_counter() - started
        self.tree.mkdir()
        shutil.copy(ROOT / "intro.ipynb", self.tree)
        hidden = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / "chapters", self.tree / "chapters", ignore=hidden)

    def run(self, folder, *command):
        """Run a command of this environment in a folder, and return what it said."""
        done = subprocess.run(
            command, cwd=folder, env=self.environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def run_all(self, path):
        """Do what *Run all* does in a notebook."""
        place = self.tree / path.relative_to(ROOT)
        self.run(place.parent, "jupyter", "nbconvert", "--to", "notebook", "--execute", place.name)


@pytest.fixture(scope="module")
def binder(tmp_path_factory):
    return Binder(tmp_path_factory.mktemp("binder"))


def test_binder_has_the_library_and_can_run_a_chapter(binder):
    where = binder.run(binder.tree, "python", "-c", "import equivlib; print(equivlib.__file__)")
    assert str(binder.home) in where
    binder.run_all(CHAPTERS[0])


def test_binder_renders_the_directives_of_theorems(binder):
    assert "jupyterlab-myst" in binder.run(binder.tree, "jupyter", "labextension", "list")


@pytest.mark.slow
@pytest.mark.parametrize("path", [ROOT / "intro.ipynb", *NOTEBOOKS], ids=lambda path: path.stem)
def test_every_chapter_runs_on_binder(binder, path):
    binder.run_all(path)


@pytest.mark.slow
def test_binder_installs_in_two_minutes(binder):
    assert binder.seconds < SECONDS
