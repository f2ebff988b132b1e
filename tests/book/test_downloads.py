"""What a reader takes along works alone: it says what it needs, and runs after one line."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec

import downloads
import nbformat
import packing
import pytest
from bs4 import BeautifulSoup
from conftest import NOTEBOOKS, ROOT, read
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ADDRESS = "https://book.example/downloads/chapters.zip"
#: Which name pip knows a module by, where it is not the module's own.
NAMES = {"IPython": "jupyterlab"}
#: What long runs are compared with; no chapter asks for it (experiments/twin.py, parts of cost.py).
LONG_RUNS = {"torch"}


def imported(sources):
    """Return the modules that are imported anywhere in some program texts, by their first names."""
    trees = [ast.walk(ast.parse(source)) for source in sources]
    nodes = [node for tree in trees for node in tree]
    named = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    named += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    return {name.partition(".")[0] for name in named}


def code(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    ("stem", "needed"),
    [
        ("01_two_layers", ["oracles.py"]),
        ("02_one_dimension", ["data/camera.png", "oracles.py"]),
        ("10_the_paper", ["experiments/"]),
        ("00_ten_minutes", ["data/fashion.npz", "experiments/"]),
    ],
)
def test_a_notebook_names_what_lies_beside_it(stem, needed):
    path = ROOT / "chapters" / f"{stem}.ipynb"
    found = downloads.needs(read(path), path.parent)
    assert found == needed
    words = downloads.told(found, ADDRESS)
    assert all(f"`{name}`" in words for name in needed)
    assert f"]({ADDRESS})" in words
    assert f"`{downloads.LINE}`" in words


def test_a_notebook_that_needs_the_library_alone_names_no_file():
    notebook = new_notebook(cells=[new_code_cell("import equivlib, numpy\nx = 'data/absent.npz'")])
    assert downloads.needs(notebook, ROOT / "chapters") == []
    assert "beside it" not in downloads.told([], ADDRESS)


def test_the_line_installs_everything_that_a_chapter_imports():
    beside = [*(ROOT / "chapters").glob("*.py"), *(ROOT / "chapters" / "experiments").glob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in beside]
    texts += [source for path in NOTEBOOKS for source in code(path)]
    own = {"equivlib", "oracles", "experiments", *sys.stdlib_module_names}
    foreign = {NAMES.get(name, name) for name in imported(texts) - own} - LONG_RUNS
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _, installed, others = downloads.LINE.split('"')
    assert others.split()[-2:] == ["jupyterlab", "jupyterlab-myst"]
    assert set(others.split()[:-2]) < foreign
    known = [*project["dependencies"], *others.split()]
    for extra in installed.partition("[")[2].rstrip("]").split(","):
        known += project["optional-dependencies"][extra]
    assert {"numpy", "sympy", "matplotlib", "mnist1d"} <= foreign
    assert foreign <= {re.match(r"[\w-]+", requirement)[0] for requirement in known}


def test_no_chapter_imports_what_only_a_long_run_needs():
    imports = imported(source for path in NOTEBOOKS for source in code(path))
    assert not imports & LONG_RUNS
    assert not any("twin" in source for path in NOTEBOOKS for source in code(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_copy_has_one_cell_more_and_the_script_every_line_of_code(path):
    notebook = read(path)
    before = nbformat.writes(notebook)
    copy = downloads.alone(notebook, "What it needs.")
    nbformat.validate(copy)
    assert copy.cells[0].source == "What it needs."
    assert copy.cells[1:] == notebook.cells
    assert nbformat.writes(notebook) == before
    written = downloads.script(notebook, "What it needs.")
    compile(written, path.stem, "exec")
    pieces = re.split(r"^# %%( \[markdown\])?\n", written, flags=re.M)[1:]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    kept = [text.strip("\n") for kind, text in pairs if not kind]
    assert kept == code(path)


class Colab:
    """What IPython offers a cell: commands run in a folder, but pip, which is only noted."""

    def __init__(self, folder):
        self.folder, self.installed = folder, []

    def system(self, command):
        if command.startswith("pip install"):
            self.installed.append(command)
        else:
            subprocess.run(command, shell=True, cwd=self.folder, check=True)

    def run_line_magic(self, name, line):
        assert name == "cd"
        self.folder = (self.folder / line).resolve(strict=True)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("unzip")), reason="no curl or unzip")
@pytest.mark.parametrize(
    ("path", "folder"), [("chapters/16_real_networks", "chapters"), ("intro", ".")]
)
def test_a_copy_that_was_uploaded_to_colab_fetches_what_it_needs(
    path, folder, tmp_path, monkeypatch
):
    packing.packed(downloads.taken(), tmp_path / downloads.ARCHIVE)
    address = (tmp_path / downloads.ARCHIVE).as_uri()
    notebook = read(ROOT / f"{path}.ipynb")
    cell = downloads.alone(notebook, "Needs.", downloads.for_colab(address, folder)).cells[1]
    translated = TransformerManager().transform_cell(cell.source)
    home = tmp_path / "content"
    home.mkdir()
    offered = Colab(home)

    exec(translated, {"get_ipython": lambda: offered})  # anywhere else
    assert list(home.iterdir()) == []
    assert offered.installed == []

    monkeypatch.setitem(sys.modules, "google.colab", object())
    exec(translated, {"get_ipython": lambda: offered})
    assert offered.folder == (home / "one-matrix" / folder).resolve()
    assert offered.installed == [f"pip install --quiet {downloads.INSTALLED}"]
    for needed in downloads.needs(notebook, (ROOT / path).parent):
        assert (offered.folder / needed).exists()


def test_the_copy_of_a_page_fetches_in_colab_from_where_the_book_is_published(html):
    (address,) = {
        re.search(r"https://\S+", notebook.cells[1].source)[0]
        for path in NOTEBOOKS
        for notebook in [read(html / downloads.FOLDER / path.name)]
    }
    told = read(html / downloads.FOLDER / "01_two_layers.ipynb").cells[0].source
    assert f"({address})" in told
    assert address.endswith(f"/{downloads.FOLDER}/{downloads.ARCHIVE}")


def test_a_script_keeps_the_text_in_comments():
    cells = [new_markdown_cell("# Title\n\nText."), new_code_cell("x = 1")]
    assert downloads.script(new_notebook(cells=cells), "Needs.") == (
        "# %% [markdown]\n# Needs.\n\n# %% [markdown]\n# # Title\n#\n# Text.\n\n# %%\nx = 1\n"
    )


def test_an_archive_depends_on_the_files_and_the_date_alone(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "b").write_bytes(b"2")
        (folder / "a").write_bytes(b"1")
    os.utime(other / "a", (1, 1))
    (other / "b").chmod(0o600)
    made = []
    for folder, epoch in ((one, "864000000"), (other, "864000000"), (one, "1728000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        files = [(path, path.name) for path in (folder / "b", folder / "a")]
        packing.packed(files, tmp_path / "a.zip")
        made.append((tmp_path / "a.zip").read_bytes())
    assert made[0] == made[1] != made[2]
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    packing.packed([(one / "a", "a")], tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time == packing.EARLIEST


def test_the_archive_holds_what_git_knows_and_nothing_else():
    names = {name.removeprefix("one-matrix/") for _, name in downloads.taken()}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *downloads.TAKEN],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert names == set(listed.stdout.split("\0")) - {""}


def test_each_notebook_page_offers_its_copies(html):
    for path in NOTEBOOKS:
        text = (html / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8")
        soup = BeautifulSoup(text, "html.parser")
        offered = [a["href"] for a in soup.select(".page-tools a[download]")]
        names = (path.name, f"{path.stem}.py", downloads.ARCHIVE)
        assert offered == [f"../{downloads.FOLDER}/{name}" for name in names]
        assert all((html / downloads.FOLDER / name).is_file() for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["01_two_layers", "16_real_networks"])
def test_a_chapter_runs_from_the_archive_after_its_one_line(stem, tmp_path):
    packing.packed(downloads.taken(), tmp_path / downloads.ARCHIVE)
    with zipfile.ZipFile(tmp_path / downloads.ARCHIVE) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "one-matrix"
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    places = os.pathsep.join([str(home / "bin"), os.environ["PATH"]])
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**clean, "PATH": places}
    subprocess.run(downloads.LINE, shell=True, cwd=folder, env=environment, check=True)
    notebook = folder / "chapters" / f"{stem}.ipynb"
    command = [home / "bin" / "jupyter", "nbconvert", "--to", "notebook", "--execute", notebook]
    subprocess.run(command, env=environment, check=True)


@pytest.mark.slow
def test_a_script_runs_beside_what_it_needs(tmp_path):
    path = ROOT / "chapters" / "01_two_layers.ipynb"
    text = downloads.script(read(path), "Needs.")
    (tmp_path / "page.py").write_text(text, encoding="utf-8")
    (tmp_path / "oracles.py").write_bytes((ROOT / "chapters" / "oracles.py").read_bytes())
    assert find_spec("equivlib") is not None
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    subprocess.run([sys.executable, "page.py"], cwd=tmp_path, env=environment, check=True)
