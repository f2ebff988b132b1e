"""What Binder would install, in an empty environment, runs a chapter."""

import os
import subprocess
import venv

from conftest import CHAPTERS, ROOT


def test_binder_can_run_a_chapter(tmp_path):
    """The steps of repo2docker with ``binder/``: the requirements, then ``postBuild``."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True, clear=True)
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    clean["PATH"] = f"{home / 'bin'}{os.pathsep}{clean['PATH']}"

    def run(*command):
        subprocess.run(command, cwd=ROOT, env=clean, check=True)

    run("pip", "install", "--quiet", "-r", "binder/requirements.txt")
    run("binder/postBuild")
    check = (
        "import equivlib, pathlib; assert 'environment' in pathlib.Path(equivlib.__file__).parts"
    )
    subprocess.run([home / "bin/python", "-c", check], cwd=tmp_path, env=clean, check=True)
    chapter = tmp_path / CHAPTERS[0].name
    for path in (CHAPTERS[0], ROOT / "chapters" / "oracles.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    told = subprocess.run(
        [home / "bin/jupyter", "nbconvert", "--to", "notebook", "--execute", chapter.name],
        cwd=tmp_path,
        env=clean,
        check=False,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    extensions = subprocess.run(
        [home / "bin/jupyter", "labextension", "list"],
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "jupyterlab-myst" in extensions.stderr + extensions.stdout
